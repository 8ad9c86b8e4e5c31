"""What we grant the peer: how much it may still send, what it has used of its window, and what we gave back."""

from __future__ import annotations

from dataclasses import dataclass

from monitor_app.model.channel_view import ChannelView
from monitor_app.model.units import format_bytes, format_count, format_messages


@dataclass(frozen=True)
class ReceiveSide:
    """The receiving side of one channel in one credit: messages, or bytes."""

    remaining: int
    """What the peer may still send; negative where it sent more than it may."""
    received: int
    """What it sent in this epoch."""
    given_back: int
    """What of it we gave back."""

    @property
    def used(self) -> int:
        """What it used and has not been given back yet."""
        return max(0, self.received - self.given_back)

    @property
    def window(self) -> int:
        """The whole window."""
        return max(0, self.remaining) + self.used


def receive_sides(view: ChannelView) -> tuple[ReceiveSide, ReceiveSide]:
    """Return the receiving side in messages and in bytes."""
    state = view.state
    messages, byte_count = view.given_back
    return (
        ReceiveSide(state.receive_window, state.received_messages, messages),
        ReceiveSide(state.receive_window_bytes, state.received_bytes, byte_count),
    )


def explain_receiving(view: ChannelView) -> str:
    """Return how it stands with what we grant the peer, in a sentence or two."""
    messages, byte_credits = receive_sides(view)
    if view.state.receive_breaches:
        return f"The peer sent {format_count(view.state.receive_breaches)} frames without credit of ours."
    if messages.remaining <= 0 or byte_credits.remaining <= 0:
        which = "messages" if messages.remaining <= 0 else "bytes"
        return f"The peer has used all its {which}; it may go on once the application takes what arrived."
    if not messages.received:
        return f"Nothing came. The peer may send {_both(messages.remaining, byte_credits.remaining)}."
    used = f"{_both(messages.used, byte_credits.used)} used and not given back" if messages.used else "all was given back"
    return f"The peer may send {_both(messages.remaining, byte_credits.remaining)}; {used}."


def _both(messages: int, byte_count: int) -> str:
    return f"{format_messages(messages)}, {format_bytes(byte_count)}"
