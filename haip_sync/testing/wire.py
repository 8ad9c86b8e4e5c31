"""HAIP 1.1.2 as this server reads and writes it: envelopes, payloads and types.

On purpose nothing of the client's own codec: what one of the two gets wrong, the other shows. No state, no thread.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, get_args

import msgspec

HAIP_VERSION: Final = "1.1.2"
MAJOR: Final = 1
MAX_CHANNELS: Final = 1024
"""Channels per connection; a frame on one more is answered with PROTOCOL_VIOLATION."""

Dialect = Literal["message", "text", "both", "transaction", "all"]
DIALECTS: Final[tuple[str, ...]] = get_args(Dialect)

SYSTEM: Final = "SYSTEM"
"""The channel of every control frame's envelope."""

MESSAGE_TEXT: Final = ("MESSAGE_START", "MESSAGE_PART", "MESSAGE_END")
"""START, PART and END of a text in the dialect `message`."""
TEXT_TEXT: Final = ("TEXT_MESSAGE_START", "TEXT_MESSAGE_PART", "TEXT_MESSAGE_END")
"""The same in the dialect `text`."""
TEXT_TYPES: Final[Mapping[str, tuple[tuple[str, str, str], ...]]] = {
    "message": (MESSAGE_TEXT,),
    "text": (TEXT_TEXT,),
    "both": (MESSAGE_TEXT, TEXT_TEXT),
    "transaction": (),
    "all": (MESSAGE_TEXT, TEXT_TEXT),
}
"""The types of each dialect's streamed texts; where both fit, the first is chosen."""
HAS_TRANSACTIONS: Final = frozenset({"transaction", "all"})
"""The dialects in which there are transactions, for clients that take no streamed texts."""
CONTROL_TYPES: Final = frozenset(
    {
        "HAI",
        "PING",
        "PONG",
        "ERROR",
        "FLOW_UPDATE",
        "PAUSE_CHANNEL",
        "RESUME_CHANNEL",
        "REPLAY_REQUEST",
        "TRANSACTION_START",
        "TRANSACTION_END",
        "TRANSACTION_JOIN",
    }
)
"""What never waits for credit: a starved client could not ask for any otherwise."""
_COMMON_TYPES: Final = (
    *("HAI", "PING", "PONG", "ERROR", "FLOW_UPDATE", "PAUSE_CHANNEL", "RESUME_CHANNEL", "REPLAY_REQUEST"),
    *("RUN_STARTED", "RUN_FINISHED", "RUN_CANCEL", "RUN_ERROR", "AUDIO_CHUNK"),
    *("TOOL_CALL", "TOOL_UPDATE", "TOOL_DONE", "TOOL_CANCEL", "TOOL_LIST", "TOOL_SCHEMA"),
)
_TRANSACTION_TYPES: Final = (
    *("HAI", "PING", "PONG", "ERROR", "FLOW_UPDATE", "REPLAY_REQUEST"),
    *("TRANSACTION_START", "TRANSACTION_END", "TRANSACTION_JOIN"),
    *("MESSAGE", "MESSAGE_UPDATE", "AUDIO", "INFO", "TOOL_LIST", "TOOL_SCHEMA"),
)
_NO_TRANSACTION: Final = "null"
"""What stands in `transaction` of a frame that belongs to none, in the transaction dialect."""
NO_TRANSACTION: Final[Mapping[str, str]] = MappingProxyType({"transaction": _NO_TRANSACTION})

_UUID4 = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$"
Uuid4 = Annotated[str, msgspec.Meta(pattern=_UUID4)]
Decimal = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,20}$")]
ChannelName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
FromZero = Annotated[int, msgspec.Meta(ge=0)]
FromOne = Annotated[int, msgspec.Meta(ge=1)]
Octet = Annotated[int, msgspec.Meta(ge=0, le=255)]


class WireError(Exception):
    """A frame that is no envelope, or a payload that is not what its type asks for."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One frame as received; what HAIP does not name is ignored unless `crit` is set."""

    id: Uuid4
    session: Uuid4
    seq: Decimal
    channel: ChannelName
    type: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    payload: Any
    ack: Decimal | None = None
    ts: Decimal | None = None
    pv: Octet = MAJOR
    crit: bool = False
    bin_len: FromZero | None = None
    bin_mime: str | None = None
    run_id: str | None = None
    thread_id: str | None = None
    transaction: str | None = None

    @property
    def transaction_id(self) -> str | None:
        """The transaction that it belongs to; None for none, which published peers write as "null"."""
        return None if self.transaction == _NO_TRANSACTION else self.transaction


_decode_envelope = msgspec.json.Decoder(Envelope).decode
_decode_any = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_KNOWN_MEMBERS: Final = frozenset(Envelope.__struct_fields__)


def accepted_types(dialect: str) -> tuple[str, ...]:
    """Return the `accept_events` of a server that speaks `dialect`."""
    texts = tuple(name for types in TEXT_TYPES[dialect] for name in types)
    transactions = _TRANSACTION_TYPES if dialect in HAS_TRANSACTIONS else ()
    return transactions if dialect == "transaction" else _COMMON_TYPES + texts + transactions


def decode(text: str) -> Envelope:
    """Read one text frame. Raises `WireError`, saying why, for anything that is no envelope of HAIP 1.1.2."""
    try:
        envelope = _decode_envelope(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise WireError(f"not an envelope: {error}") from error
    if envelope.payload is None or not (isinstance(envelope.payload, dict) or envelope.type == "MESSAGE"):
        raise WireError(f"not an envelope: the payload of {envelope.type} must be an object")
    return envelope


def freeze(value: object) -> msgspec.Raw:
    """Return `value` as the JSON that it is now, to be sent later. Raises `WireError` for what JSON cannot carry."""
    try:
        return msgspec.Raw(_encode(value))
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise WireError(f"cannot be written as JSON: {error}") from error


def has_unknown_members(text: str) -> bool:
    """Whether an envelope that was read has members beside HAIP's own: with `crit` set they must not be ignored."""
    return not _KNOWN_MEMBERS.issuperset(_decode_any(text))


def encode(
    *,
    session: str,
    seq: str,
    ack: int | None,
    event_type: str,
    channel: str,
    payload: Any,
    members: Mapping[str, Any],
) -> str:
    """Return one frame as the text that goes on the wire, with an id and a time of its own; `members` come last.

    Raises `WireError` for what JSON cannot carry.
    """
    frame: dict[str, Any] = {"id": str(uuid.uuid4()), "session": session, "seq": seq}
    if ack is not None:
        frame["ack"] = str(ack)
    frame |= {"ts": str(time.time_ns() // 1_000_000), "channel": channel, "type": event_type, "payload": payload, "pv": MAJOR}
    frame.update(members)
    return bytes(freeze(frame)).decode()


def encode_again(text: str, *, session: str, ack: int | None) -> str:
    """Return a frame as it goes out on another connection: the same, but for `session`, `ack` and `ts`."""
    frame = {**_decode_any(text), "session": session, "ts": str(time.time_ns() // 1_000_000)}
    if ack is not None:
        frame["ack"] = str(ack)
    return bytes(freeze(frame)).decode()
