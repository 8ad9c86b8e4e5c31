"""One call of a tool, and how what comes of it is said. Not thread-safe; see `CallDesk`."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final, Protocol

from haip_sync.testing import wire
from haip_sync.testing.outgoing import Draft
from haip_sync.testing.records import ReceivedCall, Transaction
from haip_sync.testing.tools import Tool
from haip_sync.testing.voice import Voice

_OVER: Final = frozenset({"OK", "CANCELLED", "ERROR"})


class Reply(Protocol):
    """Says what comes of a call, in the frames of its dialect."""

    def note(self, call: Call, status: str) -> None:
        """Say that it is QUEUED or CANCELLING."""

    def update(self, call: Call, payload: Mapping[str, Any]) -> None:
        """Say how it gets on: `status`, and perhaps `progress` and `partial`."""

    def send(self, call: Call, payload: Any) -> None:
        """Say a part of what it comes to."""

    def done(self, call: Call) -> None:
        """Say what it came to."""


class Call:
    """One call of a tool. Guarded by its session's lock, but for `cancelled`, and for what never changes."""

    def __init__(
        self,
        call_id: str,
        name: str,
        tool: Tool,
        params: Any,
        *,
        channel: str,
        reply: Reply,
        run_id: str | None = None,
        thread_id: str | None = None,
        transaction: Transaction | None = None,
    ) -> None:
        self.call_id = call_id
        self.name = name
        self.tool = tool
        self.params = params
        self.channel = channel
        self.reply = reply
        self.run_id = run_id
        self.thread_id = thread_id
        self.transaction = transaction
        """The transaction that it belongs to; its calls run one after another."""
        self.cancelled = threading.Event()
        """Set once it is to end. Any thread may wait for it."""
        self.reason: str | None = None
        """Why it is to end."""
        self.status = "QUEUED"
        """QUEUED, RUNNING or CANCELLING; then OK, CANCELLED or ERROR."""
        self.result: Any = None

    @property
    def is_over(self) -> bool:
        """Whether it was said what it came to."""
        return self.status in _OVER

    def record(self) -> ReceivedCall:
        """Return a frozen copy."""
        return ReceivedCall(
            call_id=self.call_id,
            tool=self.name,
            params=self.params,
            channel=self.channel,
            run_id=self.run_id,
            transaction=None if self.transaction is None else self.transaction.id,
            status=self.status,
            result=self.result,
        )


class ToolReply:
    """Says what comes of a TOOL_CALL: TOOL_UPDATE and TOOL_DONE."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice

    def note(self, call: Call, status: str) -> None:
        """Say that it is QUEUED or CANCELLING."""
        self.update(call, {"status": status})

    def update(self, call: Call, payload: Mapping[str, Any]) -> None:
        """Say how it gets on."""
        self._say(call, "TOOL_UPDATE", payload)

    def send(self, call: Call, payload: Any) -> None:
        """Say a part of what it comes to."""
        self.update(call, {"status": "RUNNING", "partial": payload})

    def done(self, call: Call) -> None:
        """Say what it came to."""
        result = {} if call.result is None else {"result": call.result}
        self._say(call, "TOOL_DONE", {"status": call.status, **result})

    def _say(self, call: Call, event_type: str, payload: Mapping[str, Any]) -> None:
        # Written out now: a tool may change its objects, and what cannot be written must not fail later.
        frozen = wire.freeze({"call_id": call.call_id, **payload})
        members = {"run_id": call.run_id, "thread_id": call.thread_id}
        self._voice.submit(call.channel, Draft(event_type, frozen, members=members))
