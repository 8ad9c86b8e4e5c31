"""The audit trail as a table: who did what, when, why, and what came of it."""

from __future__ import annotations

from typing import Any, Final

from PySide6.QtCore import QModelIndex, QObject, Qt, Signal, Slot
from PySide6.QtGui import QColor

from monitor_app.model.audit import AuditEntry, AuditTrail, Outcome
from monitor_app.model.clock import Clock
from monitor_app.model.event_log import row_of_action
from monitor_app.model.units import format_count
from monitor_app.theme import Theme
from monitor_app.views.empty_hint import EmptyHint
from monitor_app.views.row_model import RowModel
from monitor_app.views.row_table import RowTable

_HEADINGS: Final = ("Time", "Who", "Channel", "Action", "Why", "What came of it")
_WIDTHS: Final = (64, 58, 84, 200, 92)
_EMPTY: Final = "No action yet. What you do in Control is written down here: who, when, on what, why, and what came of it."
_RESULT: Final = len(_HEADINGS) - 1


class AuditModel(RowModel):
    """Shows the entries that were there at the last `refresh`."""

    def __init__(self, audit: AuditTrail, clock: Clock, theme: Theme, parent: QObject) -> None:
        super().__init__(_HEADINGS, parent)
        self._audit = audit
        self._clock = clock
        self._theme = theme
        self._version, self._dropped = audit.version, audit.dropped
        self.entries: tuple[AuditEntry, ...] = audit.entries

    def refresh(self) -> bool:
        """Take in what has changed; return whether anything has. The row that somebody reads stays the same row."""
        if self._audit.version == self._version:
            return False
        self._version = self._audit.version
        self._forget(self._audit.dropped - self._dropped)
        came = self._audit.entries[len(self.entries) :]
        if came:
            self.beginInsertRows(QModelIndex(), len(self.entries), len(self.entries) + len(came) - 1)
            self.entries += came
            self.endInsertRows()
        before, self.entries = self.entries, self._audit.entries
        for row, (old, new) in enumerate(zip(before, self.entries, strict=True)):
            if old is not new:  # it is known now what came of it
                self.dataChanged.emit(self.index(row, 0), self.index(row, _RESULT))
        return True

    def _forget(self, gone: int) -> None:
        self._dropped += gone
        gone = min(gone, len(self.entries))
        if gone:
            self.beginRemoveRows(QModelIndex(), 0, gone - 1)
            self.entries = self.entries[gone:]
            self.endRemoveRows()

    @property
    def words(self) -> str:
        """How many entries there are, whose, and how many are gone."""
        number, dropped = len(self.entries), self._audit.dropped
        gone = f", {format_count(dropped)} older ones dropped" if dropped else ""
        return f"{format_count(number)} {'action' if number == 1 else 'actions'} by {self._audit.who}{gone}"

    def count(self) -> int:
        """Return the number of entries."""
        return len(self.entries)

    def text_at(self, row: int, column: int) -> str:
        """Return what stands in a cell."""
        entry = self.entries[row]
        action = f"{entry.action} {entry.details}".strip()
        time_text = self._clock.time_of_day(entry.time_s)
        result = f"{entry.outcome.value}: {entry.result}" if entry.result else entry.outcome.value
        return (time_text, entry.who, entry.channel or "", action, entry.reason, result)[column]

    def dress(self, row: int, column: int, role: int) -> Any:
        """Give trouble its colour."""
        failed = self.entries[row].outcome in {Outcome.FAILED, Outcome.REFUSED}
        if role == Qt.ItemDataRole.ForegroundRole and failed and column == _RESULT:
            return QColor(self._theme.colours.starved)
        return None


class AuditView(RowTable):
    """The entries of the trail, the newest in sight.

    Attributes:
        hint: What stands there before the first entry.

    Signals:
        row_chosen: The operator went to another entry; it as a `LogRow`, None for none.
    """

    row_chosen = Signal(object)

    def __init__(self, audit: AuditTrail, clock: Clock, theme: Theme) -> None:
        super().__init__("Audit trail", _WIDTHS)
        self._model = AuditModel(audit, clock, theme, self)
        self.hint = EmptyHint(self)
        self.setModel(self._model)
        self.arrange_columns()
        theme.changed.connect(self._model.redraw)
        self.selectionModel().currentRowChanged.connect(self._on_current_changed)
        self._model.dataChanged.connect(self._on_data_changed)

    def refresh(self) -> None:
        """Show what was done. Called at the rate of text."""
        bar = self.verticalScrollBar()
        was_at_end = bar.value() == bar.maximum()
        if self._model.refresh() and was_at_end:  # who has gone back reads on
            self.scrollToBottom()
        self._model.say_count(self._model.words)
        self.hint.tell("" if self._model.count() else _EMPTY)

    @Slot(QModelIndex)
    def _on_current_changed(self, index: QModelIndex) -> None:
        self.row_chosen.emit(row_of_action(self._model.entries[index.row()]) if index.isValid() else None)

    @Slot(QModelIndex, QModelIndex)
    def _on_data_changed(self, first: QModelIndex, last: QModelIndex) -> None:
        """Tell the inspector what came of the action that it shows."""
        if self.isVisible() and first.row() == self.currentIndex().row() == last.row():
            self._on_current_changed(self.currentIndex())
