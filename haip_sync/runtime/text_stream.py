"""A text that is written piece by piece: for what comes into being slowly, an agent's words for instance."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Self

from haip_sync.config import plain_text
from haip_sync.errors import ConfigError, ConnectionClosedError
from haip_sync.flow.gates import Ticket
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
        timeout_s: float | None,
        resolve: Callable[[Timeout], float | None],
    ) -> None:
        self.channel = channel
        self.message_id = message_id
        self._connection = connection
        self._parcel = parcel
        self._resolve = resolve
        # One piece at a time: guards the order of the writers, and is held while one of them waits for credit.
        self._turn = threading.Lock()
        self._is_over = False
        self._ticket: Ticket[Entry] = connection.open_stream(channel, parcel, timeout_s)
        self._forgotten = weakref.finalize(self, _forget, connection, self._ticket)

    def __repr__(self) -> str:
        return f"<TextStream {self.message_id} on {self.channel}: {'over' if self._is_over else 'open'}>"

    def write(self, text: str, *, timeout: Timeout = SEND_TIMEOUT) -> None:
        """Send `text` as the next PART, or as several where credit is short; returns as any send does (WIRE.md, point 10).

        Raises:
            FlowControlTimeout: Not admitted in time. Nothing of `text` was sent; the text is still open.
            PartialSendError: The deadline came when a part of `text` was sent (the text is still open), or the connection ended.
            ConnectionClosedError: The text is closed, or the line was lost.
            ConfigError: `text` is no string. Nothing was sent.
            DeadlockError: Called from a listener with a timeout other than 0.

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
        """End it without END; the next text of the channel may go. Twice is once, and so is after `close`."""
        self._connection.home.check()
        self._is_over = True
        self._forgotten.detach()
        if not self._ticket.settled:
            self._connection.rooms.turnstile.give_up_place(self.channel, self._ticket)

    def _go_on(self, begin: Callable[[], None], is_done: Callable[[], bool], timeout_s: float | None) -> None:
        if not self._turn.acquire(timeout=-1 if timeout_s is None else timeout_s):
            raise ConnectionClosedError(f"another thread writes to {self!r}. Nothing of this piece was sent")
        try:
            if self._is_over:
                raise ConnectionClosedError(f"{self!r} takes no more. Nothing was sent")
            self._connection.go_on_with_stream(
                self.channel,
                self._ticket,
                self._parcel,
                begin=begin,
                is_done=is_done,
                timeout_s=timeout_s,
            )
        finally:
            self._turn.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close after a clean exit; after an exception end it without END.

        In a forked child it does nothing: the block is the parent's.
        """
        if self._connection.home.is_left:
            return
        if kind is None and not self._is_over:
            try:
                self.close()
            finally:
                self.abandon()
        else:
            self.abandon()


def _forget(connection: Connection, ticket: Ticket[Entry]) -> None:
    """Let the next text go. It runs wherever the last reference was dropped: one store and one C call, and no lock."""
    if not connection.home.is_left:
        ticket.abandoned = True
        connection.poke()
