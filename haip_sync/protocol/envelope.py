"""The envelope: one JSON object in one WebSocket text frame (HAIP 1.1.2).

Here what the peer sends is read, and payloads of ours are encoded; what stands around these is made in `protocol.frames`.
"""

from __future__ import annotations

import base64
import binascii
from functools import cache
from typing import Any, Final, TypeVar

import msgspec

from haip_sync.config import DEFAULT_MAX_NESTING, check_channel, told
from haip_sync.errors import ConfigError, ProtocolError
from haip_sync.protocol.identifiers import shown
from haip_sync.protocol.long_strings import (
    LONG,
    STAND_IN,
    LateJson,
    put_in_place,
    read_string,
    with_written_strings,
    written_late,
)
from haip_sync.protocol.names import MAJOR, MEDIA_TYPES
from haip_sync.protocol.nesting import check_nesting
from haip_sync.protocol.unread import check_readable, is_sparse, one_long_string, text_member


class Envelope(msgspec.Struct, frozen=True):
    """A frame of the peer's, its members checked for type. Unknown members are ignored.

    HAIP requires `session`, `seq` and `ts` as well; a peer that leaves them out is still understood (it then does not sequence).
    """

    id: str
    channel: str
    type: str
    payload: Any
    """A JSON value; a `msgspec.Raw`, with the text of one, where that would take far more memory than it did on the wire."""
    session: str = ""
    seq: str = ""
    ack: str | None = None
    ts: str = ""
    pv: int = MAJOR
    crit: bool = False
    bin_len: int | None = None
    bin_mime: str | None = None
    run_id: str | None = None
    thread_id: str | None = None
    transaction: str | None = None


class FlawedEnvelope(Envelope, frozen=True):
    """An envelope that counts as received and must not be acted on. Never decoded: made where the flaw was found.

    Attributes:
        flaw: The member that `crit` forbids us to ignore.
    """

    flaw: str = ""


class _Unread(Envelope, frozen=True):
    """An envelope whose payload stays as it came. It shares the frame's bytes."""

    payload: msgspec.Raw


class _Critical(Envelope, frozen=True, forbid_unknown_fields=True):
    """What an envelope with `crit` must fit: no member that we do not know."""


_E = TypeVar("_E", bound=Envelope)
_decoder = msgspec.json.Decoder(Envelope)
_NULL: Final = msgspec.Raw(b"null")
_STAND_IN: Final = STAND_IN.encode()
_encoder = msgspec.json.Encoder()
_was_long: Final = [False]
"""Whether what was encoded last was long: only then the next is searched for long strings, so that short ones pay nothing."""


def decode_envelope(data: bytes, *, max_nesting: int = DEFAULT_MAX_NESTING) -> Envelope:
    """Return the envelope in a text frame; a `FlawedEnvelope` where `crit` is set and a member is none that we know.

    Raises `ProtocolError` (remote) for anything that is not one: no UTF-8, no JSON, nested too deep, a member that is missing or
    of the wrong type, a null payload, an illegal channel name.
    """
    try:
        envelope = None if len(data) < LONG else _decode_long_string(data, max_nesting)
        if envelope is None:
            if not data.isascii():
                data.decode()  # msgspec does not look at the UTF-8 of members that it skips: a spoiled name would hide a member
            # With so few brackets it cannot be nested too deep either.
            envelope = _decoder.decode(data) if is_sparse(data, max_nesting) else _decode_dense(data, max_nesting)
        check_channel(envelope.channel)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ConfigError) as exc:
        raise ProtocolError(f"a frame of {len(data)} bytes is no HAIP envelope: {shown(str(exc), 200)}", blame="remote") from exc
    if envelope.payload is None:
        raise ProtocolError(f"{shown(envelope.type)} {shown(envelope.id)} has a null payload", blame="remote")
    if envelope.bin_len is not None and envelope.bin_len < 0:
        raise ProtocolError(f"{shown(envelope.type)} {shown(envelope.id)} has bin_len {envelope.bin_len}", blame="remote")
    return _critical(data, envelope) if envelope.crit else envelope


def _decode_long_string(data: bytes, max_nesting: int) -> Envelope | None:
    """Return an envelope most of which is one string of its payload; None: it is not so plain. Raises as the decoder does.

    The string is read by itself, and what is asked of every frame is asked of what stands around it: to look through it four
    times more takes as long as to read it.
    """
    found = one_long_string(data)
    if found is None:
        return None
    start, end = found
    around = b"".join((data[:start], _STAND_IN, data[end:]))
    if not (around.isascii() and is_sparse(around, max_nesting, len(data))):
        return None
    text = read_string(data[start - 1 : end + 1])
    if text is None:  # an escaped quote stands at its end
        return None
    envelope = _decoder.decode(around)
    return envelope if put_in_place(envelope.payload, text) else None


def _decode_dense(data: bytes, max_nesting: int) -> Envelope:
    """Return an envelope whose payload is checked and left unread. Raises as the decoder does."""
    check_nesting(data, max_nesting)  # first: it is cheaper than what it refuses
    envelope: _Unread = _seldom_used(_Unread).decode(data)
    check_readable(envelope.payload)
    return msgspec.structs.replace(envelope, payload=None) if envelope.payload == _NULL else envelope


@cache
def _seldom_used(kind: type[_E]) -> msgspec.json.Decoder[_E]:
    """Return the decoder of such envelopes: to make one takes as long as to import a module."""
    return msgspec.json.Decoder(kind)


def _critical(data: bytes, envelope: Envelope) -> Envelope:
    """Return the envelope, flawed where it has a member that we do not know."""
    try:
        _seldom_used(_Critical).decode(data)
    except msgspec.ValidationError as exc:
        return FlawedEnvelope(**msgspec.structs.asdict(envelope), flaw=f"{shown(str(exc), 200)}")
    return envelope


def encode_json(value: object) -> bytes:
    """Return `value` as JSON in UTF-8. Raises `ConfigError` for what JSON cannot carry."""
    try:
        encoded = _encoder.encode(with_written_strings(value) if _was_long[0] else value)
    except (TypeError, ValueError, RecursionError) as exc:
        raise not_json(value, exc) from exc
    _was_long[0] = len(encoded) >= LONG
    return encoded


def not_json(value: object, error: Exception) -> ConfigError:
    """Return what to raise for what JSON cannot carry."""
    return ConfigError(f"{told(value)} cannot be written as JSON: {error}. Nothing was sent")


def encode_payload(payload: object) -> bytes | LateJson:
    """Return a frame's payload as JSON in UTF-8, which may be written in part when it leaves. Raises as `encode_json`."""
    if _was_long[0]:
        try:
            late = written_late(payload)
        except (TypeError, ValueError, RecursionError):
            late = None  # the whole says better what is wrong
        if late is not None:
            _was_long[0] = len(late) >= LONG
            return late
    return encode_json(payload)


def decode_json(data: bytes) -> Any:
    """Return what JSON of our own says."""
    return msgspec.json.decode(data)


def media_bytes(frame_type: str, payload: Any, bin_len: int | None) -> int | None:
    """Return what a media frame costs in bytes: `bin_len`, or the decoded length of base64 `data`; None: not a media frame."""
    if bin_len is not None:
        return bin_len
    data = text_member(payload, "data") if frame_type in MEDIA_TYPES else None
    try:
        return None if data is None else len(base64.b64decode(data, validate=True))
    except (binascii.Error, ValueError):
        return None
