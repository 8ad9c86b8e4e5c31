"""Floors for the turnstile, and the turnstile itself in the same shape: messages and bytes, taken together."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any, Final, Protocol

from haip_sync.config import FlowControlConfig
from haip_sync.errors import WaitCause
from haip_sync.events import Event
from haip_sync.flow.gates import Progress, Shortage, Step, Ticket
from haip_sync.flow.ledger import NOTHING, Cost, Ledger
from haip_sync.flow.parking import Parking
from haip_sync.flow.turnstile import Turnstile

BYTES: Final = 250
"""What a message costs of the byte credit."""


class Entrance(Protocol):
    """What can be waited for. Thread-safe."""

    def acquire(self) -> None:
        """Wait for the credit of one message, and take it."""

    def grant(self, messages: int) -> None:
        """Bring credit for so many messages, bytes included."""

    def standing(self) -> int:
        """Return how many threads wait."""


class OneCondition:
    """A counter of credit under one condition, as short as it can be."""

    def __init__(self) -> None:
        # Guards all. Waits for credit.
        self._condition = threading.Condition()
        self._messages = 0
        self._bytes = 0
        self._standing = 0

    def acquire(self) -> None:
        with self._condition:
            while self._messages < 1 or self._bytes < BYTES:
                self._standing += 1
                self._condition.wait()
                self._standing -= 1
            self._messages -= 1
            self._bytes -= BYTES

    def grant(self, messages: int) -> None:
        with self._condition:
            self._messages += messages
            self._bytes += messages * BYTES
            self._condition.notify(messages)

    def standing(self) -> int:
        with self._condition:
            return self._standing


class _Place:
    __slots__ = ("admitted", "condition")

    def __init__(self, lock: threading.Lock) -> None:
        self.condition = threading.Condition(lock)
        self.admitted = False


class FifoOfConditions:
    """First come, first served: a condition for each who waits, over one lock; only those are woken who are admitted."""

    def __init__(self) -> None:
        # Guards all. The condition of each place waits for `admitted`.
        self._lock = threading.Lock()
        self._places: deque[_Place] = deque()
        self._messages = 0
        self._bytes = 0

    def acquire(self) -> None:
        with self._lock:
            if self._messages and self._bytes >= BYTES and not self._places:
                self._messages -= 1
                self._bytes -= BYTES
                return
            place = _Place(self._lock)
            self._places.append(place)
            while not place.admitted:
                place.condition.wait()

    def grant(self, messages: int) -> None:
        with self._lock:
            self._messages += messages
            self._bytes += messages * BYTES
            while self._places and self._messages and self._bytes >= BYTES:
                self._messages -= 1
                self._bytes -= BYTES
                place = self._places.popleft()
                place.admitted = True
                place.condition.notify()

    def standing(self) -> int:
        with self._lock:
            return len(self._places)


class _Drain:
    """An outlet with room for everything, that keeps nothing."""

    is_gathering = is_thick = False

    def has_room(self, wire_bytes: int) -> bool:
        return True

    def commit(self, cargo: None) -> None:
        return

    def wake_once_over(self, cargo: None, ticket: Ticket[Any]) -> None:
        raise AssertionError("nobody writes here")


class _Silence:
    """A sink that nobody listens to."""

    wanted: frozenset[type[Event]] = frozenset()
    heeds_sends = heeds_waits = heeds_grants = False

    def put(self, event: Event) -> None:
        raise AssertionError("an event that nobody wants")


_COST: Final = Cost(1, BYTES)
_START: Final = Progress()
_STEP: Final = Step(_COST, None, BYTES, Progress(1), last=True)


class _Message:
    """The cheapest parcel there can be: every turnstile's own work is left, and nothing else."""

    __slots__ = ("progress",)

    event_type = "TOOL_UPDATE"
    message_id: str | None = None
    may_stream_early = False
    only_waits = False

    def __init__(self) -> None:
        self.progress = _START

    def refusal(self) -> None:
        return

    def renew(self) -> None:
        """Do nothing: every peer takes it."""

    def stream_early(self) -> None:
        raise AssertionError("it is one frame")

    def indivisible_bytes(self) -> int:
        return BYTES

    def next_step(self, ledger: Ledger) -> Step[None] | Shortage:
        return _STEP if ledger.covers(_COST) else Shortage(WaitCause.MESSAGES, _COST)


class OurTurnstile:
    """A turnstile without sockets and listeners."""

    def __init__(self) -> None:
        self._parking = Parking()
        config = FlowControlConfig(max_credits=10**9, max_credit_bytes=10**12)
        self._turnstile: Turnstile[None] = Turnstile(
            self._parking, _Drain(), config, clock=time.monotonic, sink=_Silence(), poke=lambda: None, let_out=lambda: None
        )
        with self._parking.lock:
            self._turnstile.open_epoch(*NOTHING)
            self._gate = self._turnstile.gate("USER")

    def acquire(self) -> None:
        self._turnstile.pass_through("USER", _Message(), None)

    def grant(self, messages: int) -> None:
        with self._parking.lock:
            self._turnstile.mend()
            self._turnstile.grant("USER", Cost(messages, messages * BYTES))

    def standing(self) -> int:
        with self._parking.lock:
            return len(self._gate.queue)
