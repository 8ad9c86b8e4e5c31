"""The end of a stream of WebSocket frames that cannot be read on."""

from __future__ import annotations

from typing import Final

from haip_sync.errors import ProtocolError

PROTOCOL_ERROR: Final = 1002
MESSAGE_TOO_BIG: Final = 1009
"""WebSocket close codes (RFC 6455, 7.4.1)."""


class BrokenStreamError(ProtocolError):
    """The peer's WebSocket frames cannot be read on: the connection ends, with `close_code` in our close frame."""

    def __init__(self, message: str, *, close_code: int = PROTOCOL_ERROR) -> None:
        super().__init__(message, blame="remote")
        self.close_code = close_code
