"""The one point where the client's threads and the window meet."""

from __future__ import annotations

from collections import deque
from typing import Final

from haip_sync import Event
from monitor_app.model.source import Drained

CAPACITY: Final = 20_000


class EventBuffer:
    """A bounded buffer with one writer (the client's dispatch thread) and one reader (the GUI thread), and no lock.

    `deque(maxlen=...)` evicts silently. Events are therefore numbered as they come, and a gap in the numbers is what was lost.
    Appending and popping are single steps of the interpreter; nothing else is shared.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._events: deque[tuple[int, Event]] = deque(maxlen=capacity)
        self._put_count = 0
        self._next_number = 0

    def put(self, event: Event) -> None:
        """Append `event`. Called by the dispatch thread: no formatting, no Qt, no waiting here."""
        self._events.append((self._put_count, event))
        self._put_count += 1

    def drain(self, limit: int) -> Drained:
        """Take at most `limit` events. Called by the GUI thread."""
        events: list[Event] = []
        dropped = 0
        while len(events) < limit and self._events:
            number, event = self._events.popleft()
            dropped += number - self._next_number
            self._next_number = number + 1
            events.append(event)
        return Drained(events=events, dropped=dropped, oldest_s=events[0].time_s if events else None)
