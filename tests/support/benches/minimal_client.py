"""The least that a client with flow control can be: one reader thread, one condition, a fresh envelope for each message.

It checks nothing, is fair to nobody, knows one channel and cannot be interrupted: a floor for what the wire and the waiting
cost by themselves. Any thread may send.
"""

from __future__ import annotations

import socket
import threading
import time
import uuid
from typing import Any, Final

import msgspec
import websocket

_PATIENCE_S: Final = 60.0
_TAKES_PART: Final = ["HAI", "PING", "PONG", "ERROR", "FLOW_UPDATE", "PAUSE_CHANNEL", "RESUME_CHANNEL", "TOOL_UPDATE"]


class _Sent(msgspec.Struct):
    id: str
    session: str
    seq: str
    ts: str
    channel: str
    type: str
    payload: dict[str, Any]
    pv: int = 1


class _Received(msgspec.Struct):
    type: str
    payload: dict[str, Any]


class MinimalClient:
    """Connects when it is made; raises `TimeoutError` where no credit comes.

    Attributes:
        errors: What the server complained of.
    """

    def __init__(self, url: str, channel: str) -> None:
        self.errors: list[dict[str, Any]] = []
        self._channel = channel
        self._session = str(uuid.uuid4())
        self._seq = 0
        self._encode = msgspec.json.Encoder().encode
        # Guards the credit. Waits for more of it.
        self._condition = threading.Condition()
        self._messages = 0
        self._bytes = 0
        self._websocket = websocket.create_connection(url, enable_multithread=True, skip_utf8_validation=True)
        capabilities = {"flow_control": {"initial_credit_messages": 10, "initial_credit_bytes": 10_000}}
        hello = {"haip_version": "1.1.2", "accept_major": [1], "accept_events": _TAKES_PART, "capabilities": capabilities}
        self._websocket.send(self._envelope("SYSTEM", "HAI", hello))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, event_type: str, payload: dict[str, Any]) -> None:
        """Send one frame, waiting for credit."""
        self.send_ready(self.ready(event_type, payload))

    def ready(self, event_type: str, payload: dict[str, Any]) -> bytes:
        """Return a frame that could be sent."""
        return self._envelope(self._channel, event_type, payload)

    def send_ready(self, data: bytes) -> None:
        """Send a ready-made frame, waiting for credit."""
        with self._condition:
            self._wait(1, len(data))
            self._messages -= 1
            self._bytes -= len(data)
        self._websocket.send(data)

    def send_raw(self, data: bytes) -> None:
        """Send a ready-made WebSocket frame, masked already, waiting for credit."""
        with self._condition:
            self._wait(1, len(data))
            self._messages -= 1
            self._bytes -= len(data)
        self._websocket.sock.sendall(data)

    def wait_for_credits(self, messages: int) -> None:
        """Wait until so much may be sent."""
        with self._condition:
            self._wait(messages, 0)

    def close(self) -> None:
        """End the connection."""
        line = self._websocket.sock
        if line is not None:
            line.shutdown(socket.SHUT_RDWR)  # closing the descriptor would wake nobody
            self._reader.join(_PATIENCE_S)
            line.close()

    def _wait(self, messages: int, byte_credits: int) -> None:
        while self._messages < messages or self._bytes < byte_credits:
            if not self._condition.wait(_PATIENCE_S):
                raise TimeoutError("the server grants nothing")

    def _envelope(self, channel: str, event_type: str, payload: dict[str, Any]) -> bytes:
        self._seq += 1
        ts = str(time.time_ns() // 1_000_000)
        return self._encode(_Sent(str(uuid.uuid4()), self._session, str(self._seq), ts, channel, event_type, payload))

    def _read(self) -> None:
        decode = msgspec.json.Decoder(_Received).decode
        try:
            while True:
                opcode, data = self._websocket.recv_data()
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    return
                self._take(decode(data))
        except (OSError, websocket.WebSocketException):
            return

    def _take(self, frame: _Received) -> None:
        payload = frame.payload
        if frame.type == "HAI":
            first = payload["capabilities"]["flow_control"]
            self._grant(first["initial_credit_messages"], first["initial_credit_bytes"])
        elif frame.type == "FLOW_UPDATE" and payload["channel"] == self._channel:
            self._grant(payload.get("add_messages", 0), payload.get("add_bytes", 0))
        elif frame.type == "ERROR":
            self.errors.append(payload)

    def _grant(self, messages: int, byte_credits: int) -> None:
        with self._condition:
            self._messages += messages
            self._bytes += byte_credits
            self._condition.notify(messages)
