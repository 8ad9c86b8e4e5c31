"""`Transaction`: what `HAIPClient.transaction` and `HAIPClient.join_transaction` return."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Self

from haip_sync.config import check_channel, check_count, check_seconds, check_timeout, plain_text, told
from haip_sync.errors import (
    ConfigError,
    ConnectionClosedError,
    DeadlockError,
    HAIPError,
    HAIPTimeout,
    TransactionEndedError,
    UnsupportedByPeerError,
)
from haip_sync.events import Message
from haip_sync.flow.ledger import Cost
from haip_sync.flow.pending import PendingSend
from haip_sync.protocol.envelope import encode_payload, media_bytes
from haip_sync.protocol.frames import Frame
from haip_sync.protocol.names import CONTROL_TYPES, MESSAGE
from haip_sync.protocol.transactions import TransactionState
from haip_sync.runtime.connection import Connection
from haip_sync.runtime.exchanges import Exchange, TransactionParcel
from haip_sync.runtime.timeouts import SEND_TIMEOUT, Timeout
from haip_sync.state import SendReceipt

_FEW: Final = 100
_END_TIMEOUT_S: Final = 5.0


class Transaction:
    """An open transaction, for any number of threads at once. Texts travel in it, and answers come back in it.

    ```python
    with client.transaction("echo", {"lang": "en"}) as tx:
        tx.send_text_message("USER", "hello")
        print(tx.receive(timeout=5).payload)
    ```

    Made by `HAIPClient.transaction` and `HAIPClient.join_transaction`. Sends wait for credit in their channel's line, as the
    client's own do. The end of the `with` block ends it, and so does `end()`; one that nobody holds any more is ended as well.
    WIRE.md, "Transactions".
    """

    def __init__(
        self, connection: Connection, frame: Frame, state: TransactionState, *, send_timeout: float | None, keeps_inbox: bool
    ) -> None:
        """For the client, which opens it next."""
        self._connection = connection
        self._frame = frame
        self._exchange = Exchange(state, connection.rooms.parking)
        self._exchange.holder = connection.watch_holder(self)
        self._send_timeout = send_timeout
        self._keeps_inbox = keeps_inbox
        # Guarded by the connection's lock: the handles of what was queued in it. Those that are settled go when it has doubled.
        self._queued: list[PendingSend] = []
        self._sweep_at = _FEW

    def open(self, timeout_s: float | None) -> None:
        """Ask for it, and wait for the peer's answer; for the client. Raises as `HAIPClient.transaction`."""
        self._connection.exchanges.open(self._exchange, self._frame, timeout_s)

    def leave(self) -> None:
        """Have it ended soon, whatever state it is in: one store, and one C call."""
        self._connection.exchanges.leave(self._exchange)

    def __repr__(self) -> str:
        return f"<Transaction {self.id} {self.tool or 'joined'} {'open' if self._exchange.state.is_open else 'over'}>"

    @property
    def id(self) -> str:
        """Its id on the wire, which the peer has given it."""
        return self._exchange.state.id or self._exchange.state.reference

    @property
    def tool(self) -> str | None:
        """The tool that it was begun with; None: we have joined it, and the peer did not say."""
        return self._exchange.state.tool

    @property
    def is_open(self) -> bool:
        """Whether frames may be sent in it: nobody has ended it, and the connection stands."""
        self._connection.home.check()
        return self._exchange.state.is_open and self._connection.is_open

    @property
    def history(self) -> tuple[Message, ...]:
        """The latest messages that came in it, taken or not, the oldest first: at most 1,000, and about 8 MiB.

        After `HAIPClient.join_transaction` they begin with what the peer replayed.
        """
        self._connection.home.check()
        with self._connection.rooms.parking.lock:
            return self._exchange.history()

    # ---- Sending --------------------------------------------------------------------------------------------------------------

    def send_text_message(self, channel: str, text: str, *, timeout: Timeout = SEND_TIMEOUT) -> SendReceipt:
        """Send `text` as one MESSAGE, waiting for credit: one message, and its bytes.

        A MESSAGE has no author and cannot be split, so that it goes out whole or not at all. `timeout` is in seconds; left out it
        is the client's `send_timeout`, None waits for ever, 0 never waits.

        Raises:
            TransactionEndedError: The transaction is over, or ended while the text waited. Nothing was sent.
            FlowControlError: With timeout 0: it cannot go now. Nothing was sent.
            FlowControlTimeout: Not admitted in time. Nothing was sent; `cause` says what was missing.
            MessageTooLargeError: Larger than `max_credit_bytes`. Nothing was sent.
            UnsupportedByPeerError: The peer accepts no MESSAGE. Nothing was sent.
            ConnectionClosedError: Closed or lost; says whether anything was sent.
            DeadlockError: As `HAIPClient.send_text_message`. Nothing was sent.
            ConfigError: A wrong argument. Nothing was sent.

        """
        return self.send(channel, MESSAGE, _text(text), timeout=timeout)

    def send(
        self,
        channel: str,
        event_type: str,
        payload: Mapping[str, Any] | str,
        *,
        binary: bytes | None = None,
        binary_mime: str | None = None,
        timeout: Timeout = SEND_TIMEOUT,
    ) -> SendReceipt:
        """Send one data frame in the transaction (MESSAGE, MESSAGE_UPDATE, AUDIO, INFO), waiting for credit.

        `payload` is a mapping that JSON can carry, for MESSAGE a string will do; `binary` follows as a frame of its own. Raises
        as `send_text_message`.
        """
        timeout_s = self._send_timeout if timeout is SEND_TIMEOUT else check_timeout("timeout", timeout)
        if timeout_s != 0:
            self._connection.check_may_wait()
        frame = self._frame_of(check_channel(channel), event_type, payload, binary, binary_mime)
        return self._connection.carry(channel, self._parcel(frame), timeout_s).receipt(frame.id)

    def enqueue_text_message(self, channel: str, text: str) -> PendingSend:
        """Queue `text` and return its handle at once, as `HAIPClient.enqueue_text_message`.

        What is still queued when the transaction ends is not sent: `NotSentError`. A clean end waits for it for a while. Raises
        `TransactionEndedError` and what that method raises; nothing was queued then.
        """
        frame = self._frame_of(check_channel(channel), MESSAGE, _text(text), None, None)
        pending = self._connection.enqueue(self._parcel(frame), channel, frame.id)
        with self._connection.rooms.parking.lock:
            self._connection.rooms.turnstile.mend()
            self._queued.append(pending)
            if len(self._queued) >= self._sweep_at:
                self._queued = [queued for queued in self._queued if not queued.done()]
                self._sweep_at = max(_FEW, 2 * len(self._queued))
        return pending

    def _frame_of(self, channel: str, event_type: object, payload: object, binary: object, binary_mime: object) -> Frame:
        """Return a data frame in the transaction, checked and encoded."""
        if not isinstance(event_type, str) or not event_type or event_type in CONTROL_TYPES:
            raise ConfigError(
                f"event_type must be the name of a data type such as MESSAGE, not {told(event_type)}. Nothing was sent"
            )
        if not isinstance(payload, Mapping) and not (event_type == MESSAGE and isinstance(payload, str)):
            raise ConfigError(f"the payload of {event_type} must be a mapping, not {type(payload).__name__}")
        if not isinstance(binary, bytes | None) or not isinstance(binary_mime, str | None):
            raise ConfigError("binary must be bytes or None, and binary_mime a string or None. Nothing was sent")
        self._check_supported(event_type, binary)
        return self._connection.rooms.session.frames.make(
            channel,
            event_type,
            encode_payload(payload),
            transaction=self.id,
            binary=binary,
            binary_mime=binary_mime,
            media=media_bytes(event_type, payload, None if binary is None else len(binary)),
        )

    def _check_supported(self, event_type: str, binary: bytes | None) -> None:
        self._connection.check_not_reentered()
        session = self._connection.rooms.session
        with self._connection.rooms.parking.lock:
            self._connection.enter()
        if not session.accepts(event_type):
            raise UnsupportedByPeerError(f"the peer does not accept {event_type:.60}. Nothing was sent")
        if binary is not None and session.peer is not None and not session.peer.capabilities.binary_frames:
            raise UnsupportedByPeerError("the peer takes no binary frames. Nothing was sent")

    def _parcel(self, frame: Frame) -> TransactionParcel:
        rooms = self._connection.rooms
        self._exchange.state.channels.add(frame.channel)
        return TransactionParcel(rooms.outgoing, rooms.session, frame, self._exchange)

    def request_credits(self, channel: str, *, messages: int = 0, byte_credits: int = 0) -> None:
        """Ask the peer for more credit on `channel`, with a FLOW_UPDATE in this transaction; returns at once.

        As `HAIPClient.request_credits` it grants the peer as much. Raises `TransactionEndedError`, `UnsupportedByPeerError`,
        `ConnectionClosedError`, `ConfigError`; nothing was sent then.
        """
        amount = Cost(check_count("messages", messages), check_count("byte_credits", byte_credits))
        if not any(amount):
            raise ConfigError("request at least 1 message or 1 byte of credit: messages and byte_credits are both 0")
        self._connection.request(check_channel(channel), amount, within=self._exchange)

    # ---- Receiving ------------------------------------------------------------------------------------------------------------

    def receive(self, timeout: float | None = None) -> Message:
        """Return the next data frame of this transaction, and give its credit back to the peer when it is time.

        Frames that had come are still returned after the peer has ended it. Raises `HAIPTimeout`; `TransactionEndedError` or
        `ConnectionClosedError` once nothing is left; `ConfigError` with `inbox="listeners"`.
        """
        message = self._next_message(check_timeout("timeout", timeout))
        if message is None:
            self._raise_if_lost()
            raise TransactionEndedError(f"{self._exchange.state.name} is over, and nothing is left in it to receive")
        return message

    def messages(self) -> Iterator[Message]:
        """Yield data frames as `receive` returns them, until the transaction is over.

        Raises `ConnectionClosedError` where the connection was lost before that.
        """
        while (message := self._next_message(None)) is not None:
            yield message
        self._raise_if_lost()

    def _next_message(self, timeout_s: float | None) -> Message | None:
        if not self._keeps_inbox:
            raise ConfigError('with inbox="listeners" messages come to listeners: use subscribe() or on("message", ...)')
        if timeout_s != 0 and self._connection.is_dispatching():
            raise DeadlockError("a listener must not wait for a message: use timeout=0, or another thread")
        return self._connection.take_message(timeout_s, self._exchange.box)

    def _raise_if_lost(self) -> None:
        """Raise where it was the connection that ended, or the line, not the transaction."""
        if self._exchange.failure is not None:
            raise ConnectionClosedError(str(self._exchange.failure)) from self._exchange.failure
        if self._exchange.state.is_open:
            failure = self._connection.failure
            raise ConnectionClosedError(str(failure or "the connection was closed in good order")) from failure

    # ---- The end --------------------------------------------------------------------------------------------------------------

    def end(self, *, timeout: float = _END_TIMEOUT_S) -> None:
        """End the transaction with TRANSACTION_END. Idempotent; never raises because the connection is over.

        What is queued in it leaves first, as far as `timeout` (seconds) goes; senders that still wait get
        `TransactionEndedError`, nothing of theirs sent. What was not received is dropped, and its credit given back.
        """
        timeout_s = check_seconds("timeout", timeout)
        self._connection.home.check()
        if self._connection.is_reentered():  # in a signal handler that interrupted us in mid-work: somebody else has to end it
            self.leave()
            return
        try:
            if timeout_s and not self._connection.is_dispatching():
                self._wait_for_queued(time.monotonic() + timeout_s)
        finally:
            self._connection.exchanges.close(self._exchange)

    def _wait_for_queued(self, deadline_s: float) -> None:
        with self._connection.rooms.parking.lock:
            queued = tuple(self._queued)
        for pending in queued:
            try:
                pending.result(max(0.0, deadline_s - time.monotonic()))
            except HAIPTimeout:
                return
            except HAIPError:
                continue  # whoever holds the handle is told

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End it: after a clean exit with what is queued sent first, as far as the timeout goes; after an exception at once.

        In a forked child it does nothing: the block is the parent's.
        """
        if not self._connection.home.is_left:
            self.end(timeout=_END_TIMEOUT_S if kind is None else 0.0)


def _text(text: object) -> str:
    if not isinstance(text, str):
        raise ConfigError(f"text must be a string, not {type(text).__name__}")
    return plain_text(text)
