"""A client's connection: its rooms put together, its threads, and its first line.

Three threads: the *reader* takes frames in, from one line after another, and waits for nothing else while one stands; what they
let go (senders that waited, answers, grants) it writes as far as that goes at once. The *service* thread writes what nobody else
writes, keeps the heartbeat and tells of stalls; the *dispatch* thread runs listeners. Senders that need not wait write for
themselves. All are daemons: a program that forgets to close still exits.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from haip_sync.errors import ConnectionClosedError, HAIPError
from haip_sync.events import Message
from haip_sync.flow import audit
from haip_sync.flow.ledger import Cost
from haip_sync.flow.outbox import Outbox
from haip_sync.flow.parking import Parking
from haip_sync.flow.turnstile import Turnstile
from haip_sync.protocol.happenings import UpdateLost
from haip_sync.protocol.names import CONTROL_TYPES
from haip_sync.protocol.session import Session
from haip_sync.protocol.transactions import TransactionHappening
from haip_sync.runtime import leaving
from haip_sync.runtime.control import Control
from haip_sync.runtime.conversation.routes import Routes
from haip_sync.runtime.crossing import Crossing
from haip_sync.runtime.discretion import Discretion
from haip_sync.runtime.dispatch import Dispatcher
from haip_sync.runtime.entry import Entry
from haip_sync.runtime.exchanges import Exchanges
from haip_sync.runtime.heartbeat import Heartbeat
from haip_sync.runtime.inbox import Inbox
from haip_sync.runtime.line import Line
from haip_sync.runtime.link import LAST_WORDS_S, Link
from haip_sync.runtime.mailbox import Taker
from haip_sync.runtime.meaning import Meaning
from haip_sync.runtime.outgoing import Outgoing
from haip_sync.runtime.peer_log import PeerLog
from haip_sync.runtime.reception import Reception
from haip_sync.runtime.reconnect import Lines
from haip_sync.runtime.replaying import Replaying
from haip_sync.runtime.resumption import Resumption
from haip_sync.runtime.rooms import Rooms
from haip_sync.runtime.service import Service
from haip_sync.runtime.settings import Settings
from haip_sync.runtime.watch import Watch
from haip_sync.runtime.writer import Writer

log = logging.getLogger("haip_sync.connection")


class Connection(Crossing):
    """One client's connection, from its construction to its end. Thread-safe."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        parking = Parking()
        super().__init__(settings, clock, parking.lock, parking.new_condition())
        self.home = parking.home
        self.watch = Watch(self.poke, clock)
        self.rooms = self._make_rooms(parking)
        turnstile, outgoing, dispatcher = self.rooms.turnstile, self.rooms.outgoing, self.rooms.dispatcher
        self._discretion = Discretion()
        self.rooms.session.discreet = self.without_secrets
        self.outbox = Outbox(
            parking,
            turnstile,
            settings.flow_control,
            clock=clock,
            poke=self.poke,
            is_dispatching=dispatcher.is_current,
        )
        self.writer = Writer(
            parking, outgoing, after_write=self._after_write, mend=turnstile.mend, poke=self.poke, on_loss=self.lost_while_writing
        )
        parking.before_sleep = self._before_sleep
        self.control = Control(
            self.rooms, settings, clock=clock, poke=self._have_written, overflow=self._on_overflow, metrics=self.watch.metrics
        )
        self.exchanges = Exchanges(self, self.rooms, self.control)
        self.replaying = Replaying(self.control, self.rooms)
        self._service = Service(self, self.rooms, self.writer, settings, clock)
        self._peer_log = PeerLog(dispatcher, clock, settings.limits.max_log_lines_per_s, without_secrets=self.without_secrets)
        meaning = Meaning(self, self.rooms, settings.flow_control, self._peer_log)
        self._reception = Reception(
            self,
            self.rooms,
            meaning,
            keeps_inbox=settings.keeps_inbox,
            limits=settings.limits,
            log=self._peer_log,
            clock=clock,
        )
        self._resumption = Resumption(self.rooms, self._peer_log)
        self.link = Link(self, self.rooms, settings, clock, self._changed)

    def _make_rooms(self, parking: Parking) -> Rooms:
        settings = self._settings
        session = Session(
            settings.session_id,
            dialect_choice=settings.dialect,
            text_is_one_message=settings.flow_control.credit_unit == "message",
        )
        outgoing = Outgoing(session, clock=self._clock, max_replay_bytes=settings.limits.max_replay_bytes)
        dispatcher = Dispatcher(settings.name, keeps_messages=not settings.keeps_inbox, after_message=self._after_listeners)
        is_audited = audit.is_wanted()
        turnstile: Turnstile[Entry] = Turnstile(
            parking,
            outgoing,
            settings.flow_control,
            clock=self._clock,
            sink=dispatcher,
            poke=self.poke,
            let_out=self._let_out,
            watcher=self.watch,
            is_audited=is_audited,
            max_channels=settings.limits.max_channels,
        )
        return Rooms(parking, session, outgoing, turnstile, Inbox(parking), dispatcher, is_audited, Routes())

    # ---- Beginning -------------------------------------------------------------------------------------------------------------

    def open(self, timeout_s: float) -> None:
        """Connect and exchange HAIs. Raises `ConnectError`, `HandshakeError`, `HAIPTimeout`, `ConnectionClosedError`."""
        self.home.check()
        deadline_s = self._clock() + timeout_s
        with self._lock:
            if self._begun or self._closing:
                raise ConnectionClosedError("a client connects once: make a new one to connect again")
            self._begun = True
        link = self.link
        try:
            line = link.open(timeout_s)
        except BaseException:
            with self._lock:
                self._begun = False
            raise
        try:
            self._start(line, timeout_s)
            self._wait_for_greeting(link, deadline_s)
            self._wait_for_admission(link, deadline_s)
        except BaseException:
            try:
                self.close(0.0)  # first: a line that is shut before would be told of as lost
            finally:
                line.shut()
                line.release()
            raise

    def _start(self, line: Line, timeout_s: float) -> None:
        """Send our HAI and let the threads run."""
        name = self._settings.name
        if not self.begin_line(self.link, line, math.inf):
            raise ConnectionClosedError("the client was closed while it connected")
        lines = Lines(self, self._reception, self._settings, self._clock)
        with self._lock:
            self._threads = (
                threading.Thread(target=lines.run, args=(self.link, line, timeout_s), name=f"{name}-reader", daemon=True),
                threading.Thread(target=self._serve, name=f"{name}-service", daemon=True),
            )
        self.rooms.dispatcher.start()
        for thread in self._threads:
            thread.start()

    def _wait_for_greeting(self, link: Link, deadline_s: float) -> None:
        with self._lock:
            while not (link.is_greeted or self._ended or link.refusal):
                if self._clock() >= deadline_s:
                    raise link.greeting_is_late()
                self.rooms.parking.wait(self._changed, deadline_s - self._clock())
            if link.refusal is not None:
                self.wait_while(lambda: not self.rooms.outgoing.is_empty, self._clock() + LAST_WORDS_S)
                raise link.refusal
            if not link.is_greeted:
                raise self._failure or ConnectionClosedError("the client was closed while it connected")

    def _wait_for_admission(self, link: Link, deadline_s: float) -> None:
        """Where our HAI says who we are, the peer may refuse that behind its own HAI: see whether it answers what comes after."""
        with self._lock:
            self.wait_while(lambda: not link.is_admitted, min(deadline_s, link.admit_by_s))
            if self._ended and not link.is_admitted:
                refusal = None if self._closing else self._told
                raise refusal or ConnectionClosedError("the client was closed while it connected")
            link.admit_by_s = -math.inf

    def _serve(self) -> None:
        """Write what nobody else writes: the service thread's target.

        An end that an interrupt left half told is told here, to listeners too, and the descriptor given back once nobody reads or
        writes any more.
        """
        leaving.arrived(self)
        self._service.run()
        self.end(None)
        if self._closing and not self._is_leaving:
            self.rooms.dispatcher.finish()  # which an interrupt may have kept `close` from
        self._threads[0].join()  # the reader, whose line is shut
        self._release(None)
        leaving.left(self)

    # ---- For the rooms: with the lock where nothing else is said ---------------------------------------------------------------

    def _have_written(self) -> None:
        """Have what was committed written soon: by this thread, where that is what it does next, else by the service thread."""
        if not self.rooms.turnstile.is_written_next:
            self.poke()

    def _let_out(self) -> None:
        """Write what gathers, as far as it goes without waiting. Without the lock."""
        self.writer.let_out()

    def _before_sleep(self) -> None:
        """Have what gathers written: who is about to sleep may wait for an answer to it."""
        if self.rooms.outgoing.is_gathering:
            self.poke()

    def _on_overflow(self) -> None:
        """Have a line ended whose peer asks for ever more answers and reads none."""
        self.link.overflow()

    def shut_if_overrun(self) -> None:
        """End such a line. Without the lock."""
        self.link.shut_if_overrun()

    @property
    def heartbeat(self) -> Heartbeat:
        """The heartbeat; guarded by the lock."""
        return self._service.heartbeat

    def look_for_gaps(self) -> None:
        """Do what the time has come for in the peer's numbers. Without the lock."""
        self._reception.look_for_gaps()

    def send_flow_update(self, channel: str, amount: Cost, *, gives_back: bool) -> None:
        """Grant (and ask for) `amount` on `channel`. Requires the lock."""
        self.control.send_flow_update(channel, amount, gives_back=gives_back)

    def refund(self, channel: str, cost: Cost) -> None:
        """Count a data frame that nobody will take, and give its credit back where it is time. Requires the lock."""
        self.control.refund(channel, cost)

    def take_routed(self, message: Message, taker: Taker) -> None:
        """Count a frame that went to a handle as taken, and give credit back where it is time. Requires the lock."""
        self.control.give_back_for(message, taker)

    def refuse(self, failure: HAIPError) -> None:
        """End the connection for this reason, once what is posted has left."""
        self.link.refuse(failure)

    def route(self, message: Message) -> bool:
        """Hand a data frame to the transaction of ours that it belongs to; return False where there is none."""
        return self.exchanges.route(message, keeps_inbox=self._settings.keeps_inbox)

    def take_back(self, lost: UpdateLost) -> None:
        """Undo a FLOW_UPDATE that came too late for its transaction."""
        self.control.take_back(lost)
        if not lost.gave_back:
            self.watch.passed_over(lost.channel, Cost(lost.messages, lost.byte_credits))

    def hear_of_transaction(self, happening: TransactionHappening) -> None:
        """Carry out what happened to a transaction."""
        self.exchanges.apply(happening)

    def end_left_transactions(self) -> None:
        """End the transactions, and the subscriptions to texts, that their holders have left."""
        self.exchanges.sweep()
        self.rooms.routes.sweep()

    def complain(self, text: str) -> None:
        """Note what came in place of the peer's HAI, for the error of a handshake that fails."""
        self.link.complain(text)

    def _after_write(self) -> None:
        # Asked here, not where it is done: every send comes by, and nearly always there is nothing to do.
        if self._service.heartbeat.asked_s is not None:
            self._service.written()
        if self.replaying.under_way is not None:
            self.poke()  # there may be room for more of it
        if self.rooms.turnstile.short_of_room:
            self.rooms.turnstile.room_again()
        if self._waiting:
            self.look_whether_all_is_sent()

    def _after_listeners(self, message: Message) -> None:
        if self._settings.keeps_inbox or message.is_routed or message.type in CONTROL_TYPES:
            return
        with self._lock:
            self.rooms.turnstile.mend()
            self.control.give_back_for(message)
