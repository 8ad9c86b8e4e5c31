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

import math
from collections.abc import Callable

from haip_sync.errors import (
    ConnectionClosedError,
    HAIPError,
    MessageTooLargeError,
    WaitCause,
)
from haip_sync.events import ChannelStalled
from haip_sync.flow.explain import explanation, nobody_waits, over
from haip_sync.flow.gates import C, Gate, Parcel, Shortage, Step, Ticket
from haip_sync.flow.ledger import NOTHING
from haip_sync.flow.lines import Lines
from haip_sync.flow.outcomes import cut_short, failed, interrupted_note, kept_out, refused, timed_out
from haip_sync.state import Explanation


class Turnstile(Lines[C]):
    """Lets parcels through to the outlet as credit, pause flags and the socket allow. Thread-safe.

    Methods that say "requires the lock" are for the connection's own threads, which combine them with other state.
    """

    # ---- For senders ------------------------------------------------------------------------------------------------------

    def pass_through(self, channel: str, parcel: Parcel[C], timeout_s: float | None) -> Ticket[C]:
        """Let `parcel` through, waiting in line for at most `timeout_s` (None: for ever, 0: not at all).

        Raises `FlowControlError`, `FlowControlTimeout`, `MessageTooLargeError`, `ConnectionClosedError` (nothing was sent) and
        `PartialSendError` (a text stopped in mid-stream). Any thread, without the lock.
        """
        ticket = Ticket(parcel, self._clock())
        try:
            with self._lock:
                if self._redo is not None or self._unserved:  # else `mend` has nothing to do: every send comes here
                    self.mend()
                lacks = self._pass_at_once(channel, ticket)
                if ticket.settled:
                    return ticket
                if timeout_s == 0:
                    self._pass_now(self.entrance(channel, parcel), ticket)
                    return ticket
                gate = self._join(channel, ticket, lacks)
                if not self._outlet.is_gathering:
                    self._wait_in_turn(gate, ticket, timeout_s)
                    return ticket
            # It has its place in line; what gathers must leave before it sleeps, or the peer has nothing to give credit back for.
            self._let_out()
            with self._lock:
                self.mend()
                self._wait_in_turn(gate, ticket, timeout_s)
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

    def open_place(self, channel: str, ticket: Ticket[C], timeout_s: float | None) -> None:
        """Let the first step of the ticket's parcel through and leave it first in line, for more: see `go_on`, `give_up_place`.

        Nothing of the channel passes it until it is over. The ticket is the caller's: an interrupt may strike behind this, and
        the place must be given up then too. Raises as `pass_through`, and leaves nothing behind then.
        """
        parcel = ticket.parcel
        try:
            with self._lock:
                self.mend()
                gate = self.entrance(channel, parcel)
                gate.add(ticket)
                self.serve((gate,))
                if not self._wait_in_place(gate, ticket, lambda: parcel.progress.frames > 0, ticket.since_s, timeout_s):
                    standing = self._standing(gate, ticket, self._why(gate, ticket))
                    ticket.abandoned = True
                    raise refused(parcel, standing) if timeout_s == 0 else timed_out(parcel, standing)
        except BaseException:
            self.give_up_place(channel, ticket)
            raise

    def go_on(
        self,
        channel: str,
        ticket: Ticket[C],
        *,
        begin: Callable[[], None],
        is_done: Callable[[], bool],
        give_up: Callable[[], bool],
        timeout_s: float | None,
    ) -> None:
        """Give a ticket that stands first more to send, and wait until that is admitted.

        `begin`, `is_done` and `give_up` are called under the lock. `give_up` takes back what has not left, at the deadline and
        at an interrupt; it returns whether something of it has. Raises `FlowControlTimeout` (nothing of it was sent),
        `PartialSendError` (some was; or the connection ended). The place is kept. Without the lock.
        """
        began_s = self._clock()
        try:
            with self._lock:
                self.mend()
                gate = self.gate(channel)
                begin()
                self.serve((gate,))
                if not self._wait_in_place(gate, ticket, is_done, began_s, timeout_s):
                    standing = self._standing(gate, ticket, self._why(gate, ticket))
                    raise cut_short(ticket.parcel, standing, self._clock() - began_s, is_sent=give_up())
        except BaseException:
            with self._lock:
                self.mend()
                give_up()
            self._poke()
            raise

    def give_up_place(self, channel: str, ticket: Ticket[C]) -> None:
        """Leave the line, if the ticket still stands there, and admit the next. Twice is once. Without the lock.

        Whoever waits in `go_on` for more of it to be admitted is told.
        """
        ticket.abandoned = True
        self._poke()
        with self._lock:
            self.mend()
            self._clear_place(self.gate(channel), ticket)

    def _wait_in_place(
        self, gate: Gate[C], ticket: Ticket[C], is_done: Callable[[], bool], began_s: float, timeout_s: float | None
    ) -> bool:
        """Wait until `is_done`; return False at the deadline. Requires the lock. Raises where the ticket has failed."""
        while not is_done():
            if ticket.failure is not None:
                raise failed(gate.channel, ticket.parcel, ticket.failure)
            if ticket.abandoned:
                raise failed(gate.channel, ticket.parcel, ConnectionClosedError("it was given up by another call"))
            remaining_s = None if timeout_s is None else began_s + timeout_s - self._clock()
            if remaining_s is not None and remaining_s <= 0:
                return False
            if ticket.condition is None:
                ticket.condition = self._parking.new_bell()
            self._watcher.blocked(gate)
            self.report.blocked(gate, ticket, self._why)
            self._parking.wait(ticket.condition, remaining_s)
        return True

    def entrance(self, channel: str, parcel: Parcel[C]) -> Gate[C]:
        """Return the gate of `channel` if the parcel may stand there at all. Requires the lock."""
        if self._closed is not None:
            raise kept_out(channel, parcel, self._closed) from self._closed
        if not self.epoch:
            raise kept_out(channel, parcel, "the client is not connected yet")
        if self.epoch > 1 and self._offline is None:
            parcel.renew()  # it may have been made for the peer of an earlier line
        refusal = parcel.refusal()
        if refusal is not None:
            raise refusal
        gate = self._gates.get(channel)
        if gate is None:
            self.check_place_for(channel)
            gate = self.gate(channel)
        frame_bytes, cap = parcel.indivisible_bytes(), gate.ledger.byte_credits.cap
        if frame_bytes > cap:
            raise MessageTooLargeError(channel, frame_bytes=frame_bytes, max_credit_bytes=cap)
        return gate

    def _pass_at_once(self, channel: str, ticket: Ticket[C]) -> Shortage | None:
        """Admit a parcel of one step that nothing holds up; return what credit it lacks where it need only wait for that.

        As most sends find it: nobody stands there, and the credit is there. The step is the same one that the queue would do;
        what it saves is to join the queue, to be served and to leave. What its credit covers the cap does. None, and the ticket
        not settled: nothing has changed, and all there is to ask must be asked.
        """
        gate, parcel = self._gates.get(channel), ticket.parcel
        if gate is None or gate.queue or gate.paused_by_us or gate.paused_by_peer:
            return None
        if self._closed is not None or not self.epoch or self._offline is not None:
            return None
        if self.epoch > 1:
            parcel.renew()  # it may have been made for the peer of an earlier line
        if parcel.refusal() is not None:
            return None
        step = parcel.next_step(gate.ledger)
        if isinstance(step, Shortage):
            is_within_cap = step.needed.byte_credits <= gate.ledger.byte_credits.cap
            return step if is_within_cap and not parcel.may_stream_early else None
        if step.last and (step.cargo is None or self._outlet.has_room(step.wire_bytes)):
            self._commit(gate, ticket, step)
        return None

    def _pass_now(self, gate: Gate[C], ticket: Ticket[C]) -> None:
        """Admit the whole parcel at once or raise. Requires the lock."""
        step: Step[C] | Shortage = Shortage(WaitCause.BEHIND_OTHERS, NOTHING)
        if self._offline is not None or gate.first() is None:
            step = self._next_step(gate, ticket)
        if isinstance(step, Shortage):
            raise refused(ticket.parcel, self._standing(gate, ticket, step))
        self._commit(gate, ticket, step)

    def _join(self, channel: str, ticket: Ticket[C], lacks: Shortage | None) -> Gate[C]:
        """Have a ticket stand in line, which lacks credit or else must be looked at again. Requires the lock."""
        gate = self._gates[channel] if lacks is not None else self.entrance(channel, ticket.parcel)
        gate.add(ticket)
        if lacks is not None:
            gate.shortage = lacks
        elif len(gate.queue) == 1:  # else the first in line was looked at when anything last changed for it
            self.serve((gate,))
        if lacks is not None or not ticket.is_over:
            gate.note_busy(ticket)
        return gate

    def _wait_in_turn(self, gate: Gate[C], ticket: Ticket[C], timeout_s: float | None) -> None:
        """Wait until a ticket was served that has joined the queue. Requires the lock."""
        if not ticket.settled and ticket.failure is None:
            ticket.condition = self._parking.new_bell()
            if self._sink.heeds_waits:
                self.report.blocked(gate, ticket, self._why)
            self._watcher.blocked(gate)
        first = gate.head() is ticket
        cause = gate.shortage.cause if first and gate.shortage is not None else WaitCause.BEHIND_OTHERS
        try:
            self._wait_for_turn(gate, ticket, timeout_s)
        finally:
            if ticket.condition is not None:
                over_s = self._clock() if ticket.admitted_s is None else ticket.admitted_s
                self._watcher.waited(gate, cause, over_s - ticket.since_s)

    def _wait_for_turn(self, gate: Gate[C], ticket: Ticket[C], timeout_s: float | None) -> None:
        """Wait until a ticket in the queue was served. Requires the lock."""
        deadline_s = None if timeout_s is None else ticket.since_s + timeout_s
        while not ticket.settled:
            if ticket.failure is not None:
                raise failed(gate.channel, ticket.parcel, ticket.failure)
            remaining_s = None if deadline_s is None else deadline_s - self._clock()
            if remaining_s is not None and remaining_s <= 0:
                standing = self._standing(gate, ticket, self._why(gate, ticket))
                # Decided here, under the lock: a grant that comes before we have left must find nobody standing.
                ticket.abandoned = True
                raise timed_out(ticket.parcel, standing)
            if ticket.condition is not None:
                self._parking.wait(ticket.condition, remaining_s)

    def _clear_place(self, gate: Gate[C], ticket: Ticket[C]) -> None:
        """Take an abandoned ticket out of the queue and admit the next. Requires the lock."""
        self._unserved.add(gate)  # first: interrupted from here on, the next to take the lock still admits who is behind
        gate.last_left_s = self._clock()
        if ticket.joined and ticket in gate.queue:
            gate.leave(ticket)
            ticket.wake()  # another thread may wait in `go_on`
            self.report.backlog(gate)
        self.mend()

    # ---- For those who ask why -------------------------------------------------------------------------------------------------

    def explain(self, channel: str) -> Explanation:
        """Return why `channel` stands still, or that it does not. Requires the lock."""
        gate = self._gates.get(channel) or Gate(channel, self._new_ledger(channel))
        first = gate.first()
        if self._closed is not None:
            return over(channel, str(self._closed), self._grant_age_s(gate))
        if first is None:
            hold, age_s = self.hold_of(gate), self._grant_age_s(gate)
            return nobody_waits(channel, gate.ledger, hold, age_s, self.offline_text())
        return explanation(self._standing(gate, first, self._why(gate, first)))

    def stalls(self, after_s: float) -> list[ChannelStalled]:
        """Return what to tell of channels where nothing moved for `after_s` s though somebody waits; once a stall."""
        now_s, found = self._clock(), []
        for gate in self._gates.values():
            if not gate.queue:
                continue
            first = gate.first()
            if first is None or gate.stall_told:
                continue
            # From when this one came, or those before it who gave up; a queued message that came first counts as itself.
            stalled_s = now_s - max(min(first.since_s, gate.busy_since_s or math.inf), gate.last_admitted_s)
            if stalled_s >= after_s:
                why = self.explain(gate.channel)
                if why.cause == WaitCause.WRITER.value and gate.in_line() == 1:
                    continue  # an open text whose writer takes its time, and nobody behind it
                gate.stall_told = True
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
