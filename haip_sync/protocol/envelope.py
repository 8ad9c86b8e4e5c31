"""The envelope: one JSON object in one WebSocket text frame (HAIP 1.1.2).

Outgoing frames are made in two steps, because `seq` and `ack` are known only at the moment of admission and count in the
frame's bytes: a `Frame` is everything else, encoded once by the sender outside any lock; `Frame.size` and
`Frame.render` put the numbers in.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any, Final

import msgspec

from haip_sync.config import DEFAULT_MAX_NESTING, check_channel
from haip_sync.errors import ConfigError, ProtocolError
from haip_sync.protocol.names import MAJOR, MEDIA_TYPES
from haip_sync.protocol.nesting import check_nesting

TS_DIGITS: Final = 13
"""Decimal digits of a time in ms, until the year 2286: fixed, so that a frame's size does not depend on when it leaves."""


class Envelope(msgspec.Struct, frozen=True):
    """A frame of the peer's, its members checked for type. Unknown members are ignored.

    HAIP requires `session`, `seq` and `ts` as well; a peer that leaves them out is still understood (it then does not sequence).
    """

    id: str
    channel: str
    type: str
    payload: Any
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


class _Critical(Envelope, frozen=True, forbid_unknown_fields=True):
    """What an envelope with `crit` must fit: no member that we do not know."""


_decoder = msgspec.json.Decoder(Envelope)
_critical_decoder = msgspec.json.Decoder(_Critical)
_encoder = msgspec.json.Encoder()


def decode_envelope(data: bytes, *, max_nesting: int = DEFAULT_MAX_NESTING) -> Envelope:
    """Return the envelope in a text frame; a `FlawedEnvelope` where `crit` is set and a member is none that we know.

    Raises `ProtocolError` (remote) for anything that is not one: no UTF-8, no JSON, nested too deep, a member that is missing or
    of the wrong type, a null payload, an illegal channel name.
    """
    try:
        check_nesting(data, max_nesting)  # first: it is cheaper than what it refuses
        envelope = _decoder.decode(data)
        check_channel(envelope.channel)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ConfigError) as exc:
        raise ProtocolError(f"a frame of {len(data)} bytes is no HAIP envelope: {exc!s:.200}", blame="remote") from exc
    if envelope.payload is None:
        raise ProtocolError(f"{envelope.type:.60} {envelope.id:.60} has a null payload", blame="remote")
    if envelope.bin_len is not None and envelope.bin_len < 0:
        raise ProtocolError(f"{envelope.type:.60} {envelope.id:.60} has bin_len {envelope.bin_len}", blame="remote")
    return _critical(data, envelope) if envelope.crit else envelope


def _critical(data: bytes, envelope: Envelope) -> Envelope:
    """Return the envelope, flawed where it has a member that we do not know."""
    try:
        _critical_decoder.decode(data)
    except msgspec.ValidationError as exc:
        return FlawedEnvelope(**msgspec.structs.asdict(envelope), flaw=f"{exc!s:.200}")
    return envelope


def encode_json(value: object) -> bytes:
    """Return `value` as JSON in UTF-8. Raises `ConfigError` for what JSON cannot carry."""
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, RecursionError) as exc:
        raise ConfigError(f"{value!r:.100} cannot be written as JSON: {exc}. Nothing was sent") from exc


def decode_json(data: bytes) -> Any:
    """Return what JSON of our own says."""
    return msgspec.json.decode(data)


def media_bytes(frame_type: str, payload: Any, bin_len: int | None) -> int | None:
    """Return what a media frame costs in bytes: `bin_len`, or the decoded length of base64 `data`; None: not a media frame."""
    if bin_len is not None:
        return bin_len
    if frame_type not in MEDIA_TYPES or not isinstance(payload, dict) or not isinstance(payload.get("data"), str):
        return None
    try:
        return len(base64.b64decode(payload["data"], validate=True))
    except (binascii.Error, ValueError):
        return None


class Frame:
    """One outgoing frame but for `seq`, `ack` and `ts`. Immutable after construction.

    `binary` follows it as a WebSocket frame of its own. `in_transaction`: it means nothing on another line.
    """

    __slots__ = ("_cost", "_fixed_size", "_head", "_tail", "binary", "channel", "id", "in_transaction", "type")

    def __init__(
        self,
        identity: tuple[str, str, str],
        *,
        head: bytes,
        tail: bytes,
        binary: bytes | None,
        cost: int | None,
        in_transaction: bool = False,
    ) -> None:
        self.id, self.type, self.channel = identity
        self.binary = binary
        self.in_transaction = in_transaction
        self._head = head
        self._tail = tail
        self._cost = cost
        # All but the digits of seq and ack: sizes are asked for several times a send.
        self._fixed_size = len(head) + len(_AFTER_SEQ) + TS_DIGITS + len(tail)

    def size(self, seq: int, ack: int) -> int:
        """Return the bytes of the text frame as sent with these numbers; an `ack` of 0 is left out."""
        size = self._fixed_size + len(str(seq))
        return size + len(_BEFORE_ACK) + len(str(ack)) if ack else size

    def cost(self, seq: int, ack: int) -> int:
        """Return the byte credit that the frame takes: its media bytes where it is a media frame, else its size."""
        return self.size(seq, ack) if self._cost is None else self._cost

    def render(self, seq: int, ack: int, ts_ms: int) -> bytes:
        """Return the text frame."""
        acked = _BEFORE_ACK + str(ack).encode() if ack else b""
        return b"".join((self._head, str(seq).encode(), acked, _AFTER_SEQ, str(ts_ms).zfill(TS_DIGITS).encode(), self._tail))


_BEFORE_ACK: Final = b'","ack":"'
_AFTER_SEQ: Final = b'","ts":"'


class FrameMaker:
    """Makes the frames of one session. Immutable; thread-safe."""

    def __init__(self, session_id: str, new_id: Callable[[], str]) -> None:
        self._session = _encoder.encode(session_id)
        self._new_id = new_id

    def make(
        self,
        channel: str,
        frame_type: str,
        payload_json: bytes,
        *,
        run_id: str | None = None,
        thread_id: str | None = None,
        transaction: str | None = None,
        binary: bytes | None = None,
        binary_mime: str | None = None,
        media: int | None = None,
    ) -> Frame:
        """Return a frame with a new id; `payload_json` is the payload, encoded. Channel and ids are taken as checked."""
        frame_id = self._new_id()
        members: dict[str, Any] = {
            "channel": channel,
            "type": frame_type,
            "payload": msgspec.Raw(payload_json),
            "pv": MAJOR,
        }
        optional = {"bin_len": None if binary is None else len(binary), "bin_mime": binary_mime}
        optional |= {"run_id": run_id, "thread_id": thread_id, "transaction": transaction}
        members |= {name: value for name, value in optional.items() if value is not None}
        return Frame(
            (frame_id, frame_type, channel),
            head=b'{"id":"%b","session":%b,"seq":"' % (frame_id.encode(), self._session),
            tail=b'",' + _encoder.encode(members)[1:],
            binary=binary,
            cost=media,
            in_transaction=transaction is not None,
        )
