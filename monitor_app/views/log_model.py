"""The event log as Qt's item model: the rows that its filter lets through."""

from __future__ import annotations

from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QFont

from monitor_app.model.clock import Clock
from monitor_app.model.event_log import EventLog, LogRow, Tone
from monitor_app.model.log_filter import EVERYTHING, FilteredLog, RowFilter
from monitor_app.theme import Theme
from monitor_app.views import signs

_HEADINGS: Final = ("Time", "Channel", "Type", "What")
_TYPE: Final = 2
_WHAT: Final = 3
_LOUD: Final = frozenset({Tone.OURS, Tone.STARVED, Tone.TROUBLE, Tone.PAUSE_BY_US, Tone.PAUSE_BY_PEER})
_Index = QModelIndex | QPersistentModelIndex


class LogModel(QAbstractTableModel):
    """Shows the rows of an `EventLog` that a filter lets through and that `refresh` has come to."""

    def __init__(self, log: EventLog, clock: Clock, theme: Theme, parent: QObject) -> None:
        super().__init__(parent)
        self._clock = clock
        self._theme = theme
        self._found = FilteredLog(log)
        self._count_words = ""

    @property
    def rows(self) -> list[LogRow]:
        """The rows that are shown, oldest first."""
        return self._found.rows

    @property
    def is_filtered(self) -> bool:
        """Whether a filter is chosen."""
        return self._found.chosen != EVERYTHING

    @property
    def behind(self) -> int:
        """How many rows of the log the filter has not come to yet."""
        return self._found.behind

    @property
    def chosen(self) -> RowFilter:
        """The filter."""
        return self._found.chosen

    def choose(self, chosen: RowFilter) -> None:
        """Show other rows."""
        self.beginResetModel()
        self._found.choose(chosen)
        self.endResetModel()
        self.refresh()

    def refresh(self) -> tuple[int, int]:
        """Take in what the log gained and lost, for a few milliseconds; return how many rows went, and how many came."""
        found = self._found.look()
        if found.gone:
            self.beginRemoveRows(QModelIndex(), 0, found.gone - 1)
            self._found.take_gone(found)
            self.endRemoveRows()
        if found.new:
            count = len(self.rows)
            self.beginInsertRows(QModelIndex(), count, count + len(found.new) - 1)
            self._found.take_new(found)
            self.endInsertRows()
        return found.gone, len(found.new)

    def say_count(self, words: str) -> None:
        """Show `words` in the heading of the last column, which has the room."""
        if words != self._count_words:
            self._count_words = words
            self.headerDataChanged.emit(Qt.Orientation.Horizontal, _WHAT, _WHAT)

    def redraw(self) -> None:
        """Show all rows anew, in the colours of another theme."""
        if self.rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.rows) - 1, len(_HEADINGS) - 1))

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's name and signature
        """Return the number of rows."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's name and signature
        """Return the number of columns."""
        return 0 if parent.isValid() else len(_HEADINGS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:  # noqa: N802 - Qt's name
        """Return the heading of a column."""
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return f"{_HEADINGS[section]}   ({self._count_words})" if section == _WHAT else _HEADINGS[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: _Index, role: int = 0) -> Any:
        """Return text, sign, colour and weight of a cell."""
        row = self.rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self.text(row, index.column())
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.text
        return self._dress(row, role) if index.column() == _TYPE else None

    def text(self, row: LogRow, column: int) -> str:
        """Return what stands in a cell."""
        time_text = self._clock.time_of_day(row.time_s, milliseconds=True) if column == 0 else ""
        return (time_text, row.channel or "", row.kind, row.text)[column]

    def _dress(self, row: LogRow, role: int) -> Any:
        """Return sign, colour and weight of the type; only what somebody should notice is loud."""
        colours = self._theme.colours
        colour = signs.tone_colour(row.tone, colours)
        if role == Qt.ItemDataRole.DecorationRole:
            return signs.icon(signs.TONE_SIGNS[row.tone], colour.name(), colours.panel)
        if row.tone not in _LOUD:
            return None
        return {Qt.ItemDataRole.ForegroundRole: colour, Qt.ItemDataRole.FontRole: _bold()}.get(Qt.ItemDataRole(role))


def _bold() -> QFont:
    font = QFont()
    font.setPixelSize(11)
    font.setBold(True)
    return font
