"""Stretches of time, each in one state: the newest exactly, older ones by how much of each second went to which state."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

S = TypeVar("S", bound=Enum)

MOST_RUNS: Final = 4_000
"""Runs that are kept exactly."""
BUCKETS: Final = 7_500
"""Seconds that are kept besides: a little over two hours."""
_WHOLE: Final = 0.9995
"""What is more than this share of a second is all of it: shares are kept in single precision."""
_SETTLED_S: Final = 2.0
"""How long a run may still be corrected by an event that comes late."""


@dataclass(slots=True)
class Run(Generic[S]):
    """A stretch of time in one state."""

    start_s: float
    end_s: float
    state: S


class Runs(Generic[S]):
    """What was when, without holes: where one run ends the next begins."""

    def __init__(self, first: S, start_s: float, most: int = MOST_RUNS) -> None:
        self._states: tuple[S, ...] = tuple(type(first))
        self._places = {state: place for place, state in enumerate(self._states)}
        self._runs: deque[Run[S]] = deque([Run(start_s, start_s, first)], maxlen=most)
        self._first_bucket = int(start_s) + 1
        self._next_bucket = self._first_bucket
        self._seconds: NDArray[np.float32] = np.zeros((BUCKETS, len(self._states)), dtype=np.float32)

    @property
    def last(self) -> Run[S]:
        """The run that goes on."""
        return self._runs[-1]

    def enter(self, state: S, time_s: float) -> None:
        """Say that `state` began at `time_s`, which may lie a little back: events come after snapshots that knew it already."""
        last = self._runs[-1]
        if state is last.state:
            if time_s < last.start_s and len(self._runs) > 1:
                self._move_start(time_s)
            return
        time_s = max(time_s, last.start_s)
        end_s = max(last.end_s, time_s)
        last.end_s = time_s
        if time_s == last.start_s and len(self._runs) > 1 and self._runs[-2].state is state:
            self._runs.pop()
            self._runs[-1].end_s = end_s
        else:
            self._runs.append(Run(time_s, end_s, state))

    def extend(self, time_s: float) -> None:
        """Say that the last state still holds at `time_s`."""
        self._runs[-1].end_s = max(self._runs[-1].end_s, time_s)
        while self._next_bucket + 1 < time_s - _SETTLED_S:
            self._settle(self._next_bucket)
            self._next_bucket += 1

    def _move_start(self, time_s: float) -> None:
        before = self._runs[-2]
        before.end_s = self._runs[-1].start_s = max(time_s, before.start_s)

    def _settle(self, bucket: int) -> None:
        self._seconds[bucket % BUCKETS] = self._sum_runs(float(bucket), bucket + 1.0)

    def seconds(self, from_s: float, to_s: float) -> dict[S, float]:
        """Return how many seconds went to each state between two times; less than all of them where nothing is known."""
        total = self._sum_runs(from_s, to_s)
        known_s = self._runs[0].start_s
        for bucket in self._buckets(from_s, min(to_s, known_s)):
            inside_s = min(bucket + 1, to_s, known_s) - max(bucket, from_s)
            total += self._seconds[bucket % BUCKETS] * inside_s
        return {state: float(total[place]) for place, state in enumerate(self._states)}

    def seen_s(self, from_s: float, to_s: float) -> float:
        """Return of how many seconds between two times something is known: all that `seconds` shares out."""
        oldest_s = min(self._runs[0].start_s, max(self._first_bucket, self._next_bucket - BUCKETS))
        return max(0.0, min(to_s, self.last.end_s) - max(from_s, oldest_s))

    def between(self, from_s: float, to_s: float) -> list[Run[S]]:
        """Return the runs that touch the time between, oldest first; a second of long ago is one run in its last-named state."""
        found = list(self._newest(from_s, to_s))[::-1]
        known_s = self._runs[0].start_s
        old = [
            Run(float(bucket), min(bucket + 1.0, known_s), self._states[int(np.flatnonzero(self._seconds[bucket % BUCKETS])[-1])])
            for bucket in self._buckets(from_s, min(to_s, known_s))
            if self._seconds[bucket % BUCKETS].any()
        ]
        return old + found

    def longest_s(self, states: Sequence[S], from_s: float, to_s: float) -> float:
        """Return the longest time without a break in any of `states`, as far as it lies between two times.

        Of long ago nobody knows where in its second a break was: there it is right to the second.
        """
        longest_s = stretch_s = 0.0
        for inside_s, is_broken in self._stretches(states, from_s, to_s):
            stretch_s += inside_s
            longest_s = max(longest_s, stretch_s)
            if is_broken:
                stretch_s = 0.0
        return longest_s

    def _stretches(self, states: Sequence[S], from_s: float, to_s: float) -> Iterator[tuple[float, bool]]:
        """Yield, oldest first, how long `states` went on, and whether that was the end of it."""
        known_s = self._runs[0].start_s
        places = [self._places[state] for state in states]
        for bucket in self._buckets(from_s, min(to_s, known_s)):
            inside_s = min(bucket + 1, to_s, known_s) - max(bucket, from_s)
            share = float(self._seconds[bucket % BUCKETS][places].sum())
            yield share * inside_s, share < _WHOLE
        for run in list(self._newest(from_s, to_s))[::-1]:
            inside_s = min(run.end_s, to_s) - max(run.start_s, from_s)
            yield (inside_s, False) if run.state in states else (0.0, True)

    def columns(self, from_s: float, to_s: float, count: int) -> list[tuple[int, int, S]]:
        """Return (first, end, state) of the columns into which the time between is cut; in each the last-named state shows.

        So a stop that is shorter than a pixel is still seen. Columns of which nothing is known are left out.
        """
        shown = np.zeros(count, dtype=np.uint8)
        scale = count / (to_s - from_s)
        for run in self.between(from_s, to_s):
            first = max(0, int((run.start_s - from_s) * scale))
            end = min(count, max(first + 1, int((run.end_s - from_s) * scale)))
            part = shown[first:end]
            np.maximum(part, self._places[run.state] + 1, out=part)
        return self._joined(shown)

    def _joined(self, shown: NDArray[np.uint8]) -> list[tuple[int, int, S]]:
        edges = [0, *(np.flatnonzero(np.diff(shown)) + 1).tolist(), len(shown)]
        return [(first, end, self._states[shown[first] - 1]) for first, end in pairwise(edges) if end > first and shown[first]]

    def _newest(self, from_s: float, to_s: float) -> Iterator[Run[S]]:
        for run in reversed(self._runs):
            if run.end_s < from_s:
                return
            if run.start_s <= to_s:
                yield run

    def _sum_runs(self, from_s: float, to_s: float) -> NDArray[np.float64]:
        total = np.zeros(len(self._states))
        for run in self._newest(from_s, to_s):
            total[self._places[run.state]] += max(0.0, min(run.end_s, to_s) - max(run.start_s, from_s))
        return total

    def _buckets(self, from_s: float, to_s: float) -> range:
        """Return the settled seconds that touch the time between."""
        oldest = max(self._first_bucket, self._next_bucket - BUCKETS)
        end = min(self._next_bucket, int(np.ceil(to_s)))
        return range(max(oldest, int(np.floor(from_s))), end)
