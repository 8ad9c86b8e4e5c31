"""What a monitor has of one client of a running program: the latest snapshot, the events not yet taken, the past. Bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeVar

import msgspec

from haip_sync.events import CreditGranted, Event, Reconnecting
from haip_sync.observe.carried import stands_for
from haip_sync.observe.grants import Grants
from haip_sync.observe.messages import Happened, Past, Sample, Snapshot
from haip_sync.observe.waits import WaitBook
from haip_sync.state import ConnectionState

MOST_EVENTS: Final = 20_000
"""Events that may wait to be taken; older ones are dropped, and counted."""
_SAME_MACHINE_S: Final = 1.0
"""Clocks that differ by less are taken for one: two machines were not started within a second of each other."""

_T = TypeVar("_T", Event, Sample)


class Taken(NamedTuple):
    """What `ProgramLink.drain` returns."""

    events: Sequence[Event]
    """In the order in which they happened; their times are on this process's monotonic clock."""
    dropped: int
    """Events that were lost since the last call, here or in the program, for want of room. No state is ever lost."""


class Offset:
    """From the program's monotonic clock to ours. On one machine they are the same clock."""

    def __init__(self) -> None:
        self.s: float | None = None

    def learn(self, theirs_s: float, ours_s: float) -> None:
        """Take in that what was said at `theirs_s` arrived at `ours_s`; the shortest way is the nearest to the truth."""
        seen_s = ours_s - theirs_s
        if 0 <= seen_s < _SAME_MACHINE_S and not self.s:
            self.s = 0.0
        elif self.s is None or (self.s and seen_s < self.s):
            self.s = seen_s

    def ours(self, theirs_s: float) -> float:
        """Return a time of the program's on our clock."""
        return theirs_s + (self.s or 0.0)


class Watched:
    """One client. Not thread-safe: the link's lock guards it."""

    def __init__(self, *, every_event: bool) -> None:
        self.every_event = every_event
        self.state: ConnectionState | None = None
        self.state_s: float | None = None
        """When the snapshot was taken, on our clock."""
        self._events: deque[Event] = deque()
        self._dropped = 0
        self._grants = Grants()
        self._waits = WaitBook()
        self._past: list[Sample] = []

    def take_in(self, said: Snapshot | Happened | Past, offset: Offset) -> None:
        """Keep what the program says of the client."""
        match said:
            case Snapshot(now_s=now_s, state=state):
                self.state, self.state_s = _moved_state(state, offset), offset.ours(now_s)
                self._keep(self._grants.catch_up(state, now_s), offset)
                in_sums = self._waits.catch_up(state, now_s)
                if not self.every_event:  # each single wait is told then
                    self._keep(in_sums, offset)
            case Happened(events=events, dropped=dropped):
                self._dropped += dropped
                for event in events:
                    if isinstance(event, CreditGranted):
                        self._grants.tell(event)
                self._keep(events, offset)
            case Past(samples=samples):
                self._past = [_moved(sample, offset) for sample in samples]

    def _keep(self, events: Sequence[Event], offset: Offset) -> None:
        self._events.extend(_moved(event, offset) for event in events)
        while len(self._events) > MOST_EVENTS:
            self._dropped += stands_for(self._events.popleft())

    def drain(self, limit: int) -> Taken:
        """Take at most `limit` events."""
        events = [self._events.popleft() for _ in range(min(limit, len(self._events)))]
        dropped, self._dropped = self._dropped, 0
        return Taken(events, dropped)

    def take_past(self) -> Sequence[Sample]:
        """Take what the program remembered when it was attached to."""
        past, self._past = self._past, []
        return past


def _moved(timed: _T, offset: Offset) -> _T:
    if not offset.s:
        return timed
    moved = msgspec.structs.replace(timed, time_s=offset.ours(timed.time_s))
    if isinstance(moved, Reconnecting):
        return msgspec.structs.replace(moved, next_try_s=offset.ours(moved.next_try_s))
    return moved


def _moved_state(state: ConnectionState, offset: Offset) -> ConnectionState:
    if not offset.s:
        return state
    next_try_s, since_s = state.next_try_s, state.offline_since_s
    return msgspec.structs.replace(
        state,
        next_try_s=None if next_try_s is None else offset.ours(next_try_s),
        offline_since_s=None if since_s is None else offset.ours(since_s),
    )
