"""The turnstile: one first-come-first-served queue per channel, over both credits at once. The only code that blocks on credit.

Guarantees, which every test of this module holds it to:

* Admission is in order of arrival. A later small parcel never overtakes an earlier big one; frames of one text stand together.
* Messages and bytes are taken together or not at all.
* Whoever admits (the thread that brings credit, or the sender itself) does all of it: debit, seq, ack and the place in the write
  order are one step under the lock. The step is written down in one store before it is carried out, and whoever takes the lock
  next finishes what an interrupt left undone: before that store nothing has happened, after it the frame is sent.
* Only those are woken who are admitted, or told that they never will be.
* Every way out of the queue takes the ticket along and admits the next.
* No event listener runs here; events are handed to a sink that does not block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Generic, NamedTuple

from haip_sync.config import FlowControlConfig
from haip_sync.errors import (
    ConfigError,
    ConnectionClosedError,
    HAIPError,
    MessageTooLargeError,
    WaitCause,
)
from haip_sync.events import ChannelStalled
from haip_sync.flow.audit import audit_credit, audit_gate
from haip_sync.flow.explain import Standing, explanation, nobody_waits, over
from haip_sync.flow.gates import C, EventSink, Gate, Outlet, Parcel, Shortage, Step, Ticket, Unwatched, Watcher
from haip_sync.flow.ledger import NOTHING, Cost, Ledger
from haip_sync.flow.outcomes import failed, interrupted_note, refused, refused_later, taken_out, timed_out
from haip_sync.flow.parking import Parking
from haip_sync.flow.reporting import Reporter
from haip_sync.state import Explanation

MOST_CHANNELS: Final = 1_024
"""Channels per connection: a peer that names ever new ones costs bounded memory."""


class _Redo(NamedTuple, Generic[C]):
    """A step that is decided: what every part of the state will be once it is carried out."""

    gate: Gate[C]
    ledger: Ledger
    cargo: C | None
    ticket: Ticket[C] | None
    step: Step[C] | None


class Turnstile(Generic[C]):
    """Lets parcels through to the outlet as credit, pause flags and the socket allow. Thread-safe.

    Methods that say "requires the lock" are for the connection's own threads, which combine them with other state.
    """

    def __init__(
        self,
        parking: Parking,
        outlet: Outlet[C],
        config: FlowControlConfig,
        *,
        clock: Callable[[], float],
        sink: EventSink,
        poke: Callable[[], None],
        watcher: Watcher | None = None,
        is_audited: bool = False,
    ) -> None:
        self._parking = parking
        self._lock = parking.lock
        self._outlet = outlet
        self._config = config
        self._clock = clock
        self.report = Reporter(sink, clock)
        # Tells the connection's own thread to take the lock and write what is there. One C call: an interrupt cannot split it.
        self._poke = poke
        self._watcher: Watcher = watcher or Unwatched()
        self._is_audited = is_audited
        # All guarded by the connection's lock.
        self._gates: dict[str, Gate[C]] = {}
        self._epoch = 0
        self._initial: tuple[int | None, int | None] = (None, None)
        self._closed: HAIPError | None = None
        self._redo: _Redo[C] | None = None
        self._unserved: set[Gate[C]] = set()
        self._short_of_room: set[Gate[C]] = set()
        for channel in sorted(config.named_channels()):
            self.gate(channel)

    # ---- For senders ------------------------------------------------------------------------------------------------------

    def pass_through(self, channel: str, parcel: Parcel[C], timeout_s: float | None) -> Ticket[C]:
        """Let `parcel` through, waiting in line for at most `timeout_s` (None: for ever, 0: not at all).

        Raises `FlowControlError`, `FlowControlTimeout`, `MessageTooLargeError`, `ConnectionClosedError` (nothing was sent) and
        `PartialSendError` (a text stopped in mid-stream). Any thread, without the lock.
        """
        ticket = Ticket(parcel, self._clock())
        try:
            with self._lock:
                self.mend()
                gate = self.entrance(channel, parcel)
                if timeout_s == 0:
                    self._pass_now(gate, ticket)
                else:
                    self._pass_in_turn(gate, ticket, timeout_s)
        except BaseException as exc:
            ticket.abandoned = True
            self._poke()
            with self._lock:
                self.mend()
                self._clear_place(self.gate(channel), ticket)
            if not isinstance(exc, HAIPError):
                exc.add_note(interrupted_note(channel, ticket))
            raise
        return ticket

    def entrance(self, channel: str, parcel: Parcel[C]) -> Gate[C]:
        """Return the gate of `channel` if the parcel may stand there at all. Requires the lock."""
        if self._closed is not None:
            raise ConnectionClosedError(f"{parcel.event_type} on {channel} was not sent: {self._closed}") from self._closed
        if not self._epoch:
            raise ConnectionClosedError(f"{parcel.event_type} on {channel} was not sent: the client is not connected yet")
        refusal = parcel.refusal()
        if refusal is not None:
            raise refusal
        self.check_place_for(channel)
        gate = self.gate(channel)
        frame_bytes, cap = parcel.indivisible_bytes(), gate.ledger.byte_credits.cap
        if frame_bytes > cap:
            raise MessageTooLargeError(channel, frame_bytes=frame_bytes, max_credit_bytes=cap)
        return gate

    def _pass_now(self, gate: Gate[C], ticket: Ticket[C]) -> None:
        """Admit the whole parcel at once or raise. Requires the lock."""
        step = self._next_step(gate, ticket) if not gate.standing() else Shortage(WaitCause.BEHIND_OTHERS, NOTHING)
        if isinstance(step, Shortage):
            raise refused(ticket.parcel, self._standing(gate, ticket, step))
        self._commit(gate, ticket, step)

    def _pass_in_turn(self, gate: Gate[C], ticket: Ticket[C], timeout_s: float | None) -> None:
        """Take a place in the queue, and wait until it was served. Requires the lock."""
        gate.add(ticket)
        self.serve((gate,))
        if not ticket.is_over:
            ticket.condition = self._parking.new_condition()
            self.report.blocked(gate, ticket, self._why)
            self._watcher.blocked(gate)
        first = gate.queue[0] is ticket if gate.queue else False
        cause = gate.shortage.cause if first and gate.shortage is not None else WaitCause.BEHIND_OTHERS
        try:
            self._wait_for_turn(gate, ticket, timeout_s)
        finally:
            if ticket.condition is not None:
                self._watcher.waited(gate, cause, self._clock() - ticket.since_s)

    def _wait_for_turn(self, gate: Gate[C], ticket: Ticket[C], timeout_s: float | None) -> None:
        """Wait until a ticket in the queue was served. Requires the lock."""
        deadline_s = None if timeout_s is None else ticket.since_s + timeout_s
        while not ticket.settled:
            if ticket.failure is not None:
                raise failed(gate.channel, ticket.parcel, ticket.failure)
            remaining_s = None if deadline_s is None else deadline_s - self._clock()
            if remaining_s is not None and remaining_s <= 0:
                standing = self._standing(gate, ticket, self._why(gate, ticket, gate.standing()))
                # Decided here, under the lock: a grant that comes before we have left must find nobody standing.
                ticket.abandoned = True
                raise timed_out(ticket.parcel, standing)
            if ticket.condition is not None:
                self._parking.wait(ticket.condition, remaining_s)

    def _clear_place(self, gate: Gate[C], ticket: Ticket[C]) -> None:
        """Take an abandoned ticket out of the queue and admit the next. Requires the lock."""
        self._unserved.add(gate)  # first: interrupted from here on, the next to take the lock still admits who is behind
        if ticket in gate.queue:
            gate.leave(ticket)
            self.report.backlog(gate)
        self.mend()

    # ---- For those who bring credit, connections and frames: all require the lock --------------------------------------------

    def gate(self, channel: str) -> Gate[C]:
        """Return the gate of `channel`, made at its first use. Requires the lock."""
        gate = self._gates.get(channel)
        if gate is None:
            gate = self._gates[channel] = Gate(channel, self._new_ledger(channel))
        return gate

    def has_place_for(self, channel: str) -> bool:
        """Return whether `channel` is known, or may still be added: at most 1,024 are, ours and the peer's together."""
        return channel in self._gates or len(self._gates) < MOST_CHANNELS

    def check_place_for(self, channel: str) -> None:
        """Raise `ConfigError` where `channel` would be one too many. Requires the lock."""
        if not self.has_place_for(channel):
            raise ConfigError(f"{channel} would be more than the {MOST_CHANNELS} channels of one connection. Nothing was sent")

    @property
    def gates(self) -> Iterable[Gate[C]]:
        """Every gate so far. Requires the lock."""
        return self._gates.values()

    def now_s(self) -> float:
        """Return the time on the turnstile's clock."""
        return self._clock()

    @property
    def epoch(self) -> int:
        """Counts handshakes. Requires the lock."""
        return self._epoch

    def open_epoch(self, messages: int | None, byte_credits: int | None) -> None:
        """Begin a credit epoch with these amounts on every channel (None: the configuration's). Requires the lock."""
        self._epoch += 1
        self._initial = (messages, byte_credits)
        for gate in self._gates.values():
            gate.ledger = self._new_ledger(gate.channel)
            gate.paused_by_peer = False
            gate.last_grant_s = None
            self.report.credit(gate)
        self._watcher.begin_epoch(self._gates.values())
        self.serve(tuple(self._gates.values()))

    def grant(self, channel: str, amount: Cost) -> None:
        """Enter a grant of the peer's and admit who can go. Requires the lock."""
        gate = self.gate(channel)
        self._unserved.add(gate)
        before = gate.ledger
        gate.ledger = before.grant(amount)
        gate.last_grant_s = self._clock()
        self.report.granted(gate, amount, before)
        self._watcher.granted(gate, amount)
        self.report.credit(gate)
        self.serve((gate,))

    def forfeit(self, channel: str) -> int:
        """Give up the message balance of `channel`, what is set aside included; return how much. Requires the lock."""
        gate = self.gate(channel)
        before = gate.ledger
        gate.ledger = before.forfeit_messages()
        self._unserved.add(gate)
        self.report.credit(gate)
        return gate.ledger.messages.forfeited - before.messages.forfeited

    def pause(self, channel: str, *, by_us: bool, peer_told: bool, reason: str | None = None) -> None:
        """Hold `channel`. Requires the lock."""
        gate = self.gate(channel)
        if by_us:
            gate.paused_by_us = True
        else:
            gate.paused_by_peer = True
        self.report.paused(gate, by_us=by_us, peer_told=peer_told, reason=reason)

    def resume(self, channel: str, *, by_us: bool) -> None:
        """Lift one hold of `channel` and admit who can go. Requires the lock."""
        gate = self.gate(channel)
        self._unserved.add(gate)
        if by_us:
            gate.paused_by_us = False
        else:
            gate.paused_by_peer = False
        self.report.resumed(gate, by_us=by_us)
        self.serve((gate,))

    def room_again(self) -> None:
        """Admit who waited for the socket. Requires the lock."""
        if self._short_of_room:
            self._unserved.update(self._short_of_room)
            self._short_of_room.clear()
            self.mend()

    def withdraw(self) -> None:
        """Take out of every line what may not be sent any more, and admit who stood behind it. Requires the lock.

        Twice is once, and interrupted anywhere it can be done again.
        """
        for gate in self._gates.values():
            for ticket in tuple(gate.queue):
                refusal = None if ticket.settled or ticket.abandoned else ticket.parcel.refusal()
                if refusal is not None:
                    self._unserved.add(gate)
                    if ticket.failure is None:
                        ticket.failure = refusal if ticket.pending is None else refused_later(ticket.pending, refusal)
                    ticket.wake()
                    gate.leave(ticket)
                    self.report.withdrawn(gate, ticket)
        self.mend()

    def serve_all(self) -> None:
        """Admit wherever somebody stands: what one interrupt, or two, may have left undone. Requires the lock."""
        self.serve(tuple(gate for gate in self._gates.values() if gate.queue or gate.room))

    def post(self, cargo: C, *, counted: Cost = NOTHING) -> None:
        """Commit a control frame: it waits for nothing and takes no credit, but for `counted` of SYSTEM. Requires the lock."""
        if self._redo is not None:
            raise RuntimeError("mend() first: a step that an interrupt left undone would be overwritten")
        gate = self.gate("SYSTEM")
        self._redo = _Redo(gate, gate.ledger.lose(counted), cargo, None, None)
        self._carry_out()

    def close(self, error: HAIPError) -> None:
        """Let nobody through any more, and tell everyone who waits why; the first cause wins. Requires the lock."""
        if self._closed is None:
            self._closed = error
        for gate in self._gates.values():
            for ticket in tuple(gate.queue):
                ticket.failure = ticket.failure or self._end_of(ticket, self._closed)
                ticket.wake()
                gate.leave(ticket)
            for place in gate.room:
                place.wake()
            self.report.backlog(gate)

    def _end_of(self, ticket: Ticket[C], closed: HAIPError) -> HAIPError:
        return closed if ticket.pending is None else taken_out(ticket, ticket.pending, "closed")

    @property
    def closed(self) -> HAIPError | None:
        """The first cause of the end. Requires the lock."""
        return self._closed

    def explain(self, channel: str) -> Explanation:
        """Return why `channel` stands still, or that it does not. Requires the lock."""
        gate = self._gates.get(channel) or Gate(channel, self._new_ledger(channel))
        standing = gate.standing()
        if self._closed is not None:
            return over(channel, str(self._closed), self._grant_age_s(gate))
        if not standing:
            return nobody_waits(channel, gate.ledger, gate.hold(), self._grant_age_s(gate))
        return explanation(self._standing(gate, standing[0], self._why(gate, standing[0], standing)))

    def stalls(self, after_s: float) -> list[ChannelStalled]:
        """Return what to tell of channels where nothing moved for `after_s` s though somebody waits; once a stall."""
        now_s, found = self._clock(), []
        for gate in self._gates.values():
            if not gate.queue:
                continue
            standing = gate.standing()
            stalled_s = now_s - max(standing[0].since_s, gate.last_admitted_s) if standing else 0.0
            if standing and not gate.stall_told and stalled_s >= after_s:
                gate.stall_told = True
                why = self.explain(gate.channel)
                found.append(
                    ChannelStalled(
                        time_s=now_s,
                        channel=gate.channel,
                        text=why.text,
                        cause=why.cause or "",
                        waiting=why.waiting,
                        stalled_s=stalled_s,
                    )
                )
        return found

    # ---- Admission: all require the lock -------------------------------------------------------------------------------------

    def mend(self) -> None:
        """Finish what an interrupted thread left undone: the first thing that everybody does who takes the lock."""
        if self._redo is not None:
            self._carry_out()
        while self._unserved:
            gate = next(iter(self._unserved))
            self._serve_queue(gate)
            self._unserved.discard(gate)
            self._audit(gate)

    def serve(self, gates: tuple[Gate[C], ...]) -> None:
        """Admit from these gates' queues for as long as it goes."""
        self._unserved.update(gates)
        self.mend()

    def _serve_queue(self, gate: Gate[C]) -> None:
        changed = False
        while gate.queue:
            ticket = gate.queue[0]
            if not ticket.is_over and not self._advance(gate, ticket):
                break
            # Woken before it leaves: interrupted between, the next to mend wakes it once more, which harms nobody.
            ticket.wake()
            gate.leave(ticket)
            changed = changed or ticket.has_stood
            if ticket.pending is not None and ticket.settled:
                self.report.dequeued(gate, ticket, ticket.pending)
        if changed:
            self.report.backlog(gate)
        self._call_next(gate)

    def _call_next(self, gate: Gate[C]) -> None:
        """Wake the first of those whom a full outbox holds, once there is room for it."""
        if gate.room and not gate.room[0].called and self.has_queue_room(gate, gate.room[0].size):
            # Woken before it is written down: interrupted between, it is woken once more, which harms nobody.
            gate.room[0].wake()
            gate.room[0].called = True

    def has_queue_room(self, gate: Gate[C], size: int) -> bool:
        """Return whether the outbox of the channel has room for one more message of `size` bytes."""
        return gate.queued < self._config.queue_max_messages and gate.queued_bytes + size <= self._config.queue_max_bytes

    def _advance(self, gate: Gate[C], ticket: Ticket[C]) -> bool:
        """Let through of the first ticket what may go. Return whether it is over."""
        while not ticket.is_over:
            step = self._next_step(gate, ticket)
            if isinstance(step, Shortage):
                gate.shortage = step
                cap = gate.ledger.byte_credits.cap
                if step.needed.byte_credits <= cap or step.cause is not WaitCause.BYTES:
                    return False
                ticket.failure = MessageTooLargeError(gate.channel, frame_bytes=step.needed.byte_credits, max_credit_bytes=cap)
                return True
            self._commit(gate, ticket, step)
            if not step.last or ticket.pending is not None:
                self._poke()  # no thread of its own is about to write it
        return True

    def _next_step(self, gate: Gate[C], ticket: Ticket[C]) -> Step[C] | Shortage:
        hold = gate.hold()
        if hold is not None:
            return Shortage(hold, NOTHING)
        step = ticket.parcel.next_step(gate.ledger)
        if isinstance(step, Step) and step.cargo is not None and not self._outlet.has_room(step.wire_bytes):
            self._short_of_room.add(gate)
            return Shortage(WaitCause.SOCKET, step.cost)
        return step

    def _commit(self, gate: Gate[C], ticket: Ticket[C], step: Step[C]) -> None:
        """Do one step: written down in one store, then carried out."""
        frames_before = ticket.parcel.progress.frames
        redo = _Redo(gate, gate.ledger.spend(step.cost), step.cargo, ticket, step)
        self._redo = redo
        self._carry_out()
        gate.last_admitted_s, gate.stall_told = self._clock(), False
        self.report.admitted(gate, ticket, step, frames=step.after.frames - frames_before)
        self.report.credit(gate)
        self._watcher.spent(gate)

    def _carry_out(self) -> None:
        """Carry out the step that was written down. Every line sets a value, so that a second time changes nothing."""
        redo = self._redo
        if redo is None:
            return
        redo.gate.ledger = redo.ledger
        if redo.cargo is not None:
            self._outlet.commit(redo.cargo)
        if redo.ticket is not None and redo.step is not None:
            redo.ticket.parcel.progress = redo.step.after
            redo.ticket.settled = redo.step.last
        self._redo = None
        self._audit(redo.gate, credit_only=True)

    def _audit(self, gate: Gate[C], *, credit_only: bool = False) -> None:
        """Check a channel's books where that is asked for. The first finding is the last: what is wrong must be able to end."""
        if not self._is_audited:
            return
        self._is_audited = False
        if credit_only:
            audit_credit(gate)
        else:
            audit_gate(gate, self._next_step)
        self._is_audited = True

    def _new_ledger(self, channel: str) -> Ledger:
        caps = Cost(*self._config.caps_for(channel))
        if not self._epoch:
            return Ledger.opened(NOTHING, caps)
        configured, (messages, byte_credits) = Cost(*self._config.initial_for(channel)), self._initial
        return Ledger.opened(
            Cost(
                configured.messages if messages is None else messages,
                configured.byte_credits if byte_credits is None else byte_credits,
            ),
            caps,
        )

    # ---- Words: all require the lock -----------------------------------------------------------------------------------------

    def shortage(self, gate: Gate[C]) -> Shortage | None:
        """Return what the first in the queue waits for; None: nobody waits."""
        standing = gate.standing()
        return self._why(gate, standing[0], standing) if standing else None

    def _why(self, gate: Gate[C], ticket: Ticket[C], standing: list[Ticket[C]]) -> Shortage:
        """Return what `ticket` waits for now."""
        step = self._next_step(gate, ticket)
        if isinstance(step, Shortage) and standing[0] is ticket:
            return step
        return Shortage(WaitCause.BEHIND_OTHERS, step.needed if isinstance(step, Shortage) else step.cost)

    def _standing(self, gate: Gate[C], ticket: Ticket[C], shortage: Shortage) -> Standing:
        standing = gate.standing()
        first = shortage
        if shortage.cause is WaitCause.BEHIND_OTHERS and standing:
            first = self._why(gate, standing[0], standing)
        return Standing(
            channel=gate.channel,
            ledger=gate.ledger,
            shortage=shortage,
            first=first,
            ahead=standing.index(ticket) if ticket in standing else len(standing),
            in_line=len(standing),
            wait_s=max(0.0, self._clock() - ticket.since_s),
            last_grant_age_s=self._grant_age_s(gate),
        )

    def _grant_age_s(self, gate: Gate[C]) -> float | None:
        return None if gate.last_grant_s is None else self._clock() - gate.last_grant_s
