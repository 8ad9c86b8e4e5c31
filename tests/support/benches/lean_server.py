"""A HAIP peer for measuring: it grants credit and sends what it is told to, and costs as little as Python lets it.

Run as a process of its own, so that it shares no GIL with the client that is measured: `python -m support.benches.lean_server`
prints the port. What it does is in the URL's path, `/WINDOW/RENEW`: the messages that it grants at first, and after how many it
grants as many again. A frame with the text `flood COUNT BYTES` in it is answered with so many frames on AGENT.
"""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import ssl
import sys
import threading
from typing import Any, Final

import msgspec
from websockets.speedups import apply_mask

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT: Final = ("MESSAGE_START", "MESSAGE_PART", "MESSAGE_END")
_SESSION: Final = "22222222-2222-4333-8444-555555555555"
_TYPES: Final = ["HAI", "ERROR", "FLOW_UPDATE", "PAUSE_CHANNEL", "RESUME_CHANNEL", "TOOL_UPDATE", *_TEXT]
"""No PING: it would have to be answered."""
_READ_BYTES: Final = 1 << 18
_MANY_BYTES: Final = 1 << 40
_LOOKED_INTO: Final = 4_096
"""Longer frames are data, and nobody looks into them."""
_FLOOD: Final = re.compile(rb"flood (\d+) (\d+)")
_CHANNELS: Final = re.compile(rb"grant (\d+) channels")
_CLOSE: Final = 0x88
_ONE_BYTE, _TWO_BYTES = 126, 127
_TO_FILL_IN: Final = "#########"
encode: Final = msgspec.json.Encoder().encode


def frame(payload: bytes) -> bytes:
    """Return a server's text frame."""
    if len(payload) < _ONE_BYTE:
        return b"\x81" + bytes((len(payload),)) + payload
    if len(payload) < 1 << 16:
        return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload
    return b"\x81\x7f" + len(payload).to_bytes(8, "big") + payload


class _Peer:
    """One connection, served by one thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self._seq = 0
        self._renew = 1
        self._used = 0
        self._heard = 0

    def serve(self) -> None:
        """Serve to the end."""
        head = self._head()
        window, self._renew = map(int, head.split(b" ")[1].strip(b"/").split(b"/"))
        key = re.search(rb"(?i)sec-websocket-key: *(\S+)", head)
        assert key is not None
        proof = base64.b64encode(hashlib.sha1(key[1] + _GUID, usedforsecurity=False).digest())
        upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        self._sock.sendall(upgrade + proof + b"\r\n\r\n")
        credit = {"initial_credit_messages": window, "initial_credit_bytes": _MANY_BYTES}
        hello = {"haip_version": "1.1.2", "accept_major": [1], "accept_events": _TYPES, "capabilities": {"flow_control": credit}}
        self._send("HAI", hello)
        while self._read():
            while (payload := self._next_frame()) is not None:
                self._take(payload)

    def _head(self) -> bytes:
        while b"\r\n\r\n" not in self._buffer:
            if not self._read():
                raise ConnectionError
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self._buffer = bytearray(rest)
        return head

    def _read(self) -> bool:
        data = self._sock.recv(_READ_BYTES)
        self._buffer += data
        return bool(data)

    def _next_frame(self) -> bytes | None:
        """Return the next client frame's payload, unmasked where it is short; None: it has not all come."""
        buffer = self._buffer
        if len(buffer) < 6:
            return None
        length, at = buffer[1] & 0x7F, 2
        if length == _ONE_BYTE:
            length, at = int.from_bytes(buffer[2:4], "big"), 4
        elif length == _TWO_BYTES:
            length, at = int.from_bytes(buffer[2:10], "big"), 10
        end = at + 4 + length
        if len(buffer) < end:
            return None
        if buffer[0] == _CLOSE:
            self._sock.sendall(bytes((_CLOSE, 0)))
            raise ConnectionAbortedError
        payload = b"" if length > _LOOKED_INTO else apply_mask(bytes(buffer[at + 4 : end]), bytes(buffer[at : at + 4]))
        del buffer[:end]
        self._heard += 1
        return payload

    def _take(self, payload: bytes) -> None:
        if payload and b'"type":"TOOL_UPDATE"' not in payload and b'"type":"MESSAGE_' not in payload:
            return
        self._used += 1
        if self._used >= self._renew:
            self._send("FLOW_UPDATE", {"channel": "USER", "add_messages": self._used}, ack=str(self._heard))
            self._used = 0
        if b"flood" in payload and (asked := _FLOOD.search(payload)):
            self._flood(int(asked[1]), int(asked[2]))
        if b"grant" in payload and (asked := _CHANNELS.search(payload)):
            for number in range(int(asked[1])):
                self._send("FLOW_UPDATE", {"channel": f"CHANNEL_{number}", "add_messages": 1})

    def _flood(self, count: int, size: int) -> None:
        update = {"call_id": "c1", "status": "RUNNING", "partial": ""}
        bare = len(self._envelope("AGENT", "TOOL_UPDATE", update, _TO_FILL_IN))
        update["partial"] = "x" * max(0, size - bare)
        pattern = frame(self._envelope("AGENT", "TOOL_UPDATE", update, _TO_FILL_IN))
        before, after = pattern.split(_TO_FILL_IN.encode(), 1)
        pieces = []
        for _ in range(count):
            self._seq += 1
            # Seq has no leading zeros; a short one is padded where JSON allows it, behind its closing quote.
            digits = b"%d" % self._seq
            pieces += (before, digits, b'"', b" " * (len(_TO_FILL_IN) - len(digits)), after[1:])
        self._sock.sendall(b"".join(pieces))

    def _send(self, frame_type: str, payload: dict[str, Any], **more: str) -> None:
        self._seq += 1
        self._sock.sendall(frame(self._envelope("SYSTEM", frame_type, payload, str(self._seq), **more)))

    def _envelope(self, channel: str, frame_type: str, payload: dict[str, Any], seq: str, **more: str) -> bytes:
        members = {"id": "11111111-2222-4333-8444-555555555555", "session": _SESSION, "seq": seq, "ts": "1700000000000"}
        return encode(members | more | {"channel": channel, "type": frame_type, "payload": payload, "pv": 1})


def _serve(sock: socket.socket, context: ssl.SSLContext | None) -> None:
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with sock if context is None else context.wrap_socket(sock, server_side=True) as line:
            _Peer(line).serve()
    except OSError:
        return


def main() -> None:
    """Serve for ever; with a certificate's file as argument over TLS."""
    context = None
    if len(sys.argv) > 1:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1])
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(listener.getsockname()[1], flush=True)  # noqa: T201 - what the process that started us reads
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=_serve, args=(sock, context), daemon=True).start()


if __name__ == "__main__":
    main()
