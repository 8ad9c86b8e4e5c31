"""Calls of tools: which there are, which may begin, and what is said of each. No thread, no lock, no socket.

Not thread-safe; see `Conversation`. The session takes the calls that may begin from here and runs each on a thread; what
the tool does there comes back through `begin`, `update` and `finish`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from haip_sync.testing import wire
from haip_sync.testing.arrival import Arrival, Reader
from haip_sync.testing.outgoing import Draft
from haip_sync.testing.payloads import ToolCallPayload, ToolCancelPayload, ToolSchemaPayload
from haip_sync.testing.records import ReceivedCall
from haip_sync.testing.settings import ServerSettings
from haip_sync.testing.tools import Tool
from haip_sync.testing.voice import Voice

AGENT_CHANNEL: Final = "AGENT"
_OVER: Final = frozenset({"OK", "CANCELLED", "ERROR"})


class Call:
    """One call of a tool. Guarded by its session's lock, but for `cancelled`, and for what never changes."""

    def __init__(self, call_id: str, name: str, tool: Tool, params: Any, arrival: Arrival) -> None:
        envelope = arrival.envelope
        self.call_id = call_id
        self.name = name
        self.tool = tool
        self.params = params
        self.channel = envelope.channel
        self.members: Mapping[str, str | None] = {"run_id": envelope.run_id, "thread_id": envelope.thread_id}
        self.cancelled = threading.Event()
        """Set once it is to end. Any thread may wait for it."""
        self.reason: str | None = None
        """Why it is to end."""
        self.status = "QUEUED"
        """QUEUED, RUNNING or CANCELLING; then OK, CANCELLED or ERROR."""
        self.result: Any = None

    @property
    def is_over(self) -> bool:
        """Whether its TOOL_DONE was said."""
        return self.status in _OVER

    def record(self) -> ReceivedCall:
        """Return a frozen copy."""
        return ReceivedCall(
            call_id=self.call_id,
            tool=self.name,
            params=self.params,
            channel=self.channel,
            run_id=self.members["run_id"],
            status=self.status,
            result=self.result,
        )


class CallDesk:
    """The calls of one session."""

    def __init__(self, settings: ServerSettings, voice: Voice, reader: Reader) -> None:
        self._tools = settings.tools
        self._quirks = settings.quirks
        self._voice = voice
        self._reader = reader
        self._known: deque[Call] = deque(maxlen=settings.keep_received)
        self._open: dict[str, Call] = {}
        self._ready: list[Call] = []

    def handlers(self) -> Mapping[str, Callable[[Arrival], None]]:
        """Return what it does, by type; nothing where no tools were registered."""
        if self._tools is None:
            return {}
        return {
            "TOOL_CALL": self._on_call,
            "TOOL_CANCEL": self._on_cancel,
            "TOOL_LIST": self._on_list,
            "TOOL_SCHEMA": self._on_schema,
        }

    def records(self) -> tuple[ReceivedCall, ...]:
        """Return every call, in order of arrival."""
        return tuple(call.record() for call in self._known)

    def announce(self) -> None:
        """Tell a client that has just come which tools there are."""
        if self._tools and self._voice.accepts("TOOL_LIST"):
            self._list(AGENT_CHANNEL)

    # What the client asks for

    def _on_call(self, arrival: Arrival) -> None:
        payload = self._reader.payload(arrival, ToolCallPayload)
        if payload is None or self._tools is None:
            return
        tool = self._tools.get(payload.tool)
        if payload.call_id in self._open:
            self._voice.violation(f"a call {payload.call_id} is under way", arrival.envelope.id)
        elif tool is None:
            self._refuse(payload, arrival)
        else:
            self._accept(Call(payload.call_id, payload.tool, tool, payload.params, arrival))

    def _refuse(self, payload: ToolCallPayload, arrival: Arrival) -> None:
        text = f"there is no tool {payload.tool!r}"
        if self._quirks.unknown_tool == "ERROR":
            self._voice.error("TOOL_NOT_FOUND", text, arrival.envelope.id if self._quirks.names_related_id else None)
            return
        done = {"call_id": payload.call_id, "status": "ERROR", "result": {"error": text}}
        self._voice.submit(arrival.envelope.channel, Draft("TOOL_DONE", done))

    def _accept(self, call: Call) -> None:
        self._known.append(call)
        self._open[call.call_id] = call
        self._ready.append(call)

    def _on_cancel(self, arrival: Arrival) -> None:
        """Cancel a call. One that is over, or that was never made, is no fault: the two frames may have crossed."""
        payload = self._reader.payload(arrival, ToolCancelPayload)
        call = None if payload is None else self._open.get(payload.call_id)
        if payload is not None and call is not None:
            self._cancel(call, payload.reason or "the client cancelled it")

    def _cancel(self, call: Call, reason: str) -> None:
        if call.cancelled.is_set():
            return
        call.reason = reason
        call.cancelled.set()
        if call.status == "QUEUED":
            self._done(call, "CANCELLED", None)
        else:
            call.status = "CANCELLING"
            self._say(call, "TOOL_UPDATE", {"status": "CANCELLING"})

    def cancel_run(self, run_id: str, reason: str) -> None:
        """Cancel the calls that belong to a run."""
        for call in tuple(self._open.values()):
            if call.members["run_id"] == run_id:
                self._cancel(call, reason)

    def _on_list(self, arrival: Arrival) -> None:
        # With tools in it, it is the client that announces its own.
        if "tools" not in arrival.envelope.payload:
            self._list(arrival.envelope.channel)

    def _list(self, channel: str) -> None:
        tools = [{"name": name, "description": tool.description} for name, tool in (self._tools or {}).items()]
        self._voice.submit(channel, Draft("TOOL_LIST", {"tools": tools}))

    def _on_schema(self, arrival: Arrival) -> None:
        payload = self._reader.payload(arrival, ToolSchemaPayload)
        if payload is None or self._tools is None or "schema" in arrival.envelope.payload:
            return
        tool = self._tools.get(payload.tool)
        if tool is None:
            self._voice.error("TOOL_NOT_FOUND", f"there is no tool {payload.tool!r}", arrival.envelope.id)
        else:
            self._voice.submit(arrival.envelope.channel, Draft("TOOL_SCHEMA", {"tool": payload.tool, "schema": tool.schema}))

    # What the threads do with it

    def take_ready(self) -> list[Call]:
        """Return the calls that may begin, each once."""
        ready, self._ready = self._ready, []
        return ready

    def wait(self, call: Call) -> None:
        """Note that a call must wait for a thread, if it has not begun meanwhile."""
        if call.status == "QUEUED":
            self._say(call, "TOOL_UPDATE", {"status": "QUEUED"})

    def begin(self, call: Call) -> None:
        """Note that a thread has taken a call: it is RUNNING now, unless it was cancelled before."""
        if call.status == "QUEUED":
            call.status = "RUNNING"

    def update(self, call: Call, payload: Mapping[str, Any]) -> None:
        """Say how a call gets on; nothing once it is over."""
        if not call.is_over:
            self._say(call, "TOOL_UPDATE", payload)

    def finish(self, call: Call, status: str, result: Any) -> None:
        """End a call. One that was cancelled is CANCELLED, with the result that it came to all the same."""
        if not call.is_over:
            cancelled = call.cancelled.is_set()
            self._done(call, "CANCELLED" if cancelled else status, None if cancelled and status == "ERROR" else result)

    def abandon(self, reason: str) -> None:
        """Cancel everything: the session is over, and nothing can be said any more."""
        for call in tuple(self._open.values()):
            call.reason = call.reason or reason
            call.cancelled.set()
            call.status = "CANCELLED"
        self._open.clear()
        self._ready.clear()

    def _done(self, call: Call, status: str, result: Any) -> None:
        call.status = status
        call.result = result
        self._open.pop(call.call_id, None)
        self._say(call, "TOOL_DONE", {"status": status} if result is None else {"status": status, "result": result})

    def _say(self, call: Call, event_type: str, payload: Mapping[str, Any]) -> None:
        # Written out now: the tool may change its objects, and what cannot be written must not fail later.
        frozen = wire.freeze({"call_id": call.call_id, **payload})
        self._voice.submit(call.channel, Draft(event_type, frozen, members=call.members))
