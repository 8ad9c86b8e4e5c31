"""TLS for the development server: an object in the socket's place, because two threads must not share an `ssl.SSLSocket`."""

from __future__ import annotations

import socket
import ssl
from typing import Any

from haip_sync.runtime.stream import PlainStream, send_all
from haip_sync.runtime.tls import TlsStream


class TlsSocket:
    """What the WebSocket library takes for a connected socket. One thread may receive while another sends.

    The handshake takes place in the first `recv`, so that a client that is slow in it holds up nobody else.
    """

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._sock = sock
        self._stream = TlsStream(PlainStream(sock), context, is_server=True)
        self._is_agreed = False

    def recv(self, _most: int, /) -> bytes:
        """Return all plaintext of what has arrived; nothing: the client has ended. Raises `OSError`."""
        if not self._is_agreed:
            self._stream.handshake()
            self._stream.run(_leave_it)
            self._is_agreed = True
        return self._stream.recv()

    def sendall(self, data: bytes, /) -> None:
        """Send all of `data`. One thread at a time. Raises `OSError`."""
        send_all(self._stream, data)

    def shutdown(self, how: int, /) -> None:
        """End what is sent with TLS's goodbye; both directions unless `how` says that receiving goes on."""
        if how == socket.SHUT_WR:
            self._stream.say_goodbye()
            self._sock.shutdown(how)
        else:
            self._stream.shut()

    def close(self) -> None:
        """Wake whoever receives, and close."""
        self._stream.shut()
        self._stream.close()

    def __getattr__(self, name: str) -> Any:
        """Return what else a socket has: its addresses, its descriptor, its timeout."""
        return getattr(self._sock, name)


def _leave_it() -> None:
    """Leave what TLS has to answer to the next that is sent."""
