"""The one point where the client's threads and the window meet."""

from __future__ import annotations

from collections import deque
from typing import Final

from haip_sync import (
    ChannelPaused,
    ChannelResumed,
    Connected,
    CreditGranted,
    CreditRequested,
    Disconnected,
    ErrorReported,
    Event,
    HandshakeCompleted,
    Reconnecting,
    RequestExpired,
    SendBlocked,
    WarningRaised,
)
from monitor_app.model.source import Drained

CAPACITY: Final = 20_000
WATCHED: Final[tuple[type[Event], ...]] = (
    Connected,
    HandshakeCompleted,
    Disconnected,
    Reconnecting,
    CreditGranted,
    CreditRequested,
    RequestExpired,
    SendBlocked,
    ChannelPaused,
    ChannelResumed,
    ErrorReported,
    WarningRaised,
)
"""Marks, log rows, and the moment at which a sender began to wait. Gauges are read from the snapshot, and single admissions
would cost the senders for nothing."""
_PLENTY: Final = frozenset({CreditGranted, CreditRequested, SendBlocked})
"""Events that come by the thousand and of which the snapshot has the sum. All others are state changes."""


class _Queue:
    """Events of one sort. Numbered as they come: a gap in the numbers is what the deque evicted."""

    def __init__(self, capacity: int) -> None:
        self._events: deque[tuple[int, int, Event]] = deque(maxlen=capacity)
        self._put_count = 0
        self._next_number = 0

    def put(self, order: int, event: Event) -> None:
        self._events.append((order, self._put_count, event))
        self._put_count += 1

    @property
    def first(self) -> int | None:
        """The place of the oldest among the events of all sorts; None when there is none."""
        return self._events[0][0] if self._events else None

    def take(self, most: int, before: int | None, taken: list[Event]) -> int:
        """Move at most so many of the oldest to `taken`, only those whose place is before one; return how many were lost."""
        events, lost = self._events, 0
        for _ in range(most):
            if not events or (before is not None and events[0][0] > before):
                break
            _, number, event = events.popleft()
            lost += number - self._next_number
            self._next_number = number + 1
            taken.append(event)
        return lost


class EventBuffer:
    """A bounded buffer with one writer (the client's dispatch thread) and one reader (the GUI thread), and no lock.

    `deque(maxlen=...)` evicts silently; what it evicted is counted. What changes a state has a deque of its own, so that no flood
    of grants washes it away. Appending and popping are single steps of the interpreter; nothing else is shared.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._plenty = _Queue(capacity)
        self._changes = _Queue(capacity)
        self._put_count = 0

    def put(self, event: Event) -> None:
        """Append `event`. Called by the dispatch thread: no formatting, no Qt, no waiting here."""
        (self._plenty if type(event) in _PLENTY else self._changes).put(self._put_count, event)
        self._put_count += 1

    def drain(self, limit: int) -> Drained:
        """Take at most `limit` events, in their order. Called by the GUI thread."""
        events: list[Event] = []
        dropped = 0
        while len(events) < limit:
            change = self._changes.first
            dropped += self._plenty.take(limit - len(events), change, events)
            if change is None:
                break
            dropped += self._changes.take(min(1, limit - len(events)), None, events)
        return Drained(events=events, dropped=dropped, oldest_s=events[0].time_s if events else None)
