"""One WebSocket over one socket: websocket-client speaks RFC 6455, and everything it reads and writes passes through here.

websocket-client is given an object of ours in the socket's place. That is the seam for reading in big pieces, for deadlines
while the connection opens, and for putting its own answers (pongs, the close frame) into the write order, so that the thread that
reads never waits for one that writes.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import SplitResult, urlencode, urlsplit, urlunsplit

import websocket
from websocket import ABNF

from haip_sync.errors import AuthError, ConfigError, ConnectError, HAIPTimeout
from haip_sync.runtime.frame_limit import guard

OPCODE_TEXT: Final = ABNF.OPCODE_TEXT
OPCODE_BINARY: Final = ABNF.OPCODE_BINARY
OPCODE_CLOSE: Final = ABNF.OPCODE_CLOSE
_READ_BYTES: Final = 65_536
_REFUSALS: Final = (401, 403)
# Windows has no such flag: there a peer that does not read can hold up the heartbeat, though never `close`.
_DONT_WAIT: Final[int] = getattr(socket, "MSG_DONTWAIT", 0)


class Address:
    """Where to connect, checked. `text` is safe to show: scheme, host and port, never a token."""

    def __init__(self, url: object) -> None:
        if not isinstance(url, str):
            raise ConfigError(f"url must be a string such as ws://localhost:8080, not {type(url).__name__}")
        try:
            parts = urlsplit(url.strip())
            port = parts.port
        except ValueError as exc:
            raise ConfigError(f"the URL's host or port cannot be read: {exc}") from exc
        if parts.scheme == "wss":
            raise ConfigError("wss:// is not supported yet: connect to a ws:// address, through a local TLS tunnel if need be")
        if parts.scheme != "ws" or not parts.hostname:
            raise ConfigError(
                f"the URL must look like ws://host:port; its scheme is {parts.scheme!r}, its host {parts.hostname!r}"
            )
        try:
            parts.hostname.encode("idna")
        except UnicodeError as exc:
            raise ConfigError(f"{parts.hostname!r:.80} is no host name: {exc}") from exc
        self.host: str = parts.hostname
        self.port = port or 80
        shown = f"[{self.host}]" if ":" in self.host else self.host
        self.text = f"ws://{shown}:{self.port}"
        self._parts: SplitResult = parts

    def with_token(self, token: str | None) -> str:
        """Return the URL to open, with `token` in its query (HAIP 1.1.2). Not for any eye or log."""
        query = "&".join(filter(None, (self._parts.query, urlencode({"token": token}) if token is not None else "")))
        return urlunsplit(("ws", self._parts.netloc.rpartition("@")[2], self._parts.path or "/", query, ""))


class _SocketInPlace:
    """What websocket-client takes for the socket: buffered reading, and sending by way of `divert` once that is set."""

    _closed = False  # websocket-client looks at this name before it closes

    def __init__(self, sock: socket.socket, deadline_s: float) -> None:
        self.sock = sock
        self.deadline_s: float | None = deadline_s
        self.divert: Callable[[bytes], None] | None = None
        self._buffer = b""
        self._at = 0

    def recv(self, most: int) -> bytes:
        """Return up to `most` bytes, from what was read ahead where there is any."""
        if self._at == len(self._buffer):
            if self.deadline_s is not None:
                self.sock.settimeout(_left(self.deadline_s))
            self._buffer, self._at = self.sock.recv(_READ_BYTES), 0
        piece = self._buffer[self._at : self._at + most]
        self._at += len(piece)
        return piece

    def send(self, data: bytes) -> int:
        """Send at once while the connection opens; afterwards put `data` into the write order."""
        if self.divert is None:
            self.sock.sendall(data)
        else:
            self.divert(data)
        return len(data)

    def gettimeout(self) -> float | None:
        """Return the socket's timeout."""
        return self.sock.gettimeout()

    def settimeout(self, timeout_s: float | None) -> None:
        """Set the socket's timeout."""
        self.sock.settimeout(timeout_s)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self.sock.fileno()

    def shutdown(self, how: int) -> None:
        """Shut the socket down."""
        self.sock.shutdown(how)

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()


class Line:
    """An open WebSocket. One thread may receive while another sends; `shut` wakes both.

    `opening` is called with the socket as soon as there is one, so that another thread can end the attempt by shutting it down.
    """

    def __init__(
        self,
        address: Address,
        *,
        token: str | None,
        headers: Sequence[str],
        timeout_s: float,
        opening: Callable[[socket.socket], None],
    ) -> None:
        deadline_s = time.monotonic() + timeout_s
        try:
            sock = _connect(address, deadline_s, opening)
        except TimeoutError as exc:
            raise HAIPTimeout(f"{address.text} did not answer within {timeout_s:g} s. Nothing was sent") from exc
        except OSError as exc:
            raise ConnectError(f"{address.text} cannot be reached: {_os_text(exc)}. Is a server running there?") from exc
        self._socket = _SocketInPlace(sock, deadline_s)
        self._websocket = websocket.WebSocket(skip_utf8_validation=True)
        try:
            self._upgrade(address, token, headers, timeout_s)
        except BaseException:
            sock.close()
            raise
        # Never a timeout on sending: in the middle of a frame it would corrupt the stream without a word.
        self._socket.deadline_s = None
        sock.settimeout(None)
        self._socket.divert = _nowhere

    def _upgrade(self, address: Address, token: str | None, headers: Sequence[str], timeout_s: float) -> None:
        """Exchange the HTTP upgrade. Causes are cut off where their text could carry the URL, and the token in it."""
        try:
            # websocket-client leaves this one method without types.
            connect: Callable[..., None] = self._websocket.connect
            connect(address.with_token(token), socket=self._socket, header=list(headers), redirect_limit=0, suppress_origin=True)
        except websocket.WebSocketBadStatusException as exc:
            if exc.status_code in _REFUSALS:
                raise AuthError(
                    f"{address.text} refused the connection with HTTP {exc.status_code}: is the token right?"
                ) from None
            raise ConnectError(f"{address.text} answered HTTP {exc.status_code}, it opened no WebSocket") from None
        except (TimeoutError, websocket.WebSocketTimeoutException):
            raise HAIPTimeout(f"{address.text} did not open a WebSocket within {timeout_s:g} s") from None
        except (OSError, websocket.WebSocketConnectionClosedException):
            raise ConnectError(f"{address.text} closed the connection before it opened a WebSocket") from None
        except (websocket.WebSocketException, ValueError, IndexError):
            raise ConnectError(f"{address.text} does not speak WebSocket") from None

    def attach(self, divert: Callable[[bytes], None]) -> None:
        """Name where websocket-client's own answers go; before the first `receive`."""
        self._socket.divert = divert

    def receive(self) -> tuple[int, bytes]:
        """Return the next message as (opcode, payload): text, binary or close. Reader thread only; raises when the line ends."""
        opcode, data = self._websocket.recv_data()
        return opcode, bytes(data)

    def limit_frames(self, max_frame_bytes: int) -> None:
        """Check what the peer sends, its size above all, before memory is taken for it; before the first `receive`."""
        guard(self._websocket, max_frame_bytes)

    def send_some(self, piece: memoryview, sent: list[int], *, blocking: bool) -> None:
        """Hand `piece` to the operating system and append to `sent` how much of it was taken. One thread at a time.

        Raises `BlockingIOError`, nothing appended, where `blocking` is False and nothing can be taken now.

        `extend` over `map` does both in C: no signal can come between the bytes leaving and our knowing it, so that an
        interrupted write is always gone on with in the right place.
        """
        sent.extend(map(self._socket.sock.send, (piece,), (0 if blocking else _DONT_WAIT,)))

    def wait_until_writable(self, timeout_s: float) -> None:
        """Wait until something can be sent, for `timeout_s` at most."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket.sock, selectors.EVENT_WRITE)
            selector.select(max(0.0, timeout_s))

    def shut(self) -> None:
        """End the line at once, waking whoever reads or writes. Idempotent, any thread."""
        with contextlib.suppress(OSError):
            self._socket.sock.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Give the descriptor back, once nobody reads or writes any more."""
        self._socket.sock.close()


def encode(opcode: int, payload: bytes) -> bytes:
    """Return a WebSocket frame, masked with a key from the operating system's randomness."""
    return bytes(ABNF.create_frame(payload, opcode).format())


def close_code(payload: bytes) -> int | None:
    """Return the code in a close frame's payload; None: it carries none."""
    return int.from_bytes(payload[:2], "big") if len(payload) > 1 else None


def close_reason(payload: bytes) -> str:
    """Return the text in a close frame's payload."""
    return payload[2:].decode("utf-8", errors="replace")


def _nowhere(_data: bytes) -> None:
    """Drop an answer of websocket-client's: nobody writes yet."""


def _connect(address: Address, deadline_s: float, opening: Callable[[socket.socket], None]) -> socket.socket:
    """Open TCP to the first address that answers. Raises `OSError` (`TimeoutError` for the deadline)."""
    failure: OSError = TimeoutError()
    for family, kind, proto, _, where in socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, proto)
        try:
            sock.settimeout(_left(deadline_s))
            opening(sock)
            sock.connect(where)
            # 98 microseconds against 44 ms for three sends and a reply.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except OSError as exc:
            sock.close()
            failure = exc
        except BaseException:
            sock.close()
            raise
    raise failure


def _left(deadline_s: float) -> float:
    """Return the seconds until `deadline_s`. Raises `TimeoutError` once it has passed."""
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s


def _os_text(exc: OSError) -> str:
    return (exc.strerror or str(exc) or type(exc).__name__).lower()
