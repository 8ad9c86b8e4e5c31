"""A turnstile without sockets: parcels of plain cost, an outlet that writes down, parking that tests steer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from haip_sync.config import FlowControlConfig
from haip_sync.errors import HAIPError, WaitCause
from haip_sync.events import ALL_EVENTS, Event
from haip_sync.flow.gates import Gate, Progress, Shortage, Step, Ticket, Unwatched
from haip_sync.flow.ledger import Cost, Ledger
from haip_sync.flow.parking import Bell, Parking
from haip_sync.flow.turnstile import Turnstile

PATIENCE_S = 20.0


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass(eq=False)
class Cargo:
    """What the outlet is given: who sent it, and its number."""

    label: str
    seq: int


class Ledgerless:
    """An outlet that writes down what was committed, in order, with numbers as a session gives them."""

    is_gathering = False
    is_thick = False

    def __init__(self) -> None:
        self.committed: list[Cargo] = []
        self.last_seq = 0
        self.room: int | None = None
        self.sleepers: list[Ticket[Any]] = []

    def has_room(self, wire_bytes: int) -> bool:
        return self.room is None or wire_bytes <= self.room

    def commit(self, cargo: Cargo) -> None:
        self.last_seq = cargo.seq
        if not self.committed or self.committed[-1] is not cargo:
            self.committed.append(cargo)

    def wake_once_over(self, cargo: Cargo, ticket: Ticket[Any]) -> None:
        assert cargo is self.committed[-1]
        self.sleepers.append(ticket)

    @property
    def labels(self) -> list[str]:
        return [cargo.label for cargo in self.committed]


class Parcel:
    """Costs what it is told, in as many steps as it is told."""

    message_id: str | None = "text-1"
    only_waits = False

    def __init__(self, outlet: Ledgerless, label: str, messages: int = 1, byte_credits: int = 10, *, steps: int = 1) -> None:
        self.progress = Progress()
        self.event_type = label
        self._outlet = outlet
        self._cost = Cost(messages, byte_credits)
        self._steps = steps
        self.refused: HAIPError | None = None

    def refusal(self) -> HAIPError | None:
        return self.refused

    def indivisible_bytes(self) -> int:
        return self._cost.byte_credits

    def next_step(self, ledger: Ledger) -> Step[Cargo] | Shortage:
        if not ledger.covers(self._cost):
            lacks_messages = ledger.missing(self._cost).messages > 0
            return Shortage(WaitCause.MESSAGES if lacks_messages else WaitCause.BYTES, self._cost)
        done = self.progress.frames + 1
        after = Progress(done, done - 1, done)
        cargo = Cargo(self.event_type, self._outlet.last_seq + 1)
        return Step(self._cost, cargo, self._cost.byte_credits, after, last=done == self._steps)

    @property
    def may_stream_early(self) -> bool:
        return False

    def renew(self) -> None:
        """Do nothing: every peer takes it."""

    def stream_early(self) -> None:
        raise AssertionError("it may not")


class Sink:
    """Keeps every event."""

    wanted: frozenset[type[Event]] = frozenset(ALL_EVENTS)
    heeds_sends = heeds_waits = heeds_grants = True

    def __init__(self) -> None:
        self.events: list[Event] = []

    def put(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


class Watched(Unwatched):
    """Keeps the waits that the gates tell of."""

    def __init__(self) -> None:
        self.waits: list[tuple[str, str, float]] = []

    def waited(self, gate: Gate[Any], cause: WaitCause, wait_s: float) -> None:
        self.waits.append((gate.channel, cause.value, wait_s))


class CountedCondition:
    """A real condition that counts its wake-ups."""

    def __init__(self, lock: threading.RLock, woken: list[int]) -> None:
        self._condition = threading.Condition(lock)
        self._woken = woken

    def notify(self, n: int = 1) -> None:
        self._condition.notify(n)

    def notify_all(self) -> None:
        self._condition.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        woke = self._condition.wait(timeout)
        self._woken.append(1)
        return woke


class CountingParking(Parking):
    """Counts how often a waiter came back from a wait."""

    def __init__(self) -> None:
        super().__init__()
        self.woken: list[int] = []

    def new_bell(self) -> Bell:
        return CountedCondition(self.lock, self.woken)


class ScriptedParking(Parking):
    """Whoever would wait runs the next action of the script instead: one thread, any interleaving."""

    def __init__(self, *actions: Callable[[], object]) -> None:
        super().__init__()
        self.script = list(actions)

    def wait(self, condition: Bell, timeout_s: float | None) -> None:
        if not self.script:
            raise AssertionError("a wait that nothing ends")
        self.script.pop(0)()


class Bench:
    """A turnstile with everything round it; `USER` begins with the credit that is asked for."""

    def __init__(
        self,
        messages: int = 3,
        byte_credits: int = 1_000,
        *,
        config: FlowControlConfig | None = None,
        parking: Parking | None = None,
    ) -> None:
        self.clock = Clock()
        self.outlet = Ledgerless()
        self.sink = Sink()
        self.parking = parking or Parking()
        self.pokes = 0
        self.watched = Watched()
        self.turnstile: Turnstile[Cargo] = Turnstile(
            self.parking,
            self.outlet,
            config or FlowControlConfig(),
            clock=self.clock,
            sink=self.sink,
            poke=self._poke,
            let_out=lambda: None,
            watcher=self.watched,
            is_audited=True,
        )
        with self.parking.lock:
            self.turnstile.open_epoch(messages, byte_credits)

    def _poke(self) -> None:
        self.pokes += 1

    def parcel(self, label: str, messages: int = 1, byte_credits: int = 10, *, steps: int = 1) -> Parcel:
        return Parcel(self.outlet, label, messages, byte_credits, steps=steps)

    def send(
        self, label: str, messages: int = 1, byte_credits: int = 10, *, steps: int = 1, timeout_s: float | None = None
    ) -> None:
        self.turnstile.pass_through("USER", self.parcel(label, messages, byte_credits, steps=steps), timeout_s)

    def grant(self, messages: int, byte_credits: int = 0) -> None:
        with self.parking.lock:
            self.turnstile.mend()
            self.turnstile.grant("USER", Cost(messages, byte_credits))

    def grant_and_write(self, messages: int) -> None:
        """Grant as a thread does that writes what it admits as soon as it lets go of the lock."""
        with self.parking.lock:
            self.turnstile.mend()
            self.turnstile.is_written_next = True
            self.turnstile.grant("USER", Cost(messages, 0))
            self.turnstile.is_written_next = False

    def written(self) -> None:
        """Wake whoever sleeps until its cargo is written."""
        with self.parking.lock:
            for ticket in self.outlet.sleepers:
                ticket.wake()

    def ledger(self) -> Ledger:
        with self.parking.lock:
            self.turnstile.mend()
            return self.turnstile.gate("USER").ledger

    def waiting(self) -> int:
        with self.parking.lock:
            return len(self.turnstile.gate("USER").standing())


class Sender(threading.Thread):
    """A thread that sends one parcel and keeps what came of it. `standing` waits until it is in the queue."""

    def __init__(
        self,
        bench: Bench,
        label: str,
        messages: int = 1,
        byte_credits: int = 10,
        *,
        steps: int = 1,
        timeout_s: float | None = None,
    ) -> None:
        super().__init__(name=label, daemon=True)
        self._bench = bench
        self._send = partial(bench.send, label, messages, byte_credits, steps=steps, timeout_s=timeout_s)
        self.raised: BaseException | None = None

    def run(self) -> None:
        try:
            self._send()
        except BaseException as exc:
            self.raised = exc

    def begin(self, *, waits_as: int) -> Sender:
        """Start, and return once so many senders stand in the queue."""
        self.start()
        until(lambda: self._bench.waiting() >= waits_as)
        return self

    def finish(self) -> BaseException | None:
        """Return what it raised, once it is done."""
        self.join(PATIENCE_S)
        assert not self.is_alive(), f"{self.name} still waits"
        return self.raised


def until(condition: Callable[[], bool]) -> None:
    """Return once `condition` holds: for what no event of the library tells, with a deadline."""
    tick = threading.Event()
    for _ in range(int(PATIENCE_S * 1_000)):
        if condition():
            return
        tick.wait(0.001)
    raise AssertionError("what the test waits for never came")


def in_thread(call: Callable[[], Any]) -> Future[Any]:
    """Run `call` on a thread of its own and return what will come of it."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(call)
    pool.shutdown(wait=False)
    return future
