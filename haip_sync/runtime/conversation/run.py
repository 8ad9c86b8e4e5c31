"""A run of ours: what belongs together, from RUN_STARTED to RUN_FINISHED, and what the peer says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Literal, Protocol, Self

from haip_sync.config import check_timeout
from haip_sync.errors import (
    ConfigError,
    ConnectionClosedError,
    FlowControlError,
    HAIPError,
    HAIPTimeout,
    ProtocolError,
    WaitCause,
)
from haip_sync.events import Message
from haip_sync.protocol.names import RUN_CANCEL, RUN_ERROR, RUN_FINISHED
from haip_sync.protocol.payloads import PeerError
from haip_sync.runtime.conversation.sender import Sender, SendingInRun
from haip_sync.runtime.conversation.waiting import Bench
from haip_sync.runtime.parcels import FrameParcel
from haip_sync.runtime.timeouts import SEND_TIMEOUT, Timeout

RunStatus = Literal["new", "open", "OK", "CANCELLED", "ERROR"]
_OUTCOMES: Final = ("OK", "CANCELLED", "ERROR")
_LAST_WORD_S: Final = 1.0
"""How long an exception on its way out of a run waits for credit to tell the peer: Ctrl-C must end the program."""


class Opener(Protocol):
    """What a run begins and ends with."""

    def start(self, run: Run, payload: dict[str, Any], timeout: Timeout) -> None:
        """Send RUN_STARTED. Raises `ProtocolError` (local) where the peer allows no more runs; nothing was sent then."""

    def finish(self, run: Run, payload: dict[str, Any], timeout: Timeout) -> None:
        """Send RUN_FINISHED, having made it the run's `last_word`. Raises as `HAIPClient.send`."""

    def forget(self, run: Run) -> None:
        """Count it as open no longer, and send it nothing any more. Idempotent; with or without the lock."""

    def await_end(self, run: Run) -> None:
        """Tell it of the connection's end though it may not have begun, until `await_no_more`. Requires the lock."""

    def await_no_more(self, run: Run) -> None:
        """Undo one `await_end`. Requires the lock."""


class Cancelled:
    """Whether a run was cancelled, by either side; as `threading.Event`, but that only the run sets it. Thread-safe."""

    def __init__(self, bench: Bench, is_set: Callable[[], bool], wait: Callable[[float | None], None]) -> None:
        self._bench = bench
        self._is_set = is_set
        self._wait = wait

    def is_set(self) -> bool:
        """Return whether it was cancelled."""
        self._bench.home.check()
        return self._is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is cancelled, or over, for `timeout` seconds at most; return whether it was cancelled."""
        self._wait(check_timeout("timeout", timeout))
        return self._is_set()


class Run(SendingInRun):
    """A run, for a `with` block: RUN_STARTED on the way in, RUN_FINISHED on the way out. Thread-safe; entered once.

    ```python
    with client.run(thread_id="t1") as run:
        run.send_text_message("USER", "hello")
    ```

    A clean exit sends RUN_FINISHED with status OK (CANCELLED where either side has cancelled it); an exception sends it with
    ERROR (or CANCELLED), waits for its credit for a second at most, says in a note whether the peer was told, and goes on.
    Where the peer has ended the run already nothing is sent. What the peer says of the run comes here and not to `receive()`.

    Attributes:
        run_id: Its id, a UUID.
        thread_id: What it belongs to; None: nothing named.
        cancelled: Whether either side has cancelled it, to look at or to wait for.
        frame_id: The id of its RUN_STARTED frame: what an ERROR of the peer's names as `related_id`.
        last_word: For the connection: its RUN_FINISHED on the way out; None: that was not tried yet.
    """

    takes_at_once = True
    is_abandoned = False

    def __init__(
        self,
        bench: Bench,
        opener: Opener,
        sender: Sender,
        *,
        run_id: str,
        thread_id: str | None,
        metadata: Mapping[str, Any] | None,
        channel: str,
        timeout: Timeout,
    ) -> None:
        super().__init__(run_id, thread_id)
        self.frame_id = ""
        self.last_word: FrameParcel | None = None
        self._metadata = metadata
        self.channel = channel
        self._timeout = timeout
        self._bench = bench
        self._opener = opener
        self._sender = sender
        # Guarded by the connection's lock.
        self._status: RunStatus = "new"
        self._is_cancelled = False
        # RUN_STARTED was admitted; RUN_FINISHED was, or is about to be; it need not be: the peer ended the run, or all is over.
        self._has_begun = False
        self._is_finishing = False
        self._is_over_there = False
        self._error: HAIPError | None = None
        self._is_error_told = False
        # Waits for what the peer says of it, and for the end.
        self._changed = bench.new_condition()
        self.cancelled = Cancelled(bench, lambda: self._is_cancelled, self._wait_for_cancel)

    def __repr__(self) -> str:
        return f"<Run {self.run_id}: {self._status}>"

    # ---- Beginning and end ----------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Send RUN_STARTED, waiting for credit as `timeout` says. Raises as `HAIPClient.send`, and `ProtocolError` (local)."""
        self._bench.check()
        with self._bench.lock:
            self._bench.mend()
            if self._status != "new":
                raise ConfigError(f"the run {self.run_id} was begun before: make a new one. Nothing was sent")
            self._status = "open"
        payload: dict[str, Any] = {"run_id": self.run_id}
        payload |= {} if self.thread_id is None else {"thread_id": self.thread_id}
        payload |= {} if self._metadata is None else {"metadata": dict(self._metadata)}
        try:
            self._opener.start(self, payload, self._timeout)
        except BaseException as exc:
            if self._has_begun:  # interrupted after it was admitted: the peer has a run that somebody must end
                self._end_for(exc)
            else:
                self._end_untold()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Send RUN_FINISHED, and let an exception go on. After a clean exit raises what ended the run, unless `wait` has.

        In a forked child it does nothing: the block is the parent's.
        """
        try:
            if self._bench.home.is_left:
                return
            if error is not None:
                self._end_for(error)
                return
            self.finish()
        except BaseException as exc:
            # Nobody comes here again: interrupted before the peer was told, it is told as of any exception.
            if not isinstance(exc, HAIPError) and not self._is_finishing:
                self._end_for(exc)
            raise
        if self._error is not None and not self._is_error_told:
            raise self._error

    def _end_for(self, error: BaseException) -> None:
        """Tell the peer, within a second, that the run ends with an exception; note on it whether the peer was told."""
        try:
            was_sent = self._finish("ERROR", None, _LAST_WORD_S if self._timeout != 0 else 0)
        except HAIPError as exc:
            error.add_note(f"haip_sync: the peer was not told that the run {self.run_id} has ended: {exc}")
        else:
            told = f"was told that the run {self.run_id} has ended as {self._status}"
            gone = "is gone" if isinstance(self._error, ConnectionClosedError) else f"had ended the run {self.run_id} before"
            error.add_note(f"haip_sync: the peer {told if was_sent else gone}")
        finally:
            self._end_untold()

    def _end_untold(self) -> None:
        """Be over, with those told who wait for that, whether the peer was told or not."""
        with self._bench.lock:
            self._bench.mend()
            if not self._is_finishing:
                self._end_as("ERROR")
        self._opener.forget(self)

    def finish(self, summary: str | None = None) -> None:
        """Send RUN_FINISHED now, with status OK, or CANCELLED where either side has cancelled it. Idempotent.

        Nothing is sent where the peer has ended the run. Raises as `HAIPClient.send`: nothing was sent then, and it may be called
        again.
        """
        self._finish("OK", summary, self._timeout)

    def _finish(self, status: RunStatus, summary: str | None, timeout: Timeout) -> bool:
        """Send RUN_FINISHED unless that was done or need not be; return whether it was sent now."""
        self._bench.check()
        is_mine = False
        try:
            with self._bench.lock:
                self._bench.mend()
                if self._is_finishing or self._is_over_there or self._status == "new":
                    return False
                self._is_finishing = is_mine = True
                final: RunStatus = "CANCELLED" if self._is_cancelled else status
            payload = {"run_id": self.run_id, "status": final} | ({} if summary is None else {"summary": summary})
            self._opener.finish(self, payload, timeout)
            self._end_here(final)
        except BaseException:
            if is_mine:
                # What was admitted is sent, though an interrupt came behind it: it is not said twice.
                self._is_finishing = self.last_word is not None and self.last_word.progress.frames > 0
            if is_mine and self._is_finishing:
                self._end_here(final)
            raise
        return True

    def _end_here(self, status: RunStatus) -> None:
        """Note that we have ended it."""
        with self._bench.lock:
            self._bench.mend()
            self._end_as(status)
        self._opener.forget(self)

    def cancel(self, *, timeout: Timeout = SEND_TIMEOUT) -> bool:
        """Ask the peer to cancel the run, and set `cancelled`; return False, nothing sent, where it is over or cancelled already.

        It stays open until the peer ends it, or the `with` block does (with status CANCELLED). Raises as `HAIPClient.send`.
        """
        self._bench.check()
        if self._status != "open" or self._is_cancelled:
            return False
        self.send(self.channel, RUN_CANCEL, {"run_id": self.run_id}, timeout=timeout)
        with self._bench.lock:
            self._bench.mend()
            self._is_cancelled = True
            self._changed.notify_all()
        return True

    # ---- What becomes of it ---------------------------------------------------------------------------------------------------

    @property
    def status(self) -> RunStatus:
        """new, open, and in the end OK, CANCELLED or ERROR, whoever ended it: the first end stays."""
        self._bench.home.check()
        return self._status

    @property
    def error(self) -> HAIPError | None:
        """Why it ended as ERROR, where the peer or the connection ended it; None otherwise."""
        self._bench.home.check()
        return self._error

    def wait(self, timeout: float | None = None) -> RunStatus:
        """Wait until the run is over: the peer has ended or cancelled it, or `finish` was called elsewhere. Return the status.

        Raises `ProtocolError` (remote, with the peer's `code`) for RUN_ERROR and for an ERROR about RUN_STARTED,
        `FlowControlError` where the peer had no credit for that, `ConnectionClosedError`, `HAIPTimeout`, and
        `DeadlockError` on the dispatch thread unless `timeout` is 0.
        """
        timeout_s = check_timeout("timeout", timeout)
        if not self._wait_until(lambda: False, timeout_s):
            raise HAIPTimeout(f"the run {self.run_id} was not ended within {timeout_s:g} s; it is {self._status}")
        if self._error is not None:
            self._is_error_told = True  # a clean exit need not raise it again
            raise self._error
        return self._status

    def _wait_for_cancel(self, timeout_s: float | None) -> None:
        self._wait_until(lambda: self._is_cancelled, timeout_s)

    def _wait_until(self, is_ready: Callable[[], bool], timeout_s: float | None) -> bool:
        """Wait until `is_ready`, or the run is over; return whether that came in time."""
        self._bench.check()
        with self._bench.lock:
            self._bench.mend()
            try:
                self._opener.await_end(self)
                return self._bench.wait_until(lambda: is_ready() or self._is_over(), self._changed, timeout_s, "the end of a run")
            finally:
                self._opener.await_no_more(self)

    def _is_over(self) -> bool:
        return self._is_over_there or self._status not in ("new", "open")

    def _begun_sender(self) -> Sender:
        """Return who sends. Before the beginning our ids would name nothing that the peer knows: `ConfigError`."""
        if self._status == "new":
            raise ConfigError(f"the run {self.run_id} is not begun: use it in a with block. Nothing was sent")
        return self._sender

    # ---- For the connection: all require the lock ------------------------------------------------------------------------------

    @property
    def key(self) -> str:
        """What the peer's frames name it by."""
        return f"run {self.run_id}"

    def begun(self) -> None:
        """Note that RUN_STARTED was admitted. One store, without the lock."""
        self._has_begun = True

    def arrive(self, message: Message) -> None:
        """Take in what the peer says of the run. RUN_CANCEL asks: our RUN_FINISHED, with status CANCELLED, is still to come."""
        payload = message.payload if isinstance(message.payload, dict) else {}
        if message.type == RUN_CANCEL:
            self._end_as("CANCELLED")
        elif message.type == RUN_FINISHED:
            status = payload.get("status", "OK")
            self._end_there(status if status in _OUTCOMES else "ERROR", None)
        else:
            code, text = payload.get("code") or RUN_ERROR, payload.get("message") or ""
            what = f"the peer ended the run {self.run_id} with {RUN_ERROR} {code}: {text}"
            failure = ProtocolError(self._bench.discreet(what), code=self._bench.discreet(str(code)), blame="remote")
            self._end_there("ERROR", failure)

    def unreadable(self, error: ProtocolError) -> None:
        """Note that the peer has ended it, and that nobody can read how."""
        text = f"the peer ended the run {self.run_id}, and how cannot be read: {error}"
        self._end_there("ERROR", ProtocolError(text, code=error.code, blame="remote"))

    def refused(self, error: PeerError, *, for_credit: bool) -> None:
        """Take in the peer's ERROR about RUN_STARTED: for the peer there is no such run."""
        text = f"the peer refused the run {self.run_id}. It says {error.code}: {error.message}"
        if for_credit:
            self._end_there("ERROR", FlowControlError(text, cause=WaitCause.MESSAGES, channel=self.channel))
        else:
            self._end_there("ERROR", ProtocolError(text, code=error.code, blame="remote"))

    def lost(self, failure: HAIPError) -> None:
        """Note that the connection is over."""
        is_new = self._status == "new"
        what = f"the run {self.run_id} was not begun" if is_new else f"the peer was not told that the run {self.run_id} has ended"
        lost = ConnectionClosedError(f"{what}: {failure}")
        lost.__cause__ = failure
        self._end_there("ERROR", None if self._is_finishing else lost)

    def _end_there(self, status: RunStatus, error: HAIPError | None) -> None:
        """Note that for the peer the run is over; the first reason stays."""
        if not self._is_over_there:
            self._error = error
        self._is_over_there = True
        self._end_as(status)
        self._opener.forget(self)

    def _end_as(self, status: RunStatus) -> None:
        """Set how it ended; the first end stays."""
        self._is_cancelled = self._is_cancelled or status == "CANCELLED"
        if self._status == "open":
            self._status = status
        self._changed.notify_all()
