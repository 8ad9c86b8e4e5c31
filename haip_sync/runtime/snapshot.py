"""One consistent picture of a connection, taken under its lock."""

from __future__ import annotations

from haip_sync.config import FlowControlConfig
from haip_sync.errors import WaitCause
from haip_sync.flow.gates import Gate
from haip_sync.runtime.connection import Connection
from haip_sync.runtime.outgoing import Entry
from haip_sync.runtime.rooms import Rooms
from haip_sync.state import ChannelState, ConnectionState


def connection_state(connection: Connection, config: FlowControlConfig, now_s: float) -> ConnectionState:
    """Return the connection at this moment. Any thread, without the lock."""
    connection.home.check()
    rooms = connection.rooms
    is_reentered = rooms.parking.is_held_here()
    with rooms.parking.lock:
        if not is_reentered:  # in a signal handler: somebody is in the middle of it
            rooms.turnstile.mend()
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
            channels={gate.channel: _channel_state(rooms, gate, config, now_s) for gate in rooms.turnstile.gates},
            last_error=None if failure is None else str(failure),
            phase=phase,
            attempt=offline.attempt if is_offline and offline else 0,
            next_try_s=offline.next_try_s if is_offline and offline else None,
            offline_since_s=offline.since_s if is_offline and offline else None,
            last_loss=connection.last_loss,
        )


def _channel_state(rooms: Rooms, gate: Gate[Entry], config: FlowControlConfig, now_s: float) -> ChannelState:
    messages, size = gate.ledger.messages, gate.ledger.byte_credits
    caps = config.caps_for(gate.channel)
    window = rooms.inbox.window(gate.channel)
    first = gate.first()
    cause, missing = _lack(rooms, gate)
    return ChannelState(
        credits=messages.spendable,
        byte_credits=size.spendable,
        max_credits=caps[0],
        max_credit_bytes=caps[1],
        set_aside=messages.set_aside,
        set_aside_bytes=size.set_aside,
        waiting=gate.waiting(),
        queued=gate.queued,
        queued_bytes=gate.queued_bytes,
        backlog=gate.in_line(),
        oldest_wait=0.0 if first is None else max(0.0, now_s - first.since_s),
        paused_by_us=gate.paused_by_us,
        paused_by_peer=gate.paused_by_peer,
        sent_messages=messages.spent,
        sent_bytes=size.spent,
        received_messages=window.received.messages,
        received_bytes=window.received.byte_credits,
        receive_window=window.remaining.messages,
        receive_window_bytes=window.remaining.byte_credits,
        receive_breaches=window.breaches,
        waiting_for=cause,
        missing=missing,
        peak_credits=messages.peak,
        peak_byte_credits=size.peak,
        granted=messages.granted,
        granted_bytes=size.granted,
        forfeited=messages.forfeited,
        forfeited_bytes=size.forfeited,
        last_grant_age=None if gate.last_grant_s is None else max(0.0, now_s - gate.last_grant_s),
    )


def _lack(rooms: Rooms, gate: Gate[Entry]) -> tuple[str | None, int]:
    """Return what the first in the queue waits for, and how much of it is missing."""
    shortage = rooms.turnstile.shortage(gate)
    if shortage is None:
        return None, 0
    missing = gate.ledger.missing(shortage.needed)
    amounts = {WaitCause.MESSAGES: missing.messages, WaitCause.BYTES: missing.byte_credits}
    return shortage.cause.value, amounts.get(shortage.cause, 0)
