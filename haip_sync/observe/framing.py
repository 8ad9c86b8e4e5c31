"""Frames of a stream: four bytes of length, most significant first, and as many bytes of body. Pure."""

from __future__ import annotations

import struct
from typing import Final

from haip_sync.observe.messages import MalformedError

_LENGTH: Final = struct.Struct(">I")


def framed(body: bytes) -> bytes:
    """Return `body` with its length before it."""
    return _LENGTH.pack(len(body)) + body


class Frames:
    """Cuts a stream into bodies. No frame above `most_bytes` is waited for, so that no more than that is ever kept."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._buffer = bytearray()

    def add(self, data: bytes) -> None:
        """Take in what was read."""
        self._buffer += data

    def take(self) -> bytes | None:
        """Return the next body, None if it is not all there. Raises `MalformedError` for a length that is too large."""
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        if length > self._most_bytes:
            raise MalformedError(f"a frame of {length:,} bytes, where {self._most_bytes:,} are the most")
        end = _LENGTH.size + length
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[_LENGTH.size : end])
        del self._buffer[:end]
        return body

    @property
    def is_midway(self) -> bool:
        """Whether part of a frame has come, and the rest not."""
        return bool(self._buffer)
