"""What happened when: the states of each channel as runs, and single moments as marks, both on the time axis of the plots."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from enum import Enum
from typing import Final

from monitor_app.model.status import Status

_MAX_RUNS: Final = 4_000
_MAX_MARKS: Final = 2_000


class MarkKind(Enum):
    """The moments worth a mark; the value is the word in the legend."""

    GRANT = "grant"
    STARVATION = "starvation"
    PAUSE_BY_US = "pause by us"
    PAUSE_BY_PEER = "pause by peer"
    REQUEST = "our request"


@dataclass
class Run:
    """A stretch of time in one state."""

    start_s: float
    end_s: float
    status: Status


class Lanes:
    """Runs and marks per channel, bounded: the oldest go first.

    Attributes:
        runs: By channel, oldest first; the last one goes on.
        marks: Times in seconds by kind and channel, oldest first.
    """

    def __init__(self) -> None:
        self.runs: defaultdict[str, deque[Run]] = defaultdict(lambda: deque(maxlen=_MAX_RUNS))
        self.marks: defaultdict[tuple[MarkKind, str], deque[float]] = defaultdict(lambda: deque(maxlen=_MAX_MARKS))

    def extend(self, channel: str, status: Status, time_s: float) -> None:
        """Say that `channel` is in `status` at `time_s`; times never go back."""
        runs = self.runs[channel]
        if runs:
            runs[-1].end_s = time_s
        if not runs or runs[-1].status is not status:
            runs.append(Run(time_s, time_s, status))

    def mark(self, kind: MarkKind, channel: str, time_s: float) -> None:
        """Put a mark."""
        self.marks[kind, channel].append(time_s)

    def runs_since(self, channel: str, from_s: float) -> list[Run]:
        """Return the runs that reach into the time after `from_s`."""
        found: list[Run] = []
        for run in reversed(self.runs[channel]):
            if run.end_s < from_s:
                break
            found.append(run)
        return found[::-1]

    def marks_since(self, kind: MarkKind, channel: str, from_s: float) -> list[float]:
        """Return the times of the marks after `from_s`."""
        found: list[float] = []
        for time_s in reversed(self.marks[kind, channel]):
            if time_s < from_s:
                break
            found.append(time_s)
        return found[::-1]
