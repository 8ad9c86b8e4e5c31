"""One turnstile and its outbox under a scheduler: what threads do with it, and what came of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from haip_sync import ConnectionClosedError, FlowControlConfig, HAIPError
from haip_sync.events import Event
from haip_sync.flow.gates import Ticket
from haip_sync.flow.ledger import Cost
from haip_sync.flow.outbox import Outbox
from haip_sync.flow.pending import PendingSend
from haip_sync.flow.turnstile import Turnstile
from haip_sync.runtime.parcels import WaitParcel
from haip_sync.state import Fate, SendReceipt
from support.outbox_host import OutboxHost
from support.scheduled_parking import ScheduledParking
from support.scheduler import Scheduler, Unwound
from support.turnstiles import Cargo, Ledgerless, Parcel, Sink

BYTES = 10
"""What every frame costs in bytes."""
PLENTY = Cost(50, 50 * BYTES)
SETTINGS = FlowControlConfig(max_credits=100, queue_max_messages=2)
RETURNED = "returned"


class Parts(NamedTuple):
    """What is on trial: the real things, or mutants of them."""

    turnstile: type[Turnstile[Any]] = Turnstile
    outbox: type[Outbox] = Outbox
    parking: type[ScheduledParking] = ScheduledParking


class Silent(Sink):
    """Wants no events."""

    wanted: frozenset[type[Event]] = frozenset()
    heeds_sends = heeds_waits = heeds_grants = False


class Arrivals(OrderedDict[Ticket[Cargo], None]):
    """A queue that remembers the order of arrival."""

    def __init__(self) -> None:
        super().__init__()
        self.labels: list[str] = []

    def __setitem__(self, ticket: Ticket[Cargo], value: None) -> None:
        self.labels.append(ticket.parcel.event_type)
        super().__setitem__(ticket, value)


class Rig(OutboxHost):
    """A turnstile with its outbox under a scheduler: what threads do with it, and what came of it. Channel `USER` throughout."""

    def __init__(self, scheduler: Scheduler, parts: Parts, scenario: Scenario) -> None:
        self.scheduler = scheduler
        self.scenario = scenario
        self.parking = parts.parking(scheduler)
        self.outlet = RecordingOutlet(self)
        self.pokes = 0
        self.turnstile: Turnstile[Cargo] = parts.turnstile(
            self.parking,
            self.outlet,
            scenario.settings,
            clock=lambda: scheduler.clock.now_s,
            sink=Silent(),
            poke=self._poke,
            let_out=scheduler.point,
        )
        self.outbox = parts.outbox(
            self.parking,
            self.turnstile,
            scenario.settings,
            clock=lambda: scheduler.clock.now_s,
            poke=self._poke,
            is_dispatching=lambda: False,
        )
        self.outcomes: dict[str, BaseException | str] = {}
        self.frames: dict[str, int] = {}
        self.costs: dict[str, Cost] = {}
        self.pendings: dict[str, PendingSend] = {}
        self.cancelled: set[str] = set()
        self.granted = 0
        with self.parking.lock:
            self.turnstile.open_epoch(scenario.messages, scenario.byte_credits)
            self.gate = self.turnstile.gate("USER")
            self.arrivals = self.gate.queue = Arrivals()

    def _poke(self) -> None:
        self.pokes += 1

    def act(self, program: Program) -> None:
        """Run one thread's program."""
        try:
            program.run(self)
        except KeyboardInterrupt as exc:
            self.outcomes[program.name] = exc

    def send(
        self, label: str, messages: int = 1, *, steps: int = 1, timeout_s: float | None = None, byte_credits: int = BYTES
    ) -> None:
        self.frames[label], self.costs[label] = steps, Cost(messages, byte_credits)
        parcel = Parcel(self.outlet, label, messages, byte_credits, steps=steps)
        self._note(label, partial(self.turnstile.pass_through, "USER", parcel, timeout_s))

    def await_credits(self, label: str, messages: int, timeout_s: float | None = None) -> None:
        self.frames[label] = 0
        self._note(label, partial(self.turnstile.pass_through, "USER", WaitParcel(Cost(messages, 0)), timeout_s))

    def enqueue(self, label: str, messages: int = 1) -> bool:
        self.frames[label], self.costs[label] = 1, Cost(messages, BYTES)
        pending = PendingSend(self, self.parking, channel="USER", message_id=label, queued_bytes=BYTES)
        self.pendings[label] = pending
        parcel = Parcel(self.outlet, label, messages, BYTES)
        self._note(f"enqueue {label}", partial(self.outbox.enqueue, parcel, pending))
        return self.outcomes[f"enqueue {label}"] == RETURNED

    def take_back(self, label: str) -> None:
        if self.pendings[label].cancel():
            self.cancelled.add(label)

    def await_result(self, label: str, timeout_s: float | None = None) -> None:
        self._note(f"result {label}", partial(self.pendings[label].result, timeout_s))

    def grant(self, *amounts: int) -> None:
        for amount in amounts:
            with self.parking.lock:
                self.turnstile.mend()
                self.turnstile.grant("USER", Cost(amount, BYTES * amount))

    def grant_and_write(self, *amounts: int) -> None:
        """Grant as the reader does: it writes what that lets go once it has let go of the lock, and then wakes whose that is."""
        for amount in amounts:
            with self.parking.lock:
                self.turnstile.mend()
                self.turnstile.is_written_next = True
                self.turnstile.grant("USER", Cost(amount, BYTES * amount))
                self.turnstile.is_written_next = False
            with self.parking.lock:
                for ticket in self.outlet.sleepers:
                    ticket.wake()
                self.outlet.sleepers.clear()

    def pause(self, *, by_us: bool) -> None:
        with self.parking.lock:
            self.turnstile.mend()
            self.turnstile.pause("USER", by_us=by_us, peer_told=True)

    def resume(self, *, by_us: bool) -> None:
        with self.parking.lock:
            self.turnstile.mend()
            self.turnstile.resume("USER", by_us=by_us)

    def close(self) -> None:
        with self.parking.lock:
            self.turnstile.mend()
            self.turnstile.close(ConnectionClosedError("the line broke"))

    def open_epoch(self, messages: int) -> None:
        with self.parking.lock:
            self.turnstile.mend()
            self.turnstile.open_epoch(messages, BYTES * messages)

    def make_room(self) -> None:
        with self.parking.lock:
            self.turnstile.mend()
            self.outlet.room = None
            self.turnstile.room_again()

    def _note(self, label: str, action: Callable[[], object]) -> None:
        """Do it, and keep what came of it."""
        self.scheduler.wakes()
        try:
            action()
        except Unwound:
            raise
        except (HAIPError, KeyboardInterrupt) as exc:
            self.outcomes[label] = exc
        else:
            self.outcomes[label] = RETURNED
        wakes = self.scheduler.wakes()
        if wakes > self.scenario.most_wakes:
            self.scheduler.fail(f"{label} was woken {wakes} times")
        self.scheduler.tell(f"is told of {label}: {self.outcomes[label]!r}")


class RecordingOutlet(Ledgerless):
    """Writes down what leaves and in which epoch; checks that nobody overtakes who stands in line."""

    def __init__(self, rig: Rig) -> None:
        super().__init__()
        self.is_gathering = self.is_thick = rig.scenario.gathers
        self._rig = rig
        self._epochs: list[int] = []

    def of_epoch(self, epoch: int) -> Iterable[Cargo]:
        return (cargo for cargo, of in zip(self.committed, self._epochs, strict=True) if of == epoch)

    def commit(self, cargo: Cargo) -> None:
        rig = self._rig
        queue, head = rig.gate.queue, rig.gate.head()
        first = next((ticket.parcel.event_type for ticket in queue if not ticket.is_over), None)
        if first not in (None, cargo.label) and head is not None and head.parcel.event_type != cargo.label:
            rig.scheduler.fail(f"{cargo.label} overtakes {first}")
        rig.scheduler.point()
        super().commit(cargo)
        if len(self._epochs) < len(self.committed):
            self._epochs.append(rig.turnstile.epoch)
            rig.scheduler.tell(f"lets {cargo.label} leave as {cargo.seq}")
        pending = rig.pendings.get(cargo.label)
        if pending is not None:
            pending.settle(SendReceipt(cargo.label, cargo.seq, Fate("USER", cargo.label)))


class Program(NamedTuple):
    """What one thread does."""

    name: str
    run: Callable[[Rig], object]


@dataclass(frozen=True)
class Scenario:
    """Threads that run together, and what there is at the beginning.

    Once nobody can go on, `peer` plays the peer and returns whether that helped; without one there is credit for all in the end.
    """

    programs: tuple[Program, ...]
    messages: int = 0
    byte_credits: int = 500
    settings: FlowControlConfig = SETTINGS
    setup: Callable[[Rig], object] | None = None
    peer: Callable[[Rig], bool] | None = None
    most_wakes: int = 1
    """How often one call may be woken."""
    gathers: bool = False
    """Whether frames stand before the socket that must leave before a sender sleeps: it lets go of the lock to write them."""

    @property
    def name(self) -> str:
        return " | ".join(program.name for program in self.programs) + f" (credit {self.messages})"
