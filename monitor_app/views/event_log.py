"""The event log: a table with filters that follows the newest row until somebody goes back."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from PySide6.QtCore import QModelIndex, Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QComboBox, QLineEdit, QToolButton

from monitor_app.model.event_log import LogRow
from monitor_app.model.ingest import Ingest
from monitor_app.model.log_filter import EVERYTHING, NEVER_S, RowFilter
from monitor_app.model.units import format_count
from monitor_app.theme import Theme
from monitor_app.views.empty_hint import EmptyHint
from monitor_app.views.log_model import LogModel
from monitor_app.views.parts import FIELD_HEIGHT
from monitor_app.views.row_table import RowTable

_NOTHING_YET: Final = "Nothing has happened yet. Grants, pauses, waits, errors and your own actions are listed here as they come."
_NO_HIT: Final = "No row fits the filters above. Esc shows all rows again."
_ALL: Final = "All channels"
_ALL_KINDS: Final = "All types"
_WIDTHS: Final = (88, 88, 150)
_FLOOD_ROWS: Final = 300
_FLOOD_REST: Final = 7
_KEYS_BACK: Final = frozenset({Qt.Key.Key_Up, Qt.Key.Key_PageUp, Qt.Key.Key_Home})


class EventLogView(RowTable):
    """The rows of the log.

    Attributes:
        channel_filter, kind_filter, text_filter: What is shown, for the title bar of the dock.
        hint: Why there is no row.
        follow: Whether the newest row stays in view, for the title bar of the dock.

    Signals:
        row_chosen: The operator went to another row; the `LogRow`.
    """

    row_chosen = Signal(object)

    def __init__(self, ingest: Ingest, theme: Theme) -> None:
        super().__init__("Event log", _WIDTHS)
        self._ingest = ingest
        self._wanted: LogRow | None = None
        self._goes_quietly = False
        self._read: LogRow | None = None
        self._rest_frames = 0
        self._model = LogModel(ingest.log, ingest.clock, theme, self)
        self.hint = EmptyHint(self)
        self.setModel(self._model)
        self.arrange_columns()
        self.channel_filter = _chooser(_ALL, "Show rows of this channel")
        self.kind_filter = _chooser(_ALL_KINDS, "Show rows of this type")
        self.text_filter = QLineEdit()
        self.follow = QToolButton()
        self._set_up_filters()
        theme.changed.connect(self._model.redraw)

    def _set_up_filters(self) -> None:
        self.text_filter.setPlaceholderText("Filter text")
        self.text_filter.setToolTip("Show rows that contain this text (Ctrl+F)")
        self.text_filter.setAccessibleName("Show rows that contain this text")
        self.text_filter.setClearButtonEnabled(True)
        self.text_filter.setMinimumWidth(90)
        self.text_filter.setMaximumWidth(170)
        self.follow.setText("Follow")
        self.follow.setCheckable(True)
        self.follow.setChecked(True)
        self.follow.setToolTip("Keep the newest row in view (End)")
        self.follow.setAccessibleName("Follow the newest row")
        self.channel_filter.currentTextChanged.connect(self._on_channel_changed)
        self.kind_filter.currentTextChanged.connect(self._on_kind_changed)
        self.text_filter.textChanged.connect(self._on_text_changed)
        self.follow.toggled.connect(self._on_follow_toggled)
        self.verticalScrollBar().actionTriggered.connect(self._on_scrolled)
        self.selectionModel().currentRowChanged.connect(self._on_current_changed)

    @property
    def shown_rows(self) -> list[LogRow]:
        """The rows that the filters let through, oldest first."""
        return self._model.rows

    @property
    def is_filtered(self) -> bool:
        """Whether a filter is chosen."""
        return self._model.is_filtered

    def advance(self) -> None:
        """Filter on and take in what is new, for a few milliseconds. Called at every frame; in a flood every eighth does it."""
        if self._rest_frames:
            self._rest_frames -= 1
        else:
            self._take_in()

    def _take_in(self) -> None:
        gone, came = self._model.refresh()
        flood = came > _FLOOD_ROWS and not self._model.behind  # more than anybody reads: the frame has better to do
        self._rest_frames = _FLOOD_REST if flood else 0
        bar = self.verticalScrollBar()
        if self.follow.isChecked():
            if gone or came:
                self.scrollToBottom()
        elif self._wanted is not None:
            self._go_to_wanted()
        elif gone:  # what somebody reads stays under the eye
            bar.setValue(bar.value() - gone)

    def refresh(self) -> None:
        """Show what has happened. Called at the rate of text."""
        self._take_in()
        self._fill(self.channel_filter, [view.name for view in self._ingest.channels()])
        self._fill(self.kind_filter, sorted(self._ingest.log.kinds))
        self._model.say_count(self.words)
        self.hint.tell(self._why_empty())

    def show_only(self, channel: str) -> None:
        """Show only rows of `channel`; those of another if it is filtered already: of all."""
        current = self.channel_filter.currentText()
        self.channel_filter.setCurrentText(_ALL if current == channel else channel)

    @Slot(str, float)
    def show_evidence(self, channel: str, since_s: float) -> None:
        """Show what was told of `channel` since a moment, whatever was filtered before."""
        self.show_all()
        self._choose(RowFilter(since_s=since_s))
        self.channel_filter.setCurrentText(channel)

    @Slot()
    def show_all(self) -> None:
        """Take every filter away."""
        for chooser in (self.channel_filter, self.kind_filter):
            chooser.setCurrentIndex(0)
        self.text_filter.clear()
        if self._model.is_filtered:
            self._choose(EVERYTHING)

    def choose_row(self, row: LogRow) -> None:
        """Go to a row, without the filters if they hide it; as soon as it is looked at."""
        self.follow.setChecked(False)
        if not self._model.chosen.accepts(row):
            self.show_all()
        self._wanted, self._goes_quietly = row, False
        self._go_to_wanted()

    def _choose(self, chosen: RowFilter) -> None:
        """Show other rows: the newest while following, else the row that was chosen, or as soon as a filter lets it through."""
        self._model.choose(chosen)
        self._wanted = None
        if self.follow.isChecked():
            self.scrollToBottom()
        elif self._read is not None and chosen.accepts(self._read):
            # Quietly: inspector and plots have shown it before, and may show something else by now.
            self._wanted, self._goes_quietly = self._read, True
            self._go_to_wanted()

    def _go_to_wanted(self) -> None:
        place = next((place for place, row in enumerate(self._model.rows) if row is self._wanted), None)
        if place is not None:
            was_blocked = self.blockSignals(self._goes_quietly)
            self.selectRow(place)
            self.blockSignals(was_blocked)
            self.scrollTo(self._model.index(place, 0), self.ScrollHint.PositionAtCenter)
        if place is not None or not self._model.behind:
            self._wanted = None

    @Slot(bool)
    def let_follow(self, follows: bool) -> None:
        """Keep the newest row in view from now on, or no longer."""
        self.follow.setChecked(follows)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Stop following when the keys go back, and follow again at the end."""
        if event.key() in _KEYS_BACK and self._model.rowCount():
            self.follow.setChecked(False)
        super().keyPressEvent(event)
        if event.key() == Qt.Key.Key_End:
            self.follow.setChecked(True)

    @property
    def words(self) -> str:
        """How many rows are shown, of how many, and how many are gone; it stands in the heading of the last column."""
        log = self._ingest.log
        shown = len(self._model.rows)
        of_all = "" if shown == len(log.rows) else f" of {format_count(len(log.rows))}"
        busy = ", filtering…" if self._model.behind else ""
        since_s = self._model.chosen.since_s
        since = "" if since_s == NEVER_S else f" since {self._ingest.clock.time_of_day(since_s)}; Esc shows all"
        dropped = f", {format_count(log.first)} older rows dropped" if log.first else ""
        return f"{format_count(shown)}{of_all} {'row' if shown == 1 and not of_all else 'rows'}{since}{busy}{dropped}"

    def _why_empty(self) -> str:
        """Return why there is no row; empty where there is one."""
        if self._model.count():
            return ""
        if not self._ingest.log.rows:
            return _NOTHING_YET
        return "Filtering…" if self._model.behind else _NO_HIT

    def _fill(self, chooser: QComboBox, names: list[str]) -> None:
        """Add what is not there yet. What a filter offers never goes away under the hand."""
        known = {chooser.itemText(place) for place in range(chooser.count())}
        for name in names:
            if name not in known:
                chooser.addItem(name)

    @Slot(str)
    def _on_channel_changed(self, text: str) -> None:
        self._choose(replace(self._model.chosen, channel="" if text == _ALL else text))

    @Slot(str)
    def _on_kind_changed(self, text: str) -> None:
        self._choose(replace(self._model.chosen, kind="" if text == _ALL_KINDS else text))

    @Slot(str)
    def _on_text_changed(self, text: str) -> None:
        self._choose(replace(self._model.chosen, text=text))

    @Slot(bool)
    def _on_follow_toggled(self, follows: bool) -> None:
        if follows:
            self.scrollToBottom()

    @Slot()
    def _on_scrolled(self) -> None:
        bar = self.verticalScrollBar()
        self.follow.setChecked(bar.sliderPosition() == bar.maximum())

    @Slot(QModelIndex)
    def _on_current_changed(self, index: QModelIndex) -> None:
        row = self._model.rows[index.row()] if index.isValid() else None
        self._read = row
        self.row_chosen.emit(row)


def _chooser(first: str, name: str) -> QComboBox:
    made = QComboBox()
    made.addItem(first)
    made.setAccessibleName(name)
    made.setMinimumWidth(108)
    made.setMinimumContentsLength(11)
    made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    made.setFixedHeight(FIELD_HEIGHT - 2)
    return made
