"""What websocket-client takes for a frame, checked before memory is taken for it.

websocket-client 1.9 believes any announced size up to 2^63, takes masked server frames, long and fragmented control frames, and
looks at reserved bits and opcodes only once it has read all of the frame. Here every header is checked as soon as it is there
(RFC 6455, 5.1, 5.2, 5.4 and 5.5), and the fragments of a message are counted together.
"""

from __future__ import annotations

import socket
from typing import Final, cast

from websocket import ABNF, WebSocket, WebSocketProtocolException
from websocket._abnf import continuous_frame, frame_buffer

from haip_sync.protocol.websocket_frames import MESSAGE_TOO_BIG, BrokenStreamError
from haip_sync.runtime.socket_in_place import SocketInPlace

_FIRST_CONTROL_OPCODE: Final = 0x8
_LONGEST_CONTROL_BYTES: Final = 125


def dialogue(in_place: SocketInPlace) -> WebSocket:
    """Return a WebSocket of websocket-client's that reads and answers through what is given in the socket's place."""
    web_socket = WebSocket(skip_utf8_validation=True)
    web_socket.sock = cast(socket.socket, in_place)
    web_socket.connected = True
    return web_socket


def guard(web_socket: WebSocket, max_frame_bytes: int) -> None:
    """Have `web_socket` read by these rules; before its first message."""
    web_socket.frame_buffer = _CheckedFrames(web_socket.frame_buffer.recv, max_frame_bytes)
    web_socket.cont_frame = _Assembly()


class _CheckedFrames(frame_buffer):
    """Frames whose headers are checked. Raises `BrokenStreamError`."""

    def __init__(self, recv: object, max_frame_bytes: int) -> None:
        super().__init__(recv, skip_utf8_validation=True)  # type: ignore[arg-type]
        self._max_frame_bytes = max_frame_bytes
        self._is_fragmented = False
        self._message_bytes = 0

    def recv_header(self) -> None:
        """Read and check the first two bytes."""
        super().recv_header()
        fin, rsv1, rsv2, rsv3, opcode, is_masked, length_bits = self.header or (0,) * 7
        if rsv1 or rsv2 or rsv3:
            raise BrokenStreamError("the peer set reserved bits of a WebSocket frame, and no extension was agreed on")
        if opcode not in ABNF.OPCODES:
            raise BrokenStreamError(f"the peer sent a WebSocket frame of the unknown opcode {opcode}")
        if is_masked:
            raise BrokenStreamError("the peer masks its WebSocket frames, as only a client may")
        if opcode >= _FIRST_CONTROL_OPCODE and (not fin or length_bits > _LONGEST_CONTROL_BYTES):
            raise BrokenStreamError("the peer sent a WebSocket control frame that is fragmented or longer than 125 bytes")
        self._check_order(opcode, is_last=bool(fin))

    def _check_order(self, opcode: int, *, is_last: bool) -> None:
        """Check that fragments follow a beginning, and nothing else does."""
        if opcode >= _FIRST_CONTROL_OPCODE:
            return
        if (opcode == ABNF.OPCODE_CONT) != self._is_fragmented:
            raise BrokenStreamError("the fragments of the peer's WebSocket messages are out of order")
        if not self._is_fragmented:
            self._message_bytes = 0
        self._is_fragmented = not is_last

    def recv_length(self) -> None:
        """Read the announced size and check it."""
        super().recv_length()
        if self.header is None or self.header[4] >= _FIRST_CONTROL_OPCODE:
            return
        self._message_bytes += self.length or 0
        if self._message_bytes > self._max_frame_bytes:
            raise BrokenStreamError(
                f"the peer announced a message of {self._message_bytes} bytes, and max_frame_bytes is {self._max_frame_bytes}",
                close_code=MESSAGE_TOO_BIG,
            )

    def recv_frame(self) -> ABNF:
        """Return the next frame."""
        try:
            return super().recv_frame()
        except WebSocketProtocolException as exc:
            raise BrokenStreamError(f"the peer sent a WebSocket frame that is none: {exc}") from exc


class _Assembly(continuous_frame):
    """Puts fragments together in time that grows with their bytes, not with their number times their bytes."""

    def __init__(self) -> None:
        super().__init__(fire_cont_frame=False, skip_utf8_validation=True)

    def add(self, frame: ABNF) -> None:
        """Add a fragment, or a whole message."""
        if self.cont_data is None and not frame.fin:
            frame.data = bytearray(frame.data)  # type: ignore[arg-type, assignment]
        super().add(frame)
