"""A small HTTP proxy: it opens every tunnel to the one place that it knows, if the client shows what it asks for."""

from __future__ import annotations

import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from support.tcp_peer import read_request, served
from support.turnstiles import PATIENCE_S


class LittleProxy:
    """A running proxy.

    Attributes:
        host: Host and port, for a URL.
        asked: The first lines of the requests.
    """

    def __init__(self, target: int, login: str | None, context: ssl.SSLContext | None) -> None:
        self.host = ""
        self.asked: list[str] = []
        self._target = target
        self._wanted = None if login is None else b"Proxy-Authorization: Basic " + b64encode(login.encode()) + b"\r\n"
        self._context = context

    def handle(self, connection: socket.socket) -> None:
        """Serve one client."""
        if self._context is not None:
            self._handle_secured(connection, self._context)
            return
        target = self._opened(connection)
        if target is not None:
            with target:
                back = threading.Thread(target=_pump, args=(target, connection))
                back.start()
                _pump(connection, target)
                back.join(PATIENCE_S)

    def _handle_secured(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        """Serve one client through TLS: the tunnel is two sockets' worth of bytes, and one thread that looks at both."""
        with context.wrap_socket(connection, server_side=True) as secured, suppress(OSError):
            target = self._opened(secured)
            if target is None:
                return
            with target:
                for sock in (secured, target):
                    sock.settimeout(0.005)
                while _moved(secured, target) and _moved(target, secured):
                    pass

    def _opened(self, connection: socket.socket) -> socket.socket | None:
        request = read_request(connection)
        self.asked.append(request.split(b"\r\n")[0].decode())
        if self._wanted is not None and self._wanted not in request:
            connection.sendall(b"HTTP/1.1 407 No\r\n\r\n")
            return None
        target = socket.create_connection(("127.0.0.1", self._target), PATIENCE_S)
        connection.sendall(b"HTTP/1.1 200 Connection established\r\nVia: little\r\n\r\n")
        return target


@contextmanager
def little_proxy(target: int, *, login: str | None = None, context: ssl.SSLContext | None = None) -> Iterator[LittleProxy]:
    """Run a proxy to this port of ours; `login` is user:password, `context` makes it speak TLS itself."""
    proxy = LittleProxy(target, login, context)
    with served(proxy.handle) as port:
        proxy.host = f"localhost:{port}"
        yield proxy


def _pump(source: socket.socket, drain: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            drain.sendall(data)
    with suppress(OSError):
        drain.shutdown(socket.SHUT_RDWR)


def _moved(source: socket.socket, drain: socket.socket) -> bool:
    """Move what has arrived; return whether there may be more."""
    try:
        data = source.recv(65_536)
    except TimeoutError:
        return True
    if data:
        drain.sendall(data)
    return bool(data)
