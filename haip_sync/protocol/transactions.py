"""Transactions as a pure state machine: which of ours are asked for, open and over, and what the peer's frames say of them.

A transaction is asked for under an id of our own making, and gets its real one with the peer's answer. WIRE.md, "Transactions".

The book knows no thread and no lock; the runtime uses it under the connection's lock. What an interrupted thread may leave half
done is plain stores, which the next to look at the book does again.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum
from typing import Any, Final, Literal

import msgspec

from haip_sync.protocol.envelope import Envelope
from haip_sync.protocol.event_payloads import Payload
from haip_sync.protocol.names import TRANSACTION_JOIN, TRANSACTION_START
from haip_sync.protocol.payloads import PeerError, read_payload
from haip_sync.protocol.unread import text_member

REMEMBERED: Final = 1_024
"""Transactions that are over, and askings that nobody waits for any more, whose late frames are still understood."""


class Stage(Enum):
    """How far a transaction has come. It only ever goes on."""

    NEW = "new"
    """Nothing of it has left."""
    ASKED = "asked"
    """Our START or JOIN has its place in the write order."""
    OPEN = "open"
    """The peer has answered."""
    ENDED = "ended"
    """One of us has ended it, or the peer refused it."""


class TransactionState:
    """One transaction of ours. Guarded by the connection's lock, but for `is_left`.

    Attributes:
        reference: The id under which it was asked for: of our own making, or that of the transaction to join.
        frame_id: The id of the frame that asks, which an ERROR may name.
        joins: Whether it was begun by somebody else, and asked for with TRANSACTION_JOIN.
        tool: The tool's name; None where it joins, and the peer's answer does not name it.
        stage: How far it has come.
        id: The real id, once the peer has answered.
        ended_by: Who ended it; None: nobody yet.
        is_left: Its holder has ended it, or is gone. Written by the holder without the lock: it is one store, and whoever takes
            the lock next ends it on the wire.
        channels: The channels on which it has carried frames.
    """

    def __init__(self, reference: str, frame_id: str, *, tool: str | None, joins: bool = False) -> None:
        self.reference = reference
        self.frame_id = frame_id
        self.tool = tool
        self.joins = joins
        self.stage = Stage.NEW
        self.id: str | None = None
        self.ended_by: Literal["us", "peer", "loss"] | None = None
        self.is_left = False
        self.channels: set[str] = set()

    @property
    def is_open(self) -> bool:
        """Whether frames may be sent in it."""
        return self.stage is Stage.OPEN and not self.is_left

    @property
    def name(self) -> str:
        """What to call it in a sentence."""
        return f"the transaction {self.id or self.reference}" + (f" with {self.tool}" if self.tool else "")


class TransactionOpened(msgspec.Struct, frozen=True):
    """The peer has answered: frames may travel in it."""

    state: TransactionState


class TransactionEnded(msgspec.Struct, frozen=True):
    """The peer has ended it."""

    state: TransactionState


class TransactionRefused(msgspec.Struct, frozen=True):
    """The peer has answered, and there is no transaction."""

    state: TransactionState
    code: str
    why: str


class TransactionUnasked(msgspec.Struct, frozen=True):
    """The peer opened a transaction that nobody here has asked for, or has asked for twice."""

    text: str


TransactionHappening = TransactionOpened | TransactionEnded | TransactionRefused | TransactionUnasked


class Heard(msgspec.Struct, frozen=True):
    """What a frame of the peer's comes to."""

    happenings: tuple[TransactionHappening, ...] = ()
    to_end: tuple[str, ...] = ()
    """Ids of transactions that the peer holds open and nobody here wants: to be answered with TRANSACTION_END."""


class _Start(Payload, frozen=True):
    """TRANSACTION_START from the peer."""

    reference: str | None = msgspec.field(name="referenceId", default=None)


NOTHING_HEARD: Final = Heard()


def transaction_of(envelope: Envelope) -> str | None:
    """Return the id of the transaction that a frame travels in; peers also write the text "null" for none."""
    return None if envelope.transaction in (None, "", "null") else envelope.transaction


class TransactionBook:
    """The transactions of one connection."""

    def __init__(self) -> None:
        self._asked: OrderedDict[str, TransactionState] = OrderedDict()
        self._open: dict[str, TransactionState] = {}
        self._answers: OrderedDict[str, str] = OrderedDict()
        self._over: OrderedDict[str, None] = OrderedDict()

    def clear(self) -> None:
        """Forget all: transactions end with their line."""
        self._asked.clear()
        self._open.clear()
        self._answers.clear()
        self._over.clear()

    # ---- Ours -----------------------------------------------------------------------------------------------------------------

    def ask(self, state: TransactionState) -> None:
        """Note what is about to be asked for. Askings that were given up are remembered, the latest of them."""
        given_up = [reference for reference, known in self._asked.items() if known.is_left]
        for reference in given_up[: max(0, len(given_up) - REMEMBERED + 1)]:
            self._asked.pop(reference, None)
        self._asked[state.reference] = state

    def is_taken(self, transaction: str) -> bool:
        """Return whether `transaction` is open here, or about to be."""
        asked = self._asked.get(transaction)
        return transaction in self._open or (asked is not None and not asked.is_left)

    def forget(self, state: TransactionState) -> None:
        """Close the book on one that has ended, or of which nothing has left. Twice is once."""
        if state.id is not None:
            if state.ended_by == "us":
                _remember(self._over, state.id, None)
            if self._open.get(state.id) is state:
                self._open.pop(state.id, None)
        elif state.stage is not Stage.ASKED and self._asked.get(state.reference) is state:
            self._asked.pop(state.reference, None)

    def carrier(self, channel: str | None = None) -> TransactionState | None:
        """Return the latest open one that has carried frames on `channel`, or else the latest of all; None: none is open."""
        usable = [state for state in reversed(self._open.values()) if state.is_open]
        return next((state for state in usable if channel in state.channels), usable[0] if usable else None)

    def find(self, transaction: str | None) -> TransactionState | None:
        """Return the transaction of this id if the peer holds it open and so do we."""
        return self._open.get(transaction) if transaction is not None else None

    def was_ended_by_us(self, transaction: str | None) -> bool:
        """Return whether it is one of the latest that we ended: its late frames are nobody's."""
        return transaction in self._over

    # ---- The peer's frames ----------------------------------------------------------------------------------------------------

    def hear_start(self, envelope: Envelope) -> Heard:
        """Take a TRANSACTION_START in: the answer to one of ours, or news. Raises `ProtocolError` (remote) for a bad payload."""
        reference = read_payload(_Start, TRANSACTION_START, envelope.payload).reference
        transaction = transaction_of(envelope)
        state = self._asked.get(reference or "") or self._join_of(transaction)
        if state is None:
            return self._unasked(reference, transaction)
        if transaction is None or (transaction in self._open and not state.joins):
            what = "names no transaction" if transaction is None else f"names {transaction}, which is open already"
            return self._refuse(state, "PROTOCOL_VIOLATION", f"its answer {what}")
        return self._answer(state, transaction)

    def hear_in(self, envelope: Envelope) -> Heard:
        """Take any frame in a transaction in: it is the answer to a JOIN that waits for one."""
        transaction = transaction_of(envelope)
        state = self._join_of(transaction)
        if state is None or transaction is None:
            return NOTHING_HEARD
        if envelope.type == TRANSACTION_JOIN:
            state.tool = text_member(envelope.payload, "toolName")
        return self._answer(state, transaction)

    def hear_end(self, envelope: Envelope) -> Heard:
        """Take a TRANSACTION_END in; of one that is not open it is no news: peers answer ours with it."""
        opened = self.hear_in(envelope).happenings
        state = self.find(transaction_of(envelope))
        if state is None:
            return Heard(opened)
        state.ended_by = state.ended_by or "peer"
        state.stage = Stage.ENDED
        self.forget(state)
        return Heard((*opened, TransactionEnded(state)))

    def hear_error(self, error: PeerError, envelope: Envelope) -> Heard:
        """Take an ERROR in: it refuses the START or JOIN that it names, or travels in where it names no frame."""
        named = transaction_of(envelope) if error.related_id is None else error.related_id
        for state in self._asked.values():
            if named in (state.frame_id, state.reference):
                return self._refuse(state, error.code, error.message)
        return NOTHING_HEARD

    def _join_of(self, transaction: str | None) -> TransactionState | None:
        """Return the JOIN that waits for an answer in this transaction."""
        state = self._asked.get(transaction) if transaction is not None else None
        return state if state is not None and state.joins else None

    def _answer(self, state: TransactionState, transaction: str) -> Heard:
        """Open one that was asked for, or have it ended where nobody waits for it any more."""
        self._asked.pop(state.reference, None)
        _remember(self._answers, state.reference, transaction)
        state.id = transaction
        if state.is_left:
            state.stage, state.ended_by = Stage.ENDED, "us"
            _remember(self._over, transaction, None)
            return Heard(to_end=(transaction,))
        state.stage = Stage.OPEN
        self._over.pop(transaction, None)
        self._open[transaction] = state
        return Heard((TransactionOpened(state),))

    def _refuse(self, state: TransactionState, code: str, why: str) -> Heard:
        self._asked.pop(state.reference, None)
        state.stage, state.ended_by = Stage.ENDED, "peer"
        return Heard((TransactionRefused(state, code, why),))

    def _unasked(self, reference: str | None, transaction: str | None) -> Heard:
        known = self._answers.get(reference) if reference is not None else None
        if transaction is None or known == transaction:
            return NOTHING_HEARD
        if known is not None:
            text = f"the peer answered one {TRANSACTION_START} twice: {transaction} is ended, {known} is the transaction"
            _remember(self._over, transaction, None)
            return Heard((TransactionUnasked(text),), (transaction,))
        text = f"the peer opened the transaction {transaction}, which nobody here asked for: what comes in it is for receive()"
        return Heard((TransactionUnasked(text),))


def _remember(memory: OrderedDict[str, Any], key: str, value: Any) -> None:
    memory[key] = value
    while len(memory) > REMEMBERED:
        memory.popitem(last=False)
