"""Frames of ours, as JSON (HAIP 1.1.2).

They are made in two steps, because `seq` and `ack` are known only at the moment of admission and count in the frame's bytes: a
`Frame` is everything else, encoded once by the sender outside any lock; `Frame.size` and `Frame.render` put the numbers in. Of a
payload's one long string the sender learns the size, and whoever writes encodes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from haip_sync.protocol.envelope import not_json
from haip_sync.protocol.long_strings import LateJson
from haip_sync.protocol.names import MAJOR

TS_DIGITS: Final = 13
"""Decimal digits of a time in ms, until the year 2286: fixed, so that a frame's size does not depend on when it leaves."""

_encoder = msgspec.json.Encoder()


class _Kind(msgspec.Struct, frozen=True):
    """What all frames of a session have in common that go to one channel with one type, encoded."""

    type: str
    channel: str
    before_seq: bytes
    """From behind the id to the digits of `seq`."""
    before_payload: bytes
    """From behind the digits of `ts`."""
    bytes_around: int
    """What a frame weighs but for its id, its payload, what follows that, and the digits of `seq` and `ack`."""


class Frame(msgspec.Struct, eq=False, gc=False):
    """One outgoing frame but for `seq`, `ack` and `ts`. Immutable after construction.

    `binary` follows it as a WebSocket frame of its own. `media` is the byte credit that a media frame takes; None: its size.
    `in_transaction`: it means nothing on another line. `about_bytes`: what the text frame weighs but for the few digits of `seq`
    and `ack`, and the binary frame that follows it. It is put together when it leaves: a long payload is copied once less, and
    what is kept for replay is its own part only, of a long string not even that (`LateJson`).

    A struct is made in C, and this one is nothing that the garbage collector looks at: thousands are kept for replay.
    """

    id: str
    type: str
    channel: str
    in_transaction: bool
    binary: bytes | None
    media: int | None
    about_bytes: int
    _fixed_size: int
    """All but the digits of seq and ack: sizes are asked for several times a send."""
    _kind: _Kind
    _payload: bytes | LateJson
    _after: bytes

    def size(self, seq: int, ack: int) -> int:
        """Return the bytes of the text frame as sent with these numbers; an `ack` of 0 is left out."""
        return self._fixed_size + (len(f"{seq}{ack}") + _BEFORE_ACK_BYTES if ack else len(str(seq)))

    def cost(self, seq: int, ack: int) -> int:
        """Return the byte credit that the frame takes: its media bytes where it is a media frame, else its size."""
        return self.size(seq, ack) if self.media is None else self.media

    def render(self, seq: int, ack: int, ts_ms: int) -> bytes:
        """Return the text frame."""
        before_seq, before_payload = self._kind.before_seq, self._kind.before_payload
        numbers = b'%d","ack":"%d","ts":"%013d' % (seq, ack, ts_ms) if ack else b'%d","ts":"%013d' % (seq, ts_ms)
        payload = self._payload
        if isinstance(payload, bytes):
            return b"".join((_BEFORE_ID, self.id.encode(), before_seq, numbers, before_payload, payload, self._after))
        pieces = payload.pieces()
        return b"".join((_BEFORE_ID, self.id.encode(), before_seq, numbers, before_payload, *pieces, self._after))


_BEFORE_ID: Final = b'{"id":"'
_AFTER_PAYLOAD: Final = b',"pv":%d}' % MAJOR
_NO_LABELS: Final = (None,) * 5
_MOST_REMEMBERED: Final = 1_024
_BEFORE_ACK_BYTES: Final = len(b'","ack":"')
_BETWEEN_BYTES: Final = len(b'","ts":"') + TS_DIGITS


class FrameMaker:
    """Makes the frames of one session. Thread-safe.

    A frame is put together from what is encoded already; encoding an envelope afresh costs three times as much.
    """

    def __init__(self, session_id: str, new_id: Callable[[], str]) -> None:
        self._before_seq = b'","session":%b,"seq":"' % _encoder.encode(session_id)
        self._new_id = new_id
        # By channel and type. Any thread may read and write it: whatever is lost is only made again.
        self._kinds: dict[tuple[str, str], _Kind] = {}

    def make(
        self,
        channel: str,
        frame_type: str,
        payload_json: bytes | LateJson,
        *,
        run_id: str | None = None,
        thread_id: str | None = None,
        transaction: str | None = None,
        binary: bytes | None = None,
        binary_mime: str | None = None,
        media: int | None = None,
    ) -> Frame:
        """Return a frame with a new id; `payload_json` is the payload, encoded. Channel and ids are taken as checked."""
        after_payload = _AFTER_PAYLOAD
        if (binary, binary_mime, run_id, thread_id, transaction) != _NO_LABELS:
            labels = _labels(None if binary is None else len(binary), binary_mime, run_id, thread_id, transaction)
            after_payload = b"".join((_AFTER_PAYLOAD[:-1], labels, b"}"))
        kind = self._kinds.get((channel, frame_type)) or self._prepare(channel, frame_type)
        frame_id = self._new_id()
        size = len(frame_id) + kind.bytes_around + len(payload_json) + len(after_payload)
        return Frame(
            frame_id,
            frame_type,
            channel,
            transaction is not None,
            binary,
            media,
            size if binary is None else size + len(binary),
            size,
            kind,
            payload_json,
            after_payload,
        )

    def _prepare(self, channel: str, frame_type: str) -> _Kind:
        """Return what stands around the payload, and remember it: frames of few kinds are sent again and again."""
        if len(self._kinds) >= _MOST_REMEMBERED:
            self._kinds.clear()
        before = b'",' + _encoder.encode({"channel": channel, "type": frame_type})[1:-1] + b',"payload":'
        around = len(_BEFORE_ID) + len(self._before_seq) + _BETWEEN_BYTES + len(before)
        kind = self._kinds[channel, frame_type] = _Kind(frame_type, channel, self._before_seq, before, around)
        return kind


def _labels(
    bin_len: int | None, binary_mime: str | None, run_id: str | None, thread_id: str | None, transaction: str | None
) -> bytes:
    """Return the members that few frames have, with a comma before each. Raises `ConfigError` for what UTF-8 cannot carry."""
    optional = {"bin_len": bin_len, "bin_mime": binary_mime, "run_id": run_id, "thread_id": thread_id, "transaction": transaction}
    named = {name: value for name, value in optional.items() if value is not None}
    try:
        encoded = _encoder.encode(named)
    except (TypeError, ValueError) as exc:
        raise not_json(named, exc) from exc
    return b"," + encoded[1:-1]
