"""The handle of a message that is queued without a thread that waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from haip_sync.config import check_function, check_timeout
from haip_sync.errors import DeadlockError, HAIPError, HAIPTimeout
from haip_sync.flow.parking import Condition, Parking
from haip_sync.state import SendReceipt

if TYPE_CHECKING:
    from haip_sync.flow.gates import Ticket

DoneCallback = Callable[["PendingSend"], object]
ErrorMaker = Callable[["PendingSend"], HAIPError]
"""Makes the error of a message once somebody asks for it: tens of thousands may be left over at once, and few are looked at."""


class Host(Protocol):
    """What a handle asks of the connection."""

    def cancel(self, pending: PendingSend) -> bool:
        """Take it out of the queue if nothing of it was admitted. Without the lock."""

    def call_soon(self, callback: DoneCallback, pending: PendingSend) -> None:
        """Run a callback on the dispatch thread. With or without the lock; never blocks."""

    def call_late(self, callback: DoneCallback, pending: PendingSend) -> None:
        """Run the callback of what is settled on the dispatch thread, or here where that has ended. Without the lock.

        Raises `DeadlockError` where the calling thread is in the middle of another call.
        """

    def is_dispatching(self) -> bool:
        """Return whether the calling thread is the dispatch thread."""


class PendingSend:
    """A queued message: what comes of it, and the way to take it back. Thread-safe.

    Attributes:
        channel: Where it goes.
        message_id: Its id on the wire.
        queued_bytes: What it counts in the outbox.
    """

    def __init__(self, host: Host, parking: Parking, *, channel: str, message_id: str, queued_bytes: int) -> None:
        self.channel = channel
        self.message_id = message_id
        self.queued_bytes = queued_bytes
        self._host = host
        self._parking = parking
        # Guarded by the connection's lock. Its place in the queue; None: it never had one.
        self.ticket: Ticket[Any] | None = None
        self._outcome: SendReceipt | HAIPError | ErrorMaker | None = None
        self._callbacks: list[DoneCallback] = []
        # Waits for the outcome; made by the first who waits.
        self._settled: Condition | None = None

    def __repr__(self) -> str:
        outcome = self._outcome
        if callable(outcome):
            outcome = outcome(self)
        state = "pending" if outcome is None else type(outcome).__name__
        return f"<PendingSend {self.message_id} on {self.channel}: {state}>"

    def done(self) -> bool:
        """Return whether it is sent, or will never be."""
        self._parking.home.check()
        return self._outcome is not None

    def cancel(self) -> bool:
        """Take it back; return whether that came in time. True: nothing of it was sent, and `result` raises `NotSentError`."""
        return self._host.cancel(self)

    def result(self, timeout: float | None = None) -> SendReceipt:
        """Wait until it is handed to the operating system and return the receipt.

        Raises:
            NotSentError: It was cleared, cancelled, dropped or left over at close; nothing of it was sent.
            PartialSendError: A long text that was stopped in mid-stream.
            MessageTooLargeError: No credit could ever cover one of its frames. Nothing was sent.
            ConnectionClosedError: It was admitted, then the line broke: whether the peer has it is not known.
            HAIPTimeout: Not settled within `timeout` seconds; it still stands in the queue.
            DeadlockError: Called by a listener, a callback or a signal handler in mid-work before it is settled.
            ConfigError: `timeout` is no number of seconds from 0.

        """
        timeout_s = check_timeout("timeout", timeout)
        self._parking.home.check()
        if self._outcome is None and self._parking.is_held_here():
            raise DeadlockError("called by a signal handler that interrupted another call of this client in the same thread")
        with self._parking.lock:
            self._wait(timeout_s)
            if callable(self._outcome):
                self._outcome = self._outcome(self)
            outcome = self._outcome
        if isinstance(outcome, SendReceipt):
            return outcome
        raise outcome or HAIPTimeout("the message still waits")

    def _wait(self, timeout_s: float | None) -> None:
        """Wait for the outcome. Requires the lock."""
        if self._outcome is None and timeout_s != 0 and self._host.is_dispatching():
            raise DeadlockError("a listener must not wait for a send: the thread that would tell of it is the listener's own")
        deadline_s = self._parking.deadline(timeout_s)
        while self._outcome is None:
            if self._settled is None:
                self._settled = self._parking.new_condition()
            left_s = self._parking.left(deadline_s)
            if left_s is not None and left_s <= 0:
                raise HAIPTimeout(f"the message {self.message_id} on {self.channel} still waits after {timeout_s:g} s")
            self._parking.wait(self._settled, left_s)

    def add_done_callback(self, callback: DoneCallback) -> None:
        """Have `callback(self)` run on the dispatch thread once it is settled, or soon if it is already.

        After `close` that thread is gone: the callback then runs in the calling thread, before this returns. What it raises is
        logged, there as here. Raises `DeadlockError` for what is settled already in a signal handler that interrupted another
        call of this client; the callback does not run then. Raises `ConfigError` for what cannot be called.
        """
        check_function("callback", callback)
        self._parking.home.check()
        with self._parking.lock:
            if self._outcome is None:
                self._callbacks.append(callback)
                return
        self._host.call_late(callback, self)

    def settle(self, outcome: SendReceipt | HAIPError | ErrorMaker) -> None:
        """Set what came of it; the first outcome stays. Requires the lock. For the connection.

        Interrupted after the outcome is set, it is called again: whoever waits is woken each time.
        """
        if self._outcome is None:
            self._outcome = outcome
        self.ticket = None  # which refers to this: without the circle both go at once, not when all of memory is looked through
        if self._settled is not None:
            self._settled.notify_all()
        for _ in tuple(self._callbacks):
            self._host.call_soon(PendingSend._call_back, self)

    def _call_back(self) -> None:
        """Run one callback. The dispatch thread only; what was asked for twice finds none left the second time."""
        if self._callbacks:
            self._callbacks.pop(0)(self)
