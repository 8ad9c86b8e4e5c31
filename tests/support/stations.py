"""Both ends of a fault proxy in one place, in plain bytes."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import Any

from haip_sync.testing import FaultProxy

HANG_S = 20.0
"""What only a hang reaches, a machine that is busy with other things included."""
REQUEST = b"GET / HTTP/1.1\r\n\r\n"
ANSWER = b"HTTP/1.1 101 Go\r\n\r\n"
KEY = b"\x11\x22\x33\x44"


def masked(text: str) -> bytes:
    """Return a client's frame."""
    payload = text.encode()
    return bytes([0x81, 0x80 | len(payload)]) + KEY + bytes(byte ^ KEY[at % 4] for at, byte in enumerate(payload))


class Line:
    """A connection through a proxy with bare sockets at both ends."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server

    def upgrade(self) -> None:
        """Let both heads pass."""
        self.client.sendall(REQUEST)
        assert receive(self.server, len(REQUEST)) == REQUEST
        self.server.sendall(ANSWER)
        assert receive(self.client, len(ANSWER)) == ANSWER


class Station:
    """A listening socket with a proxy in front of it."""

    def __init__(self, stack: ExitStack, **options: Any) -> None:
        self._stack = stack
        self._listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._listening.settimeout(HANG_S)
        self.proxy = stack.enter_context(FaultProxy(f"ws://127.0.0.1:{self._listening.getsockname()[1]}", **options))

    def dial(self) -> socket.socket:
        """Connect to the proxy."""
        return self._stack.enter_context(socket.create_connection(("127.0.0.1", self.proxy.port), HANG_S))

    def line(self) -> Line:
        """Connect through the proxy."""
        client = self.dial()
        server, _ = self._listening.accept()
        server.settimeout(HANG_S)
        return Line(client, self._stack.enter_context(server))


def receive(sock: socket.socket, count: int) -> bytes:
    """Return so many bytes, fewer only at the end."""
    data = b""
    while len(data) < count and (piece := sock.recv(min(65_536, count - len(data)))):
        data += piece
    return data


def receive_all(sock: socket.socket) -> bytes:
    """Return what comes until FIN."""
    return receive(sock, 1 << 40)


def fill(sock: socket.socket, most: int) -> int:
    """Send until nobody takes more for half a second, at most so much; return how much it was."""
    sock.settimeout(0.5)
    sent = 0
    try:
        while sent < most:
            sent += sock.send(bytes(65_536))
    except TimeoutError:
        pass
    sock.settimeout(HANG_S)
    return sent
