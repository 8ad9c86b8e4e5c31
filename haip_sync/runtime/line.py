"""One WebSocket over one stream: websocket-client speaks RFC 6455, and everything it reads and writes passes through here.

websocket-client is given an object of ours in the socket's place. That is the seam for reading in big pieces, for TLS that
two threads can use, and for putting its own answers (pongs, the close frame) into the write order, so that the thread that
reads never waits for one that writes. A message that is one frame, as nearly all are, is cut out of what was read ahead and does
not pass through websocket-client, whose three reads and 67 calls a frame cost ten times as much.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Final

from haip_sync.errors import HAIPError
from haip_sync.protocol.long_strings import fast_reader, fast_writer
from haip_sync.protocol.websocket_frames import BINARY, CLOSE, PONG, TEXT, masked_frame
from haip_sync.runtime.discretion import Confide, Discretion
from haip_sync.runtime.masking import fastest_mask, new_key
from haip_sync.runtime.route import Route
from haip_sync.runtime.socket_in_place import SocketInPlace
from haip_sync.runtime.stream import Deadline, Stream

if TYPE_CHECKING:
    from haip_sync.runtime.dial import Opening

OPCODE_TEXT: Final = TEXT
OPCODE_BINARY: Final = BINARY
OPCODE_CLOSE: Final = CLOSE


class Line:
    """An open WebSocket. One thread may receive while another sends; `shut` wakes both.

    `opening` is called with what is waited for while the line opens, so that another thread can end that; `confide` with what
    the peer is told in confidence, before it is.

    Attributes:
        hello_auth: What our HAI is to say of who we are; None: nothing.
        send_some: Hands a piece, or its beginning, to the operating system: the stream's own (`Stream.send_some`), a call less.
        discretion: What we tell the peer in confidence; it goes through whatever the peer says.
    """

    def __init__(self, route: Route, *, timeout_s: float, opening: Opening, confide: Confide) -> None:
        """Open it. Raises `ConnectError`, `AuthError`, `HAIPTimeout`, `ConfigError`; none of them carries a secret along."""
        # By the thread that connects: one that imports while another forks leaves the child a lock that is held for ever.
        fastest_mask()
        fast_writer()
        fast_reader()
        # What it takes to get there is imported when the first line opens: TLS is a tenth of what importing us would cost.
        way, asking = import_module("haip_sync.runtime.opening"), import_module("haip_sync.runtime.upgrade")
        deadline = Deadline(timeout_s)
        credentials = route.credentials()
        request = route.request(credentials)
        self.hello_auth = credentials.hello
        self.discretion: Discretion = confide((*request.secrets, *route.secrets_on_the_way()))
        self._stream: Stream = way.open_stream(route, deadline, opening)
        try:
            answer = asking.upgrade(self._stream, request, deadline)
            if isinstance(answer, HAIPError):
                raise answer
        except BaseException:
            self._stream.close()
            raise
        self.send_some = self._stream.send_some
        self._in_place = SocketInPlace(self._stream, answer)
        # And websocket-client once it is open: it is a third of that.
        self._rules = import_module("haip_sync.runtime.frame_limit")
        self._websocket = self._rules.dialogue(self._in_place)
        self._max_frame_bytes = -1  # no limit is known yet: websocket-client reads everything
        self._stream.run(self._nudge)

    def attach(self, divert: Callable[[bytes], None], before_reading: Callable[[], None]) -> None:
        """Name where websocket-client's own answers go, and what to do before each sleep; before the first `receive`."""
        self._in_place.divert = divert
        self._in_place.before_reading = before_reading

    def receive(self) -> tuple[int, bytes]:
        """Return the next message as (opcode, payload): text, binary or close. Reader thread only; raises when the line ends."""
        message = self._in_place.next_message(self._max_frame_bytes)
        if message is not None:
            return message
        opcode, data = self._websocket.recv_data()  # to the end of a message, so that the next begins where this one ended
        return opcode, bytes(data)

    def limit_frames(self, max_frame_bytes: int) -> None:
        """Check what the peer sends, its size above all, before memory is taken for it; before the first `receive`."""
        self._rules.guard(self._websocket, max_frame_bytes)
        self._max_frame_bytes = max_frame_bytes

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
        self._in_place.divert(encode(PONG, b""))


def encode(opcode: int, payload: bytes) -> bytes:
    """Return a WebSocket frame, masked with a key from the operating system's randomness."""
    return masked_frame(opcode, payload, new_key(), fastest_mask())


def is_close(frame: bytes) -> bool:
    """Return whether this is a close frame."""
    return frame[0] & 0x0F == OPCODE_CLOSE


def close_code(payload: bytes) -> int | None:
    """Return the code in a close frame's payload; None: it carries none."""
    return int.from_bytes(payload[:2], "big") if len(payload) > 1 else None


def close_reason(payload: bytes) -> str:
    """Return the text in a close frame's payload."""
    return payload[2:].decode("utf-8", errors="replace")
