"""What a monitor and a running program say to each other: typed messages, validated as they are read.

Each is a msgpack map with its class in "say", in a frame of its own (`haip_sync.observe.framing`). The monitor begins with a
`Greeting`; the program answers with a `Welcome`, or a `Refusal` and the end. Figures, names, sizes and reasons travel. What
messages hold never does: `haip_sync.observe.carried` takes payloads out of events, and cuts long texts.

Times are seconds on the program's monotonic clock, `Welcome.since_s` on the wall's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Union

import msgspec

from haip_sync.errors import ConfigError
from haip_sync.events import (
    ALL_EVENTS,
    BacklogChanged,
    CreditChanged,
    Event,
    Message,
    MessageDequeued,
    MessageDropped,
    MessageQueued,
    PongReceived,
    SendAdmitted,
    SendBlocked,
)
from haip_sync.flow.metrics import FlowControlMetrics
from haip_sync.observe.command_messages import Command, Name, Said
from haip_sync.state import ConnectionState, Explanation, Phase

VERSION: Final = 1
"""Both sides must speak the same."""
MOST_FROM_MONITOR_BYTES: Final = 64 << 10
"""The largest frame that a program takes from a monitor."""
MOST_FROM_PROGRAM_BYTES: Final = 8 << 20
"""The largest frame that a monitor takes from a program: a snapshot of 1,024 channels is a tenth of it."""

if TYPE_CHECKING:
    AnyEvent = Event
else:
    AnyEvent = Union[ALL_EVENTS]  # noqa: UP007 - of a tuple there is no other way
"""Whatever a client can tell its listeners."""

_EVERYDAY: Final = (
    Message,
    CreditChanged,
    SendBlocked,
    SendAdmitted,
    BacklogChanged,
    MessageQueued,
    MessageDequeued,
    MessageDropped,
    PongReceived,
)
MARKS: Final[frozenset[type[Event]]] = frozenset(ALL_EVENTS) - frozenset(_EVERYDAY)
"""The events that a monitor gets unless it asks for every one: single sends, waits and gauges would cost the senders, and the
snapshots have their sums (`haip_sync.observe.waits`)."""


class Beat(Said, frozen=True, kw_only=True):
    """Either side is there: said when there is nothing else to say."""


# ---- From the monitor ----------------------------------------------------------------------------------------------------------


class Greeting(Said, frozen=True, kw_only=True):
    """The first message of a monitor."""

    version: int
    monitor: Name
    """What it calls itself."""


class Attach(Said, frozen=True, kw_only=True):
    """Send me this client's past, snapshots and events from now on."""

    client: Name
    every_event: bool = False
    """Single sends and gauges too (`MARKS` has the others): that costs the senders."""


class Detach(Said, frozen=True, kw_only=True):
    """No more of this client."""

    client: Name


class Ask(Said, frozen=True, kw_only=True):
    """Do this; `Answer` comes with the same number."""

    number: int
    client: Name
    command: Command


FromMonitor = Greeting | Attach | Detach | Ask | Beat


# ---- From the program ----------------------------------------------------------------------------------------------------------


class ClientSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One client of a program in a line."""

    name: str
    """Unlike that of any other client of the program."""
    address: str
    connected: bool
    phase: Phase
    """As in `ConnectionState`."""
    may_steer: bool
    """Whether it takes commands."""
    worst: str | None
    """The channel whose first sender has waited longest; None: nobody waits."""
    cause: str | None
    """What it waits for, as in `ChannelState.waiting_for`."""
    oldest_wait: float
    """Seconds that it has waited."""
    why: str
    """One or two sentences: what `HAIPClient.explain` says of the worst channel, or why the line broke; else empty."""


class Welcome(Said, frozen=True, kw_only=True):
    """The answer to a `Greeting`."""

    version: int
    pid: int
    name: str
    """The script's file name."""
    script: str
    """Its path, or how else Python was started."""
    since_s: float
    """When it first offered a client, in seconds since 1970."""
    now_s: float
    """This moment on the monotonic clock that all times are on."""
    clients: tuple[ClientSummary, ...]


class Refusal(Said, frozen=True, kw_only=True):
    """Why the program ends this connection."""

    text: str


class Roster(Said, frozen=True, kw_only=True):
    """The program's clients now; said every second, and when they change."""

    clients: tuple[ClientSummary, ...]


class ChannelSample(msgspec.Struct, frozen=True, array_like=True):
    """One channel in the ring: what plots and lanes are drawn from. Fields as in `ChannelState`."""

    credits: int
    byte_credits: int
    backlog: int
    oldest_wait: float
    waiting_for: str | None
    paused_by_us: bool
    paused_by_peer: bool
    sent_messages: int
    sent_bytes: int


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One client at one past moment."""

    time_s: float
    connected: bool
    channels: dict[str, ChannelSample]


class Past(Said, frozen=True, kw_only=True):
    """What the program remembers of a client, oldest first: a sample a second. The first thing after `Attach`."""

    client: str
    now_s: float
    samples: tuple[Sample, ...]


class Snapshot(Said, frozen=True, kw_only=True):
    """A client at this moment."""

    client: str
    now_s: float
    state: ConnectionState


class Happened(Said, frozen=True, kw_only=True):
    """Events of a client, in order."""

    client: str
    events: tuple[AnyEvent, ...]
    dropped: int
    """How many were left out since the last `Happened`, for want of room: never the latest state of anything."""


class Answer(Said, frozen=True, kw_only=True):
    """What came of an `Ask`."""

    number: int
    ok: bool
    refused: bool = False
    """The program does not let this monitor do that; nothing was done."""
    text: str
    """One sentence: what was done, or why it was not."""
    explanation: Explanation | None = None
    metrics: FlowControlMetrics | None = None


FromProgram = Welcome | Refusal | Roster | Past | Snapshot | Happened | Answer | Beat

_ENCODER: Final = msgspec.msgpack.Encoder()
_FROM_MONITOR: Final[msgspec.msgpack.Decoder[Any]] = msgspec.msgpack.Decoder(FromMonitor)
_FROM_PROGRAM: Final[msgspec.msgpack.Decoder[Any]] = msgspec.msgpack.Decoder(FromProgram)


class MalformedError(Exception):
    """Bytes that are no message; the text says what is wrong with them."""


def encoded(message: Said) -> bytes:
    """Return the body of a frame."""
    return _ENCODER.encode(message)


def understood(message: FromMonitor) -> bytes:
    """Return the body of a frame that programs understand: what they do not ends the connection.

    Raises `ConfigError` where a member is of another type than it should be, or out of its range.
    """
    try:
        body = _ENCODER.encode(message)
        if len(body) <= MOST_FROM_MONITOR_BYTES:  # what is too large has an error of its own
            _FROM_MONITOR.decode(body)
    except (msgspec.MsgspecError, TypeError, ValueError, ArithmeticError, RecursionError) as exc:
        raise ConfigError(f"a wrong argument: {exc}. Nothing was asked") from exc
    return body


def from_monitor(body: bytes) -> FromMonitor:
    """Return what a monitor says. Raises `MalformedError`."""
    said: FromMonitor = _decoded(_FROM_MONITOR, body)
    return said


def from_program(body: bytes) -> FromProgram:
    """Return what a program says. Raises `MalformedError`."""
    said: FromProgram = _decoded(_FROM_PROGRAM, body)
    return said


def _decoded(decoder: msgspec.msgpack.Decoder[Any], body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise MalformedError(f"{len(body)} bytes that are no message: {exc}") from exc
    except RecursionError as exc:
        raise MalformedError(f"{len(body)} bytes that are nested too deep") from exc
