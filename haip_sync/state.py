"""Frozen receipts and snapshots: what sends and `connection_state()` return. They are of one moment and never change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Outcome = Literal["sent", "acknowledged", "refused", "indeterminate"]

Phase = Literal["new", "connecting", "open", "offline", "closed"]
"""Where a client stands: not connected yet; about to, for the first time; both HAIs exchanged; the line is broken, and another is
being tried; over."""


# Structs, as frames are: made in C for a fifth of what __init__ costs, and nothing that the garbage collector looks at. Every
# send makes them, and holds on to none in a circle.


class Fate(msgspec.Struct, eq=False, gc=False):
    """What became of one send, as far as is known. Written by its connection, under its lock; read by anybody."""

    channel: str
    message_id: str | None
    outcome: Outcome = "sent"


class SendReceipt(msgspec.Struct, eq=False, gc=False):
    """What a send that succeeded returns. Two receipts of one send are equal.

    Attributes:
        message_id: The text's id; for a single frame its payload's `message_id`, or else the frame's own id.
        seq: The seq of its last frame.
    """

    message_id: str
    seq: int
    _fate: Fate

    @property
    def outcome(self) -> Outcome:
        """What is known of it now: it goes on changing after the send has returned.

        `"sent"`: its last frame was handed to the operating system, or is within a few milliseconds where messages come so fast
        that they leave together (WIRE.md, point 10). `"acknowledged"`: the peer's `ack` has reached it.
        `"refused"`: the peer answered a frame of it with `INSUFFICIENT_CREDITS` or `FLOW_CONTROL_VIOLATION` (WIRE.md, point 17).
        `"indeterminate"`: the line was lost or closed before either, and the peer did not go on with the session; nobody knows
        whether it has it. While a reconnect may still settle that it stays `"sent"`.
        """
        return self._fate.outcome

    def __repr__(self) -> str:
        return f"SendReceipt(message_id={self.message_id!r}, seq={self.seq}, outcome={self.outcome!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SendReceipt):
            return NotImplemented
        return (self.message_id, self.seq) == (other.message_id, other.seq)

    def __hash__(self) -> int:
        return hash((self.message_id, self.seq))


class Waited(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Waits for one cause that are over."""

    count: Annotated[int, Meta(ge=0)]
    total_s: Annotated[float, Meta(ge=0.0)]
    """How long they took, all together."""

    def minus(self, before: Waited) -> Waited:
        """Return what has come since."""
        return Waited(self.count - before.count, max(0.0, self.total_s - before.total_s))


class ChannelState(msgspec.Struct, frozen=True, kw_only=True):
    """One channel at one moment. Credits are messages and bytes; see `FlowControlConfig` for what they count."""

    credits: int
    """Messages that may be sent now."""
    byte_credits: int
    """Bytes that may be sent now."""
    max_credits: int
    """The cap on `credits`."""
    max_credit_bytes: int
    """The cap on `byte_credits`."""
    set_aside: int
    """Messages granted above the cap; they enter as credit is spent."""
    set_aside_bytes: int
    """The same in bytes."""
    waiting: int
    """Threads that stand in the channel's queue."""
    queued: int
    """Queued messages that no thread waits for."""
    queued_bytes: int
    """Their bytes."""
    backlog: int
    """`waiting + queued`: all that is accepted and not yet admitted."""
    oldest_wait: float
    """Seconds that the first of them has waited; 0.0 when nobody waits."""
    paused_by_us: bool
    """`pause_channel` was called and `resume_channel` was not."""
    paused_by_peer: bool
    """The peer sent PAUSE_CHANNEL and not yet RESUME_CHANNEL."""
    sent_messages: int
    """Message credit spent in this epoch: frames, or texts with `credit_unit="message"`."""
    sent_bytes: int
    """Byte credit spent in this epoch."""
    received_messages: int
    """What the peer has spent of our grants in this epoch, in messages."""
    received_bytes: int
    """The same in bytes."""
    receive_window: int
    """What the peer may still send, in messages; negative when it overran."""
    receive_window_bytes: int
    """The same in bytes."""
    receive_breaches: int = 0
    """Frames that the peer sent in this epoch without credit for them."""
    waiting_for: str | None
    """What the first in the queue lacks: messages, bytes, paused_by_us, paused_by_peer, offline, socket; None: nobody waits."""
    missing: int
    """How much more of `waiting_for` (messages or bytes) the first in the queue needs; 0 for the other causes."""
    peak_credits: int
    """The largest `credits` that the channel has held in this epoch."""
    peak_byte_credits: int
    """The same in bytes."""
    granted: int
    """Messages that the peer has granted in this epoch, the first balance included.
    Always `sent_messages + credits + set_aside + forfeited`."""
    granted_bytes: int
    """The same in bytes."""
    forfeited: int
    """Messages that a refusal took away."""
    forfeited_bytes: int
    """The same in bytes."""
    last_grant_age: float | None = None
    """Seconds since the peer's last grant in this epoch; None: it has granted nothing since the handshake."""
    waits: Mapping[str, Waited] = {}
    """The sends that had to wait and wait no longer, by what held them up first: since the client was made, or `reset_metrics`.
    `metrics()` has how they were spread."""

    @property
    def is_conserved(self) -> bool:
        """Whether no credit has come or gone without a cause: what was granted is spent, spendable, set aside or forfeited.

        True in every state; checked after every step as well where `HAIP_SYNC_DEBUG=1` is in the environment.
        """
        messages = self.sent_messages + self.credits + self.set_aside + self.forfeited
        size = self.sent_bytes + self.byte_credits + self.set_aside_bytes + self.forfeited_bytes
        return (self.granted, self.granted_bytes) == (messages, size)

    @property
    def paused(self) -> bool:
        """Whether either side holds the channel."""
        return self.paused_by_us or self.paused_by_peer


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why a channel stands still, or that it does not. `str()` of it is what a person wants to read."""

    channel: str
    text: str
    """One or two sentences."""
    cause: str | None
    """What the first in the queue lacks, as in `ChannelState.waiting_for`; None: nobody waits."""
    likely_cause: str | None
    """What probably stands behind it: paused_by_us, paused_by_peer, offline, socket (the peer does not read),
    peer_grants_nothing (nothing since the handshake), peer_stopped_granting (nothing since the wait began),
    peer_grants_too_little, peer_refused (a message, so that all credit is forfeited), or peer_renews_at_half (of a window, while
    what waits cannot be split). None: nothing does."""
    missing: int
    """How much more of it, in messages or bytes; 0 for the other causes."""
    waiting: int
    """How many stand in the queue, queued messages included."""
    oldest_wait: float
    """Seconds that the first of them has waited."""
    last_grant_age: float | None
    """Seconds since the peer's last grant; None: it has granted nothing since the handshake."""

    def __str__(self) -> str:
        return self.text


class ConnectionState(msgspec.Struct, frozen=True, kw_only=True):
    """A client at one moment, consistent over all channels: taken in one step under the connection's lock."""

    connected: bool
    """Both HAIs were exchanged and the line stands."""
    session_id: str
    """Our session id (a UUID), the same for the client's life."""
    peer_session_id: str | None
    """The session id that the peer names in its frames."""
    dialect: str | None
    """`"message"`, `"text"` or `"transaction"`; None before the first handshake, and where the peer speaks none of them."""
    epoch: int
    """Counts handshakes: 0 before the first; credit never outlives its epoch."""
    round_trip: float | None
    """Seconds from the last answered PING to its PONG; None until one was answered."""
    channels: Mapping[str, ChannelState]
    """Every channel known so far, the well-known five always among them."""
    last_error: str | None
    """Why the connection ended, in one sentence; None while it stands, before it is opened and after a close in good order."""
    phase: Phase = "new"
    """Where the client stands; `"open"` means `connected`."""
    attempt: int = 0
    """Which attempt to connect again is planned or under way, from 1; 0 while the client is not offline."""
    next_try_s: float | None = None
    """When that attempt is made, in seconds on the monotonic clock; None: it is under way, or there is none."""
    offline_since_s: float | None = None
    """Since when the client is offline, on the same clock; None: it is not."""
    last_loss: str | None = None
    """Why the latest line broke, in one sentence; None: none did."""

    @property
    def credits(self) -> dict[str, int]:
        """Spendable message credit by channel."""
        return {name: channel.credits for name, channel in self.channels.items()}

    @property
    def byte_credits(self) -> dict[str, int]:
        """Spendable byte credit by channel."""
        return {name: channel.byte_credits for name, channel in self.channels.items()}

    @property
    def queue_lengths(self) -> dict[str, int]:
        """Queued messages by channel."""
        return {name: channel.queued for name, channel in self.channels.items()}

    @property
    def paused_channels(self) -> frozenset[str]:
        """The channels that either side holds."""
        return frozenset(name for name, channel in self.channels.items() if channel.paused)
