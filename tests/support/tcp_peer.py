"""TCP servers that do one thing each, byte by byte: what no library would let a server say."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from support.turnstiles import PATIENCE_S

HAI = (
    b'{"id":"1","session":"s","seq":"1","ts":"1","channel":"SYSTEM","type":"HAI","pv":1,"payload":{"haip_version":"1.1.2",'
    b'"accept_major":[1],"accept_events":["MESSAGE_START","MESSAGE_PART","MESSAGE_END","PING","FLOW_UPDATE"],'
    b'"capabilities":{"flow_control":{"initial_credit_messages":1000000,"initial_credit_bytes":9000000000}}}}'
)
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

Handler = Callable[[socket.socket], None]


def read_request(connection: socket.socket) -> bytes:
    """Return the head of an HTTP request."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        piece = connection.recv(65_536)
        assert piece, f"the client left in the middle of {data!r}"
        data += piece
    return data


def accepting(request: bytes, *more: str) -> bytes:
    """Return the answer that accepts an upgrade, with `more` headers."""
    key = re.search(rb"Sec-WebSocket-Key: (\S+)", request)
    assert key is not None
    proof = b64encode(hashlib.sha1(key[1] + _GUID).digest()).decode()  # noqa: S324 - as RFC 6455 wants it
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: WebSocket", "Connection: keep-alive, Upgrade"]
    return "\r\n".join((*lines, f"Sec-WebSocket-Accept: {proof}", *more, "", "")).encode()


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a WebSocket frame as servers send them."""
    size = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + size + payload


@contextmanager
def served(handler: Handler) -> Iterator[int]:
    """Run a server that serves one client after the other with `handler`; return its port. It is over when the block is."""
    over = threading.Event()
    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while not over.is_set():
                connection, _ = listener.accept()
                connections.append(connection)
                # A client that leaves is what some tests are about.
                with connection, suppress(OSError):
                    if not over.is_set():
                        connection.settimeout(PATIENCE_S)
                        handler(connection)

        port = int(listener.getsockname()[1])
        thread = threading.Thread(target=serve, name="raw-peer")
        thread.start()
        try:
            yield port
        finally:
            over.set()
            for connection in tuple(connections):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            socket.create_connection(("127.0.0.1", port), PATIENCE_S).close()
            thread.join(PATIENCE_S)


def answering(answer: bytes | None, *, hang_up: bool = True) -> Handler:
    """Return a handler that answers the first request with these bytes (None: with nothing) and hangs up, or does not."""

    def handle(connection: socket.socket) -> None:
        if answer is not None:
            connection.recv(65_536)
            connection.sendall(answer)
        if not hang_up:
            wait_for_end(connection)

    return handle


def wait_for_end(connection: socket.socket) -> None:
    """Read until the client, or the end of the test, ends the connection."""
    while connection.recv(65_536):
        pass


def unused_port() -> int:
    """Return a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
