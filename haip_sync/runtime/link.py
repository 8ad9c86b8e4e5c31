"""One line's life: how it opens, is greeted, read and left. What outlives it is the connection's."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from haip_sync.errors import ConnectionClosedError, HAIPError, HAIPTimeout
from haip_sync.flow.parking import Condition
from haip_sync.protocol.envelope import Frame
from haip_sync.protocol.names import ERROR
from haip_sync.runtime.control import Control
from haip_sync.runtime.dial import Attempt
from haip_sync.runtime.frame_limit import BrokenStreamError
from haip_sync.runtime.line import OPCODE_CLOSE, Line, encode, is_close
from haip_sync.runtime.outgoing import Entry
from haip_sync.runtime.reading import POLICY_VIOLATION, loss, read_until_goodbye
from haip_sync.runtime.reception import Reception
from haip_sync.runtime.rooms import Rooms
from haip_sync.runtime.settings import Settings

log = logging.getLogger("haip_sync.connection")

LAST_WORDS_S: Final = 0.5
"""How long to let an answer that ends the line leave."""
_LONGEST_COMPLAINT: Final = 300


class LineEnd(NamedTuple):
    """How a line ended."""

    failure: HAIPError
    code: int | None = None
    """The code of the peer's close frame, if there was one."""


class Host(Protocol):
    """What a line asks of the connection."""

    control: Control

    @property
    def is_closing(self) -> bool:
        """Whether `close` was called."""

    def post(self, frame: Frame) -> Entry:
        """Commit a control frame. Requires the lock."""

    def wait_while(self, condition: Callable[[], bool], deadline_s: float) -> None:
        """Wait until `condition` ends, the connection does, or `deadline_s`. Requires the lock."""


class Link:
    """A line from the first attempt to reach the server to its end. Guarded by the connection's lock, but for `line`.

    Attributes:
        line: The WebSocket, once it is open.
        opening: What another thread can end while it opens.
        is_greeted: Both HAIs were exchanged.
        refusal: Why we end it, once what is posted has left.
        complaint: What came in place of the peer's HAI, for the error of a handshake that fails.
        is_overrun: The peer asks for ever more answers and reads none: it is to be shut, by who does not hold the lock.
    """

    def __init__(self, host: Host, rooms: Rooms, settings: Settings, clock: Callable[[], float], changed: Condition) -> None:
        self._host = host
        self._rooms = rooms
        self._settings = settings
        self._clock = clock
        # Waits for the peer's HAI, for the write order to run empty, and for the end.
        self._changed = changed
        self.line: Line | None = None
        self.opening: Attempt | None = None
        self.is_greeted = False
        self.refusal: HAIPError | None = None
        self.complaint = ""
        self.is_overrun = False

    # ---- Its beginning: the connecting thread, without the lock ----------------------------------------------------------------

    def open(self, timeout_s: float) -> Line:
        """Reach the server and open the WebSocket. Raises what `Line` raises, and `ConnectionClosedError`."""
        try:
            line = Line(self._settings.route, timeout_s=timeout_s, opening=self._note_opening)
        except HAIPError as exc:
            if self._host.is_closing:
                raise ConnectionClosedError("the client was closed while it connected") from exc
            raise
        finally:
            self.opening = None
        line.attach(self._post_raw)
        line.limit_frames(self._settings.max_frame_bytes)
        return line

    def _note_opening(self, attempt: Attempt) -> None:
        with self._rooms.parking.lock:
            self.opening = attempt
            if self._host.is_closing:
                raise ConnectionAbortedError("the client was closed while it connected")

    def stop_opening(self) -> None:
        """End the attempt to open it, if there is one. Any thread."""
        attempt = self.opening
        if attempt is not None:
            try:
                attempt.shutdown(socket.SHUT_RDWR)
            except OSError:
                return

    def greeting_is_late(self, timeout_s: float) -> HAIPTimeout:
        """Return that the peer has sent no HAI, and what it sent instead."""
        instead = f"; what it sent instead: {self.complaint}" if self.complaint else ""
        return HAIPTimeout(f"{self._settings.address.text} sent no HAI within {timeout_s:g} s{instead}")

    # ---- While it stands: all require the lock ---------------------------------------------------------------------------------

    def refuse(self, failure: HAIPError) -> None:
        """End it for this reason, once what is posted has left."""
        self.refusal = failure
        self._host.control.post_raw(close_frame(POLICY_VIOLATION))
        self._changed.notify_all()

    def overflow(self) -> None:
        """Have it ended because the peer asks for ever more answers and reads none; see `shut_if_overrun`."""
        self.refusal = ConnectionClosedError("the peer does not read the answers that it asks for: too many wait to be written")
        self.is_overrun = True

    def complain(self, text: str) -> None:
        """Note what came in place of the peer's HAI."""
        self.complaint = self.complaint or self.without_secrets(text)[:_LONGEST_COMPLAINT]

    def without_secrets(self, text: str) -> str:
        """Return what the peer said with what we told it in confidence struck out. Needs no lock."""
        return text if self.line is None else self.line.without_secrets(text)

    def _post_raw(self, data: bytes) -> None:
        """Put a WebSocket frame of websocket-client's into the write order. Reader thread, without the lock.

        It answers every close frame, that too which answers ours: nothing may follow ours (RFC 6455, 5.5.1).
        """
        with self._rooms.parking.lock:
            if not (self._host.is_closing and is_close(data)):
                self._host.control.post_raw(data)
        self.shut_if_overrun()

    # ---- Its end ---------------------------------------------------------------------------------------------------------------

    def read(self, line: Line, reception: Reception) -> LineEnd:
        """Take frames in until the line ends, and return why it did. Reader thread, without the lock."""
        where = self._settings.address.text
        try:
            goodbye = read_until_goodbye(line, reception)
        except BrokenStreamError as exc:
            self._give_up(exc)
            return LineEnd(self.refusal or loss(where, exc))
        except Exception as exc:
            log.debug("the line ended", exc_info=exc)
            return LineEnd(self.refusal or loss(where, exc))
        with self._rooms.parking.lock:  # the answer to its close frame
            self._let_go_out()
        return LineEnd(self.refusal or goodbye.failure(where, greeted=self.is_greeted), goodbye.code)

    def _give_up(self, broken: BrokenStreamError) -> None:
        """Tell a peer whose stream cannot be read on why we leave, and let that go out."""
        session = self._rooms.session
        with self._rooms.parking.lock:
            if session.accepts(ERROR):
                self._host.post(session.error(broken.code, str(broken), None))
            self._host.control.post_raw(close_frame(broken.close_code))
            self._let_go_out()

    def _let_go_out(self) -> None:
        self._host.wait_while(lambda: not self._rooms.outgoing.is_empty, self._clock() + LAST_WORDS_S)

    def shut_if_overrun(self) -> None:
        """End the line where that was decided under the lock. The reader and the service thread, without it."""
        if self.is_overrun:
            self.shut()

    def shut(self) -> None:
        """End the line at once. Idempotent, any thread."""
        if self.line is not None:
            self.line.shut()


def close_frame(code: int) -> bytes:
    """Return a WebSocket close frame."""
    return encode(OPCODE_CLOSE, code.to_bytes(2, "big"))
