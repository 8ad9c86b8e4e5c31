"""Our side of transactions without threads: one at a time, as the runtime uses the session for it."""

from __future__ import annotations

from collections.abc import Callable

from haip_sync import TransactionEndedError
from haip_sync.protocol.envelope import encode_json
from haip_sync.protocol.frames import Frame
from haip_sync.protocol.identifiers import new_id
from haip_sync.protocol.names import SYSTEM, TRANSACTION_END, TRANSACTION_JOIN, TRANSACTION_START
from haip_sync.protocol.session import Session
from haip_sync.protocol.transactions import Stage, TransactionState


class TransactionsAlone:
    """The latest transaction that was begun or joined."""

    def __init__(self, session: Session, send: Callable[[Frame], None]) -> None:
        self._session = session
        self._send = send
        self._state: TransactionState | None = None

    def begin(self, tool: str) -> None:
        payload, reference = encode_json({"toolName": tool, "params": {}}), new_id()
        frame = self._session.frames.make(SYSTEM, TRANSACTION_START, payload, transaction=reference)
        self._ask(TransactionState(reference, frame.id, tool=tool), frame)

    def join(self, transaction: str) -> None:
        frame = self._session.frames.make(SYSTEM, TRANSACTION_JOIN, b"{}", transaction=transaction)
        self._ask(TransactionState(transaction, frame.id, tool=None, joins=True), frame)

    def _ask(self, state: TransactionState, frame: Frame) -> None:
        self._session.transactions.ask(state)
        self._send(frame)
        state.stage = Stage.ASKED
        self._state = state

    def give_up(self) -> None:
        """Wait for the answer no longer."""
        assert self._state is not None
        self._state.is_left = True

    def end(self) -> None:
        state = self._state
        if state is not None and state.is_open:
            state.ended_by, state.stage = "us", Stage.ENDED
            self._send(self._session.control_frame(TRANSACTION_END, {}, transaction=state.id))
            self._session.transactions.forget(state)

    def id_to_send_in(self) -> str:
        """Return the id that a frame travels under. Raises `TransactionEndedError`."""
        state = self._state
        if state is None or state.id is None or not state.is_open:
            raise TransactionEndedError("it is over. Nothing was sent")
        return state.id
