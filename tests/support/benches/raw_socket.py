"""WebSocket frames on a plain socket, as fast as C makes them: the floor under everything that is sent, and nothing more."""

from __future__ import annotations

import os
import socket
import threading
from typing import Final, Self
from urllib.parse import urlsplit

import websocket
from websockets.speedups import apply_mask

_PATIENCE_S: Final = 60.0
_SHORT, _MIDDLE = 126, 1 << 16


class RawSocket:
    """Connects with websocket-client's handshake, then sends frames of its own; a thread throws away what comes back."""

    def __init__(self, url: str) -> None:
        self._websocket = websocket.create_connection(url)
        assert urlsplit(url).scheme == "ws", "TLS has no raw frames"
        self._socket: socket.socket = self._websocket.sock
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join(_PATIENCE_S)
        self._socket.close()

    @staticmethod
    def payload(size: int) -> bytes:
        """Return so many bytes."""
        return b"x" * size

    @staticmethod
    def masked(payload: bytes) -> bytes:
        """Return a text frame with a key of its own."""
        key, size = os.urandom(4), len(payload)
        if size < _SHORT:
            head = bytes((0x81, 0x80 | size))
        elif size < _MIDDLE:
            head = b"\x81\xfe" + size.to_bytes(2, "big")
        else:
            head = b"\x81\xff" + size.to_bytes(8, "big")
        return b"".join((head, key, apply_mask(payload, key)))

    def send(self, payload: bytes) -> None:
        """Mask and send."""
        self._socket.sendall(self.masked(payload))

    def _read(self) -> None:
        try:
            while self._socket.recv(_MIDDLE):
                pass
        except OSError:
            return
