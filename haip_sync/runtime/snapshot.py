"""One consistent picture of a connection, taken under its lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from haip_sync.errors import WaitCause
from haip_sync.flow.gates import Gate
from haip_sync.runtime.connection import Connection
from haip_sync.runtime.entry import Entry
from haip_sync.runtime.rooms import Rooms
from haip_sync.state import ChannelState, ConnectionState

_T = TypeVar("_T")


def glance(connection: Connection, take: Callable[[], _T]) -> _T:
    """Return what `take` reads of a connection in one step, under its lock. Any thread, without the lock."""
    connection.home.check()
    rooms = connection.rooms
    is_reentered = rooms.parking.is_held_here()
    with rooms.parking.lock:
        if not is_reentered:  # in a signal handler: somebody is in the middle of it
            rooms.turnstile.mend()
        return take()


def connection_state(connection: Connection, now_s: float) -> ConnectionState:
    """Return the connection at this moment. Any thread, without the lock."""
    return glance(connection, lambda: _state(connection, now_s))


def _state(connection: Connection, now_s: float) -> ConnectionState:
    rooms = connection.rooms
    failure, offline = connection.failure, rooms.turnstile.offline
    phase = connection.phase
    is_offline = phase == "offline" and offline is not None
    return ConnectionState(
        connected=connection.is_open,
        session_id=rooms.session.session_id,
        peer_session_id=rooms.session.peer_session_id,
        dialect=rooms.session.dialect_name,
        epoch=rooms.turnstile.epoch,
        round_trip=connection.heartbeat.round_trip_s,
        channels={gate.channel: _channel_state(connection, gate, now_s) for gate in rooms.turnstile.gates},
        last_error=None if failure is None else str(failure),
        phase=phase,
        attempt=offline.attempt if is_offline and offline else 0,
        next_try_s=offline.next_try_s if is_offline and offline else None,
        offline_since_s=offline.since_s if is_offline and offline else None,
        last_loss=connection.last_loss,
    )


class _Line(msgspec.Struct, frozen=True):
    """Who stands on a channel; the defaults: nobody."""

    waiting: int = 0
    backlog: int = 0
    oldest_wait: float = 0.0
    waiting_for: str | None = None
    missing: int = 0


_NOBODY: Final = _Line()


def _channel_state(connection: Connection, gate: Gate[Entry], now_s: float) -> ChannelState:
    # Who looks at a script twenty times a second holds its lock for this long: what can be asked once is asked once.
    messages, size = gate.ledger.messages, gate.ledger.byte_credits
    window = connection.rooms.inbox.window(gate.channel)
    received, remaining = window.received, window.remaining
    line = _line(connection.rooms, gate, now_s) if gate.queue else _NOBODY
    return ChannelState(
        credits=messages.spendable,
        byte_credits=size.spendable,
        max_credits=messages.cap,
        max_credit_bytes=size.cap,
        set_aside=messages.set_aside,
        set_aside_bytes=size.set_aside,
        waiting=line.waiting,
        queued=gate.queued,
        queued_bytes=gate.queued_bytes,
        backlog=line.backlog,
        oldest_wait=line.oldest_wait,
        paused_by_us=gate.paused_by_us,
        paused_by_peer=gate.paused_by_peer,
        sent_messages=messages.spent,
        sent_bytes=size.spent,
        received_messages=received.messages,
        received_bytes=received.byte_credits,
        receive_window=remaining.messages,
        receive_window_bytes=remaining.byte_credits,
        receive_breaches=window.breaches,
        waiting_for=line.waiting_for,
        missing=line.missing,
        peak_credits=messages.peak,
        peak_byte_credits=size.peak,
        granted=messages.granted,
        granted_bytes=size.granted,
        forfeited=messages.forfeited,
        forfeited_bytes=size.forfeited,
        last_grant_age=None if gate.last_grant_s is None else max(0.0, now_s - gate.last_grant_s),
        waits=connection.watch.metrics.over(gate.channel),
    )


def _line(rooms: Rooms, gate: Gate[Entry], now_s: float) -> _Line:
    """Return who stands on a channel, and what the first of them lacks."""
    first, cause, missing = gate.first(), None, 0
    shortage = rooms.turnstile.shortage(gate)
    if shortage is not None:
        lacking = gate.ledger.missing(shortage.needed)
        amounts = {WaitCause.MESSAGES: lacking.messages, WaitCause.BYTES: lacking.byte_credits}
        cause, missing = shortage.cause.value, amounts.get(shortage.cause, 0)
    oldest_wait = 0.0 if first is None else max(0.0, now_s - first.since_s)
    return _Line(gate.waiting(), gate.in_line(), oldest_wait, cause, missing)
