"""WebSocket frames as bytes (RFC 6455, section 5): ours to write, the peer's to read, a whole message at a time.

Only what is on the wire: which frames may follow which, and how control frames are answered, is websocket-client's and
`runtime.frame_limit`'s to say.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Final

from haip_sync.errors import ProtocolError

TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PONG: Final = 0xA

PROTOCOL_ERROR: Final = 1002
MESSAGE_TOO_BIG: Final = 1009
"""Close codes (RFC 6455, 7.4.1)."""

Mask = Callable[[bytes, bytes], bytes | bytearray]
"""Takes data and a key's four bytes, and returns the data masked."""

_middle_head: Final = Struct(">BBH").pack
_SHORTEST_HEAD: Final = 2
_FIN: Final = 0x80
_MASKED: Final = 0x80
_TWO_BYTES: Final = 126
_EIGHT_BYTES: Final = 127
_WHOLE: Final = (_FIN | TEXT, _FIN | BINARY)
"""First bytes of frames that are whole messages of an application: the last fragment, no reserved bit, text or binary."""


class BrokenStreamError(ProtocolError):
    """The peer's WebSocket frames cannot be read on: the connection ends, with `close_code` in our close frame."""

    def __init__(self, message: str, *, close_code: int = PROTOCOL_ERROR) -> None:
        super().__init__(message, blame="remote")
        self.close_code = close_code


def masked_frame(opcode: int, payload: bytes, key: bytes, mask: Mask) -> bytes:
    """Return a client's frame: the only one of its message, masked with `key`."""
    size = len(payload)
    if size < _TWO_BYTES:
        head = bytes((_FIN | opcode, _MASKED | size))
    elif size < 1 << 16:
        head = _middle_head(_FIN | opcode, _MASKED | _TWO_BYTES, size)
    else:
        head = bytes((_FIN | opcode, _MASKED | _EIGHT_BYTES)) + size.to_bytes(8, "big")
    return b"".join((head, key, mask(payload, key)))


def whole_message(buffer: bytes, at: int, most_bytes: int) -> tuple[int, int] | None:
    """Return where the payload of the message at `at` begins and where it ends, if it is one frame of text or binary data.

    An end beyond the buffer: not all of it has come, or not even its header; look again once that much is there. None for what
    needs a closer look: a fragment, a control frame, more than `most_bytes`, and whatever a server may not send.
    """
    have = len(buffer) - at
    if have < _SHORTEST_HEAD:
        return at, at + _SHORTEST_HEAD
    size, start = buffer[at + 1], at + _SHORTEST_HEAD
    if buffer[at] not in _WHOLE or size > _EIGHT_BYTES:  # above: it says that it is masked
        return None
    if size >= _TWO_BYTES:
        start += 2 if size == _TWO_BYTES else 8
        if start > len(buffer):
            return at, start
        size = int.from_bytes(buffer[at + _SHORTEST_HEAD : start], "big")
    return None if size > most_bytes else (start, start + size)
