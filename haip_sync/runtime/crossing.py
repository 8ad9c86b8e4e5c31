"""How a connection goes from one line to the next: what each step sets, and who is told. `reconnect` says when."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable
from typing import Final

import msgspec

from haip_sync.errors import ConnectionClosedError
from haip_sync.events import Connected, Disconnected, Reconnecting
from haip_sync.flow.explain import Offline
from haip_sync.protocol.frames import Frame
from haip_sync.protocol.names import PING
from haip_sync.runtime.commands import Commands
from haip_sync.runtime.discretion import Discretion
from haip_sync.runtime.entry import Entry
from haip_sync.runtime.life import GOOD_CODES
from haip_sync.runtime.line import Line
from haip_sync.runtime.link import ADMISSION_S, LineEnd, Link
from haip_sync.runtime.meaning import least_window
from haip_sync.runtime.peer_log import WireLog
from haip_sync.runtime.reception import Reception
from haip_sync.runtime.replaying import Replaying

log = logging.getLogger("haip_sync.connection")

_RETIRE_S: Final = 0.5
"""How long to wait for whoever writes to a lost line before looking whether the client was closed."""

_GREETING_WRITE_S: Final = 1.0
"""How long to write our HAI, which a new socket has room for: the service thread has what is left."""


class Crossing(Commands):
    """The reader thread's side of a connection, from line to line. Without the lock, where nothing else is said."""

    replaying: Replaying
    _reception: Reception
    # Replaced by each attempt to open a line, which is one thread's at a time; read by any.
    _discretion: Discretion

    def confide(self, secrets: Iterable[str]) -> Discretion:
        """Note what a new line's peer is told in confidence; return what strikes it out, and what was told before."""
        self._discretion = self._discretion.and_also(secrets)
        return self._discretion

    def without_secrets(self, text: str) -> str:
        """Return what the peer said with what we told it in confidence struck out. Needs no lock."""
        return self._discretion.text(text)

    def new_link(self) -> Link:
        """Return the place of the next line."""
        self.link = Link(self, self.rooms, self._settings, self._clock, self._changed)
        return self.link

    def begin_line(self, link: Link, line: Line, timeout_s: float) -> bool:
        """Greet the peer on a new line; return False, nothing done, where the connection is over."""
        wire_log = WireLog.if_wanted(self.rooms.dispatcher, line.discretion.text)
        with self._lock:
            self.rooms.turnstile.mend()
            if self.is_closing:
                return False
            now_s = self._clock()
            if self._has_had_line:
                self._forget_line()
            self._has_had_line = True
            self.writer.wire_log = self._reception.wire_log = wire_log
            self._reception.discretion = line.discretion
            link.line, link.greet_by_s = line, now_s + timeout_s
            self._service.begin_line(now_s)
            self.writer.use(line)
            least = least_window(self._settings.flow_control)
            self.post(self.rooms.session.hello(least.messages, least.byte_credits, auth=line.hello_auth))
        # Here, and not by the service thread: a strategy that blocks may hold that up.
        self.writer.write_pending(time.monotonic() + _GREETING_WRITE_S)
        return True

    def _forget_line(self) -> None:
        """Forget what belongs to the line before. Requires the lock."""
        # Nothing may stand before our HAI.
        self.rooms.outgoing.suspend(ConnectionClosedError(self._last_loss or "the line was lost"))
        self.rooms.session.begin_line()
        self.control.begin_line()
        self._reception.begin_line()
        self.replaying.begin_line()
        self.rooms.outgoing.begin_line()

    def break_off(self, how: LineEnd) -> None:
        """Take the connection offline after a line that stood: who waits goes on waiting, what ends with a line is told so."""
        rooms, reason = self.rooms, str(how.failure)
        with self._lock:
            rooms.turnstile.mend()
            if self.is_closing:
                return
            self._last_loss = reason
            self.link.is_over = True
            now_s = self._clock()
            rooms.turnstile.go_offline(Offline(now_s, reason))
            self.exchanges.lose(how.failure)
            rooms.routes.break_off(how.failure)
            self._peer_log.flush()
            rooms.dispatcher.log(log, logging.WARNING, f"offline: {reason}")
            in_good_order = how.code in GOOD_CODES
            rooms.put(Disconnected(time_s=now_s, reason=reason, in_good_order=in_good_order, code=how.code, will_reconnect=True))
            self._changed.notify_all()

    def write_out(self) -> None:
        """Write what the reader has admitted and posted, as far as it goes without waiting. Reader thread, without the lock."""
        self._reception.write_out()

    def write_at_once(self) -> None:
        """Write what stands in the write order, as far as it goes without waiting. Without the lock."""
        self.writer.write_at_once()

    def leave_line(self, link: Link) -> bool:
        """Let nobody write to a lost line any more, and give it back; return False where the connection is over."""
        link.shut()
        while not self.writer.retire(_RETIRE_S):
            if self.is_closing:
                return False
        with self._lock:
            self.rooms.turnstile.mend()
            self.rooms.outgoing.suspend(ConnectionClosedError(self._last_loss or "the line was lost"))
            self.writer.wake_over()
        if link.line is not None:
            link.line.release()
        return not self.is_closing

    def wait_offline(self, offline: Offline, delay_s: float) -> bool:
        """Tell of the next attempt and wait until it is due; return False at once where the connection is over."""
        due_s = offline.next_try_s or 0.0
        reason = offline.last_failure or offline.why
        event = Reconnecting(time_s=self._clock(), attempt=offline.attempt, delay_s=delay_s, next_try_s=due_s, reason=reason)
        with self._lock:
            self.rooms.turnstile.mend()
            self.rooms.turnstile.go_offline(offline)
            self.rooms.put(event)
            text = f"attempt {offline.attempt} to connect again in {delay_s:.1f} s: {reason}"
            self.rooms.dispatcher.log(log, logging.INFO, text)
            while not self.is_closing and (left_s := due_s - self._clock()) > 0:
                self.rooms.parking.wait(self._changed, left_s)
            return not self.is_closing

    def trying(self) -> bool:
        """Note that the attempt is under way; return False where the connection is over."""
        with self._lock:
            offline = self.rooms.turnstile.offline
            if offline is not None:
                self.rooms.turnstile.go_offline(msgspec.structs.replace(offline, next_try_s=None))
            return not self.is_closing

    # ---- On the other side: the reader thread too, with the lock ---------------------------------------------------------------

    def greeted(self) -> bool:
        """Note that both HAIs were exchanged, and settle what earlier lines left over; return whether the session goes on."""
        link, now_s = self.link, self._clock()
        link.is_greeted, link.greet_by_s = True, math.inf
        link.is_resumed = self._resumption.settle(self._last_loss, may_resume=not link.is_resume_refused)
        where = self._settings.address.text
        # Not before: a listener for it may send at once, and ask for credit.
        self.rooms.put(
            Connected(
                time_s=now_s,
                address=where,
                epoch=self.rooms.turnstile.epoch,
                resumed=link.is_resumed,
            )
        )
        self.rooms.dispatcher.log(log, logging.INFO, f"connected to {where}, dialect {self.rooms.session.dialect_name or 'none'}")
        self._changed.notify_all()
        self.writer.wake_over()
        self.poke()  # nobody else writes what is sent again
        return link.is_resumed

    def online(self) -> None:
        """Tell the peer of our pauses, and let go who waits: the last step of a handshake."""
        self._ask_for_admission()
        self.control.announce_pauses()
        self.rooms.turnstile.go_online()

    def _ask_for_admission(self) -> None:
        """Send a PING behind a HAI that says who we are: its PONG says that we are let in."""
        link, now_s = self.link, self._clock()
        if link.line is not None and link.line.hello_auth is not None and self.rooms.session.accepts(PING):
            link.admit_by_s = now_s + ADMISSION_S
            self._service.ask(now_s)

    def ponged(self) -> None:
        """Note that the peer has answered a PING."""
        if self._service.heartbeat.round_trip_s is not None:
            self.link.admit_by_s = -math.inf
            self._changed.notify_all()

    def resume_refused(self, why: str) -> None:
        """Note that the peer will not send again what we lack of it."""
        link = self.link
        link.is_resume_refused = True
        if link.is_greeted and link.is_resumed:
            link.is_resumed = False
            self._resumption.forget_theirs(ConnectionClosedError(why))

    def post(self, frame: Frame) -> Entry:
        """Commit a control frame and have it written soon. Requires the lock."""
        return self.control.post(frame)
