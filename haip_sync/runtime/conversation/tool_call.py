"""A tool call that is under way: what the peer tells of it, what comes of it, and the way to cancel it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

import msgspec

from haip_sync.config import check_function, check_timeout
from haip_sync.errors import (
    ConnectionClosedError,
    FlowControlError,
    HAIPError,
    HAIPTimeout,
    ProtocolError,
    ToolCancelled,
    ToolError,
    WaitCause,
)
from haip_sync.events import Message
from haip_sync.protocol.names import TOOL_CANCEL, TOOL_DONE
from haip_sync.protocol.payloads import PeerError
from haip_sync.runtime.conversation.call_route import CallRoute
from haip_sync.runtime.conversation.sender import Sender
from haip_sync.runtime.conversation.waiting import Bench
from haip_sync.runtime.timeouts import SEND_TIMEOUT, Timeout
from haip_sync.state import SendReceipt

ToolStatus = Literal["SENT", "QUEUED", "RUNNING", "CANCELLING", "OK", "CANCELLED", "ERROR"]
_STAGES: Final = ("QUEUED", "RUNNING", "CANCELLING")
_MOST_PROGRESS: Final = 100


class ToolUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """How far a tool call is, as its latest TOOL_UPDATE has it."""

    status: ToolStatus
    progress: float | None
    """0 to 100; None: the peer has not said."""
    partial: Any
    """The latest partial result; None: none came."""
    skipped: int
    """How many updates came before this one, since the last that was yielded, and were replaced by it."""


class ToolCall:
    """A call of a tool of the peer's, from TOOL_CALL to TOOL_DONE. Thread-safe.

    What the peer tells of it comes here and not to `receive()`; listeners for `Message` see it all the same. Of TOOL_UPDATEs the
    latest is kept. `HAIPClient.call_tool` returns one once its TOOL_CALL is sent. One that nobody holds any more, and that has no
    callback, gives up its place among the open calls to the next that needs it.

    Attributes:
        call_id: Its id on the wire.
        tool: The tool's name.
        channel: Where it was called.
        frame_id: The id of its TOOL_CALL frame: what an ERROR of the peer's names as `related_id`.
        route: For the connection: where its frames go.
    """

    def __init__(
        self,
        bench: Bench,
        sender: Sender,
        forget: Callable[[CallRoute], None],
        *,
        call_id: str,
        frame_id: str,
        tool: str,
        channel: str,
        labels: tuple[str | None, str | None] = (None, None),
    ) -> None:
        self.call_id = call_id
        self.tool = tool
        self.channel = channel
        self._bench = bench
        self._sender = sender
        self._forget = forget
        self.frame_id = frame_id
        self.route = CallRoute(self, forget, key=f"call {call_id}", frame_id=frame_id)
        self._labels = labels
        # Guarded by the connection's lock.
        self._receipt: SendReceipt | None = None
        self._status: ToolStatus = "SENT"
        self._progress: float | None = None
        self._partial: Any = None
        self._updates = 0
        self._is_done = False
        self._result: Any = None
        self._failure: HAIPError | None = None
        # What was lost of the peer's frames since it last told something of the call: perhaps its TOOL_DONE.
        self._missed: str | None = None
        self._callbacks: list[Callable[[ToolCall], object]] = []
        # Waits for an update, or for the end.
        self._told = bench.new_condition()

    def __repr__(self) -> str:
        return f"<ToolCall {self.tool!r} {self.call_id} on {self.channel}: {self._status}>"

    # ---- For whoever called ---------------------------------------------------------------------------------------------------

    @property
    def receipt(self) -> SendReceipt:
        """What the sending of TOOL_CALL returned."""
        if self._receipt is None:
            raise ConnectionClosedError(f"TOOL_CALL of {self.tool} was not sent")
        return self._receipt

    @property
    def status(self) -> ToolStatus:
        """The latest that the peer said: SENT (nothing yet), QUEUED, RUNNING, CANCELLING, and in the end OK, CANCELLED or ERROR.

        ERROR also stands for a call whose outcome is not known, or that the peer refused: `result` says which.
        """
        self._bench.home.check()
        return self._status

    @property
    def progress(self) -> float | None:
        """How far it is, 0 to 100, as the peer last said; None: it has not."""
        self._bench.home.check()
        return self._progress

    @property
    def partial(self) -> Any:
        """The latest partial result; None: none came."""
        self._bench.home.check()
        return self._partial

    def done(self) -> bool:
        """Return whether nothing more will come: `result` returns, or raises, at once."""
        self._bench.home.check()
        return self._is_done

    def result(self, timeout: float | None = None) -> Any:
        """Wait for TOOL_DONE and return its result.

        One that was lost on the way is waited for too: a tool may be silent for long. `FramesLost` tells, and `HAIPTimeout` here.

        Raises:
            ToolError: The tool failed; `.result` has what it said.
            ToolCancelled: It was cancelled.
            HAIPTimeout: Not ended within `timeout` seconds. The call goes on, and its result can still be waited for.
            ConnectionClosedError: The connection ended first. The call was sent; its outcome is not known.
            FlowControlError: The peer refused TOOL_CALL, because by its books there was no credit for it. The tool did not run.
            ProtocolError: The peer answered TOOL_CALL with another ERROR (`.code`), or TOOL_DONE cannot be understood.
            DeadlockError: Called by a listener with a timeout other than 0 before the call has ended.

        """
        timeout_s = check_timeout("timeout", timeout)
        self._bench.check()
        with self._bench.lock:
            self._bench.mend()
            is_over = self._bench.wait_until(self.done, self._told, timeout_s, "the result of a tool call")
            result, failure, standing = self._result, self._failure, self._standing()
        if not is_over:
            raise HAIPTimeout(f"{self._what()} has not ended within {timeout_s:g} s. It was sent{standing}")
        if failure is not None:
            raise failure
        return result

    def updates(self, timeout: float | None = None) -> Iterator[ToolUpdate]:
        """Yield what the peer tells, as it comes, until the call has ended; how it ended is for `result` to say.

        Bounded: a reader that is slower than the peer gets the latest, with the number of those it `skipped`. Raises
        `HAIPTimeout` where nothing new comes within `timeout` seconds, `DeadlockError` on the dispatch thread unless that is 0.
        """
        timeout_s = check_timeout("timeout", timeout)
        seen = 0
        while (update := self._next_update(seen, timeout_s)) is not None:
            seen += update.skipped + 1
            yield update

    def _next_update(self, seen: int, timeout_s: float | None) -> ToolUpdate | None:
        """Return the latest update if it is later than the first `seen`; None: the call has ended."""
        self._bench.check()
        with self._bench.lock:
            self._bench.mend()
            is_told = self._bench.wait_until(
                lambda: self._updates > seen or self._is_done, self._told, timeout_s, "what a tool call tells"
            )
            if not is_told:
                raise HAIPTimeout(f"{self._what()} told nothing new within {timeout_s:g} s. It was sent{self._standing()}")
            if self._updates == seen:
                return None
            skipped = self._updates - seen - 1
            return ToolUpdate(status=self._status, progress=self._progress, partial=self._partial, skipped=skipped)

    def cancel(self, reason: str | None = None, *, timeout: Timeout = SEND_TIMEOUT) -> bool:
        """Ask the peer to cancel it; return False, nothing sent, where it had ended already.

        TOOL_CANCEL is a data frame: it stands in the channel's line and costs credit, and `timeout` is that of any send. It only
        asks: the call is over when the peer says so, and may still end as OK. Raises `UnsupportedByPeerError` and what
        `HAIPClient.send` raises; nothing was sent then.
        """
        if self.done():
            return False
        payload = {"call_id": self.call_id} | ({} if reason is None else {"reason": reason})
        run_id, thread_id = self._labels
        self._sender.send(self.channel, TOOL_CANCEL, payload, run_id=run_id, thread_id=thread_id, timeout=timeout)
        return True

    def add_done_callback(self, callback: Callable[[ToolCall], object]) -> None:
        """Have `callback(self)` run on the dispatch thread once the call has ended, or soon if it has already.

        After `HAIPClient.close` that thread is gone: the callback then runs in the calling thread, before this returns. What it
        raises is logged, there as here. Raises `ConfigError` for what cannot be called.
        """
        check_function("callback", callback)
        self._bench.check()
        with self._bench.lock:
            self._bench.mend()
            if not self._is_done:
                self._callbacks.append(callback)
                self.route.kept = self
                return
        self._bench.call_late(callback, self)

    # ---- For the connection: all require the lock, but for `sent` --------------------------------------------------------------

    def sent(self, receipt: SendReceipt) -> None:
        """Note that TOOL_CALL was handed to the operating system. Without the lock."""
        self._receipt = receipt

    def arrive(self, message: Message) -> None:
        """Take TOOL_UPDATE or TOOL_DONE in."""
        if message.type == TOOL_DONE:
            self._end_as(message.payload["status"], message.payload.get("result"))
        else:
            self._update(message.payload)

    def _update(self, payload: dict[str, Any]) -> None:
        status, progress, partial = payload.get("status"), payload.get("progress"), payload.get("partial")
        self._status = status if status in _STAGES else self._status
        if isinstance(progress, (int, float)) and 0 <= progress <= _MOST_PROGRESS:
            self._progress = float(progress)
        self._partial = self._partial if partial is None else partial
        self._updates += 1
        self._missed = None  # it goes on, so its end was not among that
        self._told.notify_all()

    def _end_as(self, status: Any, result: Any) -> None:
        failure: HAIPError | None = None
        if status == "ERROR":
            what = self._bench.discreet(f"{self._what()} failed: {result!r}")
            failure = ToolError(f"{what:.300}", tool=self.tool, call_id=self.call_id, result=result)
        elif status == "CANCELLED":
            failure = ToolCancelled(f"{self._what()} was cancelled", tool=self.tool, call_id=self.call_id, result=result)
        self._end(status, result, failure)

    def refused(self, error: PeerError, *, for_credit: bool) -> None:
        """Take in the peer's ERROR about TOOL_CALL."""
        said = f"the peer says {error.code}: {error.message}"
        failure: HAIPError
        if for_credit:
            text = f"TOOL_CALL of {self.tool} on {self.channel} was refused, and the tool did not run: {said}"
            failure = FlowControlError(text, cause=WaitCause.MESSAGES, channel=self.channel)
        else:
            failure = ProtocolError(f"{self._what()} was refused: {said}", code=error.code, blame="remote")
        self._end("ERROR", None, failure)

    def unreadable(self, error: ProtocolError) -> None:
        """Note that TOOL_DONE came, and that nobody can read how the call ended."""
        text = f"{self._what()} ended, and how cannot be read: {error}"
        self._end("ERROR", None, ProtocolError(text, code=error.code, blame="remote"))

    def missed(self, what: str) -> None:
        """Note that frames of the peer's were lost, perhaps some of its own."""
        self._missed = self._missed or what

    def lost(self, failure: HAIPError) -> None:
        """Note that the connection is over."""
        lost = ConnectionClosedError(f"{self._what()} was sent, and its outcome is not known: {failure}")
        lost.__cause__ = failure
        self._end("ERROR", None, lost)

    def _end(self, status: ToolStatus, result: Any, failure: HAIPError | None) -> None:
        """Set what came of it; the first outcome stays.

        An interrupt may strike a thread that closes: then it is done again, and must find the call among the live ones.
        """
        if not self._is_done:
            self._status, self._result, self._failure = status, result, failure
            self._is_done = True
        self._told.notify_all()
        for _ in tuple(self._callbacks):
            self._bench.call_soon(ToolCall._call_back, self)
        self._forget(self.route)
        self.route.kept = None

    def _call_back(self) -> None:
        """Run one callback. The dispatch thread only; what was asked for twice finds none left the second time."""
        if self._callbacks:
            self._callbacks.pop(0)(self)

    def _standing(self) -> str:
        """Return what is known of a call that has not ended. Requires the lock."""
        loss = f"its TOOL_DONE may be among what was lost meanwhile: {self._missed}"
        return f", and {'goes on' if self._missed is None else loss}; status {self._status}"

    def _what(self) -> str:
        return f"the call {self.call_id} of {self.tool} on {self.channel}"
