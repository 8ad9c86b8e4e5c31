"""Where a client's dispatch thread and the service meet: events of one client, while somebody watches it."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from haip_sync.events import CreditGranted, Event, Subscription
from haip_sync.observe.carried import StateKey, stands_for, state_key
from haip_sync.observe.messages import MARKS
from haip_sync.observe.subject import Subject

MOST_EVENTS: Final = 10_000
"""Events of a client that may wait for the service's next round."""
EVENTS_A_ROUND: Final = 250
"""How many more may come with each of the shortest rounds after a burst: 5,000 a second. Nobody reads more; script and monitor
are spared it."""
GRANTS_A_ROUND: Final = 4
"""More grants in one of the shortest rounds come thick: each would cost the script as much as a message. Then they are not
listened to."""
THICK_S: Final = 5.0
"""How long that goes on until it is tried again. Snapshots have the sums (`haip_sync.observe.grants`)."""
LONGEST_THICK_S: Final = 80.0
"""The same after some times in vain: each doubles it, because each has the script tell every grant for a round."""
_SPARING: Final = MARKS - {CreditGranted}


class Batch(NamedTuple):
    """What has come since the last round."""

    events: list[Event]
    dropped: int
    """How many marks were not kept."""
    dropped_others: int = 0
    """How many events that only who wants every event is told of were not kept."""


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
        self._last: Event | None = None
        self._missed = self._missed_others = 0
        self._told = self._told_others = 0
        self._subscription: Subscription | None = None
        self._kinds: frozenset[type[Event]] = frozenset()
        self._every_event = False
        self._thick_s = THICK_S
        self._thick_until_s: float | None = None
        self._was_tried = False
        self._rounds = 1.0

    def follow(self, client: Subject, *, every_event: bool) -> None:
        """Listen to the marks, or to every event."""
        self._every_event = every_event
        self._listen(client)

    def spare(self, client: Subject, batch: Batch, now_s: float) -> None:
        """Listen to no grants while they come thick, going by what came last. Called once a round, after `take`."""
        if self._subscription is None:
            return
        was_tried, self._was_tried = self._was_tried, False
        if self._thick_until_s is not None:
            if now_s >= self._thick_until_s:
                self._thick_until_s, self._was_tried = None, True
        elif sum(type(event) is CreditGranted for event in batch.events) > GRANTS_A_ROUND * self._rounds:
            self._thick_s = min(2 * self._thick_s, LONGEST_THICK_S) if was_tried else THICK_S
            self._thick_until_s = now_s + self._thick_s
        self._listen(client)

    def _listen(self, client: Subject) -> None:
        marks = MARKS if self._thick_until_s is None else _SPARING
        kinds = frozenset() if self._every_event else marks
        before = self._subscription
        if before is not None and kinds == self._kinds:
            return
        self._subscription, self._kinds = client.subscribe(self.put, *kinds), kinds
        if before is not None:
            before.close()

    def leave(self) -> None:
        """Stop listening, and forget what came."""
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None
        self._events.clear()
        self._latest.clear()
        self._last = self._thick_until_s = None
        self._was_tried = False
        self._told, self._told_others = self._missed, self._missed_others

    def put(self, event: Event) -> None:
        """Take one event in. Called by the dispatch thread: as little as can be."""
        if event is self._last:  # two subscriptions, while one takes the other's place
            return
        self._last = event
        if len(self._events) < self._room and not self._latest:
            self._events.append(event)
            return
        # Once a state has overflowed, later ones follow it there: the latest must be the last to be told.
        key = state_key(event)
        if key is not None:
            self._latest[key] = event
        elif len(self._events) < self._room:
            self._events.append(event)
        elif type(event) in MARKS:
            self._missed += stands_for(event)
        else:
            self._missed_others += 1

    def take(self, rounds: float = 1.0) -> Batch:
        """Return what has come since the last call, `rounds` times the shortest round ago."""
        self._rounds = rounds
        events = [self._events.popleft() for _ in range(len(self._events))]
        self._room = min(self._most_events, max(0, self._room - len(events)) + round(EVENTS_A_ROUND * rounds))
        latest: list[Event] = []
        while self._latest:
            latest.append(self._latest.popitem()[1])
        missed, missed_others = self._missed, self._missed_others
        dropped, self._told = missed - self._told, missed
        others, self._told_others = missed_others - self._told_others, missed_others
        return Batch(events + sorted(latest, key=lambda event: event.time_s), dropped, others)
