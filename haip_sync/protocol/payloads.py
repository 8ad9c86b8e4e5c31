"""What each event type carries, typed and validated, in both directions (HAIP 1.1.2); here the control frames' own payloads.

One table, `KINDS`, names the payload of every event type that is known. Validation is the same for what arrives and for what
is sent; only the blame differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Final, TypeVar, cast

import msgspec

from haip_sync.config import MOST_EXACT, check_channel
from haip_sync.errors import ConfigError, ProtocolError
from haip_sync.protocol import event_payloads as events
from haip_sync.protocol.event_payloads import Payload
from haip_sync.protocol.identifiers import shown
from haip_sync.protocol.names import (
    AUDIO_CHUNK,
    ERROR,
    FLOW_UPDATE,
    HAI,
    MESSAGE,
    PAUSE_CHANNEL,
    PING,
    PONG,
    REPLAY_REQUEST,
    RESUME_CHANNEL,
)

MOST_CREDIT: Final = MOST_EXACT
"""The largest amount of a grant; one beyond it is a bad payload."""

_Amount = Annotated[int, msgspec.Meta(ge=0, le=MOST_CREDIT)]


class InitialCredit(Payload, frozen=True, kw_only=True):
    """`capabilities.flow_control` of a HAI."""

    initial_credit_messages: _Amount | None = None
    initial_credit_bytes: _Amount | None = None


class Capabilities(Payload, frozen=True, kw_only=True):
    """`capabilities` of a HAI; members that we do not use are ignored."""

    binary_frames: bool = False
    flow_control: InitialCredit = InitialCredit()
    max_concurrent_runs: Any = None
    """How many runs the peer allows together; anything but a whole number says nothing."""


class Hello(Payload, frozen=True, kw_only=True):
    """The payload of HAI. Published servers leave out what they do not care for."""

    haip_version: str = ""
    accept_major: tuple[int, ...] = (1,)
    accept_events: frozenset[str] = frozenset()
    capabilities: Capabilities = Capabilities()
    last_rx_seq: Any = None
    auth: Any = None


class FlowUpdate(Payload, frozen=True, kw_only=True):
    """FLOW_UPDATE, in the form of the specification and in that of a published example (`action` and `credits`).

    The specification wants amounts >= 1; a zero is read as left out.
    """

    channel: str
    add_messages: _Amount = 0
    add_bytes: _Amount = 0
    action: str | None = None
    credits: _Amount = 0

    @property
    def messages(self) -> int:
        """Messages granted."""
        return self.add_messages + (self.credits if self.action == "grant_credits" else 0)


class ChannelName(Payload, frozen=True, kw_only=True):
    """PAUSE_CHANNEL and RESUME_CHANNEL."""

    channel: str


class PeerError(Payload, frozen=True, kw_only=True):
    """ERROR."""

    code: str
    message: str = ""
    related_id: str | None = None
    detail: Any = None


class Nonce(Payload, frozen=True, kw_only=True):
    """PING and PONG."""

    nonce: str | int | None = None


KINDS: Final[Mapping[str, type[Payload]]] = MappingProxyType(
    {
        HAI: Hello,
        PING: Nonce,
        PONG: Nonce,
        ERROR: PeerError,
        FLOW_UPDATE: FlowUpdate,
        PAUSE_CHANNEL: ChannelName,
        RESUME_CHANNEL: ChannelName,
        REPLAY_REQUEST: events.ReplayRequest,
        "RUN_STARTED": events.RunStarted,
        "RUN_FINISHED": events.RunFinished,
        "RUN_CANCEL": events.RunCancel,
        "RUN_ERROR": events.RunError,
        "MESSAGE_START": events.TextStart,
        "MESSAGE_PART": events.TextPart,
        "MESSAGE_END": events.TextEnd,
        "TEXT_MESSAGE_START": events.TextStart,
        "TEXT_MESSAGE_PART": events.TextPart,
        "TEXT_MESSAGE_END": events.TextEnd,
        AUDIO_CHUNK: events.AudioChunk,
        "TOOL_CALL": events.ToolCall,
        "TOOL_UPDATE": events.ToolUpdate,
        "TOOL_DONE": events.ToolDone,
        "TOOL_CANCEL": events.ToolCancel,
        "TOOL_LIST": events.ToolList,
        "TOOL_SCHEMA": events.ToolSchema,
    }
)
"""The payload of each event type whose members we know."""

FREE_TYPES: Final = frozenset(
    {MESSAGE, "MESSAGE_UPDATE", "AUDIO", "INFO", "TRANSACTION_START", "TRANSACTION_END", "TRANSACTION_JOIN"}
)
"""Event types that we know and whose payload is taken as it is: those of the transaction dialect."""

_P = TypeVar("_P", bound=Payload)


def read_payload(kind: type[_P], frame_type: str, payload: Any) -> _P:
    """Return the peer's `payload` as `kind`. Raises `ProtocolError` (remote) naming the frame type and what is wrong."""
    try:
        return _convert(kind, payload)
    except (msgspec.ValidationError, ConfigError) as exc:
        raise ProtocolError(f"{frame_type} has a bad payload: {shown(str(exc), 200)}", blame="remote") from exc


def check_incoming(frame_type: str, payload: Any) -> None:
    """Raise as `read_payload` for a payload that the frame type, if we know it, does not have.

    Of what nobody has read no more is read than that takes: members that may hold anything stay as they are.
    """
    kind = KINDS.get(frame_type)
    if kind is not None:
        read_payload(_without_free_members(kind) if isinstance(payload, msgspec.Raw) else kind, frame_type, payload)


@cache
def _without_free_members(kind: type[Payload]) -> type[Payload]:
    """Return the same kind, but that those members stay unread that may hold anything."""
    free: list[Any] = [
        (field.name, msgspec.Raw) if field.required else (field.name, msgspec.Raw, msgspec.Raw(b"null"))
        for field in msgspec.structs.fields(kind)
        if field.type is Any
    ]
    lean: Any = msgspec.defstruct(kind.__name__, free, bases=(kind,), frozen=True, kw_only=True)
    return cast(type[Payload], lean)


def check_outgoing(frame_type: str, payload: Any) -> None:
    """Raise `ProtocolError` (local), naming the member, for a payload that we must not send; types that we do not know pass."""
    kind = KINDS.get(frame_type)
    if kind is None:
        return
    try:
        if type(payload) is dict and kind not in _NAME_CHANNELS:
            msgspec.convert(payload, kind)  # nearly always: a call less
        else:
            _convert(kind, payload)
    except (msgspec.ValidationError, ConfigError) as exc:
        what = f"{frame_type} cannot be sent with this payload: {exc}"
        raise ProtocolError(f"{what}. Nothing was sent", blame="local") from exc


def unknown_member(frame_type: str, payload: Any) -> str | None:
    """Return a member of the payload that we do not know, where we know those of the type; None: there is none."""
    kind = KINDS.get(frame_type)
    if isinstance(payload, msgspec.Raw):
        payload = _unread_members(payload)
    if kind is None or not isinstance(payload, Mapping):
        return None
    return min(payload.keys() - _members(kind), default=None)


@cache
def _members(kind: type[Payload]) -> frozenset[str]:
    """Return what members we know; asked of few types, and dear to find out."""
    return frozenset(field.encode_name for field in msgspec.structs.fields(kind))


def _unread_members(payload: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:  # no object
        return None


def is_known(frame_type: str) -> bool:
    """Return whether the event type is one that we know."""
    return frame_type in KINDS or frame_type in FREE_TYPES


_NAME_CHANNELS: Final = (FlowUpdate, ChannelName)


def _convert(kind: type[_P], payload: Any) -> _P:
    is_unread = isinstance(payload, msgspec.Raw)
    read = msgspec.json.decode(payload, type=kind) if is_unread else msgspec.convert(payload, kind)
    if isinstance(read, _NAME_CHANNELS):
        check_channel(read.channel)
    return read
