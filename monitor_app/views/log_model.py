"""The event log as Qt's item model, and its filter."""

from __future__ import annotations

from typing import Any, Final

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
)
from PySide6.QtGui import QFont

from monitor_app.model.clock import Clock
from monitor_app.model.event_log import EventLog, LogRow, Tone
from monitor_app.theme import Theme
from monitor_app.views import signs

_HEADINGS: Final = ("Time", "Channel", "Type", "What")
_TYPE: Final = 2
_LOUD: Final = frozenset({Tone.OURS, Tone.STARVED, Tone.TROUBLE, Tone.PAUSE_BY_US, Tone.PAUSE_BY_PEER})
ROW_ROLE: Final = Qt.ItemDataRole.UserRole + 1
_Index = QModelIndex | QPersistentModelIndex


class LogModel(QAbstractTableModel):
    """Shows the rows of an `EventLog` that were there at the last `refresh`."""

    def __init__(self, log: EventLog, clock: Clock, theme: Theme, parent: QObject) -> None:
        super().__init__(parent)
        self._log = log
        self._clock = clock
        self._theme = theme
        self._rows: list[LogRow] = []
        self._first = log.first

    def refresh(self) -> None:
        """Take in what the log gained and lost."""
        gone = min(self._log.first - self._first, len(self._rows))
        if gone:
            self.beginRemoveRows(QModelIndex(), 0, gone - 1)
            del self._rows[:gone]
            self.endRemoveRows()
        self._first = self._log.first
        new = self._log.end - self._first - len(self._rows)
        if new:
            count = len(self._rows)
            self.beginInsertRows(QModelIndex(), count, count + new - 1)
            self._rows += list(self._log.rows)[-new:]
            self.endInsertRows()

    def redraw(self) -> None:
        """Show all rows anew, in the colours of another theme."""
        if self._rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._rows) - 1, len(_HEADINGS) - 1))

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's name and signature
        """Return the number of rows."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's name and signature
        """Return the number of columns."""
        return 0 if parent.isValid() else len(_HEADINGS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:  # noqa: N802 - Qt's name
        """Return the heading of a column."""
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return _HEADINGS[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: _Index, role: int = 0) -> Any:
        """Return text, sign, colour and weight of a cell."""
        row = self._rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(row, index.column())
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.text
        if role == ROW_ROLE:
            return row
        return self._dress(row, role) if index.column() == _TYPE else None

    def _dress(self, row: LogRow, role: int) -> Any:
        """Return sign, colour and weight of the type; only what somebody should notice is loud."""
        colours = self._theme.colours
        colour = signs.tone_colour(row.tone, colours)
        if role == Qt.ItemDataRole.DecorationRole:
            return signs.icon(signs.TONE_SIGNS[row.tone], colour.name(), colours.panel)
        if row.tone not in _LOUD:
            return None
        return {Qt.ItemDataRole.ForegroundRole: colour, Qt.ItemDataRole.FontRole: _bold()}.get(Qt.ItemDataRole(role))

    def _text(self, row: LogRow, column: int) -> str:
        time_text = self._clock.time_of_day(row.time_s, milliseconds=True) if column == 0 else ""
        return (time_text, row.channel or "", row.kind, row.text)[column]


def _bold() -> QFont:
    font = QFont()
    font.setPixelSize(11)
    font.setBold(True)
    return font


class LogFilter(QSortFilterProxyModel):
    """Rows of one channel, or of all, that contain a text."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._channel = ""
        self._text = ""

    def set_channel(self, channel: str) -> None:
        """Show only rows of `channel`; empty for all."""
        self._channel = channel
        self.invalidate()

    def set_text(self, text: str) -> None:
        """Show only rows that contain `text`, whatever the case."""
        self._text = text.casefold()
        self.invalidate()

    def filterAcceptsRow(self, source_row: int, source_parent: _Index) -> bool:  # noqa: N802 - Qt's name
        """Return whether a row is shown."""
        row: LogRow = self.sourceModel().index(source_row, 0, source_parent).data(ROW_ROLE)
        if self._channel and row.channel != self._channel:
            return False
        return not self._text or self._text in f"{row.channel or ''} {row.kind} {row.text}".casefold()
