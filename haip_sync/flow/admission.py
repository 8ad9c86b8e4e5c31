"""Admission: the gates of one connection, and who of those who stand there may go. Waiting is the turnstile's.

Whoever admits does all of it: debit, seq, ack and the place in the write order are one step under the lock. The step is written
down in one store before it is carried out, and whoever takes the lock next finishes what an interrupt left undone: before that
store nothing has happened, after it the frame is sent. Every method requires the lock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import takewhile
from typing import Final, Generic

import msgspec

from haip_sync.config import DEFAULT_MAX_CHANNELS, FlowControlConfig
from haip_sync.errors import (
    ConfigError,
    HAIPError,
    MessageTooLargeError,
    WaitCause,
)
from haip_sync.flow.audit import audit_credit, audit_gate
from haip_sync.flow.explain import Offline, Standing
from haip_sync.flow.gates import C, EventSink, Gate, Outlet, Shortage, Step, Ticket, Unwatched, Watcher
from haip_sync.flow.ledger import NOTHING, Cost, Ledger
from haip_sync.flow.parking import Parking
from haip_sync.flow.reporting import Reporter

WHOLE_TEXT_PATIENCE_S: Final = 1.0
"""How long a text waits for credit for all of it while at least half of the largest balance is left."""
WRITTEN_NEXT_BYTES: Final = 16 << 10
"""Larger frames are written by who sends them: the thread that brings credit has more to do than to mask them."""
_COMPANY: Final = 4
"""How many messages like it there must be credit for, before a frame is left to its sender to write with those that follow."""


_CREDIT: Final = (WaitCause.MESSAGES, WaitCause.BYTES)


class _Redo(msgspec.Struct, Generic[C], frozen=True):
    """A step that is decided: what every part of the state will be once it is carried out."""

    gate: Gate[C]
    ledger: Ledger
    cargo: C | None
    ticket: Ticket[C] | None
    step: Step[C] | None


class Admission(Generic[C]):
    """Gates by channel, and the steps through them. Every method requires the connection's lock."""

    def __init__(
        self,
        parking: Parking,
        outlet: Outlet[C],
        config: FlowControlConfig,
        *,
        clock: Callable[[], float],
        sink: EventSink,
        poke: Callable[[], None],
        let_out: Callable[[], None],
        watcher: Watcher | None = None,
        is_audited: bool = False,
        max_channels: int = DEFAULT_MAX_CHANNELS,
    ) -> None:
        self._parking = parking
        # A peer that names ever new channels costs bounded memory.
        self._max_channels = max_channels
        self._lock = parking.lock
        self._outlet = outlet
        self._config = config
        self._clock = clock
        self._sink = sink
        self.report = Reporter(sink, clock)
        # Tells the connection's own thread to take the lock and write what is there. One C call: an interrupt cannot split it.
        self._poke = poke
        # Writes what gathers, as far as it goes without waiting; without the lock.
        self._let_out = let_out
        self._watcher: Watcher = watcher or Unwatched()
        self._is_audited = is_audited
        # All guarded by the connection's lock.
        self._gates: dict[str, Gate[C]] = {}
        self.epoch = 0  # counts handshakes
        self._initial: tuple[int | None, int | None] = (None, None)
        self._closed: HAIPError | None = None
        self.left_over = False  # messages were queued when it closed, and are never sent
        # The line is broken: nobody goes.
        self._offline: Offline | None = None
        self._redo: _Redo[C] | None = None
        self._unserved: set[Gate[C]] = set()
        # Whose first ticket waits for the socket.
        self.short_of_room: set[Gate[C]] = set()
        # When to call `serve_all` whatever happens; may be read without the lock.
        self.look_s = math.inf
        # Set by a thread that no interrupt strikes while it holds the lock: as soon as it lets go it writes what stands in the
        # write order. Who is admitted then is woken once its frame has left, and need not be woken to write it.
        self.is_written_next = False
        # How much of what was admitted since that was set is written by its sender all the same, in bytes before the socket.
        self.senders_bytes = 0
        for channel in sorted(config.named_channels()):
            self.gate(channel)

    def gate(self, channel: str) -> Gate[C]:
        """Return the gate of `channel`, made at its first use. Requires the lock."""
        gate = self._gates.get(channel)
        if gate is None:
            gate = self._gates[channel] = Gate(channel, self._new_ledger(channel))
        return gate

    def find(self, channel: str) -> Gate[C] | None:
        """Return the gate of `channel`; None: nothing was ever sent, held or granted there. Requires the lock."""
        return self._gates.get(channel)

    def has_credit_for(self, channel: str, frame_bytes: int) -> bool:
        """Return whether another frame of this size could go on `channel`. Without the lock it is advice."""
        ledger = self._gates[channel].ledger
        return ledger.messages.spendable > 0 and ledger.byte_credits.spendable >= frame_bytes

    def has_place_for(self, channel: str) -> bool:
        """Return whether `channel` is known, or may still be added: the number is bounded, ours and the peer's together."""
        return channel in self._gates or len(self._gates) < self._max_channels

    def check_place_for(self, channel: str) -> None:
        """Raise `ConfigError` where `channel` would be one too many. Requires the lock."""
        if not self.has_place_for(channel):
            raise ConfigError(
                f"{channel} would be more than the {self._max_channels} channels of one connection. Nothing was sent"
            )

    @property
    def gates(self) -> Iterable[Gate[C]]:
        """Every gate so far. Requires the lock."""
        return self._gates.values()

    def now_s(self) -> float:
        """Return the time on the turnstile's clock."""
        return self._clock()

    @property
    def closed(self) -> HAIPError | None:
        """The first cause of the end. Requires the lock."""
        return self._closed

    @property
    def offline(self) -> Offline | None:
        """What is known of a broken line; None: it stands, or none was opened yet. Requires the lock."""
        return self._offline

    def go_offline(self, offline: Offline) -> None:
        """Let nobody go until `go_online`; also to tell more of the same outage. Requires the lock."""
        self._offline = offline

    def go_online(self) -> None:
        """Let everybody go who can. Requires the lock."""
        self._offline = None
        self.serve(tuple(self._gates.values()))

    def repeat(self, channel: str, cargo: C, cost: Cost) -> None:
        """Commit what was admitted on an earlier line before: it waits for nothing, and takes of the credit what there is.

        Its peer counts it in the new epoch. Requires the lock.
        """
        self.mend()
        gate = self.gate(channel)
        self._redo = redo = _Redo(gate, gate.ledger.lose(cost), cargo, None, None)
        self._carry_out(redo)
        if self._watcher.heeds_spending:
            self._watcher.spent(gate)
        self.report.credit(gate)

    def hold_of(self, gate: Gate[C]) -> WaitCause | None:
        """Return what holds the channel whatever its credit: no line, or a pause flag. Requires the lock."""
        return WaitCause.OFFLINE if self._offline is not None else gate.hold()

    def offline_text(self) -> str:
        """Return what is known of a broken line, in words. Requires the lock."""
        return "" if self._offline is None else self._offline.text(self._clock())

    # ---- Steps ---------------------------------------------------------------------------------------------------------------

    def mend(self) -> None:
        """Finish what an interrupted thread left undone: the first thing that everybody does who takes the lock."""
        if self._redo is None and not self._unserved:
            return
        if self._redo is not None:
            self._carry_out(self._redo)
        while self._unserved:
            self._serve(next(iter(self._unserved)))

    def serve(self, gates: tuple[Gate[C], ...]) -> None:
        """Admit from these gates' queues for as long as it goes."""
        self._unserved.update(gates)
        self.mend()

    def _serve(self, gate: Gate[C]) -> None:
        """Admit from one gate's queue for as long as it goes, and take the gate off those that are to be served."""
        self._serve_queue(gate)
        self._unserved.discard(gate)
        if self._is_audited:
            self._audit(gate)

    def _serve_queue(self, gate: Gate[C]) -> None:
        changed, queue = False, gate.queue
        while queue:
            ticket = next(iter(queue))
            if not self._advance(gate, ticket):
                break
            # Woken before it leaves: interrupted between, the next to mend wakes it once more, which harms nobody.
            if ticket.admitted_s is None:
                ticket.wake()
            gate.leave(ticket)
            changed = changed or ticket.condition is not None or ticket.pending is not None
            if ticket.pending is not None and ticket.settled:
                self.report.dequeued(gate, ticket, ticket.pending)
        if changed and self._sink.heeds_waits:
            self.report.backlog(gate)
        if gate.room:
            self._call_next(gate)

    def _call_next(self, gate: Gate[C]) -> None:
        """Wake the first of those whom a full outbox holds, once there is room for it. Requires that there are some."""
        if not gate.room[0].called and self.has_queue_room(gate, gate.room[0].size):
            # Woken before it is written down: interrupted between, it is woken once more, which harms nobody.
            gate.room[0].wake()
            gate.room[0].called = True

    def has_queue_room(self, gate: Gate[C], size: int) -> bool:
        """Return whether the outbox of the channel has room for one more message of `size` bytes."""
        return gate.queued < self._config.queue_max_messages and gate.queued_bytes + size <= self._config.queue_max_bytes

    def _advance(self, gate: Gate[C], ticket: Ticket[C]) -> bool:
        """Let through of the first ticket what may go. Return whether it is over."""
        while not (ticket.settled or ticket.abandoned or ticket.failure is not None):  # `is_over`, without a call
            step = self._next_step(gate, ticket)
            if isinstance(step, Shortage):
                if ticket.parcel.may_stream_early and self._is_patience_over(gate, ticket, step):
                    ticket.parcel.stream_early()
                    continue
                self._note_shortage(gate, step)
                if step.cause is WaitCause.WRITER:
                    ticket.wake()  # all that was written has left, and its writer may wait for that
                cap = gate.ledger.byte_credits.cap
                if step.needed.byte_credits <= cap or step.cause is not WaitCause.BYTES:
                    return False
                ticket.failure = MessageTooLargeError(gate.channel, frame_bytes=step.needed.byte_credits, max_credit_bytes=cap)
                return True
            self._commit(gate, ticket, step)
            gate.shortage = None  # it has gone on: what it comes to lack next is news, even where that is the same
            if self.is_written_next:
                self._see_to_holder(gate, ticket, step)
            elif not step.last or ticket.pending is not None:
                self._poke()  # no thread of its own is about to write it
            if step.last:
                return True
        return True

    def _note_shortage(self, gate: Gate[C], shortage: Shortage) -> None:
        """Note what the first in line lacks, and let the watcher know where it is credit, and news. Requires the lock."""
        if shortage != gate.shortage:
            # A queued message, or whoever stands first once another has gone: neither has a thread that tells of itself.
            if shortage.cause in _CREDIT:
                self._watcher.blocked(gate)
            gate.shortage = shortage

    def _see_to_holder(self, gate: Gate[C], ticket: Ticket[C], step: Step[C]) -> None:
        """Have the holder of a ticket whose last step was done woken in time: this thread writes that next.

        That is once it is written; or, where it stands alone and its messages gather, at once, so that it is awake again by the
        time that this has left. Where such a one has credit for more, it writes this itself, with what it sends next.
        """
        if not step.last or step.cargo is None:
            return
        if self._outlet.is_thick and len(gate.queue) == 1 and ticket.pending is None:
            if gate.ledger.messages.spendable >= _COMPANY * step.cost.messages:
                self.senders_bytes += step.wire_bytes
            ticket.admitted_s = gate.last_admitted_s
            ticket.wake()
        elif ticket.condition is not None and step.wire_bytes <= WRITTEN_NEXT_BYTES:
            ticket.admitted_s = gate.last_admitted_s
            self._outlet.wake_once_over(step.cargo, ticket)

    def _is_patience_over(self, gate: Gate[C], ticket: Ticket[C], shortage: Shortage) -> bool:
        """Return whether a text is to wait for its whole no longer, because the peer may be waiting for us to spend.

        A peer that renews once half of its window is spent grants nothing while more than half is left. Whoever has so much,
        and was granted nothing for a second, goes on with what there is (WIRE.md, point 7).
        """
        if shortage.cause not in _CREDIT:
            return False
        credit = gate.ledger.messages if shortage.cause is WaitCause.MESSAGES else gate.ledger.byte_credits
        if not credit.spendable or 2 * credit.spendable < credit.peak:
            return False
        waited_since_s = max(ticket.since_s, gate.last_admitted_s, gate.last_grant_s or 0.0)
        if self._clock() >= waited_since_s + WHOLE_TEXT_PATIENCE_S:
            gate.streams_early = True
        elif not gate.streams_early and waited_since_s + WHOLE_TEXT_PATIENCE_S < self.look_s:
            self.look_s = waited_since_s + WHOLE_TEXT_PATIENCE_S
            self._poke()  # the connection's own thread looks again then
        return gate.streams_early

    def _next_step(self, gate: Gate[C], ticket: Ticket[C]) -> Step[C] | Shortage:
        if self._offline is not None or gate.paused_by_us or gate.paused_by_peer:
            return Shortage(self.hold_of(gate) or WaitCause.OFFLINE, NOTHING)
        step = ticket.parcel.next_step(gate.ledger)
        if not isinstance(step, Shortage) and step.cargo is not None and not self._outlet.has_room(step.wire_bytes):
            self.short_of_room.add(gate)
            return Shortage(WaitCause.SOCKET, step.cost)
        return step

    def _commit(self, gate: Gate[C], ticket: Ticket[C], step: Step[C]) -> None:
        """Do one step: written down in one store, then carried out."""
        before = ticket.parcel.progress
        self._redo = redo = _Redo(gate, gate.ledger.spend(step.cost), step.cargo, ticket, step)
        self._carry_out(redo)
        gate.last_admitted_s, gate.stall_told = self._clock(), False
        if self._sink.heeds_sends:
            self.report.stepped(gate, ticket, step, frames=step.after.frames - before.frames)
        if self._watcher.heeds_spending:
            self._watcher.spent(gate)

    def _carry_out(self, redo: _Redo[C]) -> None:
        """Carry out the step that was written down. Every line sets a value, so that a second time changes nothing."""
        redo.gate.ledger = redo.ledger
        if redo.cargo is not None:
            self._outlet.commit(redo.cargo)
        ticket, step = redo.ticket, redo.step
        if ticket is not None and step is not None:
            ticket.parcel.progress = step.after
            ticket.settled = step.last
        self._redo = None
        if self._is_audited:
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
        if not self.epoch:
            return Ledger.opened(NOTHING, caps)
        configured, (messages, byte_credits) = Cost(*self._config.initial_for(channel)), self._initial
        return Ledger.opened(
            Cost(
                configured.messages if messages is None else messages,
                configured.byte_credits if byte_credits is None else byte_credits,
            ),
            caps,
        )

    def room_again(self) -> None:
        """Admit who waited for the socket. Requires the lock."""
        self._unserved.update(self.short_of_room)
        self.short_of_room.clear()
        self.mend()

    def serve_all(self) -> None:
        """Admit wherever somebody stands: what interrupts left undone, and whose patience has ended. Requires the lock."""
        if self._clock() >= self.look_s:  # kept until then: to name it anew would call for the next look at once
            self.look_s = math.inf
        self.serve(tuple(gate for gate in self._gates.values() if gate.queue or gate.room))

    def post(self, cargo: C, *, counted: Cost = NOTHING) -> None:
        """Commit a control frame: it waits for nothing and takes no credit, but for `counted` of SYSTEM. Requires the lock."""
        if self._redo is not None:
            raise RuntimeError("mend() first: a step that an interrupt left undone would be overwritten")
        gate = self.gate("SYSTEM")
        self._redo = redo = _Redo(gate, gate.ledger.lose(counted), cargo, None, None)
        self._carry_out(redo)
        if counted is not NOTHING and self._watcher.heeds_spending:
            self._watcher.spent(gate)

    # ---- What they lack -----------------------------------------------------------------------------------------------------

    def shortage(self, gate: Gate[C]) -> Shortage | None:
        """Return what the first in the queue waits for; None: nobody waits."""
        first = gate.first()
        return None if first is None else self._why(gate, first)

    def _why(self, gate: Gate[C], ticket: Ticket[C]) -> Shortage:
        """Return what `ticket` waits for now."""
        step = self._next_step(gate, ticket)
        if isinstance(step, Shortage) and (step.cause is WaitCause.OFFLINE or gate.first() is ticket):
            return step
        return Shortage(WaitCause.BEHIND_OTHERS, step.needed if isinstance(step, Shortage) else step.cost)

    def _standing(self, gate: Gate[C], ticket: Ticket[C], shortage: Shortage) -> Standing:
        first, head, in_line = shortage, gate.first(), gate.in_line()
        if shortage.cause is WaitCause.BEHIND_OTHERS and head is not None:
            first = self._why(gate, head)
        return Standing(
            channel=gate.channel,
            ledger=gate.ledger,
            shortage=shortage,
            first=first,
            ahead=_ahead(gate, ticket, in_line),
            in_line=in_line,
            wait_s=max(0.0, self._clock() - ticket.since_s),
            last_grant_age_s=self._grant_age_s(gate),
            asked_age_s=None if gate.asked_s is None else max(0.0, self._clock() - gate.asked_s),
            offline_text=self.offline_text(),
        )

    def _grant_age_s(self, gate: Gate[C]) -> float | None:
        return None if gate.last_grant_s is None else self._clock() - gate.last_grant_s


def _ahead(gate: Gate[C], ticket: Ticket[C], in_line: int) -> int:
    """Return how many stand before `ticket`; all, where it does not stand in the queue itself."""
    if not ticket.joined or ticket not in gate.queue:
        return in_line
    before = takewhile(lambda other: other is not ticket, gate.queue)
    return sum(not other.is_over for other in before)
