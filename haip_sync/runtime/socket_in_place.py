"""What websocket-client takes for the socket: reading ahead in big pieces, and answers that go into the write order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from haip_sync.protocol.websocket_frames import whole_message
from haip_sync.runtime.stream import Stream

_LONG: Final = 16 << 10
"""Bytes of a message from which on it matters how often it is copied."""


class SocketInPlace:
    """Stands in the socket's place. The reader thread's, but for what is named before the first message.

    Attributes:
        divert: Where websocket-client's own answers go.
        before_reading: Called when what was read ahead is used up, before the reader may sleep until more comes.
    """

    _closed = False  # websocket-client looks at this name before it closes

    def __init__(self, stream: Stream, first: bytes) -> None:
        self.stream = stream
        self.divert: Callable[[bytes], None] = _nowhere
        self.before_reading: Callable[[], None] = _nothing
        self._buffer = first
        self._at = 0

    def next_message(self, most_bytes: int) -> tuple[int, bytes] | None:
        """Return the next message, waiting for it, as (opcode, payload) if it is one frame of text or binary data.

        None, nothing taken: what stands here is for websocket-client to look at, the end included. Raises `OSError`.
        """
        buffer, at = self._buffer, self._at
        if at == len(buffer):  # all that was read ahead is taken: so it is for who waits for one answer
            self.before_reading()
            buffer = self._buffer = self.stream.recv()
            at = self._at = 0
        while (found := whole_message(buffer, at, most_bytes)) is not None:
            start, end = found
            if end <= len(buffer):
                self._at = end
                return buffer[at] & 0xF, buffer[start:end]
            if end - start >= _LONG:
                return self._long_message(start, end - len(buffer))
            if not self._read_up_to(end - at):
                return None
            buffer, at = self._buffer, self._at
        return None

    def _long_message(self, start: int, missing: int) -> tuple[int, bytes] | None:
        """Return the next message, whose payload begins at `start`, of which so many bytes are missing; see `next_message`.

        It is put together by itself: what has come of those behind it is copied once, when it is their turn.
        """
        buffer, at = self._buffer, self._at
        pieces: list[bytes | memoryview] = [memoryview(buffer)[start:]]
        self.before_reading()
        while missing > 0:
            piece = self.stream.recv()
            if not piece:
                self._buffer, self._at = b"".join((buffer[at:start], *pieces)), 0
                return None
            pieces.append(piece)
            missing -= len(piece)
        self._buffer, self._at = piece, len(piece) + missing
        pieces[-1] = memoryview(piece)[: self._at]
        return buffer[at] & 0xF, b"".join(pieces)

    def _read_up_to(self, size: int) -> bool:
        """Read until `size` bytes stand here; return False where the peer has ended before."""
        pieces = [self._buffer[self._at :]] if self._at < len(self._buffer) else []
        have = sum(map(len, pieces))
        is_over = False
        self.before_reading()
        while have < size and not is_over:
            piece = self.stream.recv()
            pieces.append(piece)
            have += len(piece)
            is_over = not piece
        self._buffer, self._at = b"".join(pieces), 0
        return not is_over

    def recv(self, most: int) -> bytes:
        """Return up to `most` bytes, from what was read ahead where there is any."""
        if self._at == len(self._buffer):
            self.before_reading()
            self._buffer, self._at = self.stream.recv(), 0
        piece = self._buffer[self._at : self._at + most]
        self._at += len(piece)
        return piece

    def send(self, data: bytes) -> int:
        """Put `data` into the write order."""
        self.divert(data)
        return len(data)

    def gettimeout(self) -> None:
        """Return that there is no timeout."""
        return

    def close(self) -> None:
        """End the line, as websocket-client does when the peer has. The descriptor stays until nobody writes any more."""
        self.stream.shut()


def _nowhere(_data: bytes) -> None:
    """Drop an answer of websocket-client's: nobody writes yet."""


def _nothing() -> None:
    """Do nothing: nobody has anything to do yet."""
