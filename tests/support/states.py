"""States of channels and connections, and grants, that tests make by hand: calm, and changed as asked."""

from __future__ import annotations

import msgspec

from haip_sync import ChannelState, ConnectionState, CreditGranted

CHANNELS = ("USER", "AGENT", "SYSTEM", "AUDIO_IN", "AUDIO_OUT")
_CALM = ChannelState(
    credits=100,
    byte_credits=512 * 1024,
    max_credits=100,
    max_credit_bytes=512 * 1024,
    set_aside=0,
    set_aside_bytes=0,
    waiting=0,
    queued=0,
    queued_bytes=0,
    backlog=0,
    oldest_wait=0.0,
    paused_by_us=False,
    paused_by_peer=False,
    sent_messages=0,
    sent_bytes=0,
    received_messages=0,
    received_bytes=0,
    receive_window=10,
    receive_window_bytes=1 << 20,
    waiting_for=None,
    missing=0,
    peak_credits=100,
    peak_byte_credits=512 * 1024,
    granted=100,
    granted_bytes=512 * 1024,
    forfeited=0,
    forfeited_bytes=0,
)


def make_channel(**changes: object) -> ChannelState:
    """Return a calm channel with a hundred messages and 512 KiB, changed as asked."""
    return msgspec.structs.replace(_CALM, **changes)


def make_connection(**changes: object) -> ConnectionState:
    """Return a connection that stands, with five calm channels, changed as asked."""
    state = ConnectionState(
        connected=True,
        session_id="6f1c0000-0000-4000-8000-00000000e2a9",
        peer_session_id=None,
        dialect="message",
        epoch=1,
        round_trip=0.042,
        channels=dict.fromkeys(CHANNELS, _CALM),
        last_error=None,
    )
    return msgspec.structs.replace(state, **changes)


def make_grant(time_s: float, messages: int = 0, byte_count: int = 0, **changes: object) -> CreditGranted:
    """Return a grant of so much on USER, which leaves the messages as the balance, changed as asked."""
    grant = CreditGranted(
        time_s=time_s,
        channel="USER",
        add_messages=messages,
        add_bytes=byte_count,
        set_aside_messages=0,
        set_aside_bytes=0,
        credits=messages,
        byte_credits=0,
    )
    return msgspec.structs.replace(grant, **changes)
