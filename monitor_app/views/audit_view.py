"""The audit trail as a table: who did what, when, why, and what came of it."""

from __future__ import annotations

from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor

from monitor_app.model.audit import AuditEntry, AuditTrail, Outcome
from monitor_app.model.clock import Clock
from monitor_app.model.units import format_count
from monitor_app.theme import Theme
from monitor_app.views.row_table import RowTable

_HEADINGS: Final = ("Time", "Who", "Channel", "Action", "Why", "What came of it")
_WIDTHS: Final = (66, 70, 84, 210, 120)
_RESULT: Final = len(_HEADINGS) - 1
_Index = QModelIndex | QPersistentModelIndex


class AuditModel(QAbstractTableModel):
    """Shows the entries that were there at the last `refresh`."""

    def __init__(self, audit: AuditTrail, clock: Clock, theme: Theme, parent: QObject) -> None:
        super().__init__(parent)
        self._audit = audit
        self._clock = clock
        self._theme = theme
        self._version = audit.version
        self.entries: tuple[AuditEntry, ...] = audit.entries

    def refresh(self) -> bool:
        """Take in what has changed; return whether anything has. Actions are few: all of them are read anew."""
        if self._audit.version == self._version:
            return False
        self.beginResetModel()
        self._version, self.entries = self._audit.version, self._audit.entries
        self.endResetModel()
        return True

    @property
    def words(self) -> str:
        """How many entries there are, whose, and how many are gone."""
        number, dropped = len(self.entries), self._audit.dropped
        gone = f", {format_count(dropped)} older ones dropped" if dropped else ""
        return f"{format_count(number)} {'action' if number == 1 else 'actions'} by {self._audit.who}{gone}"

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's name and signature
        """Return the number of entries."""
        return 0 if parent.isValid() else len(self.entries)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's name and signature
        """Return the number of columns."""
        return 0 if parent.isValid() else len(_HEADINGS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:  # noqa: N802 - Qt's name
        """Return the heading of a column."""
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return f"{_HEADINGS[section]}   ({self.words})" if section == _RESULT else _HEADINGS[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: _Index, role: int = 0) -> Any:
        """Return the text of a cell; trouble has its colour."""
        entry = self.entries[index.row()]
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole}:
            return self._text(entry, index.column())
        failed = entry.outcome in {Outcome.FAILED, Outcome.REFUSED}
        if role == Qt.ItemDataRole.ForegroundRole and failed and index.column() == _RESULT:
            return QColor(self._theme.colours.starved)
        return None

    def _text(self, entry: AuditEntry, column: int) -> str:
        action = f"{entry.action} {entry.details}".strip()
        time_text = self._clock.time_of_day(entry.time_s)
        result = f"{entry.outcome.value}: {entry.result}" if entry.result else entry.outcome.value
        return (time_text, entry.who, entry.channel or "", action, entry.reason, result)[column]


class AuditView(RowTable):
    """The entries of the trail, the newest in sight."""

    def __init__(self, audit: AuditTrail, clock: Clock, theme: Theme) -> None:
        super().__init__("Audit trail", _WIDTHS)
        self._model = AuditModel(audit, clock, theme, self)
        self.setModel(self._model)
        self.arrange_columns()

    def refresh(self) -> None:
        """Show what was done. Called at the rate of text."""
        if self._model.refresh():
            self.scrollToBottom()
