"""A client's connection: its threads, its beginning and its end.

Three threads: the *reader* takes frames in and never waits for anything else; the *service* thread writes what nobody else writes
(answers, grants, pings), keeps the heartbeat and tells of stalls; the *dispatch* thread runs listeners. Senders write for
themselves. All are daemons: a program that forgets to close still exits.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple
from weakref import ReferenceType, ref

from haip_sync.errors import ConnectionClosedError, DeadlockError, HAIPError, HAIPTimeout
from haip_sync.events import Connected, Disconnected, Message
from haip_sync.flow import audit
from haip_sync.flow.gates import Ticket
from haip_sync.flow.ledger import Cost
from haip_sync.flow.metrics import MetricsRecorder
from haip_sync.flow.outbox import Outbox
from haip_sync.flow.parking import Parking
from haip_sync.flow.pending import DoneCallback, PendingSend
from haip_sync.flow.strategies import Strategy
from haip_sync.flow.turnstile import Turnstile
from haip_sync.protocol.envelope import Frame
from haip_sync.protocol.happenings import UpdateLost
from haip_sync.protocol.names import CONTROL_TYPES, ERROR
from haip_sync.protocol.session import Session
from haip_sync.protocol.transactions import TransactionHappening
from haip_sync.runtime.asking import Asking, Watch
from haip_sync.runtime.broken_stream import BrokenStreamError
from haip_sync.runtime.control import Control
from haip_sync.runtime.conversation.routes import Routes
from haip_sync.runtime.dial import Attempt
from haip_sync.runtime.dispatch import Dispatcher
from haip_sync.runtime.exchanges import Exchange, Exchanges
from haip_sync.runtime.heartbeat import Heartbeat
from haip_sync.runtime.inbox import Inbox
from haip_sync.runtime.line import OPCODE_CLOSE, Line, encode, is_close
from haip_sync.runtime.mailbox import Mailbox, Taker
from haip_sync.runtime.meaning import Meaning, least_window
from haip_sync.runtime.outgoing import Entry, Outgoing
from haip_sync.runtime.parcels import FrameParcel, StreamParcel, TextParcel
from haip_sync.runtime.peer_log import PeerLog, WireLog
from haip_sync.runtime.reading import POLICY_VIOLATION, loss, read_until_goodbye
from haip_sync.runtime.reception import Reception
from haip_sync.runtime.rooms import Rooms
from haip_sync.runtime.service import Service
from haip_sync.runtime.settings import Settings
from haip_sync.runtime.writer import Writer

log = logging.getLogger("haip_sync.connection")

_CLOSE_ANSWER_S = 1.0
"""How long to wait for the peer's close frame after ours, within close's own timeout."""
_LAST_JOIN_S = 0.1
"""How long to wait for each thread when close's timeout is used up already: all that blocks them has been ended."""
_GOOD_CODES = (1000, 1001)
_LAST_WORDS_S = 0.5
"""How long to let an answer that ends the connection leave."""
_LONGEST_COMPLAINT = 300


class _Ending(NamedTuple):
    """How a connection ended."""

    failure: HAIPError
    in_good_order: bool
    code: int | None
    """The code of the peer's close frame, if there was one."""


class Connection:
    """One client's connection, from its construction to its end. Thread-safe."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        parking = Parking()
        session = Session(
            settings.session_id,
            dialect_choice=settings.dialect,
            text_is_one_message=settings.flow_control.credit_unit == "message",
        )
        outgoing = Outgoing(session)
        dispatcher = Dispatcher(settings.name, keeps_messages=not settings.keeps_inbox, after_message=self._after_listeners)
        self.watch = Watch(self.poke, clock)
        is_audited = audit.is_wanted()
        turnstile: Turnstile[Entry] = Turnstile(
            parking,
            outgoing,
            settings.flow_control,
            clock=clock,
            sink=dispatcher,
            poke=self.poke,
            watcher=self.watch,
            is_audited=is_audited,
            max_channels=settings.limits.max_channels,
        )
        self.rooms = Rooms(parking, session, outgoing, turnstile, Inbox(parking), dispatcher, is_audited, Routes())
        self.outbox = Outbox(
            parking,
            turnstile,
            settings.flow_control,
            clock=clock,
            poke=self.poke,
            is_dispatching=dispatcher.is_current,
        )
        self.writer = Writer(parking, outgoing, after_write=self._after_write, mend=turnstile.mend, poke=self.poke)
        self.control = Control(
            self.rooms, settings, clock=clock, poke=self.poke, overflow=self._on_overflow, metrics=self.watch.metrics
        )
        self.exchanges = Exchanges(self, self.rooms, self.control)
        asking = Asking(self.rooms, self.watch, self.control, lambda: self.is_open)
        self._service = Service(self, self.rooms, self.writer, asking, settings, clock)
        self._peer_log = PeerLog(dispatcher, clock, settings.limits.max_log_lines_per_s, without_secrets=self.without_secrets)
        meaning = Meaning(self, self.rooms, settings.flow_control, self._peer_log)
        self._reception = Reception(
            self,
            self.rooms,
            meaning,
            keeps_inbox=settings.keeps_inbox,
            limits=settings.limits,
            log=self._peer_log,
        )
        self._lock = parking.lock
        # Waits for the peer's HAI, for the write order to run empty, and for the end.
        self._changed = parking.new_condition()
        # Guarded by the lock.
        self._line: Line | None = None
        self._opening: Attempt | None = None
        self._threads: tuple[threading.Thread, ...] = ()
        self._begun = False
        self._greeted = False
        self._closing = False
        # How it ended, set first; everybody was told of it, set last: an interrupt may strike between.
        self._ending: _Ending | None = None
        self._ended = False
        self._is_all_told = False
        self._failure: HAIPError | None = None
        self._told: HAIPError | None = None
        self._refusal: HAIPError | None = None
        self._complaint = ""

    # ---- Beginning -------------------------------------------------------------------------------------------------------------

    def open(self, timeout_s: float) -> None:
        """Connect and exchange HAIs. Raises `ConnectError`, `HandshakeError`, `HAIPTimeout`, `ConnectionClosedError`."""
        deadline_s = self._clock() + timeout_s
        with self._lock:
            if self._begun or self._closing:
                raise ConnectionClosedError("a client connects once: make a new one to connect again")
            self._begun = True
        try:
            line = self._open_line(timeout_s)
        except BaseException:
            with self._lock:
                self._begun = False
            raise
        try:
            self._start(line)
            self._wait_for_greeting(deadline_s, timeout_s)
        except BaseException:
            line.shut()
            self.close(0.0)
            line.release()
            raise

    def _open_line(self, timeout_s: float) -> Line:
        try:
            line = Line(self._settings.route, timeout_s=timeout_s, opening=self._note_opening)
        except HAIPError as exc:
            if self._closing:
                raise ConnectionClosedError("the client was closed while it connected") from exc
            raise
        finally:
            self._opening = None
        return line

    def _note_opening(self, attempt: Attempt) -> None:
        with self._lock:
            self._opening = attempt
            if self._closing:
                raise ConnectionAbortedError("the client was closed while it connected")

    def _start(self, line: Line) -> None:
        """Send our HAI and let the threads run."""
        line.attach(self._post_raw)
        line.limit_frames(self._settings.max_frame_bytes)
        self.writer.wire_log = self._reception.wire_log = WireLog.if_wanted(self.rooms.dispatcher, line.without_secrets)
        name = self._settings.name
        with self._lock:
            if self._closing or self._ended:
                raise ConnectionClosedError("the client was closed while it connected")
            self._line = self.writer.line = line
            self._service.heartbeat = Heartbeat(self._settings.heartbeat, self._clock())
            self._threads = (
                threading.Thread(target=self._read, args=(line,), name=f"{name}-reader", daemon=True),
                threading.Thread(target=self._serve, name=f"{name}-service", daemon=True),
            )
            least = least_window(self._settings.flow_control)
            self.post(self.rooms.session.hello(least.messages, least.byte_credits, auth=line.hello_auth))
        self.rooms.dispatcher.start()
        for thread in self._threads:
            thread.start()

    def _wait_for_greeting(self, deadline_s: float, timeout_s: float) -> None:
        with self._lock:
            while not (self._greeted or self._ended or self._refusal):
                if self._clock() >= deadline_s:
                    instead = f"; what it sent instead: {self._complaint}" if self._complaint else ""
                    raise HAIPTimeout(f"{self._settings.address.text} sent no HAI within {timeout_s:g} s{instead}")
                self.rooms.parking.wait(self._changed, deadline_s - self._clock())
            if self._refusal is not None:
                self._wait_while(lambda: not self.rooms.outgoing.is_empty, self._clock() + _LAST_WORDS_S)
                raise self._refusal
            if not self._greeted:
                raise self._failure or ConnectionClosedError("the client was closed while it connected")

    # ---- For senders and commands ----------------------------------------------------------------------------------------------

    def carry(self, channel: str, parcel: TextParcel | FrameParcel, timeout_s: float | None) -> Entry:
        """Let `parcel` through the turnstile and write it; return its last entry. Blocks; raises as `Turnstile.pass_through`.

        Interrupted after admission it is written all the same, by the service thread.
        """
        self.check_not_reentered()
        is_admitted = False
        try:
            self.rooms.turnstile.pass_through(channel, parcel, timeout_s)
            is_admitted = True
            entry = parcel.last_entry
            self._write_through(channel, entry, parcel.event_type)
            return entry
        except BaseException as exc:
            self.poke()
            if is_admitted and not isinstance(exc, HAIPError):
                exc.add_note(f"haip_sync: {parcel.event_type} on {channel} was admitted before the interrupt: it is sent.")
            raise

    def open_stream(self, channel: str, parcel: StreamParcel, timeout_s: float | None) -> Ticket[Entry]:
        """Send START of a text that is written piece by piece. Blocks; raises as `Turnstile.open_place`."""
        self.check_not_reentered()
        ticket = self.rooms.turnstile.open_place(channel, parcel, timeout_s)
        self._write_through(channel, parcel.last_entry, parcel.event_type)
        return ticket

    def go_on_with_stream(
        self,
        channel: str,
        ticket: Ticket[Entry],
        parcel: StreamParcel,
        *,
        begin: Callable[[], None],
        is_done: Callable[[], bool],
        timeout_s: float | None,
    ) -> None:
        """Send the next piece of a text, or its END. Blocks; raises as `Turnstile.go_on`."""
        self.check_not_reentered()
        self.rooms.turnstile.go_on(channel, ticket, begin=begin, is_done=is_done, give_up=parcel.take_back, timeout_s=timeout_s)
        self._write_through(channel, parcel.last_entry, f"a piece of {parcel.event_type}")

    def _write_through(self, channel: str, entry: Entry, what: str) -> None:
        try:
            self.writer.write_through(entry.end)
        except OSError as exc:
            cause = self.lost_while_writing(exc)
            text = f"{what} on {channel} was admitted, then the line broke: whether the peer has it is not known. {cause}"
            raise ConnectionClosedError(text) from cause

    def enqueue(self, parcel: TextParcel | FrameParcel, channel: str, message_id: str) -> PendingSend:
        """Put a text into the outbox; raises as `Outbox.enqueue`. Without the lock."""
        self.check_not_reentered()
        size = parcel.queued_bytes()
        pending = PendingSend(self, self.rooms.parking, channel=channel, message_id=message_id, queued_bytes=size)
        parcel.pending = pending
        self.outbox.enqueue(parcel, pending)
        return pending

    def cancel(self, pending: PendingSend) -> bool:
        """Take a queued message back; return whether nothing of it was admitted. Without the lock."""
        self.check_not_reentered()
        return self.outbox.cancel(pending)

    def call_soon(self, callback: DoneCallback, pending: PendingSend) -> None:
        """Run a handle's callback on the dispatch thread."""
        self.rooms.dispatcher.call_soon(partial(callback, pending))

    def is_dispatching(self) -> bool:
        """Return whether the calling thread is the one that runs listeners."""
        return self.rooms.dispatcher.is_current()

    def post_now(self, frame: Frame) -> Entry:
        """Commit a control frame of the caller's and write it. Without the lock."""
        self.check_not_reentered()
        with self._lock:
            self.enter()
            entry = self.control.post(frame)
        self._write_through(frame.channel, entry, frame.type)
        return entry

    def request(self, channel: str, amount: Cost, *, within: Exchange | None = None) -> None:
        """Ask for credit, in this transaction if one is named. Without the lock."""
        self.check_not_reentered()
        with self._lock:
            self.enter(channel)
            over = None if within is None else within.over()
            if over is not None:
                raise over
            self.control.request(channel, amount, within=None if within is None else within.state.id)

    def pause(self, channel: str, reason: str | None) -> None:
        """Hold `channel` and tell the peer. Without the lock."""
        self.check_not_reentered()
        with self._lock:
            self.enter(channel)
            self.control.pause(channel, reason)

    def resume(self, channel: str) -> None:
        """Lift our hold on `channel` and tell the peer. Without the lock."""
        self.check_not_reentered()
        with self._lock:
            self.enter(channel)
            self.control.resume(channel)

    def use_strategy(self, strategy: Strategy | None) -> None:
        """Let `strategy` ask for credit from now on; None: nobody. Without the lock, at any time."""
        self.check_not_reentered()
        with self._lock:
            self.rooms.turnstile.mend()
            self.watch.use(strategy, self.rooms.turnstile.gates)

    def metrics(self) -> MetricsRecorder:
        """Return a copy of the figures. Without the lock, at any time."""
        with self._lock:
            return self.watch.metrics.copy()

    def reset_metrics(self) -> None:
        """Begin all figures at zero again. Without the lock, at any time."""
        with self._lock:
            self.watch.metrics.reset()

    def enter(self, channel: str | None = None) -> None:
        """Mend, and raise unless the line stands and has a place for `channel`. Requires the lock."""
        self.rooms.turnstile.mend()
        self.check_open()
        if channel is not None:
            self.rooms.turnstile.check_place_for(channel)

    def take_message(self, timeout_s: float | None, box: Mailbox | None = None) -> Message | None:
        """Take the next message of `box` (None: of the inbox) and give credit back; None: it is over. Without the lock.

        Raises `HAIPTimeout`.
        """
        self.check_not_reentered()
        box = self.rooms.inbox if box is None else box
        try:
            with self._lock:
                self.rooms.turnstile.mend()
                message = box.wait_for_next(timeout_s)
                if message is not None:
                    self.control.give_back_for(message, box)
                    box.pop()
        except BaseException:
            with self._lock:
                box.pass_on()
            raise
        return message

    def poke(self) -> None:
        """Have the service thread mend and write what is there. Any thread, with or without the lock."""
        self._service.poke()

    def watch_holder(self, holder: object) -> ReferenceType[object]:
        """Return a reference to whoever holds a transaction; once it is gone, the service thread looks.

        No code of ours runs then in the thread that let go of it: an interrupt there has nothing to strike.
        """
        return ref(holder, self._service.wake)

    @property
    def heartbeat(self) -> Heartbeat:
        """The heartbeat; guarded by the lock."""
        return self._service.heartbeat

    def post(self, frame: Frame) -> Entry:
        """Commit a control frame and have it written soon. Requires the lock."""
        return self.control.post(frame)

    def send_flow_update(self, channel: str, amount: Cost, *, gives_back: bool) -> None:
        """Grant (and ask for) `amount` on `channel`. Requires the lock."""
        self.control.send_flow_update(channel, amount, gives_back=gives_back)

    def refund(self, channel: str, cost: Cost) -> None:
        """Count a data frame that nobody will take, and give its credit back where it is time. Requires the lock."""
        self.control.refund(channel, cost)

    def take_routed(self, message: Message, taker: Taker) -> None:
        """Count a frame that went to a handle as taken, and give credit back where it is time. Requires the lock."""
        self.control.give_back_for(message, taker)

    def _post_raw(self, data: bytes) -> None:
        """Put a WebSocket frame of websocket-client's into the write order. Reader thread, without the lock.

        It answers every close frame, that too which answers ours: nothing may follow ours (RFC 6455, 5.5.1).
        """
        with self._lock:
            if not (self._closing and is_close(data)):
                self.control.post_raw(data)

    def _on_overflow(self) -> None:
        """End a connection whose peer asks for ever more answers and reads none. Requires the lock."""
        self._refusal = ConnectionClosedError("the peer does not read the answers that it asks for: too many wait to be written")
        if self._line is not None:
            self._line.shut()

    def check_not_reentered(self) -> None:
        """Raise `DeadlockError` in a signal handler or destructor that interrupted another call of this thread's in mid-work."""
        if self.rooms.parking.is_held_here() or self.writer.is_writing_here():
            raise DeadlockError(
                "called by a signal handler (or a destructor) that interrupted another call of this client in the same thread. "
                "Nothing was done; set a flag there, and make the call outside"
            )

    def check_may_wait(self) -> None:
        """Raise `DeadlockError` in a listener, which must not wait."""
        if self.rooms.dispatcher.is_current():
            raise DeadlockError(
                "a listener must not wait for credit: what brings it is told by the thread that the listener holds up. "
                "Nothing was sent; use timeout=0 or another thread"
            )

    def is_reentered(self) -> bool:
        """Return whether the calling thread was interrupted with the connection's state, or a write, in its hands."""
        return self.rooms.parking.is_held_here() or self.writer.is_writing_here()

    def check_open(self) -> None:
        """Raise `ConnectionClosedError` unless the line stands. Requires the lock."""
        if self._ended or self._closing:
            raise ConnectionClosedError(f"{self._told or 'the client is closed'}. Nothing was sent") from self._failure
        if not self._greeted:
            raise ConnectionClosedError("the client is not connected yet. Nothing was sent")

    def lost_while_writing(self, exc: OSError) -> HAIPError:
        """End the connection after a failed write and return why."""
        lost = ConnectionClosedError(f"the connection was lost while it was written to: {exc.strerror or exc}")
        self.end(self._refusal or lost)
        with self._lock:
            return self._told or ConnectionClosedError("the client is closed")

    def _after_listeners(self, message: Message) -> None:
        if self._settings.keeps_inbox or message.is_routed or message.type in CONTROL_TYPES:
            return
        with self._lock:
            self.rooms.turnstile.mend()
            self.control.give_back_for(message)

    @property
    def is_open(self) -> bool:
        """Whether both HAIs were exchanged and the line stands."""
        return self._greeted and not self._ended and not self._closing

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

    # ---- For reception: all require the lock -----------------------------------------------------------------------------------

    def greeted(self) -> None:
        """Note that both HAIs were exchanged."""
        self._greeted = True
        # Not before: a listener for it may send at once, and ask for credit.
        self.rooms.put(Connected(time_s=self._clock(), address=self._settings.address.text))
        self._changed.notify_all()

    def refuse(self, failure: HAIPError) -> None:
        """End the connection for this reason, once what is posted has left."""
        self._refusal = failure
        self.control.post_raw(_close_frame(POLICY_VIOLATION))
        self._changed.notify_all()

    def route(self, message: Message) -> bool:
        """Hand a data frame to the transaction of ours that it belongs to; return False where there is none."""
        return self.exchanges.route(message, keeps_inbox=self._settings.keeps_inbox)

    def take_back(self, lost: UpdateLost) -> None:
        """Undo a FLOW_UPDATE that came too late for its transaction."""
        self.control.take_back(lost)

    def hear_of_transaction(self, happening: TransactionHappening) -> None:
        """Carry out what happened to a transaction."""
        self.exchanges.apply(happening)

    def end_left_transactions(self) -> None:
        """End the transactions that their holders have left."""
        self.exchanges.sweep()

    def complain(self, text: str) -> None:
        """Note what came in place of the peer's HAI, for the error of a handshake that fails."""
        self._complaint = self._complaint or self.without_secrets(text)[:_LONGEST_COMPLAINT]

    def without_secrets(self, text: str) -> str:
        """Return what the peer said with what we told it in confidence struck out."""
        return text if self._line is None else self._line.without_secrets(text)

    def _after_write(self) -> None:
        if self._service.heartbeat.is_asking:
            self._service.written()
        self.rooms.turnstile.room_again()
        self.look_whether_all_is_sent()

    def look_whether_all_is_sent(self) -> None:
        """Tell those who wait for it if nothing is unwritten. Requires the lock."""
        if self.rooms.outgoing.is_empty:
            self._changed.notify_all()

    # ---- The end ---------------------------------------------------------------------------------------------------------------

    def _read(self, line: Line) -> None:
        """Take frames in until the line ends: the reader thread's target."""
        where = self._settings.address.text
        try:
            goodbye = read_until_goodbye(line, self._reception)
        except BrokenStreamError as exc:
            self._give_up(exc)
            self.end(self._refusal or loss(where, exc))
        except Exception as exc:
            log.debug("the line ended", exc_info=exc)
            self.end(self._refusal or loss(where, exc))
        else:
            with self._lock:  # the answer to its close frame
                self._wait_while(lambda: not self.rooms.outgoing.is_empty, self._clock() + _LAST_WORDS_S)
            self.end(self._refusal or goodbye.failure(where, greeted=self._greeted), code=goodbye.code)

    def _give_up(self, broken: BrokenStreamError) -> None:
        """Tell a peer whose stream cannot be read on why we leave, and let that go out."""
        with self._lock:
            if self.rooms.session.accepts(ERROR):
                self.post(self.rooms.session.error(broken.code, str(broken), None))
            self.control.post_raw(_close_frame(broken.close_code))
            self._wait_while(lambda: not self.rooms.outgoing.is_empty, self._clock() + _LAST_WORDS_S)

    def _serve(self) -> None:
        """Write what nobody else writes: the service thread's target. An end that an interrupt left half told is told here."""
        self._service.run()
        self.end(None)

    def end(self, failure: HAIPError | None, *, code: int | None = None) -> None:
        """Be over, for this reason (None: in good order); the first reason wins. Wakes everyone. Any thread, without the lock."""
        try:
            with self._lock:
                self.rooms.turnstile.mend()
                if self._ending is None:
                    in_good_order = self._closing or (code in _GOOD_CODES and self._greeted)
                    if failure is None or self._closing:
                        failure = ConnectionClosedError("the client was closed")
                    self._ending = _Ending(failure, in_good_order, code)
                self._finish(self._ending)
        finally:
            # After an interrupt as well: the service thread, or the reader whose line ends, goes on where it struck.
            self.poke()
            if self._line is not None:
                self._line.shut()

    def _finish(self, ending: _Ending) -> None:
        """Set what the end sets, and tell everybody. Interrupted anywhere, it is done again. Requires the lock."""
        if self._is_all_told:
            return
        failure, in_good_order, code = ending
        self._told = failure
        self._failure = None if in_good_order else failure
        self._ended = True
        self.rooms.turnstile.close(failure)
        self.rooms.outgoing.abandon(failure, in_good_order=in_good_order)
        self.rooms.inbox.end()
        self.rooms.routes.end(failure, in_good_order=in_good_order)
        self.exchanges.end()
        self._changed.notify_all()
        if self._line is not None:
            self._peer_log.flush()
            self.rooms.dispatcher.log(log, logging.INFO if in_good_order else logging.WARNING, str(failure))
            self.rooms.put(Disconnected(time_s=self._clock(), reason=str(failure), in_good_order=in_good_order, code=code))
        self._is_all_told = True

    def close(self, timeout_s: float) -> None:
        """End the connection, in good order if there is time for it. Back within `timeout_s` + 0.2 s; idempotent; any thread."""
        if self.is_reentered():
            # A signal handler in mid-work: somebody else has to close, and it cannot be waited for here.
            threading.Thread(target=self.close, args=(timeout_s,), name=f"{self._settings.name}-closer", daemon=True).start()
            return
        deadline_s = self._clock() + timeout_s
        try:
            self._close_in_good_order(deadline_s)
        finally:
            try:
                self.end(None)
            finally:
                self.rooms.dispatcher.finish()
        for thread in self._threads:
            if thread.ident is not None and thread is not threading.current_thread():
                thread.join(max(_LAST_JOIN_S, deadline_s - self._clock()))
        self.rooms.dispatcher.join(max(_LAST_JOIN_S, deadline_s - self._clock()))
        self._release()

    def _close_in_good_order(self, deadline_s: float) -> None:
        with self._lock:
            self.rooms.turnstile.mend()
            is_first, was_open, opening = not self._closing, self.is_open, self._opening
            self._closing = True
            self.rooms.turnstile.close(ConnectionClosedError("the client was closed"))
        if opening is not None:
            _shut(opening)
        if was_open:
            self._say_goodbye(deadline_s)
        elif not is_first:  # another thread is closing: let it finish what it can
            with self._lock:
                self._wait_while(lambda: True, deadline_s)

    def _say_goodbye(self, deadline_s: float) -> None:
        """Let what was admitted leave, then exchange close frames; as far as the time goes."""
        self.poke()
        with self._lock:
            self._wait_while(lambda: not self.rooms.outgoing.is_empty, deadline_s)
            if self.rooms.outgoing.is_empty and not self._ended:
                self.control.post_raw(_close_frame(_GOOD_CODES[0]))
                self._wait_while(lambda: True, min(deadline_s, self._clock() + _CLOSE_ANSWER_S))

    def _wait_while(self, condition: Callable[[], bool], deadline_s: float) -> None:
        """Wait until `condition` ends, the connection does, or `deadline_s`. Requires the lock."""
        while condition() and not self._ended and (left_s := deadline_s - self._clock()) > 0:
            self.rooms.parking.wait(self._changed, left_s)

    def clear_queue(self, channel: str) -> int:
        """Take back everything queued on `channel` that is not admitted; return how many. Without the lock."""
        self.check_not_reentered()
        return self.outbox.clear(channel)

    def wait_until_written(self, timeout_s: float | None) -> bool:
        """Wait until everything queued and admitted is written; return whether it is. Raises nothing when the line ends."""
        self.check_not_reentered()
        deadline_s = float("inf") if timeout_s is None else self._clock() + timeout_s
        with self._lock:
            self.rooms.turnstile.mend()
            self._wait_while(lambda: not self._has_nothing_to_send(), deadline_s)
            return self._has_nothing_to_send()

    def _has_nothing_to_send(self) -> bool:
        return self.rooms.outgoing.is_empty and not any(gate.queued for gate in self.rooms.turnstile.gates)

    def _release(self) -> None:
        """Give the descriptor back where nobody uses it any more; a thread that is still in a listener keeps it to its end."""
        line = self._line
        if line is not None and not any(t.is_alive() for t in self._threads) and self.writer.retire(_LAST_JOIN_S):
            line.release()


def _close_frame(code: int) -> bytes:
    return encode(OPCODE_CLOSE, code.to_bytes(2, "big"))


def _shut(attempt: Attempt) -> None:
    try:
        attempt.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
