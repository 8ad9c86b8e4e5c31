"""The reader thread's work: it takes frames in until the line ends, and says why it ended. It waits for nothing else."""

from __future__ import annotations

import logging
from importlib import import_module

import msgspec

from haip_sync.errors import AuthError, ConnectionClosedError, HAIPError, HandshakeError, ProtocolError
from haip_sync.runtime.line import OPCODE_BINARY, OPCODE_CLOSE, OPCODE_TEXT, Line, close_code, close_reason
from haip_sync.runtime.reception import Reception

log = logging.getLogger("haip_sync.connection")

POLICY_VIOLATION = 1008
"""The close code of a refused token."""


class Goodbye(msgspec.Struct, frozen=True):
    """The peer's close frame."""

    code: int | None
    reason: str

    def failure(self, where: str, *, is_admitted: bool, has_sent: bool) -> HAIPError:
        """Return what it means to those who still want something. `has_sent`: what waited offline may have gone out already."""
        said = "no code" if self.code is None else f"code {self.code}"
        said = f"{said} ({self.reason})" if self.reason else said
        if is_admitted or (has_sent and self.code != POLICY_VIOLATION):
            return ConnectionClosedError(f"{where} closed the connection with {said}")
        if self.code == POLICY_VIOLATION:
            text = f"{where} refused the token: it closed the connection in the handshake with {said}"
            return AuthError(text if has_sent else f"{text}. Nothing was sent")
        return HandshakeError(f"{where} closed the connection in the handshake, with {said}. Nothing was sent")


def read_until_goodbye(line: Line, reception: Reception) -> Goodbye:
    """Take frames in until the peer's close frame. Raises what `Line.receive` raises when the line ends without one."""
    try:
        while True:
            opcode, data = line.receive()
            if opcode == OPCODE_TEXT:
                reception.take_text(data)
            elif opcode == OPCODE_BINARY:
                reception.take_binary(data)
            elif opcode == OPCODE_CLOSE:
                return Goodbye(close_code(data), line.discretion.text(close_reason(data)))
    finally:
        reception.write_out()  # nobody else was told of it


def loss(where: str, exc: Exception) -> ConnectionClosedError:
    """Return what the end of a line without a close frame means; `exc` becomes its cause."""
    if is_loss(exc):
        failure = ConnectionClosedError(f"the connection to {where} was lost: {_loss_text(exc)}")
    else:
        log.error("the reader failed", exc_info=exc)
        failure = ConnectionClosedError(f"the connection was ended by an error in haip_sync: {exc!r}")
    failure.__cause__ = exc
    return failure


def _websocket(name: str) -> type[Exception]:
    """Return an exception of websocket-client's, which is imported when a line is opened (see `line`)."""
    kind: type[Exception] = getattr(import_module("websocket"), name)
    return kind


def is_loss(exc: Exception) -> bool:
    """Return whether this is how lines end, and no error of our own."""
    return isinstance(exc, (OSError, _websocket("WebSocketException"), ProtocolError))


def _loss_text(exc: Exception) -> str:
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror.lower()
    if isinstance(exc, _websocket("WebSocketConnectionClosedException")):
        return "the peer ended it without a close frame"
    return str(exc) or type(exc).__name__
