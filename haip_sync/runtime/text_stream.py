"""A text that is written piece by piece: for what comes into being slowly, an agent's words for instance."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Self

from haip_sync.config import plain_text
from haip_sync.errors import ConfigError, ConnectionClosedError, DeadlockError, FlowControlError, FlowControlTimeout, WaitCause
from haip_sync.flow.gates import Ticket
from haip_sync.flow.parking import ownership
from haip_sync.protocol.text_frames import escape_text
from haip_sync.runtime.connection import Connection
from haip_sync.runtime.entry import Entry
from haip_sync.runtime.text_parcels import StreamParcel
from haip_sync.runtime.timeouts import SEND_TIMEOUT, Timeout
from haip_sync.state import SendReceipt


class TextStream:
    """An open text: START is sent, `write` sends a piece, `close` sends END. Thread-safe; use it in a `with` block.

    No other frame of the channel passes it while it is open: frames of two texts are never mixed, and who came later waits. So
    keep it open no longer than it is written to. Left by an exception, or forgotten, it ends without END, and the next may go.

    Attributes:
        channel: Where it goes.
        message_id: Its id on the wire.
    """

    def __init__(
        self,
        connection: Connection,
        parcel: StreamParcel,
        channel: str,
        message_id: str,
        *,
        resolve: Callable[[Timeout], float | None],
    ) -> None:
        self.channel = channel
        self.message_id = message_id
        self._connection = connection
        self._parcel = parcel
        self._resolve = resolve
        # One piece at a time: guards the order of the writers, and is held while one of them waits for credit. Re-entrant only
        # because such a lock knows its owner: a signal handler must not wait for the write that it has interrupted.
        self._turn = threading.RLock()
        self._is_writing_here = ownership(threading.Condition(self._turn))
        self._is_over = False
        self._ticket: Ticket[Entry] = Ticket(parcel, connection.rooms.turnstile.now_s())
        self._forgotten = weakref.finalize(self, _forget, connection, self._ticket)

    def open(self, timeout_s: float | None) -> None:
        """Send START; for the client. Raises as `HAIPClient.text_stream`."""
        self._connection.open_stream(self.channel, self._ticket, self._parcel, timeout_s)

    def forget(self) -> None:
        """Have it ended soon, without END; for the client: one store and one C call."""
        _forget(self._connection, self._ticket)

    def __repr__(self) -> str:
        return f"<TextStream {self.message_id} on {self.channel}: {'over' if self._is_over else 'open'}>"

    def write(self, text: str, *, timeout: Timeout = SEND_TIMEOUT) -> None:
        """Send `text` as the next PART, or as several where credit is short; returns as any send does (WIRE.md, point 10).

        Raises:
            FlowControlTimeout: Not admitted in time, or another thread writes. Nothing of `text` was sent; it is still open.
            PartialSendError: The deadline came when a part of `text` was sent (the text is still open), or the connection ended.
            ConnectionClosedError: The text is closed, or the line was lost.
            ConfigError: `text` is no string. Nothing was sent.
            DeadlockError: Called from a listener with a timeout other than 0, or by a signal handler that interrupted a write.

        """
        if not isinstance(text, str):
            raise ConfigError(f"text must be a string, not {type(text).__name__}. Nothing was sent")
        self._connection.home.check()
        timeout_s = self._resolve(timeout)
        escaped = escape_text(plain_text(text))
        if escaped:
            self._go_on(lambda: self._parcel.write(escaped), lambda: self._parcel.is_drained, timeout_s)

    def close(self, *, timeout: Timeout = SEND_TIMEOUT) -> SendReceipt:
        """Send END and return the receipt of the whole text. A second time it returns the same. Raises as `write`."""
        self._connection.home.check()
        if not self._ticket.settled:
            self._go_on(self._parcel.close, lambda: self._ticket.settled, self._resolve(timeout))
        self._is_over = True
        self._forgotten.detach()
        return self._parcel.last_entry.receipt(self.message_id)

    def abandon(self) -> None:
        """End it without END; the next text of the channel may go. Twice is once, and so is after `close`.

        A thread that waits in `write` or `close` gets `PartialSendError`.
        """
        self._connection.home.check()
        self._is_over = True
        self._forgotten.detach()
        if self._connection.is_reentered():  # in a signal handler that interrupted us in mid-work: somebody else has to end it
            _forget(self._connection, self._ticket)
        elif not self._ticket.settled:
            self._connection.rooms.turnstile.give_up_place(self.channel, self._ticket)

    def _go_on(self, begin: Callable[[], None], is_done: Callable[[], bool], timeout_s: float | None) -> None:
        self._connection.check_not_reentered()
        if self._is_writing_here():
            raise DeadlockError(
                f"called by a signal handler that interrupted a write to {self!r}. Nothing of this piece was sent"
            )
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            if not self._turn.acquire(timeout=-1 if timeout_s is None else timeout_s):
                raise self._is_taken(timeout_s)
            if self._is_over:
                raise ConnectionClosedError(f"{self!r} takes no more. Nothing was sent")
            self._connection.go_on_with_stream(
                self.channel,
                self._ticket,
                self._parcel,
                begin=begin,
                is_done=is_done,
                timeout_s=None if deadline_s is None else max(0.0, deadline_s - time.monotonic()),
            )
        finally:
            # An interrupt may strike as it has been taken, and it must not stay in our hand.
            try:  # noqa: SIM105 - suppress() is code too, where one may strike
                self._turn.release()
            except RuntimeError:
                pass  # it was never ours

    def _is_taken(self, timeout_s: float | None) -> FlowControlError:
        """Return what a writer gets whose deadline passes while another thread writes."""
        text = f"another thread writes to {self!r}. Nothing of this piece was sent"
        kind = FlowControlTimeout if timeout_s else FlowControlError
        return kind(text, cause=WaitCause.BEHIND_OTHERS, channel=self.channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close after a clean exit; after an exception end it without END.

        In a forked child it does nothing: the block is the parent's.
        """
        try:
            if not self._connection.home.is_left:
                self._leave(is_clean=kind is None)
        except BaseException:
            self.forget()  # an interrupt may strike before anything was done
            raise

    def _leave(self, *, is_clean: bool) -> None:
        try:
            if is_clean and not self._is_over:
                self.close()
        finally:
            self.abandon()


def _forget(connection: Connection, ticket: Ticket[Entry]) -> None:
    """Let the next text go. It runs wherever the last reference was dropped: one store and one C call, and no lock."""
    if not connection.home.is_left:
        ticket.abandoned = True
        connection.poke()
