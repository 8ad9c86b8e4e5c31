"""Where a client's dispatch thread and the service meet: events of one client, while somebody watches it."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from haip_sync.events import Event, Subscription
from haip_sync.observe.carried import StateKey, state_key
from haip_sync.observe.messages import MARKS
from haip_sync.observe.subject import Subject

MOST_EVENTS: Final = 10_000
"""Events of a client that may wait for the service's next round."""
EVENTS_A_ROUND: Final = 250
"""How many more may come with each round after a burst: 5,000 a second. Nobody reads more; script and monitor are spared it."""


class Batch(NamedTuple):
    """What has come since the last round."""

    events: list[Event]
    dropped: int


class Feed:
    """Listens to one client. `put` runs on its dispatch thread, everything else on the service's; there is no lock.

    They share containers whose single steps are atomic, and counts that only one of them writes. Beyond the room that there is an
    event is counted as dropped, unless it is a state: of these the latest of each kind and channel is kept.
    """

    def __init__(self, most_events: int = MOST_EVENTS) -> None:
        self._most_events = most_events
        self._room = most_events
        self._events: deque[Event] = deque()
        self._latest: dict[StateKey, Event] = {}
        self._missed = 0
        self._told = 0
        self._subscription: Subscription | None = None
        self._every_event = False

    def follow(self, client: Subject, *, every_event: bool) -> None:
        """Listen to the marks, or to every event."""
        if self._subscription is not None and self._every_event == every_event:
            return
        before = self._subscription
        self._subscription = client.subscribe(self.put, *(() if every_event else MARKS))
        self._every_event = every_event
        if before is not None:
            before.close()

    def leave(self) -> None:
        """Stop listening, and forget what came."""
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None
        self._events.clear()
        self._latest.clear()
        self._told = self._missed

    def put(self, event: Event) -> None:
        """Take one event in. Called by the dispatch thread: as little as can be."""
        if len(self._events) < self._room and not self._latest:
            self._events.append(event)
            return
        # Once a state has overflowed, later ones follow it there: the latest must be the last to be told.
        key = state_key(event)
        if key is not None:
            self._latest[key] = event
        elif len(self._events) < self._room:
            self._events.append(event)
        else:
            self._missed += 1

    def take(self) -> Batch:
        """Return what has come since the last call."""
        events = [self._events.popleft() for _ in range(len(self._events))]
        self._room = min(self._most_events, max(0, self._room - len(events)) + EVENTS_A_ROUND)
        latest: list[Event] = []
        while self._latest:
            latest.append(self._latest.popitem()[1])
        missed = self._missed
        dropped, self._told = missed - self._told, missed
        return Batch(events + sorted(latest, key=lambda event: event.time_s), dropped)
