"""The figures of the visible or the selected span, a column for each channel that the plots show."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QFrame, QLabel, QVBoxLayout

from monitor_app.model.figures import SpanFigures, grants_against_spend, rows_of, span_words
from monitor_app.model.grants import window_hint, window_of
from monitor_app.model.ingest import Ingest
from monitor_app.model.picture import Picture
from monitor_app.theme import Theme
from monitor_app.views.figures_table import FiguresTable
from monitor_app.views.parts import ElidedLabel, label


class FiguresView(QFrame):
    """A table of figures, and a word about which span they are of.

    Attributes:
        table: The table.
        which: Which span the figures are of; for the title of a dock.
        hint: The chosen channel's grants against what it spends, or that its window is too small.
    """

    def __init__(self, ingest: Ingest, picture: Picture, theme: Theme) -> None:
        super().__init__()
        self._ingest = ingest
        self._picture = picture
        self.which: QLabel = label("", "muted")
        self.hint = ElidedLabel("", "hint")
        self.hint.setContentsMargins(8, 2, 8, 2)
        self.setProperty("role", "plain")
        self._empty = label("No figures yet. They show as soon as a channel is used.", "muted")
        self._empty.setWordWrap(True)
        self._empty.setContentsMargins(10, 10, 10, 10)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.table = FiguresTable(theme)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._empty, 1)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.hint)
        self.table.hide()
        theme.changed.connect(self.refresh)

    def refresh(self) -> None:
        """Show the figures as they are now. Called at the rate of text; costs nothing while it is out of sight."""
        if not self.isVisible():
            return
        figures = self._picture.figures()
        self.name_span()
        self._empty.setVisible(not figures)
        self.table.setVisible(bool(figures))
        self.table.show_figures([one.channel for one in figures], rows_of(figures))
        self.hint.setText(self._hint(figures))
        self.hint.setVisible(bool(self.hint.text()))

    @Slot()
    def name_span(self) -> None:
        """Say at once which span is meant; the figures of it follow at the rate of text."""
        from_s, to_s = self._picture.selection or self._picture.edges()
        seen_s = max(self._picture.seen(from_s, to_s).values(), default=math.inf)
        self.which.setText(span_words(to_s - from_s, seen_s, selected=self._picture.selection is not None))

    def _hint(self, figures: Sequence[SpanFigures]) -> str:
        """Return the sentence below the figures: a window that is smaller than rate times round trip is told before all else."""
        view, connection = self._ingest.channel(self._picture.chosen), self._ingest.connection
        if view is None or connection is None:
            return ""
        small = window_hint(window_of(view, connection.round_trip or 0.0))
        spend = next((grants_against_spend(one) for one in figures if one.channel == view.name), "")
        return f"{view.name}: {small or spend}" if small or spend else ""
