"""What a client tells its listeners: typed, frozen events, and the contract of those who listen.

A listener is any callable of one argument. Listeners run one after another on the client's dispatch thread, in the order
in which the ledger moved, and never under a lock. One that raises is reported (log and `WarningRaised`) and stays
subscribed; one that is slow delays the others, not the senders. When more events wait than the dispatcher holds, data events
are dropped and counted in a `WarningRaised`, while state changes are kept as the latest of their kind and channel.
A listener may call everything that does not wait: sends need `timeout=0`, anything longer raises `DeadlockError`.

Times (`time_s`) are seconds on the monotonic clock of the process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, Protocol

import msgspec

Side = Literal["us", "peer"]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened on a connection."""

    time_s: float
    """When, in seconds on the monotonic clock."""


class ChannelEvent(Event, frozen=True, kw_only=True):
    """Something that happened on one channel."""

    channel: str


class Connected(Event, frozen=True, kw_only=True):
    """The WebSocket is open; the handshake follows."""

    address: str
    """Scheme, host and port; never a token."""


class Disconnected(Event, frozen=True, kw_only=True):
    """The connection is over."""

    reason: str
    """One sentence: why."""
    in_good_order: bool
    """True when we closed it, or the peer did with code 1000 or 1001."""
    code: int | None = None
    """The peer's WebSocket close code, where it sent one."""


class HandshakeCompleted(Event, frozen=True, kw_only=True):
    """Both HAIs were exchanged; sending may begin."""

    session_id: str
    peer_session_id: str
    haip_version: str
    """As the peer states it."""
    dialect: str
    epoch: int
    initial_credits: int
    """The first message credit of every channel, as the peer's HAI (or, without one, our configuration for USER) sets it."""
    initial_byte_credits: int
    """The same in bytes."""


class Message(ChannelEvent, frozen=True, kw_only=True):
    """One frame from the peer, as `receive()` returns it (data frames) or as listeners see it (every frame)."""

    type: str
    """The event type of HAIP, TEXT_MESSAGE_PART for instance."""
    payload: Any
    """A mapping; a string or any JSON value for MESSAGE."""
    id: str
    session: str
    seq: str
    """As sent; decimal where the peer keeps to the specification."""
    run_id: str | None = None
    thread_id: str | None = None
    binary: bytes | None = None
    """The binary frame that belongs to it, where there is one."""
    binary_mime: str | None = None
    frame_bytes: int = 0
    """What it cost of our grant, in bytes."""


class CreditGranted(ChannelEvent, frozen=True, kw_only=True):
    """The peer's FLOW_UPDATE: more may be sent."""

    add_messages: int
    """Messages granted; 0 when only bytes were."""
    add_bytes: int
    """Bytes granted; 0 when only messages were."""
    set_aside_messages: int
    """How many of them the cap keeps aside for now."""
    set_aside_bytes: int
    """The same in bytes."""
    credits: int
    """The spendable balance afterwards, waiting senders not yet served."""
    byte_credits: int


class CreditRequested(ChannelEvent, frozen=True, kw_only=True):
    """Our FLOW_UPDATE: it asks for credit (if the peer reads it so) and grants as much (if it reads it so)."""

    add_messages: int
    add_bytes: int
    gives_back: bool
    """True when it returns what the application has taken; False when somebody asked for credit."""


class RequestExpired(ChannelEvent, frozen=True, kw_only=True):
    """A strategy's request that no grant answered in time; it is repeated, more and more rarely."""

    add_messages: int
    add_bytes: int
    age_s: float
    """Seconds since it was made."""


class CreditChanged(ChannelEvent, frozen=True, kw_only=True):
    """The spendable balance after any change: a gauge, kept as the latest per channel when listeners are slow."""

    credits: int
    byte_credits: int
    set_aside: int
    set_aside_bytes: int


class ChannelPaused(ChannelEvent, frozen=True, kw_only=True):
    """A channel is held; nothing is admitted on it until every hold is lifted."""

    by: Side
    peer_told: bool
    """Whether the peer knows: always when it paused itself; for our own pause, whether it accepts PAUSE_CHANNEL."""
    reason: str | None = None


class ChannelResumed(ChannelEvent, frozen=True, kw_only=True):
    """One hold is lifted; the other side's may still stand."""

    by: Side
    still_paused: bool


class SendBlocked(ChannelEvent, frozen=True, kw_only=True):
    """A sender has to wait."""

    cause: str
    """messages, bytes, paused_by_us, paused_by_peer, offline, socket or behind_others."""
    messages_needed: int
    """What the sender wants to take at once, in messages."""
    bytes_needed: int
    """The same in bytes."""
    credits: int
    byte_credits: int
    waiting: int
    """How many senders of the channel stand now, this one included."""


class SendAdmitted(ChannelEvent, frozen=True, kw_only=True):
    """Credit was taken and the frames have their place in the write order."""

    event_type: str
    """The type of the first frame."""
    message_id: str | None
    frames: int
    messages: int
    """Message credit taken."""
    byte_credits: int
    """Byte credit taken."""
    wait_s: float
    """Seconds in the queue; 0.0 when it did not wait."""
    last: bool
    """False for a text in mid-stream."""


class BacklogChanged(ChannelEvent, frozen=True, kw_only=True):
    """How much stands in a channel's queue: a gauge, kept as the latest per channel when listeners are slow."""

    waiting: int
    """Threads."""
    queued: int
    """Messages that no thread waits for."""
    queued_bytes: int


class MessageQueued(ChannelEvent, frozen=True, kw_only=True):
    """A message was put into the outbox."""

    message_id: str
    message_bytes: int
    """What it counts there."""
    queued: int
    """How many stand in the channel's outbox now, this one included."""
    queued_bytes: int


class MessageDropped(ChannelEvent, frozen=True, kw_only=True):
    """A queued message left the outbox unsent; whoever holds its handle is told as well."""

    message_id: str
    message_bytes: int
    reason: str
    """cleared, cancelled or dropped."""


class ErrorReported(Event, frozen=True, kw_only=True):
    """The peer's ERROR, or a frame of the peer's that could not be read."""

    code: str
    message: str
    reported_by: Side
    """`"peer"` for an ERROR that arrived, `"us"` for one that we found (and answered)."""
    related_id: str | None = None
    channel: str | None = None


class PongReceived(Event, frozen=True, kw_only=True):
    """A PING of ours was answered."""

    round_trip_s: float


class WarningRaised(Event, frozen=True, kw_only=True):
    """Something that a person should know: a stall, a listener that raised, events missed."""

    text: str
    channel: str | None = None
    missed: int = 0
    """How many events the listeners missed, where that is what the warning is about."""


EVENTS_BY_NAME: Final[Mapping[str, tuple[type[Event], ...]]] = {
    "connect": (Connected,),
    "disconnect": (Disconnected,),
    "handshake": (HandshakeCompleted,),
    "message": (Message,),
    "flow_update": (CreditGranted,),
    "channel_paused": (ChannelPaused,),
    "channel_resumed": (ChannelResumed,),
    "credit": (CreditChanged,),
    "blocked": (SendBlocked,),
    "admitted": (SendAdmitted,),
    "queue": (BacklogChanged, MessageQueued, MessageDropped),
    "error": (ErrorReported,),
    "pong": (PongReceived,),
    "warning": (WarningRaised,),
}
"""The names that `HAIPClient.on` takes, and the events that each stands for."""

ALL_EVENTS: Final[tuple[type[Event], ...]] = (
    Connected,
    Disconnected,
    HandshakeCompleted,
    Message,
    CreditGranted,
    CreditRequested,
    RequestExpired,
    CreditChanged,
    ChannelPaused,
    ChannelResumed,
    SendBlocked,
    SendAdmitted,
    BacklogChanged,
    MessageQueued,
    MessageDropped,
    ErrorReported,
    PongReceived,
    WarningRaised,
)

GAUGES: Final = (CreditChanged, BacklogChanged)
"""Events of which only the latest per channel matters."""

Listener = Callable[[Any], object]
"""Called with one event; what it returns is ignored."""


class Subscription(Protocol):
    """What `subscribe` and `on` return."""

    def close(self) -> None:
        """Stop listening. Idempotent, from any thread; an event already under way may still arrive."""
