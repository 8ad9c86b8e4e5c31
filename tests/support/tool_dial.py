"""A raw client that calls tools of a development server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from haip_sync.testing import DevServer, Session, ToolInvocation

PATIENCE_S = 20.0

Dial = Callable[[str], Any]

ACCEPT = ("HAI", "PING", "PONG", "ERROR", "FLOW_UPDATE", "TOOL_UPDATE", "TOOL_DONE", "TOOL_LIST", "TOOL_SCHEMA")


def meet(running: DevServer, dial: Dial, number: int = 1, **hai: Any) -> tuple[Any, Session]:
    """Connect a client that accepts what tools say; return it with its session."""
    client = dial(running.url)
    client.greet(**({"accept_events": list(ACCEPT)} | hai))
    return client, running.wait_for_session(number, timeout=PATIENCE_S)


def call(client: Any, tool: str, params: object = None, call_id: str = "c", **members: Any) -> str:
    """Call a tool; return the frame's id."""
    payload = {"call_id": call_id, "tool": tool} | ({} if params is None else {"params": params})
    frame_id, _ = client.send("TOOL_CALL", payload, "USER", **members)
    return str(frame_id)


def add(params: dict[str, int], call: ToolInvocation) -> int:
    """Add two numbers.

    And nothing else.
    """
    del call
    return params["a"] + params["b"]


class Gate:
    """A tool that says that it has begun and then waits until it is let go, or cancelled."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()
        self.calls: list[ToolInvocation] = []

    def __call__(self, params: Any, call: ToolInvocation) -> str:
        """Wait for `go`, then return; cancelled, return something else."""
        self.calls.append(call)
        self.begun.release()
        while not self.go.wait(0.005):
            if call.cancelled.is_set():
                return "too late"
        return "done"

    def wait_begun(self) -> None:
        """Return once one more call has begun."""
        assert self.begun.acquire(timeout=PATIENCE_S)
