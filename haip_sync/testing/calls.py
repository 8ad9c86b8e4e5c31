"""Calls of tools: which there are, and which may begin. No thread, no lock, no socket.

Not thread-safe; see `Conversation`. The session takes the calls that may begin from here and runs each on a thread; what
the tool does there comes back through `begin`, `update`, `send` and `finish`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from haip_sync.testing.arrival import Arrival, Reader
from haip_sync.testing.call import Call, ToolReply
from haip_sync.testing.outgoing import Draft
from haip_sync.testing.payloads import ToolCallPayload, ToolCancelPayload, ToolSchemaPayload
from haip_sync.testing.records import ReceivedCall
from haip_sync.testing.settings import ServerSettings
from haip_sync.testing.voice import Voice

_ANNOUNCED_ON: Final = "AGENT"


class CallDesk:
    """The calls of one session."""

    def __init__(self, settings: ServerSettings, voice: Voice, reader: Reader) -> None:
        self._settings = settings
        self._voice = voice
        self._reader = reader
        self._reply = ToolReply(voice)
        self._known: deque[Call] = deque(maxlen=settings.keep_received)
        self._open: dict[str, Call] = {}
        self._ready: list[Call] = []
        # The calls of each transaction that are not over, the one that runs first.
        self._lanes: dict[str, deque[Call]] = {}

    def handlers(self) -> Mapping[str, Callable[[Arrival], None]]:
        """Return what it does, by type; without tools a test answers itself."""
        calling = {"TOOL_CALL": self._on_call, "TOOL_CANCEL": self._on_cancel}
        asking = {"TOOL_LIST": self._on_list, "TOOL_SCHEMA": self._on_schema}
        return {
            **(calling if self._settings.tools is not None else {}),
            **(asking if self._settings.listed_tools is not None else {}),
        }

    def records(self) -> tuple[ReceivedCall, ...]:
        """Return every call, in order of arrival."""
        return tuple(call.record() for call in self._known)

    def announce(self) -> None:
        """Tell a client that has just come which tools there are; in the transaction dialect it must ask."""
        if self._settings.tools and self._voice.accepts("TOOL_LIST") and not self._voice.is_transactional:
            self._list(_ANNOUNCED_ON)

    # What the client asks for

    def _on_call(self, arrival: Arrival) -> None:
        payload = self._reader.payload(arrival, ToolCallPayload)
        if payload is None:
            return
        tool = (self._settings.tools or {}).get(payload.tool)
        envelope = arrival.envelope
        if payload.call_id in self._open:
            self._voice.violation(f"a call {payload.call_id} is under way", envelope.id)
        elif tool is None:
            self._refuse(payload, arrival)
        else:
            self.accept(
                Call(
                    payload.call_id,
                    payload.tool,
                    tool,
                    payload.params,
                    channel=envelope.channel,
                    reply=self._reply,
                    run_id=envelope.run_id,
                    thread_id=envelope.thread_id,
                )
            )

    def _refuse(self, payload: ToolCallPayload, arrival: Arrival) -> None:
        text = f"there is no tool {payload.tool!r}"
        if self._settings.quirks.unknown_tool == "ERROR":
            self._voice.refuse("TOOL_NOT_FOUND", text, arrival.envelope.id)
            return
        done = {"call_id": payload.call_id, "status": "ERROR", "result": {"error": text}}
        self._voice.submit(arrival.envelope.channel, Draft("TOOL_DONE", done))

    def accept(self, call: Call) -> None:
        """Take a call. It may begin at once, or after the calls of its transaction that came before it."""
        self._known.append(call)
        self._open[call.call_id] = call
        if call.transaction is not None:
            lane = self._lanes.setdefault(call.transaction.id, deque())
            lane.append(call)
            if lane[0] is not call:
                return
        self._ready.append(call)

    def _on_cancel(self, arrival: Arrival) -> None:
        """Cancel a call. One that is over, or that was never made, is no fault: the two frames may have crossed."""
        payload = self._reader.payload(arrival, ToolCancelPayload)
        call = None if payload is None else self._open.get(payload.call_id)
        if payload is not None and call is not None:
            self._cancel(call, payload.reason or "the client cancelled it")

    def cancel_run(self, run_id: str, reason: str) -> None:
        """Cancel the calls that belong to a run."""
        for call in tuple(self._open.values()):
            if call.run_id == run_id:
                self._cancel(call, reason)

    def cancel_transaction(self, name: str, reason: str) -> None:
        """Cancel the calls that belong to a transaction, the last first, so that none of them begins meanwhile."""
        for call in reversed(tuple(self._lanes.get(name, ()))):
            self._cancel(call, reason)

    def _cancel(self, call: Call, reason: str) -> None:
        if call.cancelled.is_set():
            return
        call.reason = reason
        call.cancelled.set()
        if call.status == "QUEUED":
            self._done(call, "CANCELLED", None)
        else:
            call.status = "CANCELLING"
            call.reply.note(call, "CANCELLING")

    def _on_list(self, arrival: Arrival) -> None:
        # With tools in it, it is the client that announces its own.
        if "tools" not in arrival.envelope.payload:
            self._list(arrival.envelope.channel)

    def _list(self, channel: str) -> None:
        listed = self._settings.listed_tools or {}
        tools = [{"name": name, "description": tool.description} for name, tool in listed.items()]
        self._voice.submit(channel, Draft("TOOL_LIST", {"tools": tools}))

    def _on_schema(self, arrival: Arrival) -> None:
        payload = self._reader.payload(arrival, ToolSchemaPayload)
        if payload is None or "schema" in arrival.envelope.payload:
            return
        tool = (self._settings.listed_tools or {}).get(payload.tool)
        if tool is None:
            self._voice.refuse("TOOL_NOT_FOUND", f"there is no tool {payload.tool!r}", arrival.envelope.id)
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
            call.reply.note(call, "QUEUED")

    def begin(self, call: Call) -> None:
        """Note that a thread has taken a call: it is RUNNING now, unless it was cancelled before."""
        if call.status == "QUEUED":
            call.status = "RUNNING"

    def update(self, call: Call, payload: Mapping[str, Any]) -> None:
        """Say how a call gets on; nothing once it is over."""
        if not call.is_over:
            call.reply.update(call, payload)

    def send(self, call: Call, payload: Any) -> None:
        """Say a part of what a call comes to; nothing once it is over."""
        if not call.is_over:
            call.reply.send(call, payload)

    def finish(self, call: Call, status: str, result: Any) -> None:
        """End a call. One that was cancelled is CANCELLED, with the result that it came to all the same."""
        if not call.is_over:
            cancelled = call.cancelled.is_set()
            self._done(call, "CANCELLED" if cancelled else status, None if cancelled and status == "ERROR" else result)

    def abandon(self, reason: str) -> None:
        """Cancel everything: the session is over, and nothing can be said any more."""
        for call in self._open.values():
            call.reason = call.reason or reason
            call.cancelled.set()
            call.status = "CANCELLED"
        self._open.clear()
        self._ready.clear()
        self._lanes.clear()

    def _done(self, call: Call, status: str, result: Any) -> None:
        call.status = status
        call.result = result
        self._open.pop(call.call_id, None)
        call.reply.done(call)
        if call.transaction is not None:
            self._leave_lane(call, call.transaction.id)

    def _leave_lane(self, call: Call, name: str) -> None:
        lane = self._lanes.get(name)
        if not lane:
            return
        was_first = lane[0] is call
        lane.remove(call)
        if not lane:
            del self._lanes[name]
        elif was_first:
            self._ready.append(lane[0])
