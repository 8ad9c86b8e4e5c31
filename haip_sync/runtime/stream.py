"""Bytes both ways, with or without TLS: what a WebSocket runs over."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Callable
from typing import Final, Protocol

READ_BYTES: Final = 65_536
# Windows has no such flag: there a peer that does not read can hold up the heartbeat, though never `close`.
_DONT_WAIT: Final[int] = getattr(socket, "MSG_DONTWAIT", 0)
CAN_TRY_TO_SEND: Final = bool(_DONT_WAIT)
"""Whether `send_some` can promise not to wait."""


class Deadline:
    """When an attempt to connect ends. Immutable."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._end_s = time.monotonic() + timeout_s

    def left(self) -> float:
        """Return the seconds until then. Raises `TimeoutError` once it has passed."""
        left_s = self._end_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s


class Stream(Protocol):
    """Bytes in order. One thread may receive while another sends; `shut` wakes both.

    While it opens, everything is one thread's and bound by the deadline (`TimeoutError`).
    """

    def recv(self) -> bytes:
        """Return what comes next, as soon as there is something; nothing: the peer has ended. Raises `OSError`."""

    def send_some(self, piece: memoryview, sent: list[int], *, blocking: bool) -> None:
        """Send `piece` or its beginning, and append to `sent` how much of it the operating system has. One thread at a time.

        Raises `BlockingIOError`, nothing appended, where `blocking` is False and it would have to wait; other `OSError`
        where the line is lost. Whatever it raises, an interrupt included: call it again with the rest that `sent` leaves.
        """

    def wait_until_writable(self, timeout_s: float) -> None:
        """Wait until a send that may not block is worth another try, for `timeout_s` at most."""

    def run(self, nudge: Callable[[], None]) -> None:
        """Forget the deadline: it is open.

        From now on `nudge`, called by the thread that receives, must see to it that something is sent soon: what the stream
        has to say itself goes before it.
        """

    def shut(self) -> None:
        """End both directions at once, waking whoever receives or sends. Waits for nothing; idempotent, any thread."""

    def close(self) -> None:
        """Give the descriptor back, once nobody receives or sends any more."""


class PlainStream:
    """A connected socket as it is."""

    def __init__(self, sock: socket.socket, deadline: Deadline | None = None) -> None:
        self._sock = sock
        self._deadline = deadline

    def recv(self) -> bytes:
        """Return what comes next; see `Stream.recv`."""
        if self._deadline is not None:
            self._mind_deadline()
        return self._sock.recv(READ_BYTES)

    def send_some(self, piece: memoryview, sent: list[int], *, blocking: bool) -> None:
        """Send; see `Stream.send_some`.

        `extend` over `map` sends and counts in C: no signal can come between the bytes leaving and our knowing it, so that
        an interrupted write is always gone on with in the right place.
        """
        if self._deadline is not None:
            self._mind_deadline()
        sent.extend(map(self._sock.send, (piece,), (0 if blocking else _DONT_WAIT,)))

    def wait_until_writable(self, timeout_s: float) -> None:
        """Wait; see `Stream.wait_until_writable`."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._sock, selectors.EVENT_WRITE)
            selector.select(max(0.0, timeout_s))

    def run(self, nudge: Callable[[], None]) -> None:  # noqa: ARG002 - a socket has nothing to say itself
        """Forget the deadline; see `Stream.run`. In the middle of a frame one would corrupt the stream without a word."""
        self._deadline = None
        self._sock.settimeout(None)

    def shut(self) -> None:
        """Shut the socket down; see `Stream.shut`."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket; see `Stream.close`."""
        self._sock.close()

    def _mind_deadline(self) -> None:
        if self._deadline is not None:
            self._sock.settimeout(self._deadline.left())


def send_all(stream: Stream, data: bytes) -> None:
    """Send all of `data`, waiting for it. Raises `OSError`."""
    view, sent = memoryview(data), [0]
    while (done := sum(sent)) < len(view):
        stream.send_some(view[done:], sent, blocking=True)
