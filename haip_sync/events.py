"""What a client tells its listeners: typed, frozen events, and the contract of those who listen.

A listener is any callable of one argument. Listeners run one after another on the client's dispatch thread, in the order
in which the ledger moved, and never under a lock. One that raises is reported (log and `WarningRaised`) and stays
subscribed; one that is slow delays the others, not the senders. When more events wait than the dispatcher holds, data events
are dropped and counted in a `WarningRaised`, while state changes are kept as the latest of their kind and channel.
A listener may call everything that does not wait: sends need `timeout=0`, anything longer raises `DeadlockError`.

Times (`time_s`) are seconds on the monotonic clock of the process.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, Protocol, TypeVar, runtime_checkable

import msgspec

from haip_sync.errors import ProtocolError

Side = Literal["us", "peer"]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="event"):
    """Something that happened on a connection. Where one is written down its class stands with it, as "event"."""

    time_s: float
    """When, in seconds on the monotonic clock."""


class ChannelEvent(Event, frozen=True, kw_only=True):
    """Something that happened on one channel."""

    channel: str


class Connected(Event, frozen=True, kw_only=True):
    """The connection stands: both HAIs were exchanged, and a listener may send. `HandshakeCompleted` follows with the details."""

    address: str
    """Scheme, host and port; never a token."""
    epoch: int = 1
    """The credit epoch that begins: 1 for the first line, one more for each that follows it."""
    resumed: bool = False
    """Whether the peer goes on with the session of the line before: nothing was lost."""


class Disconnected(Event, frozen=True, kw_only=True):
    """The line has ended; the client is over as well unless it `will_reconnect`."""

    reason: str
    """One sentence: why."""
    in_good_order: bool
    """True when we closed it, or the peer did with code 1000 or 1001."""
    code: int | None = None
    """The peer's WebSocket close code, where it sent one."""
    will_reconnect: bool = False
    """Whether the client tries to connect again: who waits goes on waiting. `Reconnecting` follows, or a last `Disconnected`."""


class Reconnecting(Event, frozen=True, kw_only=True):
    """The line is broken, and an attempt to connect again is planned."""

    attempt: int
    """Which it is of this outage, from 1."""
    delay_s: float
    """Seconds until then."""
    next_try_s: float
    """When that is, in seconds on the monotonic clock."""
    reason: str
    """One sentence: why the line is broken, or why the last attempt failed."""


class SendUnconfirmed(ChannelEvent, frozen=True, kw_only=True):
    """A message was sent on a line that broke, and nobody knows whether the peer has it.

    The peer of the next line did not go on with the session, or no other line came: the last attempt failed, `reconnect` is off,
    or the client was closed while offline. Its receipt's `outcome` is now `"indeterminate"`. Told for each such message.
    """

    message_id: str | None
    """The text's id; for a single frame its payload's `message_id`, or else the frame's own id."""
    seq: int
    """The seq of its last frame."""


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
    resumed: bool = False
    """As in `Connected`."""


_LONGEST_SHOWN: Final = 10_000
_E = TypeVar("_E", bound=Event)


def _read_late(member: str) -> Callable[[type[_E]], type[_E]]:
    """Have a member that was given as a `msgspec.Raw` decoded by whoever looks first. Any thread: all find the same in it."""

    def make(kind: type[_E]) -> type[_E]:
        slot = kind.__dict__[member]

        def look(event: _E) -> Any:
            value = slot.__get__(event)
            if isinstance(value, msgspec.Raw):
                value = msgspec.json.decode(value)
                slot.__set__(event, value)  # one store, and no change to what the event says
            return value

        setattr(kind, member, property(look))
        return kind

    return make


@_read_late("payload")
class Message(ChannelEvent, frozen=True, kw_only=True):
    """One frame from the peer, as `receive()` returns it (data frames) or as listeners see it (every frame)."""

    type: str
    """The event type of HAIP, TEXT_MESSAGE_PART for instance."""
    payload: Any
    """A mapping; a string or any JSON value for MESSAGE. Given as a `msgspec.Raw`, it is decoded when somebody looks: what nobody
    looks at costs the memory that it took on the wire. `msgspec.structs.asdict` and msgspec's encoders do not look."""
    id: str
    session: str
    seq: str
    """As sent; decimal where the peer keeps to the specification."""
    run_id: str | None = None
    thread_id: str | None = None
    transaction: str | None = None
    """The id of the transaction that it travelled in, if it did."""
    binary: bytes | None = None
    """The binary frame that belongs to it, where there is one."""
    binary_mime: str | None = None
    frame_bytes: int = 0
    """What it cost of our grant, in bytes."""
    wire_bytes: int = 0
    """What it took on the wire, in bytes, its binary frame included: of a media frame more than it costs."""
    message_credits: int = 1
    """What it cost of our grant, in messages: 0 for PART and END of a text with `credit_unit="message"`."""
    is_echo: bool = False
    """Whether it is a frame of our own that the peer sent back: nothing that the peer said itself (WIRE.md, point 20)."""
    epoch: int = 1
    """The credit epoch that it came in: what it cost is given back in that one only."""
    is_routed: bool = False
    """Whether it went to a handle (a tool call, a run, a text that somebody reads part by part) and not to `receive()`."""

    @property
    def audio(self) -> bytes | None:
        """The sound of an AUDIO_CHUNK, whether it came as a binary frame or as base64; None for other types.

        Raises `ProtocolError` (remote) for base64 that is none.
        """
        data = self.payload.get("data") if isinstance(self.payload, Mapping) else None
        if self.type != "AUDIO_CHUNK" or self.binary is not None or not isinstance(data, str):
            return self.binary if self.type == "AUDIO_CHUNK" else None
        try:
            return base64.b64decode(data, validate=True)
        except ValueError as exc:
            raise ProtocolError(f"AUDIO_CHUNK {self.id} has data that is no base64: {exc}", blame="remote") from exc

    def __repr__(self) -> str:
        """Show every member; of payload and binary frame, where they are long, no more than their size."""
        if self.wire_bytes <= _LONGEST_SHOWN:
            return super(Message, self._looked_at()).__repr__()
        binary_bytes = len(self.binary or b"")
        sizes = {"payload": _Size(self.wire_bytes - binary_bytes), "binary": _Size(binary_bytes) if self.binary else None}
        return super(Message, msgspec.structs.replace(self, **sizes)).__repr__()

    def __eq__(self, other: object) -> bool:
        return super(Message, self._looked_at()).__eq__(other._looked_at()) if isinstance(other, Message) else NotImplemented

    def __hash__(self) -> int:
        return super(Message, self._looked_at()).__hash__()

    def _looked_at(self) -> Message:
        """Return this message, its payload decoded."""
        _ = self.payload
        return self


class _Size(int):
    """Stands for what is too long to be shown."""

    def __repr__(self) -> str:
        return f"<{int(self)} bytes>"


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
    """cleared, cancelled or dropped; closed where its transaction ended; lost or refused where a new line could not take it."""


class MessageDequeued(ChannelEvent, frozen=True, kw_only=True):
    """All of a queued message is admitted: it has left the outbox and is being sent."""

    message_id: str
    message_bytes: int
    """What it counted there."""
    queued: int
    """How many stand in the channel's outbox now."""
    queued_bytes: int
    wait_s: float
    """Seconds that it stood there."""


class ErrorReported(Event, frozen=True, kw_only=True):
    """The peer's ERROR, or a frame of the peer's that could not be read."""

    code: str
    message: str
    reported_by: Side
    """`"peer"` for an ERROR that arrived, `"us"` for one that we found (and answered)."""
    related_id: str | None = None
    channel: str | None = None


class WindowOverrun(ErrorReported, frozen=True, kw_only=True):
    """A breach: the peer sent a frame for which it had no credit of ours. Answered with `FLOW_CONTROL_VIOLATION`."""

    event_type: str
    message_bytes: int
    """What the frame costs, in bytes."""
    kept: bool
    """Whether there was room for it all the same; if not, it was dropped."""
    breaches: int
    """How many such frames came on this channel in this epoch, this one included."""


class SendRefused(ErrorReported, frozen=True, kw_only=True):
    """The peer refused what we sent for want of credit in its books; the channel's message balance is forfeited.

    `related_id` is the id of the frame that it named; where it named none of ours, one was lost and nobody knows which.
    """

    message_id: str | None
    """The text that the frame belongs to, or the frame; its receipt's `outcome` is now `"refused"`. None: not known."""
    forfeited: int
    """Messages of credit that the channel gave up; more may be sent once the peer grants anew."""


class PongReceived(Event, frozen=True, kw_only=True):
    """A PING of ours was answered."""

    round_trip_s: float


class WarningRaised(Event, frozen=True, kw_only=True):
    """Something that a person should know: a stall, a listener that raised, events missed."""

    text: str
    channel: str | None = None
    missed: int = 0
    """How many events the listeners missed, where that is what the warning is about."""


class ChannelStalled(WarningRaised, frozen=True, kw_only=True):
    """Nothing has moved on a channel for `stall_warning` seconds though somebody waits, or nobody takes what arrived there.

    `text` is what `HAIPClient.explain` says. Told once for each stall.
    """

    cause: str
    """messages, bytes, paused_by_us and so on, as in `ChannelState.waiting_for`; `"not_taken"`: frames that nobody takes."""
    waiting: int
    """How many senders and queued messages wait; for `"not_taken"` how many frames."""
    stalled_s: float
    """Seconds since anything moved."""


class FramesLost(WarningRaised, frozen=True, kw_only=True):
    """Frames of the peer's never came: a gap in its numbers that no replay has filled. Told once for each gap."""

    first_seq: int
    last_seq: int
    """The last of them; both ends belong to it."""


EVENTS_BY_NAME: Final[Mapping[str, tuple[type[Event], ...]]] = {
    "connect": (Connected,),
    "disconnect": (Disconnected,),
    "reconnecting": (Reconnecting,),
    "handshake": (HandshakeCompleted,),
    "message": (Message,),
    "flow_update": (CreditGranted,),
    "channel_paused": (ChannelPaused,),
    "channel_resumed": (ChannelResumed,),
    "credit": (CreditChanged,),
    "blocked": (SendBlocked,),
    "admitted": (SendAdmitted,),
    "queue": (BacklogChanged, MessageQueued, MessageDequeued, MessageDropped),
    "unconfirmed": (SendUnconfirmed,),
    "error": (ErrorReported,),
    "pong": (PongReceived,),
    "warning": (WarningRaised,),
}
"""The names that `HAIPClient.on` takes, and the events that each stands for."""

ALL_EVENTS: Final[tuple[type[Event], ...]] = (
    Connected,
    Disconnected,
    Reconnecting,
    SendUnconfirmed,
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
    MessageDequeued,
    MessageDropped,
    ErrorReported,
    WindowOverrun,
    SendRefused,
    PongReceived,
    WarningRaised,
    ChannelStalled,
    FramesLost,
)

GAUGES: Final = (CreditChanged, BacklogChanged)
"""Events of which only the latest per channel matters."""

Listener = Callable[[Any], object]
"""Called with one event; what it returns is ignored."""


@runtime_checkable
class Subscription(Protocol):
    """What `subscribe` and `on` return. `isinstance` knows it by its `close`."""

    def close(self) -> None:
        """Stop listening. Idempotent, from any thread; an event already under way may still arrive."""
