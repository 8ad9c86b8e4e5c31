"""The event log: a table with filters that follows the newest row until somebody scrolls back."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QSize, Qt, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QComboBox, QHeaderView, QLineEdit, QTableView, QToolButton

from monitor_app.model.ingest import Ingest
from monitor_app.model.units import format_count
from monitor_app.theme import Theme
from monitor_app.views import signs
from monitor_app.views.log_model import LogFilter, LogModel
from monitor_app.views.parts import FIELD_HEIGHT, label

ROW_HEIGHT: Final = 20
_ALL: Final = "All channels"
_WIDTHS: Final = (98, 100, 166)
_KEYS_OF_THE_WINDOW: Final = frozenset({Qt.Key.Key_Space, Qt.Key.Key_L, Qt.Key.Key_P})


class EventLogView(QTableView):
    """The rows of the log.

    Attributes:
        channel_filter: The channel, for the title bar of the dock.
        text_filter: The text, for the title bar of the dock.
        follow: Whether the newest row stays in view, for the title bar of the dock.
        count: How many rows are shown, for the title bar of the dock.
    """

    def __init__(self, ingest: Ingest, theme: Theme) -> None:
        super().__init__()
        self._ingest = ingest
        self._model = LogModel(ingest.log, ingest.clock, theme, self)
        self._filter = LogFilter(self)
        self._filter.setSourceModel(self._model)
        self.setModel(self._filter)
        self.channel_filter = QComboBox()
        self.text_filter = QLineEdit()
        self.follow = QToolButton()
        self.count = label("", "muted")
        self._set_up_looks()
        self._set_up_filters()
        theme.changed.connect(self._model.redraw)

    def _set_up_looks(self) -> None:
        self.setAccessibleName("Event log")
        self.setShowGrid(False)
        self.setIconSize(QSize(signs.SIZE, signs.SIZE))
        self.setWordWrap(False)
        self.setAlternatingRowColors(True)
        self.setTabKeyNavigation(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setStretchLastSection(True)
        for column, width in enumerate(_WIDTHS):
            header.resizeSection(column, width)

    def _set_up_filters(self) -> None:
        self.channel_filter.addItem(_ALL)
        self.channel_filter.setAccessibleName("Show rows of this channel")
        self.channel_filter.setMinimumWidth(110)
        self.channel_filter.setFixedHeight(FIELD_HEIGHT - 2)
        self.text_filter.setPlaceholderText("Filter text (Ctrl+F)")
        self.text_filter.setAccessibleName("Show rows that contain this text")
        self.text_filter.setClearButtonEnabled(True)
        self.text_filter.setFixedWidth(170)
        self.follow.setText("Follow")
        self.follow.setCheckable(True)
        self.follow.setChecked(True)
        self.follow.setAccessibleName("Follow the newest row")
        self.channel_filter.currentTextChanged.connect(self._on_channel_changed)
        self.text_filter.textChanged.connect(self._filter.set_text)
        self.follow.toggled.connect(self._on_follow_toggled)
        self.verticalScrollBar().sliderMoved.connect(self._on_scrolled)

    def refresh(self) -> None:
        """Show what has happened. Called at the rate of text."""
        self._model.refresh()
        self._fill_channels()
        shown, total = self._filter.rowCount(), self._model.rowCount()
        of_all = "" if shown == total else f" of {format_count(total)}"
        self.count.setText(f"{format_count(shown)}{of_all} rows")
        if self.follow.isChecked():
            self.scrollToBottom()

    def show_only(self, channel: str) -> None:
        """Show only rows of `channel`; those of another if it is filtered already: of all."""
        current = self.channel_filter.currentText()
        self.channel_filter.setCurrentText(_ALL if current == channel else channel)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Leave the window's own keys to the window."""
        if event.key() in _KEYS_OF_THE_WINDOW and not event.modifiers():
            event.ignore()
        else:
            super().keyPressEvent(event)

    def _fill_channels(self) -> None:
        known = self.channel_filter.count() - 1
        for view in self._ingest.channels()[known:]:
            self.channel_filter.addItem(view.name)

    @Slot(str)
    def _on_channel_changed(self, text: str) -> None:
        self._filter.set_channel("" if text == _ALL else text)

    @Slot(bool)
    def _on_follow_toggled(self, follows: bool) -> None:
        if follows:
            self.scrollToBottom()

    @Slot(int)
    def _on_scrolled(self, value: int) -> None:
        self.follow.setChecked(value == self.verticalScrollBar().maximum())
