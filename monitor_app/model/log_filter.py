"""The rows of the log that a filter lets through, found a slice at a time: a hundred thousand rows never hold up a frame."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from monitor_app.model.event_log import EventLog, LogRow

BUDGET_S: Final = 0.006
"""How long one look may take."""
_SLICE: Final = 1_000
NEVER_S: Final = float("-inf")


@dataclass(frozen=True)
class RowFilter:
    """Which rows are shown; what is empty lets everything through."""

    channel: str = ""
    kind: str = ""
    text: str = ""
    since_s: float = NEVER_S
    """Rows of before this moment are left out."""

    def accepts(self, row: LogRow) -> bool:
        """Return whether `row` is shown."""
        if row.time_s < self.since_s:
            return False
        if self.channel and row.channel != self.channel:
            return False
        if self.kind and row.kind != self.kind:
            return False
        return not self.text or self.text.casefold() in f"{row.channel or ''} {row.kind} {row.text}".casefold()


EVERYTHING: Final = RowFilter()


class Found(NamedTuple):
    """What a look changed: rows that are gone from the front, and rows that came at the end."""

    gone: int
    new: list[LogRow]


class FilteredLog:
    """Follows a log through a filter.

    Call `look` often; apply what it returns with `take`. In between a view can announce the change.

    Attributes:
        rows: The rows that are shown, oldest first.
        chosen: The filter.
    """

    def __init__(self, log: EventLog, now_s: Callable[[], float] = time.perf_counter) -> None:
        self.rows: list[LogRow] = []
        self.chosen = EVERYTHING
        self._numbers: list[int] = []
        self._log = log
        self._now_s = now_s
        self._next = log.first
        self._pending: list[int] = []

    @property
    def behind(self) -> int:
        """How many rows of the log were not looked at yet."""
        return self._log.end - max(self._next, self._log.first)

    def choose(self, chosen: RowFilter) -> None:
        """Show the rows that `chosen` lets through, beginning with none."""
        self.chosen = chosen
        self.rows, self._numbers, self._pending = [], [], []
        self._next = self._log.first

    def look(self) -> Found:
        """Look at rows that were not looked at yet, for as long as the budget lasts."""
        first = self._log.first
        gone = next((place for place, number in enumerate(self._numbers) if number >= first), len(self._numbers))
        self._next = max(self._next, first)
        new: list[LogRow] = []
        self._pending = []
        until_s = self._now_s() + BUDGET_S
        while self._next < self._log.end:
            self._look_at_slice(new)
            if self._now_s() >= until_s:
                break
        return Found(gone, new)

    def take_gone(self, found: Found) -> None:
        """Forget the rows that are gone."""
        del self.rows[: found.gone]
        del self._numbers[: found.gone]

    def take_new(self, found: Found) -> None:
        """Add the rows that came."""
        self.rows += found.new
        self._numbers += self._pending

    def _look_at_slice(self, new: list[LogRow]) -> None:
        start = self._next - self._log.first
        rows, accepts = itertools.islice(self._log.rows, start, start + _SLICE), self.chosen.accepts
        end = min(self._next + _SLICE, self._log.end)
        if self.chosen == EVERYTHING:
            new += rows
            self._pending += range(self._next, end)
        else:
            fitting = [(number, row) for number, row in enumerate(rows, self._next) if accepts(row)]
            new += [row for _, row in fitting]
            self._pending += [number for number, _ in fitting]
        self._next = end


def row_of_moment(rows: Iterable[LogRow], time_s: float, channel: str | None) -> LogRow | None:
    """Return the row of `channel` (None: of the whole connection) that is closest to a moment; None where there is none."""
    return min((row for row in rows if row.channel == channel), key=lambda row: abs(row.time_s - time_s), default=None)
