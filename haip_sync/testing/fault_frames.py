"""WebSocket frames (RFC 6455) in a stream of bytes: where they end, and what can be wrong with one. Pure.

Frames of both sides are understood, masked and unmasked. Nothing is judged: what a peer would refuse passes.
"""

from __future__ import annotations

from random import Random
from typing import Final

_FIN: Final = 0x80
_RESERVED_BITS: Final = 0x70
_OPCODE: Final = 0x0F
_MASKED: Final = 0x80
_SIZE: Final = 0x7F
_TEXT: Final = 1
_KEY_BYTES: Final = 4
_MOST_HEAD_BYTES: Final = 64 << 10
_HEAD_END: Final = b"\r\n\r\n"
_SWITCHING: Final = b" 101 "
_LARGEST_PAYLOAD: Final = 1 << 63
_ASCII: Final = 0x80


class NoFrameError(Exception):
    """What should be a frame's header announces a size that no frame has."""


class Upgrade:
    """Finds the end of the HTTP head that comes before the frames. One direction of one connection."""

    def __init__(self, *, is_answer: bool) -> None:
        self._is_answer = is_answer
        self._head = bytearray()
        self.is_over = False
        """Whether the head has ended, so that what comes is frames, unless it `has_failed`."""
        self.has_failed = False
        """Whether no frames will ever come: the server has refused, or it is not HTTP."""

    def take(self, data: bytes) -> int:
        """Return how many bytes of `data`, from its beginning, belong to the head."""
        before = len(self._head)
        self._head += data
        # The four bytes that end it may have come in pieces.
        found = self._head.find(_HEAD_END, max(0, before - len(_HEAD_END) + 1))
        if found < 0:
            self.has_failed = len(self._head) > _MOST_HEAD_BYTES
            return len(data)
        self.is_over = True
        self.has_failed = self._is_answer and _SWITCHING not in self._head.partition(b"\r\n")[0] + b" "
        self._head.clear()
        return found + len(_HEAD_END) - before


class FrameBounds:
    """Finds where frames end, whatever pieces the stream comes in. One direction of one connection."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._left = 0

    @property
    def between_frames(self) -> bool:
        """Whether the last frame is whole and the next one has not begun."""
        return not self._header and not self._left

    def ends(self, data: bytes) -> list[int]:
        """Return after how many bytes of `data` frames end. Raises `NoFrameError`; then no more can be told."""
        ends: list[int] = []
        at = 0
        while at < len(data):
            if not self._left:
                at = self._read_header(data, at)
                if self._header:
                    break
            took = min(self._left, len(data) - at)
            self._left -= took
            at += took
            if not self._left:
                ends.append(at)
        return ends

    def _read_header(self, data: bytes, at: int) -> int:
        """Learn how much of the frame is left from `at` on; return the place from which `_left` counts.

        Most headers come whole. One that does not is completed byte by byte, and waits in `_header` until it is.
        """
        if not self._header and (total := _frame_bytes(data, at)) is not None:
            self._left = total
            return at
        while at < len(data):
            self._header.append(data[at])
            at += 1
            if (total := _frame_bytes(self._header, 0)) is not None:
                self._left = total - len(self._header)
                self._header.clear()
                break
        return at


class Frame:
    """One whole WebSocket frame. Immutable."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        """The frame as it travels, header and all."""
        masked = data[1] & _MASKED
        self._start = _header_bytes(data, 0)
        self._key = data[self._start - _KEY_BYTES : self._start] if masked else b""

    @property
    def payload(self) -> bytes:
        """The payload, unmasked."""
        return _masked(self.data[self._start :], self._key)

    @property
    def text(self) -> str | None:
        """The text of a text frame that is a whole message and not compressed; None for any other."""
        if self.data[0] & (_FIN | _RESERVED_BITS | _OPCODE) != _FIN | _TEXT:
            return None
        return self.payload.decode(errors="replace")

    def garbled(self, random: Random) -> bytes:
        """Return the frame with bits of its payload flipped, one byte in ten or so, one at least.

        In a text frame characters become others, so that the text stays UTF-8. An empty payload stays as it is.
        """
        payload = bytearray(self.payload)
        is_text = self.data[0] & _OPCODE <= _TEXT
        places = [at for at, byte in enumerate(payload) if byte < _ASCII or not is_text]
        for at in random.sample(places, -(-len(places) // 10)):
            payload[at] ^= 1 << random.randrange(7)
        return self._with(bytes(payload))

    def garbled_encoding(self, random: Random) -> bytes:
        """Return the frame with one byte of its payload become 0xFF, which no UTF-8 has. An empty payload stays as it is."""
        payload = bytearray(self.payload)
        if payload:
            payload[random.randrange(len(payload))] = 0xFF
        return self._with(bytes(payload))

    def garbled_header(self) -> bytes:
        """Return the frame with its reserved bits flipped: nothing that was agreed on explains them."""
        return bytes([self.data[0] ^ _RESERVED_BITS]) + self.data[1:]

    def shortened(self) -> bytes:
        """Return a well-formed frame with the first half of the payload."""
        payload = self.payload
        return self._with(payload[: len(payload) // 2])

    def truncated(self) -> bytes:
        """Return the header as it is and the first half of the payload: whatever follows is taken for the rest."""
        return self.data[: self._start + (len(self.data) - self._start) // 2]

    def _with(self, payload: bytes) -> bytes:
        """Return the frame with another payload, under the same mask."""
        size = len(payload)
        is_masked = self.data[1] & _MASKED
        if size < 126:  # noqa: PLR2004 - RFC 6455, 5.2: above, the size stands in 2 or 8 bytes of its own
            announced = bytes([is_masked | size])
        elif size < 1 << 16:
            announced = bytes([is_masked | 126]) + size.to_bytes(2, "big")
        else:
            announced = bytes([is_masked | 127]) + size.to_bytes(8, "big")
        return self.data[:1] + announced + self._key + _masked(payload, self._key)


def _header_bytes(data: bytes | bytearray, at: int) -> int:
    """Return how long the header is that begins at `at`, which has two bytes at least."""
    second = data[at + 1]
    size = second & _SIZE
    extended = {126: 2, 127: 8}.get(size, 0)
    return 2 + extended + (_KEY_BYTES if second & _MASKED else 0)


def _frame_bytes(data: bytes | bytearray, at: int) -> int | None:
    """Return how long the whole frame is that begins at `at`; None: too little of it is there. Raises `NoFrameError`."""
    if len(data) - at < 2:  # noqa: PLR2004 - flags and size
        return None
    size = data[at + 1] & _SIZE
    header = 2 + (_KEY_BYTES if data[at + 1] & _MASKED else 0)
    if size < 126:  # noqa: PLR2004 - see `Frame._with`
        return header + size
    wide = 2 if size == 126 else 8  # noqa: PLR2004
    if len(data) - at < 2 + wide:
        return None
    size = int.from_bytes(data[at + 2 : at + 2 + wide], "big")
    if size >= _LARGEST_PAYLOAD:
        raise NoFrameError
    return header + wide + size


def _masked(payload: bytes, key: bytes) -> bytes:
    """Return `payload` masked with `key`, or unmasked, which is the same."""
    if not key:
        return payload
    size = len(payload)
    stream = (key * (size // _KEY_BYTES + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")
