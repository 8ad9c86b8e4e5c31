"""The service thread: it writes what nobody else writes, keeps the heartbeat, and tells of channels that stand still."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol

from haip_sync.errors import ConnectionClosedError, HAIPError
from haip_sync.events import WarningRaised
from haip_sync.protocol.frames import Frame
from haip_sync.protocol.identifiers import new_id
from haip_sync.protocol.names import PING
from haip_sync.runtime.entry import Entry
from haip_sync.runtime.gathering import LOOK_S
from haip_sync.runtime.heartbeat import Heartbeat
from haip_sync.runtime.link import Link
from haip_sync.runtime.replaying import Replaying
from haip_sync.runtime.rooms import Rooms
from haip_sync.runtime.settings import Settings
from haip_sync.runtime.writer import Writer

if TYPE_CHECKING:
    from haip_sync.runtime.asking import Asking

log = logging.getLogger("haip_sync.connection")

_SHORTEST_TICK_S = 0.01
_LONGEST_TICK_S = 3_600.0


class Host(Protocol):
    """What the service thread asks of the connection."""

    @property
    def is_open(self) -> bool:
        """Whether both HAIs were exchanged and the line stands."""

    @property
    def is_over(self) -> bool:
        """Whether the connection has ended."""

    def post(self, frame: Frame) -> Entry:
        """Commit a control frame. Requires the lock."""

    def end_left_transactions(self) -> None:
        """End the transactions that their holders have left. Requires the lock."""

    @property
    def replaying(self) -> Replaying:
        """What the peer asked for again. Its methods require the lock."""

    def look_for_gaps(self) -> None:
        """Do what the time has come for in the peer's numbers. Without the lock."""

    def look_whether_all_is_sent(self) -> None:
        """Tell those who wait for it if nothing is queued or unwritten. Requires the lock."""

    @property
    def link(self) -> Link:
        """The line, or the place of the next one."""

    def end(self, failure: HAIPError) -> None:
        """End the connection for this reason. Without the lock."""

    def shut_if_overrun(self) -> None:
        """End a line whose peer asks for ever more answers and reads none. Without the lock."""


class Service:
    """One connection's service thread and what it needs. `poke` may be called by any thread, with or without the lock."""

    def __init__(self, host: Host, rooms: Rooms, writer: Writer, settings: Settings, clock: Callable[[], float]) -> None:
        self._host = host
        self._rooms = rooms
        self._writer = writer
        # What runs the strategy; None: there was none yet. Set once, under the connection's lock.
        self.asking: Asking | None = None
        self._settings = settings
        self._clock = clock
        self._pokes: SimpleQueue[object] = SimpleQueue()
        # What `poke` calls, for who must call nothing of ours; the argument is ignored.
        self.wake: Callable[[object], None] = self._pokes.put
        self.heartbeat = Heartbeat(settings.heartbeat, clock())
        # Only this thread's: how far the writing had come, since when, and whether somebody was told that it stands still.
        self._written_end = 0
        self._written_since_s = clock()
        self._stuck_told = False
        # Guarded by the connection's lock: the last PING's place in the write order.
        self.ping_end = 0

    def begin_line(self, now_s: float) -> None:
        """Begin the heartbeat of a new line. Requires the lock."""
        self.heartbeat = Heartbeat(self._settings.heartbeat, now_s)
        self.ping_end = 0

    def poke(self) -> None:
        """Have the thread mend and write what is there. One C call, so that an interrupt cannot split it."""
        self._pokes.put(None)

    def run(self) -> None:
        """Serve until the connection is over: the thread's target."""
        is_all_written = True
        while not self._host.is_over:
            if is_all_written:
                self._wait_for_poke()
            try:
                now_s = self._clock()
                self._beat(now_s)
                if self._host.link.stands and now_s >= self._rooms.session.next_due_s:
                    self._host.look_for_gaps()
                self._host.shut_if_overrun()
                if self.asking is not None:
                    self.asking.run(now_s, self.heartbeat.round_trip_s)
                is_all_written = self._writer.write_pending(now_s + self._tick_s())
            except Exception as exc:
                log.exception("the service thread failed")
                self._host.end(ConnectionClosedError(f"the connection was ended by an error in haip_sync: {exc!r}"))

    def _tick_s(self) -> float:
        """Return how long the thread may sleep or write without a look at the clock."""
        link, rooms = self._host.link, self._rooms
        looks_s = [rooms.turnstile.look_s, math.inf if self.asking is None else self.asking.next_s()]
        # Of a line that is lost nothing is due: its reader sees to it.
        if link.cause is None:
            looks_s += [self.heartbeat.next_s(), rooms.session.next_due_s] if link.stands else [link.greet_by_s]
        until_beat_s = min(min(looks_s) - self._clock(), _LONGEST_TICK_S)
        stall_s = self._settings.stall_warning_s
        return max(_SHORTEST_TICK_S, until_beat_s if stall_s is None else min(until_beat_s, stall_s / 2))

    def _wait_for_poke(self) -> None:
        """Sleep until somebody pokes, or the time has come; meanwhile look after what gathers."""
        until_s = time.monotonic() + self._tick_s()
        try:
            while self._writer.is_watched and time.monotonic() < until_s:
                with suppress(Empty):
                    self._pokes.get(timeout=LOOK_S)
                    break
                self._writer.look()
            else:
                self._pokes.get(timeout=max(0.0, until_s - time.monotonic()))
            while True:  # one look serves all pokes so far
                self._pokes.get_nowait()
        except Empty:
            return

    def _beat(self, now_s: float) -> None:
        with self._rooms.parking.lock:
            self._rooms.turnstile.mend()
            self._rooms.turnstile.serve_all()
            self._host.end_left_transactions()
            if self._host.link.stands:
                self._host.replaying.go_on()
                if self.heartbeat.is_due(now_s):
                    self.ask(now_s)
            self._host.look_whether_all_is_sent()
            link = self._host.link
            loss = self._loss_of(link, now_s)
            if self._settings.stall_warning_s is not None:
                self._tell_of_stalls(self._settings.stall_warning_s)
        if loss is not None:
            link.note_loss(loss)

    def _loss_of(self, link: Link, now_s: float) -> HAIPError | None:
        """Return why to give a line up whose peer says nothing any more, or never has; None: nothing. Requires the lock."""
        if link.cause is not None:
            return None
        if link.stands and self.heartbeat.is_lost(now_s):
            timeout_s = self._settings.heartbeat.timeout
            return ConnectionClosedError(f"the peer has sent nothing, no PONG either, for {timeout_s:g} s after a PING")
        return link.greeting_is_late() if not link.stands and now_s >= link.greet_by_s else None

    def ask(self, now_s: float) -> None:
        """Send a PING where the peer accepts one. Requires the lock."""
        if not (self._host.is_open and self._rooms.session.accepts(PING)):
            self.heartbeat.skip(now_s)
            return
        nonce = new_id()
        self.heartbeat.asked(nonce, now_s)
        self.ping_end = self._host.post(self._rooms.session.control_frame(PING, {"nonce": nonce})).end

    def written(self) -> None:
        """Tell the heartbeat that the peer took something of ours. Requires the lock."""
        self.heartbeat.written(self._clock(), ping_has_left=self._rooms.outgoing.written_end >= self.ping_end)

    def _tell_of_stalls(self, after_s: float) -> None:
        """Tell of channels where nothing moves, of frames nobody takes, of a socket that takes nothing. Requires the lock."""
        for stall in (*self._rooms.turnstile.stalls(after_s), *self._rooms.inbox.stalls(after_s, self._clock())):
            self._rooms.dispatcher.log(log, logging.WARNING, f"stalled: {stall.text}")
            self._rooms.put(stall)
        now_s, outgoing = self._clock(), self._rooms.outgoing
        if not outgoing.entries or outgoing.written_end != self._written_end:
            self._written_end, self._written_since_s, self._stuck_told = outgoing.written_end, now_s, False
        elif not self._stuck_told and now_s - self._written_since_s >= after_s:
            self._stuck_told = True
            self._warn(
                f"the peer does not read: {outgoing.pending_bytes} bytes are admitted, and none was taken for {after_s:g} s"
            )

    def _warn(self, text: str) -> None:
        self._rooms.dispatcher.log(log, logging.WARNING, f"stalled: {text}")
        self._rooms.put(WarningRaised(time_s=self._clock(), text=text))
