"""Programs over one turnstile and its outbox, and what must be true after every schedule of them."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from haip_sync import (
    ConnectionClosedError,
    FlowControlConfig,
    FlowControlError,
    FlowControlTimeout,
    HAIPError,
    NotSentError,
    PartialSendError,
    QueueFullError,
)
from haip_sync.events import Event
from haip_sync.flow.gates import Shortage, Ticket
from haip_sync.flow.ledger import Cost
from haip_sync.flow.outbox import Outbox
from haip_sync.flow.pending import PendingSend
from haip_sync.flow.turnstile import Turnstile
from haip_sync.runtime.parcels import WaitParcel
from haip_sync.state import Fate, SendReceipt
from support.outbox_host import OutboxHost
from support.scheduler import Explorer, ScheduledParking, Scheduler, Unwound, ViolationError
from support.turnstiles import Cargo, Ledgerless, Parcel, Sink

BYTES = 10
"""What every frame costs in bytes."""
PLENTY = Cost(50, 50 * BYTES)
SETTINGS = FlowControlConfig(max_credits=100, queue_max_messages=2)
RETURNED = "returned"
_NOTHING_SENT = (FlowControlTimeout, FlowControlError, NotSentError, ConnectionClosedError, QueueFullError)


TALLY: list[int] = []
"""How many schedules each scenario had, for the end of the run to say."""


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
        self._finale_played = False
        with self.parking.lock:
            self.turnstile.open_epoch(scenario.messages, scenario.byte_credits)
            self.gate = self.turnstile.gate("USER")
            self.arrivals = self.gate.queue = Arrivals()
        scheduler.on_release = self.check_books

    def _poke(self) -> None:
        self.pokes += 1

    # ---- What threads do -------------------------------------------------------------------------------------------------------

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

    # ---- What must be true -----------------------------------------------------------------------------------------------------

    def check_books(self) -> None:
        """Check, whenever the lock is let go, that the books balance and that what was spent is what left."""
        if not self.gate.ledger.is_conserved():
            self.scheduler.fail(f"the books do not balance: {self.gate.ledger}")
        if self.turnstile._redo is not None:
            return  # an interrupt struck in the middle of a step; whoever takes the lock next carries it out
        spent = [self.costs[cargo.label] for cargo in self.outlet.of_epoch(self.turnstile.epoch)]
        messages, byte_credits = self.gate.ledger.messages.spent, self.gate.ledger.byte_credits.spent
        if (messages, byte_credits) != (sum(cost.messages for cost in spent), sum(cost.byte_credits for cost in spent)):
            self.scheduler.fail(f"{messages} messages and {byte_credits} bytes were spent, {len(spent)} frames left: {spent}")

    def quiet(self) -> bool:
        """Check what must be true while nobody can go on; play the service thread, the peer, the end: whether it helped."""
        if self.parking.lock.depth:
            raise ViolationError("somebody sleeps with the lock")
        if self.pokes:
            self.pokes = 0
            with self.parking.lock:
                self.turnstile.mend()
                self.turnstile.serve_all()
            if self.scheduler.anybody_can_run():
                return True
        self._check_standing()
        if self.scenario.peer is not None:
            return self.scenario.peer(self)
        if not self._finale_played:
            self._finale_played = True
            self.outlet.room = None
            for by_us in (True, False):
                self.resume(by_us=by_us)
            self.grant(PLENTY.messages)
            return True
        return False

    def _check_standing(self) -> None:
        if self.turnstile.closed is not None:
            raise ViolationError(f"{', '.join(self.scheduler.parked())} still sleeps though the turnstile is closed")
        standing = list(self.gate.queue)
        if standing and standing[0].is_over:
            raise ViolationError(f"{standing[0].parcel.event_type} is over and still stands at the head of the queue")
        if standing and not isinstance(self.turnstile._next_step(self.gate, standing[0]), Shortage):
            raise ViolationError(f"{standing[0].parcel.event_type} is left waiting though it could go")
        threads = [ticket.parcel.event_type for ticket in standing if ticket.pending is None and not ticket.abandoned]
        if len(threads) > len(self.scheduler.parked()):
            raise ViolationError(f"{threads} stand in the queue, and only {self.scheduler.parked()} sleep")
        if self.gate.room and self.turnstile.has_queue_room(self.gate, BYTES):
            raise ViolationError("somebody waits for room in the outbox though there is some")

    def check_end(self) -> None:
        """Check, once all threads are done, what came of everything, and that the next sender enters."""
        self.check_books()
        left = [ticket.parcel.event_type for ticket in self.gate.queue if ticket.pending is None and not ticket.abandoned]
        if left:
            raise ViolationError(f"{left} still stand in the queue, and their threads are gone")
        self._check_next_sender()
        self.check_books()
        sent = Counter(self.outlet.labels)
        for label, outcome in self.outcomes.items():
            if label in self.frames:
                self._check_outcome(label, outcome, sent[label])
        for label, pending in self.pendings.items():
            self._check_pending(label, pending, sent[label])
        self._check_order()

    def _check_next_sender(self) -> None:
        self.scheduler.tell("looks whether the next sender enters")
        self._play_end()
        try:
            self.turnstile.pass_through("USER", Parcel(self.outlet, "next", 1, BYTES), 0)
        except ConnectionClosedError:
            if self.turnstile.closed is None:
                raise
        except (HAIPError, RuntimeError) as exc:
            raise ViolationError(f"the next sender does not enter: {exc}") from exc
        else:
            if self.outlet.labels[-1] != "next":
                raise ViolationError("the next sender was let in and did not leave")
        if self.gate.standing() or self.gate.room:
            raise ViolationError(f"{len(self.gate.standing())} still stand in the queue, {len(self.gate.room)} wait for room")

    def _play_end(self) -> None:
        """Take every hold away and give one message's credit, and no more than what those need who are queued."""
        self.outlet.room = None
        self.costs["next"], self.frames["next"] = Cost(1, BYTES), 1
        for by_us in (True, False):
            self.resume(by_us=by_us)
        self.grant(1 + sum(self.costs[ticket.parcel.event_type].messages for ticket in self.gate.queue))

    def _check_outcome(self, label: str, outcome: BaseException | str, sent: int) -> None:
        whole = self.frames[label]
        if outcome == RETURNED:
            if sent != whole:
                raise ViolationError(f"{label} returned and {sent} of its {whole} frames left")
        elif isinstance(outcome, PartialSendError):
            if sent != outcome.parts_sent + 1 or sent == whole:
                raise ViolationError(f"{label} was told of START and {outcome.parts_sent} parts, and {sent} frames left")
        elif isinstance(outcome, KeyboardInterrupt):
            self._check_interrupted(label, outcome, sent)
        elif isinstance(outcome, _NOTHING_SENT) and sent:
            raise ViolationError(f"{label} was told that nothing was sent ({type(outcome).__name__}), and {sent} frames left")

    def _check_interrupted(self, label: str, outcome: BaseException, sent: int) -> None:
        """Check that what was interrupted is sent whole or not at all (but for a text that streams), and its note true."""
        whole = self.frames[label]
        if sent > whole or (whole == 1 and sent not in (0, 1)):
            raise ViolationError(f"{label} was interrupted, and {sent} of its {whole} frames left")
        notes = getattr(outcome, "__notes__", [])
        if not notes or not whole:
            return  # struck before it could be said, or it takes nothing
        expected = {0: "nothing was sent.", whole: "it is sent."}.get(sent, f"its START and {sent - 1} part(s) were sent")
        if expected not in notes[0]:
            raise ViolationError(f"of the frames of {label} {sent} left, and its interrupt says: {notes[0]}")

    def _check_pending(self, label: str, pending: PendingSend, sent: int) -> None:
        outcome = pending._outcome
        if isinstance(outcome, SendReceipt) != (sent == 1):
            raise ViolationError(f"{label} was queued, left {sent} times, and its handle says {outcome!r}")
        if label in self.cancelled and not isinstance(outcome, NotSentError):
            raise ViolationError(f"{label} was cancelled in time, and its handle says {outcome!r}")
        if outcome is None and self.outcomes.get(f"enqueue {label}") == RETURNED:
            raise ViolationError(f"the handle of {label} never says anything")

    def _check_order(self) -> None:
        committed = self.outlet.committed
        if [cargo.seq for cargo in committed] != list(range(1, len(committed) + 1)):
            raise ViolationError(f"seq has a hole or a double: {[(cargo.label, cargo.seq) for cargo in committed]}")
        labels = [cargo.label for cargo in committed]
        texts = [label for at, label in enumerate(labels) if not at or labels[at - 1] != label]
        if len(texts) != len(set(texts)):
            raise ViolationError(f"frames of one text stand in another, or a send left twice: {labels}")
        in_line = [label for label in texts if label in self.arrivals.labels]
        if in_line != [label for label in self.arrivals.labels if label in texts]:
            raise ViolationError(f"arrived as {self.arrivals.labels}, left as {texts}")


class RecordingOutlet(Ledgerless):
    """Writes down what leaves and in which epoch; checks that nobody overtakes who stands in line."""

    def __init__(self, rig: Rig) -> None:
        super().__init__()
        self.is_gathering = rig.scenario.gathers
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


@dataclass
class Explored:
    """What an exploration saw."""

    schedules: int = 0
    outcomes: set[str] = field(default_factory=set)


def explore(
    scheduler: Scheduler,
    scenario: Scenario,
    parts: Parts | None = None,
    *,
    preemptions: int | None = None,
    victim: str | None = None,
    strikes: int = 0,
) -> Explored:
    """Run every schedule of a scenario and check each. Raises `ViolationError` with the first schedule that breaks a rule."""
    explorer = Explorer(scheduler, preemptions=preemptions, victim=victim, strikes=strikes)
    seen = Explored()
    for _ in explorer.every():
        rig = Rig(scheduler, parts or Parts(), scenario)
        if scenario.setup is not None:
            scenario.setup(rig)
            rig.pokes = 0  # the service thread has looked
        try:
            scheduler.run([(program.name, partial(rig.act, program)) for program in scenario.programs], rig.quiet)
            _check_end(rig)
        except ViolationError as exc:
            raise ViolationError(f"{scenario.name}, schedule {explorer.schedules + 1}: {exc}") from exc.__cause__
        seen.outcomes.update(f"{label}: {_word(outcome)}" for label, outcome in rig.outcomes.items())
    seen.schedules = explorer.schedules
    return seen


def _check_end(rig: Rig) -> None:
    try:
        rig.check_end()
    except ViolationError as exc:
        raise ViolationError(f"{exc}\n{rig.scheduler.story()}") from exc.__cause__


def _word(outcome: BaseException | str) -> str:
    return outcome if isinstance(outcome, str) else type(outcome).__name__


# ---- Programs ------------------------------------------------------------------------------------------------------------------


def sends(label: str, messages: int = 1, *, steps: int = 1, timeout_s: float | None = None) -> Program:
    """Return a sender."""
    how = "" if timeout_s is None else f" within {timeout_s:g} s"
    what = f"{label} sends {messages}" if steps == 1 else f"{label} sends {steps} frames"
    return Program(f"{what}{how}", lambda rig: rig.send(label, messages, steps=steps, timeout_s=timeout_s))


def awaits(label: str, messages: int, timeout_s: float | None = None) -> Program:
    """Return who waits for credit and takes nothing."""
    return Program(f"{label} awaits {messages}", lambda rig: rig.await_credits(label, messages, timeout_s))


def enqueues(label: str, messages: int = 1) -> Program:
    """Return who queues a message and does not wait."""
    return Program(f"{label} is queued", lambda rig: rig.enqueue(label, messages))


def queues_and_waits(label: str, messages: int = 1, timeout_s: float | None = None) -> Program:
    """Return who queues a message and then waits for what comes of it."""

    def run(rig: Rig) -> None:
        if rig.enqueue(label, messages):
            rig.await_result(label, timeout_s)

    return Program(f"{label} is queued and awaited", run)


def queues_and_cancels(label: str, messages: int = 1) -> Program:
    """Return who queues a message and takes it back."""

    def run(rig: Rig) -> None:
        if rig.enqueue(label, messages):
            rig.take_back(label)

    return Program(f"{label} is queued and cancelled", run)


def cancels(label: str) -> Program:
    """Return who takes another's message back."""
    return Program(f"{label} is cancelled", lambda rig: rig.take_back(label))


def clears() -> Program:
    """Return who takes all back."""
    return Program("all is cleared", lambda rig: rig.outbox.clear("USER"))


def grants(*amounts: int) -> Program:
    """Return the peer's grants, one after the other."""
    return Program(f"grants {', then '.join(map(str, amounts))}", lambda rig: rig.grant(*amounts))


def grants_and_writes(*amounts: int) -> Program:
    """Return the peer's grants, brought by a thread that writes what they let go."""
    return Program(f"brings {', then '.join(map(str, amounts))} and writes", lambda rig: rig.grant_and_write(*amounts))


def pauses(*, by_us: bool) -> Program:
    """Return who holds the channel and lets it go again."""

    def run(rig: Rig) -> None:
        rig.pause(by_us=by_us)
        rig.resume(by_us=by_us)

    return Program(f"{'we pause' if by_us else 'the peer pauses'} and resume{'' if by_us else 's'}", run)


def closes() -> Program:
    """Return who ends it all."""
    return Program("closes", Rig.close)


def renews_at_half(window: int) -> Callable[[Rig], bool]:
    """Return a peer that grants `window` messages, and fills it up again once it counts half of it as used."""

    def renew(rig: Rig) -> bool:
        sent = len(rig.outlet.committed)
        balance = rig.granted - sent
        if balance > window // 2:
            return False
        rig.granted += window - balance
        rig.grant(window - balance)
        return True

    return renew


def opens_epoch(messages: int) -> Program:
    """Return a handshake that brings this credit."""
    return Program(f"an epoch opens with {messages}", lambda rig: rig.open_epoch(messages))


def makes_room() -> Program:
    """Return the socket taking what it was given."""
    return Program("the socket takes more", Rig.make_room)
