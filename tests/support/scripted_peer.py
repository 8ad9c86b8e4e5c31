"""A server of a few lines that says what a test tells it to, over a real socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from support.turnstiles import PATIENCE_S

TYPES = ["HAI", "PING", "PONG", "ERROR", "FLOW_UPDATE", "PAUSE_CHANNEL", "MESSAGE_START", "MESSAGE_PART", "MESSAGE_END"]


class Peer:
    """Says what a test tells it to, with good numbers unless it is told others."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self._seq = 0

    def says(self, frame_type: str, payload: Any, channel: str = "SYSTEM", **members: Any) -> None:
        self._seq += 1
        frame = {"id": str(self._seq), "session": "s", "seq": str(self._seq), "ts": "1", "channel": channel, "type": frame_type}
        self.connection.send(json.dumps(frame | {"payload": payload, "pv": 1} | members))

    def skips(self) -> None:
        """Use a number up, for a frame that is lost on the way."""
        self._seq += 1

    def greets(self, *, messages: int = 100, byte_credits: int = 1_000_000, **changes: Any) -> None:
        hello = {"haip_version": "1.1.2", "accept_major": [1], "accept_events": TYPES}
        credit = {"flow_control": {"initial_credit_messages": messages, "initial_credit_bytes": byte_credits}}
        self.says("HAI", {**hello, "capabilities": credit, **changes})

    def hears_any(self) -> Any:
        """Return the next frame, whatever it is; binary frames are passed over."""
        while isinstance(data := self.connection.recv(PATIENCE_S), bytes):
            pass
        return json.loads(data)

    def hears_frame(self, frame_type: str) -> Any:
        while (frame := self.hears_any())["type"] != frame_type:
            pass
        return frame

    def hears(self, frame_type: str) -> Any:
        return self.hears_frame(frame_type)["payload"]

    def stays(self) -> None:
        """Keep the connection until the client ends it."""
        while True:
            self.connection.recv(PATIENCE_S)


@contextmanager
def peer(script: Callable[[Peer], object], **settings: Any) -> Iterator[str]:
    """Run a WebSocket server whose every connection follows `script`, `settings` being those of websockets; yields its URL."""

    def handle(connection: ServerConnection) -> None:
        try:
            script(Peer(connection))
        except (ConnectionClosed, TimeoutError):
            return

    with serve(handle, "127.0.0.1", 0, compression=None, ping_interval=None, close_timeout=1, **settings) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"{'wss' if settings.get('ssl') else 'ws'}://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join(PATIENCE_S)
