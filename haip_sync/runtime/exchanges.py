"""The runtime's side of transactions: who waits for an answer, where their messages go, and how they end.

The session's book says what a transaction *is*; here are the mailbox, the history and the threads. A transaction is ended in one
place, `Exchanges._finish`: by whoever holds it, or by the service thread where its holder was interrupted or has forgotten it.
Every line of that may be done twice.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import Final, Protocol
from weakref import ReferenceType

from haip_sync.errors import ConfigError, ConnectionClosedError, HAIPError, HAIPTimeout, ProtocolError, TransactionEndedError
from haip_sync.events import Message, WarningRaised
from haip_sync.flow.parking import Parking
from haip_sync.protocol.frames import Frame
from haip_sync.protocol.names import TRANSACTION_END
from haip_sync.protocol.session import Session
from haip_sync.protocol.transactions import (
    Stage,
    TransactionBook,
    TransactionEnded,
    TransactionHappening,
    TransactionOpened,
    TransactionRefused,
    TransactionState,
    TransactionUnasked,
)
from haip_sync.runtime.control import Control
from haip_sync.runtime.mailbox import Mailbox
from haip_sync.runtime.outgoing import Outgoing
from haip_sync.runtime.parcels import FrameParcel
from haip_sync.runtime.rooms import Rooms

log = logging.getLogger("haip_sync.connection")

MOST_HISTORY: Final = 1_000
"""Messages that a transaction remembers (HAIP 1.1.2: a replay window of at least 1,000 messages or five minutes)."""
MOST_HISTORY_BYTES: Final = 8 << 20
"""The same in bytes, as they cost; the latest message is kept whatever it weighs."""


class Host(Protocol):
    """What is asked of the connection."""

    def enter(self) -> None:
        """Mend, and raise unless the line stands. Requires the lock."""

    def poke(self) -> None:
        """Have the service thread look. Any thread, with or without the lock."""


class Exchange:
    """One transaction as the runtime sees it. Guarded by the connection's lock.

    Attributes:
        state: What the book knows of it.
        box: Its messages that nobody has taken.
        failure: Why there is no transaction after all.
        holder: Whoever holds it: once that is gone, nobody can end it but we. None: it has none yet.
    """

    def __init__(self, state: TransactionState, parking: Parking) -> None:
        self.state = state
        self.box = Mailbox(parking)
        self.failure: HAIPError | None = None
        self.holder: ReferenceType[object] | None = None
        # Waits for the peer's answer.
        self.answered = parking.new_condition()
        self._history: deque[Message] = deque()
        self._history_bytes = 0

    @property
    def is_left(self) -> bool:
        """Whether its holder has ended it, or is gone."""
        return self.state.is_left or (self.holder is not None and self.holder() is None)

    def remember(self, message: Message) -> None:
        """Add a message to the history, and let go of the oldest beyond its bounds."""
        self._history.append(message)
        self._history_bytes += message.frame_bytes
        while len(self._history) > MOST_HISTORY or (self._history_bytes > MOST_HISTORY_BYTES and len(self._history) > 1):
            self._history_bytes -= self._history.popleft().frame_bytes

    def history(self) -> tuple[Message, ...]:
        """Return the latest messages, the oldest first."""
        return tuple(self._history)

    def over(self) -> TransactionEndedError | None:
        """Return that frames may not be sent in it any more, and why; None: they may."""
        if self.state.is_open:
            return None
        if self.state.ended_by == "loss":
            return TransactionEndedError(f"{self.state.name} has ended with its line. Nothing was sent")
        who = "the peer" if self.state.ended_by == "peer" else "us"
        return TransactionEndedError(f"{self.state.name} was ended by {who}. Nothing was sent")


class TransactionParcel(FrameParcel):
    """One frame in a transaction, which may not be sent once that is over."""

    def __init__(self, outgoing: Outgoing, session: Session, frame: Frame, exchange: Exchange) -> None:
        super().__init__(outgoing, session, frame, frame.id)
        self._exchange = exchange

    def refusal(self) -> HAIPError | None:
        """Return why it may not be sent any more."""
        return self._exchange.over() or super().refusal()


class Exchanges:
    """The transactions of one connection that somebody here holds."""

    def __init__(self, host: Host, rooms: Rooms, control: Control) -> None:
        self._host = host
        self._rooms = rooms
        self._control = control
        # Guarded by the connection's lock.
        self._exchanges: dict[TransactionState, Exchange] = {}
        self._late = Mailbox(rooms.parking)
        self._is_over = False

    @property
    def _book(self) -> TransactionBook:
        return self._rooms.session.transactions

    # ---- For those who hold one: without the lock ------------------------------------------------------------------------------

    def open(self, exchange: Exchange, frame: Frame, timeout_s: float | None) -> None:
        """Ask for a transaction with this START or JOIN, and wait for the answer.

        Raises `HAIPTimeout`, `ProtocolError` (refused), `ConnectionClosedError`, `ConfigError` (joined already). However it is
        left, an answer that comes later is met with TRANSACTION_END.
        """
        state = exchange.state
        try:
            with self._rooms.parking.lock:
                self._host.enter()
                if self._book.is_taken(state.reference):
                    raise ConfigError(f"{state.name} is open already, or about to be. Nothing was sent")
                self._exchanges[state] = exchange
                self._book.ask(state)
                self._control.post(frame, stage=(state, Stage.ASKED))
                self._wait_for_answer(exchange, frame.type, timeout_s)
        except BaseException:
            self.leave(exchange)
            raise

    def _wait_for_answer(self, exchange: Exchange, asked_with: str, timeout_s: float | None) -> None:
        """Wait until the peer has answered. Requires the lock."""
        deadline_s = self._rooms.parking.deadline(timeout_s)
        while exchange.state.stage is Stage.ASKED and not self._is_over:
            left_s = self._rooms.parking.left(deadline_s)
            if left_s is not None and left_s <= 0:
                raise HAIPTimeout(
                    f"the peer did not answer the {asked_with} of {exchange.state.name} within {timeout_s:g} s. "
                    "Should it still do so, that transaction is ended at once"
                )
            self._rooms.parking.wait(exchange.answered, left_s)
        if exchange.failure is not None:
            raise exchange.failure
        if exchange.state.id is None:
            text = f"the connection ended before the peer answered the {asked_with} of {exchange.state.name}"
            closed = self._rooms.turnstile.closed
            raise ConnectionClosedError(text if closed is None else f"{text}: {closed}") from closed

    def leave(self, exchange: Exchange) -> None:
        """Have a transaction ended soon: one store, and one C call."""
        exchange.state.is_left = True
        self._host.poke()

    def close(self, exchange: Exchange) -> None:
        """End a transaction, and give back what nobody will take. Twice is once."""
        self.leave(exchange)
        with self._rooms.parking.lock:
            self._rooms.turnstile.mend()
            self._finish(exchange)

    # ---- For the connection's own threads: all require the lock ----------------------------------------------------------------

    def sweep(self) -> None:
        """End what its holders have left."""
        for exchange in tuple(self._exchanges.values()):
            if exchange.is_left:
                exchange.state.is_left = True
                self._finish(exchange)

    def lose(self, failure: HAIPError) -> None:
        """Note that the line is lost: transactions end with it, even if the session goes on. What has come can be received."""
        for exchange in self._exchanges.values():
            state = exchange.state
            if state.stage is not Stage.ENDED:
                exchange.failure = ConnectionClosedError(f"{state.name} has ended with its line: {failure}")
                exchange.failure.__cause__ = failure
                state.ended_by, state.stage = "loss", Stage.ENDED
            exchange.box.end()
            exchange.answered.notify_all()
        self._rooms.turnstile.withdraw()

    def end(self) -> None:
        """Wake everyone who waits: the connection is over. Interrupted anywhere, it is done again."""
        self._is_over = True
        for exchange in self._exchanges.values():
            exchange.box.end()
            exchange.answered.notify_all()
        self._exchanges.clear()  # nothing more will come for them, and nobody sweeps any more

    def route(self, message: Message, *, keeps_inbox: bool) -> bool:
        """Take a data frame that belongs to a transaction of ours; return False for one that does not."""
        state = self._book.find(message.transaction)
        exchange = None if state is None else self._exchanges.get(state)
        if exchange is None:
            return self._drop_late(message) if keeps_inbox else False
        exchange.state.channels.add(message.channel)
        exchange.remember(message)
        if keeps_inbox:
            exchange.box.arrive(message)
        return True

    def _drop_late(self, message: Message) -> bool:
        """Give back at once what comes in a transaction that we have ended; return False for any other."""
        if not self._book.was_ended_by_us(message.transaction):
            return False
        self._late.arrive(message)
        self._drain(self._late)
        return True

    def apply(self, happening: TransactionHappening) -> None:
        """Carry out what the peer's frame meant."""
        match happening:
            case TransactionOpened(state):
                self._wake(state)
                self._control.catch_up()
                self._host.poke()  # a strategy may ask now
            case TransactionRefused(state, code, why):
                exchange = self._exchanges.get(state)
                if exchange is not None:
                    text = f"the peer refused {state.name}: {code}: {why}. Nothing was sent in it"
                    exchange.failure = ProtocolError(text, code=code, blame="remote")
                self._wake(state)
            case TransactionEnded(state):
                self._rooms.turnstile.withdraw()
                exchange = self._exchanges.get(state)
                if exchange is not None:
                    exchange.box.end()
            case TransactionUnasked(text):
                self._rooms.dispatcher.log(log, logging.WARNING, text)
                self._rooms.put(WarningRaised(time_s=time.monotonic(), text=text))

    def _wake(self, state: TransactionState) -> None:
        exchange = self._exchanges.get(state)
        if exchange is not None:
            exchange.answered.notify_all()

    def _finish(self, exchange: Exchange) -> None:
        """End a transaction that its holder has left. Interrupted anywhere, it is done again; what was done stays as it is."""
        state = exchange.state
        # Before the END has its place: nothing of the transaction may come behind it.
        self._rooms.turnstile.withdraw()
        if state.stage is Stage.OPEN:
            state.ended_by = "us"
            self._say_end(state)
        exchange.box.end()
        self._drain(exchange.box)
        self._book.forget(state)
        self._exchanges.pop(state, None)

    def _say_end(self, state: TransactionState) -> None:
        """Post TRANSACTION_END; the state knows in the same step, so that it is said once."""
        if self._is_over or not self._rooms.session.accepts(TRANSACTION_END):
            state.stage = Stage.ENDED
            return
        frame = self._rooms.session.control_frame(TRANSACTION_END, {}, transaction=state.id)
        self._control.post(frame, stage=(state, Stage.ENDED))

    def _drain(self, box: Mailbox) -> None:
        """Count as taken what nobody will take, and give its credit back where it is time."""
        while (message := box.first()) is not None:
            self._control.give_back_for(message, box)
            box.pop()
