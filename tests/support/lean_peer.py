"""A HAIP peer with next to no manners, for speed: one asyncio loop in a thread, with a TLS of its own (not haip_sync's)."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

_PATIENCE_S = 20.0
_SESSION = "22222222-2222-4333-8444-555555555555"
_TYPES = ["MESSAGE_START", "MESSAGE_PART", "MESSAGE_END", "TOOL_UPDATE", "FLOW_UPDATE", "PING"]


class LeanPeer:
    """Takes TOOL_UPDATE frames that are numbered in `progress`, grants in half windows, and repeats each frame's number.

    Attributes:
        url: Where it is.
        numbers: What came, by connection, in order.
    """

    def __init__(self, window: int) -> None:
        self.url = ""
        self.numbers: list[list[int]] = []
        self._window = window
        self._seq = 0

    async def serve(self, connection: ServerConnection) -> None:
        """Serve one connection to its end."""
        numbers: list[int] = []
        self.numbers.append(numbers)
        self._seq = 0
        flow = {"initial_credit_messages": self._window, "initial_credit_bytes": 1 << 30}
        payload = {
            "haip_version": "1.1.2",
            "accept_major": [1],
            "accept_events": _TYPES,
            "capabilities": {"flow_control": flow},
        }
        await connection.send(self._frame("HAI", payload))
        async for text in connection:
            frame = json.loads(text)
            if frame["type"] != "TOOL_UPDATE":
                continue
            numbers.append(frame["payload"]["number"])
            if len(numbers) % max(1, self._window // 2) == 0:
                granted = {"channel": "USER", "add_messages": max(1, self._window // 2)}
                await connection.send(self._frame("FLOW_UPDATE", granted))
            await connection.send(
                self._frame("TOOL_UPDATE", {"call_id": "soak", "status": "RUNNING", "number": numbers[-1]}, "AGENT")
            )

    def _frame(self, frame_type: str, payload: object, channel: str = "SYSTEM") -> str:
        self._seq += 1
        members = {"id": f"{self._seq}", "session": _SESSION, "seq": f"{self._seq}", "ts": "1700000000000", "pv": 1}
        return json.dumps(members | {"channel": channel, "type": frame_type, "payload": payload})


@contextmanager
def lean_peer(context: ssl.SSLContext | None, *, window: int = 10) -> Iterator[LeanPeer]:
    """Run a peer; with a server's `context` it speaks TLS."""
    peer = LeanPeer(window)
    ready = threading.Event()
    stop: list[Any] = []

    async def main() -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        stop.append(lambda: loop.call_soon_threadsafe(over.set))
        async with serve(peer.serve, "127.0.0.1", 0, ssl=context, compression=None, ping_interval=None) as server:
            port = server.sockets[0].getsockname()[1]
            peer.url = f"{'ws' if context is None else 'wss'}://127.0.0.1:{port}"
            ready.set()
            await over.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),), name="lean-peer")
    thread.start()
    assert ready.wait(_PATIENCE_S)
    try:
        yield peer
    finally:
        stop[0]()
        thread.join(_PATIENCE_S)
