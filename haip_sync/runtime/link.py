"""One line's life: how it opens, is greeted, read and left. What outlives it is the connection's."""

from __future__ import annotations

import logging
import math
import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from haip_sync.errors import AuthError, ConnectionClosedError, HAIPError, HAIPTimeout, HandshakeError
from haip_sync.flow.parking import Condition
from haip_sync.protocol.frames import Frame
from haip_sync.protocol.names import ERROR
from haip_sync.protocol.websocket_frames import BrokenStreamError
from haip_sync.runtime.control import Control
from haip_sync.runtime.discretion import Discretion
from haip_sync.runtime.entry import Entry
from haip_sync.runtime.line import OPCODE_CLOSE, Line, encode, is_close
from haip_sync.runtime.reading import POLICY_VIOLATION, is_loss, loss, read_until_goodbye
from haip_sync.runtime.reception import Reception
from haip_sync.runtime.rooms import Rooms
from haip_sync.runtime.settings import Settings

if TYPE_CHECKING:
    from haip_sync.runtime.dial import Attempt

log = logging.getLogger("haip_sync.connection")

ADMISSION_S: Final = 2.0
"""How long a peer may take to refuse who we are behind its HAI, where it answers no PING sooner."""
LAST_WORDS_S: Final = 0.5
"""How long to let an answer that ends the line leave."""
_LONGEST_COMPLAINT: Final = 300


LASTING_CODES: Final = frozenset({1000, 1002, 1003, 1007, 1008, 1009, 1010, 3000, 3003})
"""Close codes after which nobody connects again: the peer is done in good order, or would refuse the same once more."""


class LineEnd(msgspec.Struct, frozen=True):
    """How a line ended."""

    failure: HAIPError
    code: int | None = None
    """The code of the peer's close frame, if there was one."""
    may_mend: bool = True
    """Whether another line may go better."""


class Host(Protocol):
    """What a line asks of the connection."""

    control: Control

    @property
    def is_closing(self) -> bool:
        """Whether `close` was called."""

    def post(self, frame: Frame) -> Entry:
        """Commit a control frame. Requires the lock."""

    def confide(self, secrets: Iterable[str]) -> Discretion:
        """Note what a new line's peer is told in confidence; return what strikes it out. Needs no lock."""

    def write_out(self) -> None:
        """Write what the reader has admitted and posted, as far as it goes without waiting. Reader thread, without the lock."""

    def write_at_once(self) -> None:
        """Write what stands in the write order, as far as it goes without waiting. Without the lock."""

    def without_secrets(self, text: str) -> str:
        """Return what the peer said with what we told it in confidence struck out. Needs no lock."""

    def wait_while(self, condition: Callable[[], bool], deadline_s: float) -> None:
        """Wait until `condition` ends, the connection does, or `deadline_s`. Requires the lock."""


class Link:
    """A line from the first attempt to reach the server to its end. Guarded by the connection's lock, but for `line` and `cause`.

    Attributes:
        line: The WebSocket, once it is open.
        opening: What another thread can end while it opens.
        is_greeted: Both HAIs were exchanged.
        admit_by_s: Until when a close refuses who we are, which our HAI said: until the answer to what came behind it.
        refusal: Why we end it, once what is posted has left.
        complaint: What came in place of the peer's HAI, for the error of a handshake that fails.
        is_overrun: The peer asks for ever more answers and reads none: it is to be shut, by who does not hold the lock.
        cause: Why it is lost, noted by whoever else than the reader found out first. One store.
        timeout_s: What opening it and the handshake may take.
        greet_by_s: When the peer's HAI must have come, on the monotonic clock.
        is_over: It has stood, and the connection has left it.
        is_resumed: The peer goes on with the session of the line before.
        is_resume_refused: The peer will not send again what we lack of it.
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
        self.admit_by_s = -math.inf
        self.refusal: HAIPError | None = None
        self.complaint = ""
        self.is_overrun = False
        self.cause: HAIPError | None = None
        self.timeout_s = math.inf
        self.greet_by_s = math.inf
        self.is_over = False
        self.is_resumed = False
        self.is_resume_refused = False

    @property
    def stands(self) -> bool:
        """Whether both HAIs were exchanged, and it is not left yet."""
        return self.is_greeted and not self.is_over

    @property
    def is_admitted(self) -> bool:
        """Whether the peer has let us in: a close from now on is none of the handshake's."""
        return self.is_greeted and self._clock() >= self.admit_by_s

    # ---- Its beginning: the connecting thread, without the lock ----------------------------------------------------------------

    def open(self, timeout_s: float) -> Line:
        """Reach the server and open the WebSocket. Raises what `Line` raises, and `ConnectionClosedError`."""
        self.timeout_s = timeout_s
        try:
            line = Line(self._settings.route, timeout_s=timeout_s, opening=self._note_opening, confide=self._host.confide)
        except HAIPError as exc:
            if self._host.is_closing:
                raise ConnectionClosedError("the client was closed while it connected") from exc
            raise
        finally:
            self.opening = None
        line.attach(self._post_raw, self._host.write_out)
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

    def greeting_is_late(self) -> HAIPTimeout:
        """Return that the peer has sent no HAI, and what it sent instead."""
        instead = f"; what it sent instead: {self.complaint}" if self.complaint else ""
        return HAIPTimeout(f"{self._settings.address.text} sent no HAI within {self.timeout_s:g} s{instead}")

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
        self.complaint = self.complaint or self._host.without_secrets(text)[:_LONGEST_COMPLAINT]

    def _post_raw(self, data: bytes) -> None:
        """Put a WebSocket frame of websocket-client's into the write order. Reader thread, without the lock.

        It answers every close frame, that too which answers ours: nothing may follow ours (RFC 6455, 5.5.1).
        """
        with self._rooms.parking.lock:
            if not (self._host.is_closing and is_close(data)):
                self._host.control.post_raw(data)
        self._host.write_at_once()  # here: a strategy that takes its time may hold the service thread up
        self.shut_if_overrun()

    # ---- Its end ---------------------------------------------------------------------------------------------------------------

    def read(self, line: Line, reception: Reception) -> LineEnd:
        """Take frames in until the line ends, and return why it did. Reader thread, without the lock."""
        try:
            return self._read(line, reception)
        finally:
            self.greet_by_s = math.inf

    def _read(self, line: Line, reception: Reception) -> LineEnd:
        where = self._settings.address.text
        try:
            goodbye = read_until_goodbye(line, reception)
        except BrokenStreamError as exc:
            self._give_up(exc)
            return self._end(loss(where, exc))
        except Exception as exc:
            log.debug("the line ended", exc_info=exc)
            return self._end(self.cause or loss(where, exc), is_ours=not is_loss(exc))
        with self._rooms.parking.lock:  # the answer to its close frame
            self._let_go_out()
        has_sent = self.is_greeted and self._rooms.turnstile.epoch > 1
        return self._end(goodbye.failure(where, is_admitted=self.is_admitted, has_sent=has_sent), goodbye.code)

    def _end(self, failure: HAIPError, code: int | None = None, *, is_ours: bool = False) -> LineEnd:
        """Return how it ended; a refusal of ours comes before all else."""
        failure = self.refusal or failure
        may_mend = code not in LASTING_CODES and not is_ours and not isinstance(self.refusal, HandshakeError)
        return LineEnd(failure, code, may_mend or isinstance(failure, AuthError))

    def _give_up(self, broken: BrokenStreamError) -> None:
        """Tell a peer whose stream cannot be read on why we leave, and let that go out."""
        session = self._rooms.session
        with self._rooms.parking.lock:
            if session.accepts(ERROR):
                self._host.post(session.error(broken.code, str(broken), None))
            self._host.control.post_raw(close_frame(broken.close_code))
            self._let_go_out()

    def _let_go_out(self) -> None:
        self._host.wait_while(lambda: bool(self._rooms.outgoing.entries), self._clock() + LAST_WORDS_S)

    def note_loss(self, failure: HAIPError) -> None:
        """Have it end because it is lost; the first reason counts. Any thread, without the lock: it shuts the socket."""
        self.cause = self.cause or failure
        self.shut()

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
