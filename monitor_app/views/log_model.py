"""The event log as Qt's item model: the rows that its filter lets through."""

from __future__ import annotations

from typing import Any, Final

from PySide6.QtCore import QModelIndex, QObject, Qt
from PySide6.QtGui import QFont

from monitor_app.model.clock import Clock
from monitor_app.model.event_log import EventLog, LogRow, Tone
from monitor_app.model.log_filter import EVERYTHING, FilteredLog, RowFilter
from monitor_app.theme import Theme
from monitor_app.views import signs
from monitor_app.views.row_model import RowModel

_HEADINGS: Final = ("Time", "Channel", "Type", "What")
_TYPE: Final = 2
_DECORATION: Final = int(Qt.ItemDataRole.DecorationRole)
_FOREGROUND: Final = int(Qt.ItemDataRole.ForegroundRole)
_DRESSED: Final = frozenset({_DECORATION, _FOREGROUND, int(Qt.ItemDataRole.FontRole)})
_LOUD: Final = frozenset({Tone.OURS, Tone.STARVED, Tone.TROUBLE, Tone.PAUSE_BY_US, Tone.PAUSE_BY_PEER})


class LogModel(RowModel):
    """Shows the rows of an `EventLog` that a filter lets through and that `refresh` has come to."""

    def __init__(self, log: EventLog, clock: Clock, theme: Theme, parent: QObject) -> None:
        super().__init__(_HEADINGS, parent)
        self._clock = clock
        self._theme = theme
        self._found = FilteredLog(log)

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

    def count(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def text_at(self, row: int, column: int) -> str:
        """Return what stands in a cell."""
        shown = self.rows[row]
        time_text = self._clock.time_of_day(shown.told_s, milliseconds=True) if column == 0 else ""
        return (time_text, shown.channel or "", shown.kind, shown.text)[column]

    def tip_at(self, row: int, column: int) -> str:  # noqa: ARG002 - the same for the whole row
        """Return the sentence of a row, which may be cut off in its cell."""
        return self.rows[row].text

    def dress(self, row: int, column: int, role: int) -> Any:
        """Return sign, colour and weight of the type; only what somebody should notice is loud."""
        if column != _TYPE or role not in _DRESSED:
            return None
        tone, colours = self.rows[row].tone, self._theme.colours
        colour = signs.tone_colour(tone, colours)
        if role == _DECORATION:
            return signs.icon(signs.TONE_SIGNS[tone], colour.name(), colours.panel)
        if tone not in _LOUD:
            return None
        return colour if role == _FOREGROUND else _bold()


def _bold() -> QFont:
    font = QFont()
    font.setPixelSize(11)
    font.setBold(True)
    return font
