"""What a raw client says to a server that speaks in transactions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from haip_sync.testing import DevServer, Session, ToolInvocation

PATIENCE_S = 20.0

Dial = Callable[[str], Any]

TYPES = [
    *("HAI", "PING", "PONG", "ERROR", "FLOW_UPDATE", "REPLAY_REQUEST"),
    *("TRANSACTION_START", "TRANSACTION_END", "TRANSACTION_JOIN"),
    *("MESSAGE", "MESSAGE_UPDATE", "AUDIO", "INFO", "TOOL_LIST", "TOOL_SCHEMA"),
]


def serve(**options: Any) -> DevServer:
    """Return a server of the transaction dialect that grants nothing by itself."""
    return DevServer(**({"dialect": "transaction", "policy": "never"} | options))


def meet(running: DevServer, dial: Dial, number: int = 1, **hai: Any) -> tuple[Any, Session]:
    """Connect a client of the transaction dialect; return it with its session."""
    client = dial(running.url)
    client.greet(**({"accept_events": TYPES} | hai))
    return client, running.wait_for_session(number, timeout=PATIENCE_S)


def begin(client: Any, tool: str = "echo", params: object = None) -> str:
    """Begin a transaction and return its real id."""
    payload = {"toolName": tool} | ({} if params is None else {"params": params})
    client.send("TRANSACTION_START", payload, transaction="temporary")
    started = client.expect("TRANSACTION_START")
    assert started["payload"] == {"referenceId": "temporary"}
    return str(started["transaction"])


def say(client: Any, transaction: str, text: object, channel: str = "USER") -> str:
    """Say something in a transaction; return the frame's id."""
    return str(client.send("MESSAGE", text, channel, transaction=transaction)[0])


def mute(params: Any, call: ToolInvocation) -> None:
    """Say nothing."""


def errors(client: Any) -> list[str]:
    """Return the codes of the ERRORs that came so far."""
    return [frame["payload"]["code"] for frame in client.seen if frame["type"] == "ERROR"]
