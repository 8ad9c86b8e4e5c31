"""The outbox: messages that stand in a channel's queue without a thread, in one line with the senders that wait.

Each channel's part is bounded in messages and in bytes; what happens beyond is `FlowControlConfig.overflow`'s to say. Whatever is
dropped, cleared, cancelled or left over is told to whoever holds its handle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from haip_sync.config import FlowControlConfig
from haip_sync.errors import ConnectionClosedError, DeadlockError, QueueFullError
from haip_sync.flow.gates import Gate, Parcel, RoomPlace, Ticket
from haip_sync.flow.outcomes import Reason, not_sent, taken_out
from haip_sync.flow.parking import Parking
from haip_sync.flow.pending import PendingSend
from haip_sync.flow.turnstile import Turnstile


class Outbox:
    """Queues parcels at the turnstile's gates. Every method is called without the lock, by any thread."""

    def __init__(
        self,
        parking: Parking,
        turnstile: Turnstile[Any],
        config: FlowControlConfig,
        *,
        clock: Callable[[], float],
        poke: Callable[[], None],
        is_dispatching: Callable[[], bool],
    ) -> None:
        self._parking = parking
        self._lock = parking.lock
        self._turnstile = turnstile
        self._config = config
        self._clock = clock
        self._poke = poke
        self._is_dispatching = is_dispatching

    def enqueue(self, parcel: Parcel[Any], pending: PendingSend) -> None:
        """Put a parcel in line; returns at once, or as `overflow="block"` has it once there is room.

        Raises `QueueFullError`, `MessageTooLargeError`, `ConnectionClosedError`, `DeadlockError`; nothing was queued then.
        """
        try:
            with self._lock:
                self._turnstile.mend()
                gate = self._turnstile.entrance(pending.channel, parcel)
                self._queue_up(gate, parcel, pending)
        finally:
            self._poke()  # what was admitted has no thread of its own to write it

    def _queue_up(self, gate: Gate[Any], parcel: Parcel[Any], pending: PendingSend) -> None:
        """Put a parcel in line once there is room. Requires the lock."""
        place = RoomPlace(parcel, pending.queued_bytes)
        try:
            if not self._make_room(gate, pending, place):
                pending.settle(not_sent(pending, "dropped"))
                self._turnstile.report.dropped(gate, pending, "dropped")
                return
            ticket = pending.ticket = Ticket(parcel, self._clock(), pending)
            gate.add(ticket)
            gate.note_busy(ticket)
            self._turnstile.report.queued(gate, pending)
        finally:
            # Left only now that its message stands in the queue: the next is called when there is room for two.
            if place in gate.room:
                gate.room.remove(place)
            self._turnstile.serve((gate,))

    def _make_room(self, gate: Gate[Any], pending: PendingSend, place: RoomPlace) -> bool:
        """Return whether the message may stand in the queue, after what `overflow` says was done. Requires the lock."""
        size, config = pending.queued_bytes, self._config
        if size > config.queue_max_bytes:
            text = f"a message of {size} bytes is larger than queue_max_bytes, {config.queue_max_bytes}. Nothing was queued"
            raise QueueFullError(text, channel=gate.channel)
        if self._turnstile.has_queue_room(gate, size) and not gate.room:
            return True
        match config.overflow:
            case "raise":
                held = f"holds {gate.queued} messages of {gate.queued_bytes} bytes"
                raise QueueFullError(f"the outbox of {gate.channel} is full: it {held}. Nothing was queued", channel=gate.channel)
            case "drop_newest":
                return False
            case "drop_oldest":
                return self._drop_oldest(gate, size)
            case "block":
                self._wait_for_room(gate, place)
        return True

    def _drop_oldest(self, gate: Gate[Any], size: int) -> bool:
        """Drop from the front what has not begun to leave; nothing where that would not make room either. Requires the lock."""
        if not self._could_make_room(gate, size):
            return False
        while not self._turnstile.has_queue_room(gate, size):
            ticket = next((t for t in gate.queue if t.pending and not t.is_over and not t.parcel.progress.frames), None)
            if ticket is None:
                return False
            self._remove(gate, ticket, "dropped")
        return True

    def _could_make_room(self, gate: Gate[Any], size: int) -> bool:
        """Return whether there were room if all were dropped that can be: a text in mid-stream stays. Requires the lock."""
        head, config = gate.head(), self._config  # nobody but the first in line has begun to leave
        begun = None if head is None or not head.parcel.progress.frames else head.pending
        if begun is None:
            return True
        return config.queue_max_messages > 1 and begun.queued_bytes + size <= config.queue_max_bytes

    def _wait_for_room(self, gate: Gate[Any], place: RoomPlace) -> None:
        """Wait in line for room. Requires the lock."""
        if self._is_dispatching():
            raise DeadlockError(
                f"the outbox of {gate.channel} is full, and a listener must not wait for room. Nothing was queued"
            )
        condition = place.condition = self._parking.new_bell()
        gate.room.append(place)
        while gate.room[0] is not place or not self._turnstile.has_queue_room(gate, place.size):
            place.called = False
            self._parking.wait(condition, None)
            if self._turnstile.closed is not None:
                closed = self._turnstile.closed
                raise ConnectionClosedError(f"the message was not queued: {closed}") from closed
            refusal = place.parcel.refusal()
            if refusal is not None:
                raise refusal

    def cancel(self, pending: PendingSend) -> bool:
        """Take one message back; return whether nothing of it was admitted."""
        with self._lock:
            self._turnstile.mend()
            ticket = pending.ticket
            if ticket is None or not ticket.joined or ticket.is_over or ticket.parcel.progress.frames:
                return False
            gate = self._turnstile.gate(pending.channel)
            self._remove(gate, ticket, "cancelled")
            self._turnstile.serve((gate,))
        self._poke()  # somebody may wait until all is sent
        return True

    def clear(self, channel: str) -> int:
        """Take back everything queued on `channel` that is not admitted, the head included; return how many."""
        with self._lock:
            self._turnstile.mend()
            gate = self._turnstile.find(channel)
            if gate is None:  # none is made for a question: their number is bounded
                return 0
            cleared = [ticket for ticket in gate.queue if ticket.pending is not None and not ticket.is_over]
            for ticket in cleared:
                self._remove(gate, ticket, "cleared")
            self._turnstile.serve((gate,))
        self._poke()  # somebody may wait until all is sent
        return len(cleared)

    def length(self, channel: str) -> int:
        """Return how many queued messages of `channel` are not admitted."""
        self._parking.home.check()
        is_reentered = self._parking.is_held_here()
        with self._lock:
            if not is_reentered:  # in a signal handler: somebody is in the middle of it
                self._turnstile.mend()
            gate = self._turnstile.find(channel)
            return 0 if gate is None else gate.queued

    def _remove(self, gate: Gate[Any], ticket: Ticket[Any], reason: Reason) -> None:
        """Take a queued ticket out and tell its holder. Requires the lock."""
        if ticket.pending is None:
            return
        ticket.failure = taken_out(ticket, ticket.pending, reason)
        ticket.wake()
        gate.leave(ticket)
        self._turnstile.report.dropped(gate, ticket.pending, reason)
