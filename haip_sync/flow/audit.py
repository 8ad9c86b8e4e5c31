"""The books, checked all the time: what `HAIP_SYNC_DEBUG=1` switches on. Slower, never different.

An audit that fails is a bug of haip_sync's own, not of its user's or the peer's. It raises `AssertionError` in the thread that
found it: a sender gets it from its call; in the client's own threads it ends the connection, and the log says so. The first
finding is the last one, because what is wrong must still be able to end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, Final

from haip_sync.flow.gates import Gate, Shortage, Step, Ticket
from haip_sync.flow.receive_window import ReceiveWindow

ENVIRONMENT: Final = "HAIP_SYNC_DEBUG"
"""The environment variable; anything but nothing, 0, false, no and off switches the audit on."""

NextStep = Callable[[Gate[Any], Ticket[Any]], Step[Any] | Shortage]


def is_wanted() -> bool:
    """Return whether the environment asks for the audit."""
    return os.environ.get(ENVIRONMENT, "").strip().lower() not in ("", "0", "false", "no", "off")


def audit_gate(gate: Gate[Any], next_step: NextStep) -> None:
    """Check one channel, once everything due there is done. Requires the lock. Raises `AssertionError`, naming the books.

    Credit is conserved; the counters of the outbox agree with what stands there; and nobody waits who could go.
    """
    audit_credit(gate)
    queued = [ticket.pending for ticket in gate.queue if ticket.pending is not None]
    counted, size = (gate.queued, gate.queued_bytes), sum(pending.queued_bytes for pending in queued)
    if counted != (len(queued), size):
        raise AssertionError(f"{gate.channel}: the outbox counts {counted}, {len(queued)} messages of {size} bytes stand there")
    head = gate.head()
    # One that is over may still stand here: who abandons a place says so without the lock, and clears it with it.
    if head is not None and not head.is_over and isinstance(next_step(gate, head), Step):
        raise AssertionError(f"{gate.channel}: {head.parcel.event_type} stands first in line though it could go")


def audit_credit(gate: Gate[Any]) -> None:
    """Check that a channel's credit is conserved. Requires the lock. Raises `AssertionError`."""
    if not gate.ledger.is_conserved():
        raise AssertionError(f"{gate.channel}: granted = spent + spendable + set aside + forfeited does not hold: {gate.ledger}")


def audit_windows(windows: Iterable[tuple[str, ReceiveWindow]]) -> None:
    """Check what we grant the peer. Requires the lock. Raises `AssertionError`."""
    for channel, window in windows:
        if not window.is_conserved():
            books = f"{window.books}, received {window.received}, waiting {window.waiting} in {window.frames_waiting} frames"
            raise AssertionError(f"{channel}: remaining + waiting + owed = opened does not hold: {books}")
