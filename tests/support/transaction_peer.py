"""A server of the transaction dialect, over a real socket, that keeps books and says what a test tells it to.

It answers each TRANSACTION_START with an id of its own, unless `answers` is switched off, and counts what each channel costs.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from support.turnstiles import PATIENCE_S

TYPES = [
    "HAI",
    "PING",
    "PONG",
    "ERROR",
    "FLOW_UPDATE",
    "TRANSACTION_START",
    "TRANSACTION_END",
    "TRANSACTION_JOIN",
    "MESSAGE",
    "MESSAGE_UPDATE",
    "AUDIO",
    "INFO",
]
CONTROL = frozenset(TYPES) - {"MESSAGE", "MESSAGE_UPDATE", "AUDIO", "INFO"}


class TransactionPeer:
    """The server. Any thread may call it; it serves one connection after another, and speaks to the latest.

    Attributes:
        received: Every frame of the client's, in order.
        spent: By channel, what the client's data frames have cost, in messages and bytes.
        granted: By channel, what the client's FLOW_UPDATEs have granted, in messages and bytes.
        opened: The ids that were given out and not ended by the client.
        breaches: FLOW_UPDATEs that came outside of an open transaction.
    """

    def __init__(
        self, *, messages: int = 100, byte_credits: int = 1_000_000, answers: bool = True, accept_events: list[str] | None = None
    ) -> None:
        self.answers = answers
        self.received: list[Any] = []
        self._by_type: defaultdict[str, list[Any]] = defaultdict(list)
        self.spent: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        self.granted: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        self.opened: list[str] = []
        self.given_out = 0
        self.breaches = 0
        self._accept_events = accept_events or TYPES
        self._credit = {"initial_credit_messages": messages, "initial_credit_bytes": byte_credits}
        # Guards everything; notified when a frame has come and was answered.
        self._changed = threading.Condition()
        self._seq = 0
        self._connection: ServerConnection | None = None
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    # ---- What tests use -------------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None
        return f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}"

    def says(self, frame_type: str, payload: Any, transaction: str | None = None, channel: str = "SYSTEM", **members: Any) -> int:
        """Send a frame; return its size in bytes."""
        with self._changed:
            assert self._connection is not None
            self._seq += 1
            frame = {"id": str(self._seq), "session": "s", "seq": str(self._seq), "ts": "1", "channel": channel, "pv": 1}
            frame |= {"type": frame_type, "payload": payload, "transaction": transaction or "null"} | members
            text = json.dumps(frame)
            self._connection.send(text)
            return len(text.encode())

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until `condition` holds, which may hold after any frame."""
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE_S), "it never came to that"

    def frames(self, frame_type: str) -> list[Any]:
        """Return the client's frames of this type."""
        with self._changed:
            return list(self._by_type[frame_type])

    def hears(self, frame_type: str, number: int = 1) -> Any:
        """Return the client's `number`-th frame of this type, once it has come."""
        self.wait_for(lambda: len(self._by_type[frame_type]) >= number)
        return self.frames(frame_type)[number - 1]

    def grants(self, channel: str, messages: int = 0, byte_credits: int = 0, *, transaction: str) -> None:
        """Grant credit."""
        amounts = {"add_messages": messages, "add_bytes": byte_credits}
        self.says("FLOW_UPDATE", {"channel": channel, **{k: v for k, v in amounts.items() if v}}, transaction)

    # ---- The server -----------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._server = serve(self._serve, "127.0.0.1", 0, compression=None, ping_interval=None, close_timeout=1)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.shutdown()
        self._thread.join(PATIENCE_S)

    def _serve(self, connection: ServerConnection) -> None:
        with self._changed:
            self._connection, self._seq = connection, 0
        hello = {"haip_version": "1.1.2", "accept_major": [1], "accept_events": self._accept_events}
        self.says("HAI", {**hello, "capabilities": {"binary_frames": True, "flow_control": self._credit}})
        try:
            while True:
                self._take(connection.recv())
        except ConnectionClosed:
            return

    def _take(self, data: str | bytes) -> None:
        if isinstance(data, bytes):
            return
        frame = json.loads(data)
        with self._changed:
            self.received.append(frame)
            self._by_type[frame["type"]].append(frame)
            self._count(frame, len(data.encode()))
            if frame["type"] == "TRANSACTION_START" and self.answers:
                self.answer(frame)
            elif frame["type"] == "TRANSACTION_END" and frame["transaction"] in self.opened:
                self.opened.remove(frame["transaction"])
            self._changed.notify_all()

    def answer(self, start: Any) -> str:
        """Answer a TRANSACTION_START; return the id."""
        with self._changed:
            self.given_out += 1
            transaction = f"tx-{self.given_out}"
            self.opened.append(transaction)
            self.says("TRANSACTION_START", {"referenceId": start["transaction"]}, transaction)
            return transaction

    def _count(self, frame: Any, size: int) -> None:
        if frame["type"] == "FLOW_UPDATE":
            payload = frame["payload"]
            self.granted[payload["channel"]][0] += payload.get("add_messages", 0)
            self.granted[payload["channel"]][1] += payload.get("add_bytes", 0)
            self.breaches += frame.get("transaction") not in self.opened
        elif frame["type"] not in CONTROL:
            self.spent[frame["channel"]][0] += 1
            self.spent[frame["channel"]][1] += frame.get("bin_len", size)
