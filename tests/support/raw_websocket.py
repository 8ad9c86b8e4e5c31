"""A WebSocket server of bare sockets: it sends bytes that no library would send."""

from __future__ import annotations

import base64
import hashlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from support.turnstiles import PATIENCE_S

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class RawPeer:
    """The server's end of one WebSocket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._stream = connection.makefile("rb")
        self._upgrade()

    def _upgrade(self) -> None:
        key = b""
        while (line := self._stream.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            if name.lower() == b"sec-websocket-key":
                key = value.strip()
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())  # noqa: S324 - RFC 6455 says so
        self.send(b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n" % accept)

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._connection.sendall(data)

    def hears(self) -> tuple[int, bytes] | None:
        """Return the client's next frame as (opcode, payload); None: there is none any more."""
        head = self._stream.read(2)
        if len(head) < 2:
            return None
        size = head[1] & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self._stream.read(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._stream.read(8))
        key, masked = self._stream.read(4), self._stream.read(size)
        return head[0] & 0xF, bytes(byte ^ key[i % 4] for i, byte in enumerate(masked))

    def hears_all(self) -> list[tuple[int, bytes]]:
        """Return the client's frames until it ends the connection."""
        heard = []
        try:
            while (frame := self.hears()) is not None:
                heard.append(frame)
        except ConnectionError:
            pass
        return heard


def frame(payload: bytes, *, opcode: int = 1, fin: bool = True, rsv: int = 0, announced: int | None = None) -> bytes:
    """Return an unmasked WebSocket frame; `announced`: another size than it has, in 8 bytes."""
    first = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    size = len(payload) if announced is None else announced
    if announced is None and size < 126:
        return first + bytes([size]) + payload
    return first + bytes([127]) + struct.pack("!Q", size) + payload


@contextmanager
def raw_peer(script: Callable[[RawPeer], object]) -> Iterator[str]:
    """Run a server whose one connection follows `script`; yields its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(PATIENCE_S)
                script(RawPeer(connection))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            thread.join(PATIENCE_S)
