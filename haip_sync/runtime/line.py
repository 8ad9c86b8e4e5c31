"""One WebSocket over one stream: websocket-client speaks RFC 6455, and everything it reads and writes passes through here.

websocket-client is given an object of ours in the socket's place. That is the seam for reading in big pieces, for TLS that
two threads can use, and for putting its own answers (pongs, the close frame) into the write order, so that the thread that
reads never waits for one that writes.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final, cast

import websocket
from websocket import ABNF

from haip_sync.errors import HAIPError
from haip_sync.runtime.dial import Opening
from haip_sync.runtime.discretion import Confide, Discretion
from haip_sync.runtime.frame_limit import guard
from haip_sync.runtime.opening import open_stream
from haip_sync.runtime.route import Route
from haip_sync.runtime.stream import Deadline, Stream
from haip_sync.runtime.upgrade import upgrade

OPCODE_TEXT: Final = ABNF.OPCODE_TEXT
OPCODE_BINARY: Final = ABNF.OPCODE_BINARY
OPCODE_CLOSE: Final = ABNF.OPCODE_CLOSE


class _SocketInPlace:
    """What websocket-client takes for the socket: buffered reading, and sending by way of `divert`."""

    _closed = False  # websocket-client looks at this name before it closes

    def __init__(self, stream: Stream, first: bytes) -> None:
        self.stream = stream
        self.divert: Callable[[bytes], None] = _nowhere
        self._buffer = first
        self._at = 0

    def recv(self, most: int) -> bytes:
        """Return up to `most` bytes, from what was read ahead where there is any."""
        if self._at == len(self._buffer):
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


class Line:
    """An open WebSocket. One thread may receive while another sends; `shut` wakes both.

    `opening` is called with what is waited for while the line opens, so that another thread can end that; `confide` with what
    the peer is told in confidence, before it is.

    Attributes:
        hello_auth: What our HAI is to say of who we are; None: nothing.
        discretion: What we tell the peer in confidence; it goes through whatever the peer says.
    """

    def __init__(self, route: Route, *, timeout_s: float, opening: Opening, confide: Confide) -> None:
        """Open it. Raises `ConnectError`, `AuthError`, `HAIPTimeout`, `ConfigError`; none of them carries a secret along."""
        deadline = Deadline(timeout_s)
        credentials = route.credentials()
        request = route.request(credentials)
        self.hello_auth = credentials.hello
        self.discretion: Discretion = confide((*request.secrets, *route.secrets_on_the_way()))
        self._stream = open_stream(route, deadline, opening)
        try:
            answer = upgrade(self._stream, request, deadline)
            if isinstance(answer, HAIPError):
                raise answer
        except BaseException:
            self._stream.close()
            raise
        self._in_place = _SocketInPlace(self._stream, answer)
        self._websocket = websocket.WebSocket(skip_utf8_validation=True)
        self._websocket.sock = cast(socket.socket, self._in_place)
        self._websocket.connected = True
        self._stream.run(self._nudge)

    def attach(self, divert: Callable[[bytes], None]) -> None:
        """Name where websocket-client's own answers go; before the first `receive`."""
        self._in_place.divert = divert

    def receive(self) -> tuple[int, bytes]:
        """Return the next message as (opcode, payload): text, binary or close. Reader thread only; raises when the line ends."""
        opcode, data = self._websocket.recv_data()
        return opcode, bytes(data)

    def limit_frames(self, max_frame_bytes: int) -> None:
        """Check what the peer sends, its size above all, before memory is taken for it; before the first `receive`."""
        guard(self._websocket, max_frame_bytes)

    def send_some(self, piece: memoryview, sent: list[int], *, blocking: bool) -> None:
        """Hand `piece`, or its beginning, to the operating system and append to `sent` how much that was. One thread at a time.

        Raises `BlockingIOError`, nothing appended, where `blocking` is False and it would have to wait. An interrupted write is
        gone on with by calling it again with the rest that `sent` leaves, from any thread.
        """
        self._stream.send_some(piece, sent, blocking=blocking)

    def wait_until_writable(self, timeout_s: float) -> None:
        """Wait until something can be sent, for `timeout_s` at most."""
        self._stream.wait_until_writable(timeout_s)

    def shut(self) -> None:
        """End the line at once, waking whoever reads or writes. Idempotent, any thread."""
        self._stream.shut()

    def release(self) -> None:
        """Give the descriptor back, once nobody reads or writes any more."""
        self._stream.close()

    def _nudge(self) -> None:
        """Have something written, for TLS to send along what it has to say: a pong that nobody asked for (RFC 6455, 5.5.3)."""
        self._in_place.divert(encode(ABNF.OPCODE_PONG, b""))


def encode(opcode: int, payload: bytes) -> bytes:
    """Return a WebSocket frame, masked with a key from the operating system's randomness."""
    return bytes(ABNF.create_frame(payload, opcode).format())


def is_close(frame: bytes) -> bool:
    """Return whether this is a close frame."""
    return frame[0] & 0x0F == OPCODE_CLOSE


def close_code(payload: bytes) -> int | None:
    """Return the code in a close frame's payload; None: it carries none."""
    return int.from_bytes(payload[:2], "big") if len(payload) > 1 else None


def close_reason(payload: bytes) -> str:
    """Return the text in a close frame's payload."""
    return payload[2:].decode("utf-8", errors="replace")


def _nowhere(_data: bytes) -> None:
    """Drop an answer of websocket-client's: nobody writes yet."""
