"""The turnstile's events: made only when somebody listens, in the order in which the ledger moved. All require the lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from haip_sync.events import (
    BacklogChanged,
    ChannelPaused,
    ChannelResumed,
    CreditChanged,
    CreditGranted,
    MessageDequeued,
    MessageDropped,
    MessageQueued,
    SendAdmitted,
    SendBlocked,
    Side,
)
from haip_sync.flow.gates import EventSink, Gate, Shortage, Step, Ticket
from haip_sync.flow.ledger import Cost, Ledger
from haip_sync.flow.pending import PendingSend

OF_EACH_SEND: Final = frozenset({SendAdmitted, CreditChanged})
"""What `Reporter.stepped` reports."""
OF_WAITS: Final = frozenset({SendBlocked, BacklogChanged})
"""What a sender tells that has to wait, and whoever admits it."""
OF_GRANTS: Final = frozenset({CreditGranted, CreditChanged})
"""What whoever brings a grant tells."""
Why = Callable[[Gate[Any], Ticket[Any]], Shortage]


class Reporter:
    """Turns what happens at a gate into events."""

    def __init__(self, sink: EventSink, clock: Callable[[], float]) -> None:
        self._sink = sink
        self._clock = clock

    def stepped(self, gate: Gate[Any], ticket: Ticket[Any], step: Step[Any], *, frames: int) -> None:
        """Report a step that was just done, and the balance after it. One that sent nothing (a wait for credit) is no news."""
        sink, cost, parcel = self._sink, step.cost, ticket.parcel
        if SendAdmitted in sink.wanted and step.cargo is not None:
            now_s = gate.last_admitted_s
            has_stood = ticket.condition is not None or ticket.pending is not None  # without a call, as every send comes here
            sink.put(
                SendAdmitted(
                    time_s=now_s,
                    channel=gate.channel,
                    event_type=parcel.event_type,
                    message_id=parcel.message_id,
                    frames=frames,
                    messages=cost.messages,
                    byte_credits=cost.byte_credits,
                    wait_s=now_s - ticket.since_s if has_stood else 0.0,
                    last=step.last,
                )
            )
        if CreditChanged in sink.wanted:
            self.credit(gate)

    def credit(self, gate: Gate[Any]) -> None:
        """Report the balance."""
        if CreditChanged in self._sink.wanted:
            messages, byte_credits = gate.ledger.messages, gate.ledger.byte_credits
            self._sink.put(
                CreditChanged(
                    time_s=self._clock(),
                    channel=gate.channel,
                    credits=messages.spendable,
                    byte_credits=byte_credits.spendable,
                    set_aside=messages.set_aside,
                    set_aside_bytes=byte_credits.set_aside,
                )
            )

    def granted(self, gate: Gate[Any], granted: Cost, before: Ledger) -> None:
        """Report a grant of the peer's; `before` is the ledger without it."""
        if CreditGranted in self._sink.wanted:
            messages, byte_credits = gate.ledger.messages, gate.ledger.byte_credits
            self._sink.put(
                CreditGranted(
                    time_s=self._clock(),
                    channel=gate.channel,
                    add_messages=granted.messages,
                    add_bytes=granted.byte_credits,
                    set_aside_messages=messages.set_aside - before.messages.set_aside,
                    set_aside_bytes=byte_credits.set_aside - before.byte_credits.set_aside,
                    credits=messages.spendable,
                    byte_credits=byte_credits.spendable,
                )
            )

    def paused(self, gate: Gate[Any], *, by_us: bool, peer_told: bool, reason: str | None) -> None:
        """Report that one side holds the channel."""
        if ChannelPaused in self._sink.wanted:
            side: Side = "us" if by_us else "peer"
            self._sink.put(ChannelPaused(time_s=self._clock(), channel=gate.channel, by=side, peer_told=peer_told, reason=reason))

    def resumed(self, gate: Gate[Any], *, by_us: bool) -> None:
        """Report that one side lifted its hold."""
        if ChannelResumed in self._sink.wanted:
            side: Side = "us" if by_us else "peer"
            still = gate.hold() is not None
            self._sink.put(ChannelResumed(time_s=self._clock(), channel=gate.channel, by=side, still_paused=still))

    def blocked(self, gate: Gate[Any], ticket: Ticket[Any], why: Why) -> None:
        """Report that a sender begins to wait; `why` is asked only when somebody listens."""
        self.backlog(gate)
        if SendBlocked in self._sink.wanted:
            spendable, shortage = gate.ledger.spendable, why(gate, ticket)
            self._sink.put(
                SendBlocked(
                    time_s=ticket.since_s,
                    channel=gate.channel,
                    cause=shortage.cause.value,
                    messages_needed=shortage.needed.messages,
                    bytes_needed=shortage.needed.byte_credits,
                    credits=spendable.messages,
                    byte_credits=spendable.byte_credits,
                    waiting=gate.in_line(),
                )
            )

    def backlog(self, gate: Gate[Any]) -> None:
        """Report how many stand in the queue."""
        if BacklogChanged in self._sink.wanted:
            self._sink.put(
                BacklogChanged(
                    time_s=self._clock(),
                    channel=gate.channel,
                    waiting=gate.waiting(),
                    queued=gate.queued,
                    queued_bytes=gate.queued_bytes,
                )
            )

    def queued(self, gate: Gate[Any], pending: PendingSend) -> None:
        """Report a message that was put into the outbox."""
        self.backlog(gate)
        if MessageQueued in self._sink.wanted:
            self._sink.put(
                MessageQueued(
                    time_s=self._clock(),
                    channel=gate.channel,
                    message_id=pending.message_id,
                    message_bytes=pending.queued_bytes,
                    queued=gate.queued,
                    queued_bytes=gate.queued_bytes,
                )
            )

    def dequeued(self, gate: Gate[Any], ticket: Ticket[Any], pending: PendingSend) -> None:
        """Report a queued message all of which was admitted."""
        if MessageDequeued in self._sink.wanted:
            now_s = self._clock()
            self._sink.put(
                MessageDequeued(
                    time_s=now_s,
                    channel=gate.channel,
                    message_id=pending.message_id,
                    message_bytes=pending.queued_bytes,
                    queued=gate.queued,
                    queued_bytes=gate.queued_bytes,
                    wait_s=max(0.0, now_s - ticket.since_s),
                )
            )

    def withdrawn(self, gate: Gate[Any], ticket: Ticket[Any], reason: str) -> None:
        """Report a ticket that was taken out of the line because it may not be sent any more."""
        if ticket.pending is None:
            self.backlog(gate)
        else:
            self.dropped(gate, ticket.pending, reason)

    def dropped(self, gate: Gate[Any], pending: PendingSend, reason: str) -> None:
        """Report a queued message that will not be sent."""
        self.backlog(gate)
        if MessageDropped in self._sink.wanted:
            self._sink.put(
                MessageDropped(
                    time_s=self._clock(),
                    channel=gate.channel,
                    message_id=pending.message_id,
                    message_bytes=pending.queued_bytes,
                    reason=reason,
                )
            )
