"""How a connection stands: on a line, between two, or at its end; who is told, and how `close` gets back in time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

import msgspec

from haip_sync.errors import ConnectionClosedError, DeadlockError, HAIPError
from haip_sync.events import Disconnected
from haip_sync.flow.forking import Home
from haip_sync.flow.parking import Condition
from haip_sync.runtime.control import Control
from haip_sync.runtime.exchanges import Exchanges
from haip_sync.runtime.leaving import left_text, unsent_text
from haip_sync.runtime.line import Line
from haip_sync.runtime.link import Link, close_frame
from haip_sync.runtime.peer_log import PeerLog
from haip_sync.runtime.resumption import Resumption
from haip_sync.runtime.rooms import Rooms
from haip_sync.runtime.service import Service
from haip_sync.runtime.settings import Settings
from haip_sync.runtime.writer import Writer
from haip_sync.state import Phase

log = logging.getLogger("haip_sync.connection")

_CLOSE_ANSWER_S: Final = 1.0
"""How long to wait for the peer's close frame after ours, within close's own timeout."""
_LAST_JOIN_S: Final = 0.1
"""How long to wait for our threads when close's timeout is used up already: all that blocks them has been ended."""
_LEFT_S: Final = 0.05
"""How long what sends have returned for may take to leave where close's timeout is over: somebody else writes just now, or this
system cannot try to send, so that only the service thread does."""
GOOD_CODES: Final = (1000, 1001)


class _Ending(msgspec.Struct, frozen=True):
    """How a connection ended."""

    failure: HAIPError
    in_good_order: bool
    code: int | None
    """The code of the peer's close frame, if there was one."""


class Life:
    """What a connection knows of its beginning and end. `Connection` puts the rooms in."""

    rooms: Rooms
    home: Home
    writer: Writer
    control: Control
    exchanges: Exchanges
    link: Link
    _service: Service
    _resumption: Resumption
    _peer_log: PeerLog

    def __init__(self, settings: Settings, clock: Callable[[], float], lock: threading.RLock, changed: Condition) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = lock
        # Waits for the peer's HAI, for the write order to run empty, and for the end.
        self._changed = changed
        # How many wait there in `wait_while`: nearly always nobody, and every write looks. An interrupt may leave it too high,
        # never too low.
        self._waiting = 0
        # Guarded by the lock.
        self._threads: tuple[threading.Thread, ...] = ()
        self._begun = False
        self._has_had_line = False
        self._last_loss: str | None = None
        self._closing = False
        # The program ends, and nobody is to be woken.
        self._is_leaving = False
        # How it ended, set first; everybody was told of it, set last: an interrupt may strike between.
        self._ending: _Ending | None = None
        self._ended = False
        self._is_all_told = False
        self._failure: HAIPError | None = None
        self._told: HAIPError | None = None
        # Says the last words, the first time that it is asked for the next; set before that.
        self._farewell: Iterator[None] | None = None

    # ---- How it stands ---------------------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether both HAIs were exchanged and the line stands."""
        link = self.link
        return link.is_greeted and not link.is_over and not self._ended and not self._closing  # `stands`, without a call

    @property
    def phase(self) -> Phase:
        """Where it stands, in a word."""
        if self._ending is not None or self._closing:
            return "closed"
        if self.link.stands:
            return "open"
        if self.rooms.turnstile.epoch:
            return "offline"
        return "connecting" if self._begun else "new"

    @property
    def last_loss(self) -> str | None:
        """Why the latest line broke; None: none did."""
        return self._last_loss

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or is about to."""
        return self._ending is not None

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        return str(self._told or "the client is closed")

    @property
    def failure(self) -> HAIPError | None:
        """Why it ended; None while it stands and after a close in good order."""
        return self._failure

    @property
    def is_closing(self) -> bool:
        """Whether `close` was called, or the connection is over."""
        return self._closing or self._ending is not None

    def check_open(self) -> None:
        """Raise `ConnectionClosedError` unless the line stands now. Requires the lock."""
        self.check_alive()
        if not self.link.stands:
            raise ConnectionClosedError(f"the client is {self.rooms.turnstile.offline_text()}. Nothing was sent")

    def check_alive(self) -> None:
        """Raise `ConnectionClosedError` unless the line stands, or another is being tried. Requires the lock."""
        if self._ended or self._closing:
            raise ConnectionClosedError(f"{self._told or 'the client is closed'}. Nothing was sent") from self._failure
        if not self.rooms.turnstile.epoch:
            raise ConnectionClosedError("the client is not connected yet. Nothing was sent")

    def check_not_over(self) -> None:
        """Raise `ConnectionClosedError` where it has ended, or is about to, and something queued or admitted never left."""
        with self._lock:
            if self.is_closing:
                raise ConnectionClosedError(
                    f"{self.ending}. Not everything had left by then: handles, and calls that wait, say what was not sent"
                ) from self._failure

    def check_not_reentered(self) -> None:
        """Raise `DeadlockError` in a signal handler or destructor that interrupted another call of this thread's in mid-work.

        And `ForkedError` in a forked child: what follows takes the lock.
        """
        self.home.check()
        if self.rooms.parking.is_held_here() or self.writer.is_writing_here():
            raise DeadlockError(
                "called by a signal handler (or a destructor) that interrupted another call of this client in the same thread. "
                "Nothing was done; set a flag there, and make the call outside"
            )

    def check_may_wait(self) -> None:
        """Raise `DeadlockError` in a listener, which must not wait."""
        if threading.get_ident() == self.rooms.dispatcher.ident:  # `is_current`, without a call: every send asks
            raise DeadlockError(
                "a listener must not wait for credit: what brings it is told by the thread that the listener holds up. "
                "Nothing was sent; use timeout=0 or another thread"
            )

    def is_dispatching(self) -> bool:
        """Return whether the calling thread is the one that runs listeners."""
        return self.rooms.dispatcher.is_current()

    def is_reentered(self) -> bool:
        """Return whether the calling thread was interrupted with the connection's state, or a write, in its hands."""
        return self.rooms.parking.is_held_here() or self.writer.is_writing_here()

    def poke(self) -> None:
        """Have the service thread mend and write what is there. Any thread, with or without the lock."""
        self._service.poke()

    def wait_while(self, condition: Callable[[], bool], deadline_s: float) -> None:
        """Wait until `condition` ends, the connection does, or `deadline_s`. Requires the lock."""
        self._waiting += 1
        try:
            while condition() and not self._ended and (left_s := deadline_s - self._clock()) > 0:
                self.rooms.parking.wait(self._changed, left_s)
        finally:
            self._waiting -= 1

    def look_whether_all_is_sent(self) -> None:
        """Tell those who wait for it if nothing stands unwritten. Requires the lock."""
        if self._waiting and not self.rooms.outgoing.entries:
            self._changed.notify_all()

    # ---- The end ---------------------------------------------------------------------------------------------------------------

    def lost_while_writing(self, line: Line, exc: OSError) -> None:
        """Have a line end after a failed write. Any thread, without the lock."""
        link = self.link
        if link.line is line:
            link.note_loss(ConnectionClosedError(f"the connection was lost while it was written to: {exc.strerror or exc}"))

    def end(self, failure: HAIPError | None, *, code: int | None = None) -> None:
        """Be over, for this reason (None: in good order); the first reason wins. Wakes everyone. Any thread, without the lock."""
        try:
            with self._lock:
                self.rooms.turnstile.mend()
                if self._ending is None:
                    in_good_order = self._closing or (code in GOOD_CODES and self.link.is_greeted)
                    if failure is None or self._closing:
                        failure = ConnectionClosedError("the client was closed")
                    self._ending = _Ending(failure, in_good_order, code)
                self._finish(self._ending)
        finally:
            # After an interrupt as well: the service thread, or the reader whose line ends, goes on where it struck.
            self.poke()
            self.link.stop_opening()
            self.link.shut()

    def _finish(self, ending: _Ending) -> None:
        """Set what the end sets, and tell everybody. Interrupted anywhere, it is done again. Requires the lock."""
        if self._is_all_told:
            return
        if self._is_leaving:
            self._changed.notify_all()
            return
        failure, in_good_order = ending.failure, ending.in_good_order
        self._told = failure
        self._failure = None if in_good_order else failure
        self._ended = True
        self._tell_of_queue(self.rooms.turnstile.close(failure))
        # First: who hands a frame over now sees that it will not be written, or we see that its sender has gone.
        self.rooms.outgoing.abandon(failure)
        self._report_unsent(in_good_order=in_good_order)
        self.writer.wake_over()
        self.rooms.inbox.end()
        self.rooms.routes.end(failure, in_good_order=in_good_order)
        self.exchanges.end()
        self._changed.notify_all()
        if self._has_had_line:
            self._say_last_words(ending)
        self._is_all_told = True

    def _report_unsent(self, *, in_good_order: bool) -> None:
        """Tell of what was sent and may not have arrived, and of what was not written. Requires the lock."""
        # Closed between two lines: what was sent on the last one may never have arrived, in however good order we go.
        if not in_good_order or self.rooms.turnstile.offline is not None:
            self._resumption.report(self.rooms.outgoing.lose(), self.rooms.outgoing.fates.unknown())
        else:
            self._resumption.report_unwritten()

    def _say_last_words(self, ending: _Ending) -> None:
        """Have the dispatch thread tell of the end, once, however often it is asked for. Requires the lock."""
        self._peer_log.flush()
        if self._farewell is None:
            reason, in_good_order = str(ending.failure), ending.in_good_order
            event = Disconnected(time_s=self._clock(), reason=reason, in_good_order=in_good_order, code=ending.code)
            self._farewell = map(self._say_farewell, (event,))
        # Asked for once more after an interrupt, and said once: the second time nothing is left of it.
        self.rooms.dispatcher.call_soon(partial(next, self._farewell, None))

    def _tell_of_queue(self, left: Mapping[str, int]) -> None:
        """Have the log say what was queued and goes back unsent: nobody need have kept a handle. Requires the lock."""
        if left:
            text = f"{self._settings.name} closed with {left_text(left)} not sent; their handles say so"
            self.rooms.dispatcher.log(log, logging.WARNING, text)

    def _say_farewell(self, event: Disconnected) -> None:
        """Tell the log and the listeners of the end. Runs on the dispatch thread, which no interrupt strikes."""
        log.log(logging.INFO if event.in_good_order else logging.WARNING, "%s", event.reason)
        self.rooms.dispatcher.tell_here(event)

    def close(self, timeout_s: float) -> None:
        """End the connection, in good order if there is time for it. Back within `timeout_s` + 0.2 s; idempotent; any thread."""
        self.home.check()
        if self.is_reentered():
            # A signal handler in mid-work: somebody else has to close, and it cannot be waited for here.
            threading.Thread(target=self.close, args=(timeout_s,), name=f"{self._settings.name}-closer", daemon=True).start()
            return
        deadline_s = self._clock() + timeout_s
        has_left, self._is_leaving = self._is_leaving, False
        try:
            if not has_left:
                self._close_in_good_order(deadline_s)
        finally:
            try:
                self.end(None)
            finally:
                # Not before everybody is told: where an interrupt struck `end`, the service thread goes on, and does this too.
                if self._is_all_told or not self._threads:
                    self.rooms.dispatcher.finish()
        last_s = max(deadline_s, self._clock() + _LAST_JOIN_S)
        for thread in self._threads:
            if thread.ident is not None and thread is not threading.current_thread():
                thread.join(max(0.0, last_s - self._clock()))
        self.rooms.dispatcher.join(max(0.0, last_s - self._clock()))
        self._release(max(0.0, last_s - self._clock()))

    def _close_in_good_order(self, deadline_s: float) -> None:
        with self._lock:
            self.rooms.turnstile.mend()
            is_first, was_open = not self._closing, self.is_open
            self._closing = True
            self._tell_of_queue(self.rooms.turnstile.close(ConnectionClosedError("the client was closed")))
        self.link.stop_opening()
        if was_open:
            self._say_goodbye(deadline_s)
        elif not is_first:  # another thread is closing: let it finish what it can
            with self._lock:
                self.wait_while(lambda: True, deadline_s)

    def _say_goodbye(self, deadline_s: float) -> None:
        """Let what was admitted leave, then exchange close frames; as far as the time goes."""
        self.writer.let_out()  # here: there may be no time for another thread to do it
        self.poke()
        with self._lock:
            leave_by_s = max(deadline_s, self._clock() + _LEFT_S) if self.rooms.outgoing.has_returned else deadline_s
            self.wait_while(lambda: not self.rooms.outgoing.is_empty, leave_by_s)
            if self.rooms.outgoing.is_empty and not self._ended:
                self.control.post_raw(close_frame(GOOD_CODES[0]))
                self.wait_while(lambda: not self.is_over, min(deadline_s, self._clock() + _CLOSE_ANSWER_S))

    def give_up_queue(self) -> str | None:
        """Let nothing more go out but a goodbye, because the program ends; return what of the queue is not sent, in words.

        Threads that wait are not woken: they are daemons, which would end with a traceback each. The holders of queued messages
        are told. Without the lock.
        """
        with self._lock:
            self.rooms.turnstile.mend()
            if self._closing or self._ending is not None:
                return None
            self._closing = self._is_leaving = True
            left = self.rooms.turnstile.leave(ConnectionClosedError("the program ended"))
            unknown = self.rooms.outgoing.accepted_messages()
            if not self.link.stands and self.rooms.session.peer_sequences:  # what was written may have been lost on the way
                unknown = self.rooms.outgoing.fates.unknown()
        return unsent_text(self._settings.name, left, unknown)

    def leave(self, deadline_s: float) -> None:
        """Say goodbye, and let listeners and callbacks hear what waits for them, until `deadline_s`. After `give_up_queue`."""
        if self._is_leaving:
            if self.link.stands:
                self._say_goodbye(deadline_s)
            with self._lock:
                self.rooms.outgoing.abandon(ConnectionClosedError("the program ended"))
            self.rooms.dispatcher.finish()
            self.rooms.dispatcher.join(max(0.0, deadline_s - self._clock()))

    def _release(self, timeout_s: float | None) -> None:
        """Give the descriptor back where nobody uses it any more; a thread that is still in a strategy does so at its end.

        `timeout_s`: how long to wait for a thread that writes; None: for ever.
        """
        line, others = self.link.line, (t for t in self._threads if t is not threading.current_thread())
        if line is not None and not any(t.is_alive() for t in others) and self.writer.retire(timeout_s):
            line.release()
