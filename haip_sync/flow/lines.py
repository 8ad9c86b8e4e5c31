"""The lines of one connection: what its frames, its connections and its end do to those who stand in them.

Grants, pauses, epochs, and what a new peer takes no more. Waiting is the turnstile's. Every method requires the lock.
"""

from __future__ import annotations

from haip_sync.errors import HAIPError
from haip_sync.flow.admission import Admission
from haip_sync.flow.gates import C, Gate, Ticket
from haip_sync.flow.ledger import Cost
from haip_sync.flow.outcomes import Reason, left_unsent, refused_later, taken_out


class Lines(Admission[C]):
    """Gates that are opened, held and closed. For the connection's own threads, which combine them with other state."""

    def open_epoch(self, messages: int | None, byte_credits: int | None) -> None:
        """Begin a credit epoch with these amounts on every channel (None: the configuration's). Requires the lock."""
        self.epoch += 1
        self._initial = (messages, byte_credits)
        for gate in self._gates.values():
            gate.ledger = self._new_ledger(gate.channel)
            gate.streams_early = False
            gate.paused_by_peer = False
            gate.last_grant_s = gate.asked_s = None
            self.report.credit(gate)
        self._watcher.begin_epoch(self._gates.values())
        self.serve(tuple(self._gates.values()))

    def grant(self, channel: str, amount: Cost) -> None:
        """Enter a grant of the peer's and admit who can go. Requires the lock."""
        gate = self._gates.get(channel) or self.gate(channel)
        self._unserved.add(gate)
        before = gate.ledger
        gate.ledger = before.grant(amount)
        gate.last_grant_s, gate.asked_s = self._clock(), None
        self._watcher.granted(gate, amount)
        if self._sink.heeds_grants:
            self.report.granted(gate, amount, before)
            self.report.credit(gate)
        self._serve(gate)

    def forfeit(self, channel: str) -> int:
        """Give up the message balance of `channel`, what is set aside included; return how much. Requires the lock."""
        gate = self.gate(channel)
        before = gate.ledger
        gate.ledger = before.forfeit_messages()
        self._unserved.add(gate)
        if self._watcher.heeds_spending:
            self._watcher.spent(gate)
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
        gate.shortage = None  # who looked meanwhile saw a pause, and nobody who lacks credit
        self.serve((gate,))

    def withdraw(self) -> None:
        """Take out of every line what may not be sent any more, and admit who stood behind it. Requires the lock.

        Twice is once, and interrupted anywhere it can be done again.
        """
        for gate in self._gates.values():
            for ticket in tuple(gate.queue):
                refusal = None if ticket.settled or ticket.abandoned else ticket.parcel.refusal()
                if refusal is not None:
                    self._take_out(gate, ticket, refusal)
            for place in gate.room:
                if place.parcel.refusal() is not None:
                    place.wake()
        self.mend()

    def _take_out(self, gate: Gate[C], ticket: Ticket[C], why: HAIPError, reason: Reason = "closed") -> None:
        """Take a ticket out of the line because what it stands for may not be sent any more."""
        self._unserved.add(gate)
        if ticket.failure is None:
            ticket.failure = why if ticket.pending is None else refused_later(ticket.parcel, ticket.pending, why, reason)
        ticket.wake()
        gate.leave(ticket)
        self.report.withdrawn(gate, ticket, reason)
        self._poke()  # somebody may wait until all is sent

    def renew(self, lost: HAIPError | None) -> None:
        """Fit what stands in line to the peer of a new line, and take out what that takes no more. Requires the lock.

        `lost`: why a text in mid-stream cannot go on; None: the peer resumes, and it does.
        """
        for gate in self._gates.values():
            for ticket in tuple(gate.queue):
                if ticket.is_over:
                    continue
                ticket.parcel.renew()
                refusal = ticket.parcel.refusal()
                if ticket.parcel.progress.frames and lost is not None:
                    self._take_out(gate, ticket, lost, "lost")
                elif refusal is not None:
                    self._take_out(gate, ticket, refusal, "refused")
            for place in gate.room:
                place.parcel.renew()
                if place.parcel.refusal() is not None:
                    place.wake()
        self.mend()

    def close(self, error: HAIPError) -> dict[str, int]:
        """Let nobody through any more, and tell everyone who waits why; the first cause wins. Requires the lock.

        Return how many messages were queued, by channel.
        """
        left: dict[str, int] = {}
        if self._closed is None:
            self._closed = error
        for gate in self._gates.values():
            for ticket in tuple(gate.queue):
                if ticket.pending is not None and not ticket.is_over:
                    self.left_over = True  # first: closed once more after an interrupt, this one is over
                    left[gate.channel] = left.get(gate.channel, 0) + 1
                self._end(ticket, self._closed)
                gate.leave(ticket)
            for place in gate.room:
                place.wake()
            self.report.backlog(gate)
        return left

    def leave(self, error: HAIPError) -> dict[str, int]:
        """Let nobody through any more because the program ends, and tell the holders of queued messages only. Requires the lock.

        Return how many messages were queued, by channel. Threads that wait sleep on.
        """
        left: dict[str, int] = {}
        self._closed = self._closed or error
        for gate in self._gates.values():
            for ticket in tuple(gate.queue):
                if ticket.pending is not None and not ticket.is_over:
                    self.left_over = True
                    self._end(ticket, error)
                    left[gate.channel] = left.get(gate.channel, 0) + 1
                gate.leave(ticket)
        return left

    def _end(self, ticket: Ticket[C], closed: HAIPError) -> None:
        """Tell whoever holds a ticket that nobody goes through any more. Interrupted anywhere, it is done again."""
        pending = ticket.pending
        if pending is not None and ticket.failure is None and not ticket.parcel.progress.frames:
            # Without an error yet: everybody waits for the lock while very many are made, and the garbage collector with them.
            pending.settle(left_unsent)
            ticket.failure = closed  # not before: what has failed is not settled here again
            return
        ticket.failure = ticket.failure or (closed if pending is None else taken_out(ticket, pending, "closed"))
        ticket.wake()
