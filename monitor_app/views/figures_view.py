"""The figures of the visible or the selected span, a column for each channel that the plots show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QAbstractItemView, QFrame, QHeaderView, QLabel, QTableView, QVBoxLayout

from monitor_app.model.figures import SpanFigures, grants_against_spend, rows_of
from monitor_app.model.grants import window_hint, window_of
from monitor_app.model.ingest import Ingest
from monitor_app.model.picture import Picture
from monitor_app.model.units import format_duration, short_name
from monitor_app.theme import Theme
from monitor_app.views.parts import ElidedLabel, label, sized

_ROW_HEIGHT = 18
_NAME_LENGTH = 9
_NARROWEST = 64
_HEADING_PIXELS = 10
_HEADING_MARGIN = 4
"""Size of the font and what lies beside the words, as the style sheet has them."""
_Index = QModelIndex | QPersistentModelIndex


class FiguresModel(QAbstractTableModel):
    """Rows of cells that are texts already."""

    def __init__(self, parent: QFrame) -> None:
        super().__init__(parent)
        self._channels: list[str] = []
        self._rows: list[tuple[str, list[str]]] = []

    def show(self, channels: list[str], rows: list[tuple[str, list[str]]]) -> bool:
        """Show other figures; the places of scroll bars and widths of columns stay.

        Return whether there are other rows or columns. Only rows that read otherwise are told of: Qt asks for each cell many
        times, and each time waits for the interpreter.
        """
        if channels != self._channels or [name for name, _ in rows] != [name for name, _ in self._rows]:
            self.beginResetModel()
            self._channels, self._rows = channels, rows
            self.endResetModel()
            return True
        before, self._rows = self._rows, rows
        for number, (old, new) in enumerate(zip(before, rows, strict=True)):
            if old != new:
                self.dataChanged.emit(self.index(number, 1), self.index(number, len(channels)))
        return False

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's name and signature
        """Return the number of figures."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's name and signature
        """Return the number of columns: the figure's name, and one a channel."""
        return 0 if parent.isValid() else len(self._channels) + 1

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:  # noqa: N802 - Qt's name
        """Return the channel of a column."""
        if orientation is Qt.Orientation.Horizontal and role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole}:
            name = "Figure" if section == 0 else self._channels[section - 1]
            return short_name(name, _NAME_LENGTH) if role == Qt.ItemDataRole.DisplayRole else name
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _side(section)
        return None

    def data(self, index: _Index, role: int = 0) -> Any:
        """Return a cell."""
        name, cells = self._rows[index.row()]
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole}:
            return name if index.column() == 0 else cells[index.column() - 1]
        if role == Qt.ItemDataRole.AccessibleTextRole and index.column():
            return f"{self._channels[index.column() - 1]}, {name}: {cells[index.column() - 1]}"
        return _side(index.column()) if role == Qt.ItemDataRole.TextAlignmentRole else None


def _side(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignLeft if column == 0 else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter


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
        self.table = QTableView()
        self._model = FiguresModel(self)
        self.table.setModel(self._model)
        self.table.setObjectName("figures")
        self.table.setAccessibleName("Figures of the span")
        self._set_up_looks()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._empty, 1)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.hint)
        self.table.hide()
        theme.changed.connect(self.refresh)

    def _set_up_looks(self) -> None:
        table = self.table
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ContiguousSelection)
        table.setAlternatingRowColors(True)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.setTabKeyNavigation(False)
        rows, columns = table.verticalHeader(), table.horizontalHeader()
        rows.setVisible(False)
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(_ROW_HEIGHT)
        columns.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        columns.setFixedHeight(22)

    def refresh(self) -> None:
        """Show the figures as they are now. Called at the rate of text; costs nothing while it is out of sight."""
        if not self.isVisible():
            return
        figures = self._picture.figures()
        span_s = figures[0].seconds if figures else self._picture.viewport.span_s
        which = "selected" if self._picture.selection else "visible"
        self.which.setText(f"{which} span, {format_duration(span_s)}")
        self._empty.setVisible(not figures)
        self.table.setVisible(bool(figures))
        is_new = self._model.show([one.channel for one in figures], rows_of(figures))
        self.hint.setText(self._hint(figures))
        self.hint.setVisible(bool(self.hint.text()))
        if figures and is_new:
            self._make_room()

    def _make_room(self) -> None:
        """Let no column be narrower than its heading."""
        columns = self.table.horizontalHeader()
        headings = [str(self._model.headerData(at, Qt.Orientation.Horizontal)) for at in range(1, columns.count())]
        widest = max(QFontMetrics(sized(columns.font(), _HEADING_PIXELS)).horizontalAdvance(heading) for heading in headings)
        columns.setMinimumSectionSize(max(_NARROWEST, widest + _HEADING_MARGIN))
        columns.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)

    def _hint(self, figures: Sequence[SpanFigures]) -> str:
        """Return the sentence below the figures: a window that is smaller than rate times round trip is told before all else."""
        view, connection = self._ingest.channel(self._picture.chosen), self._ingest.connection
        if view is None or connection is None:
            return ""
        small = window_hint(window_of(view, connection.round_trip or 0.0))
        spend = next((grants_against_spend(one) for one in figures if one.channel == view.name), "")
        return f"{view.name}: {small or spend}" if small or spend else ""
