"""How a connection through the proxy stands, as a test sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LinkState = Literal["connecting", "open", "closed"]
Ending = Literal["client", "server", "cut", "refused", "unreachable", "stopped"]


@dataclass(frozen=True, kw_only=True)
class ProxyConnection:
    """One connection through a `FaultProxy`, at one moment."""

    number: int
    """From 1, in the order in which they were accepted."""
    state: LinkState
    """`"connecting"` (to the target), `"open"`, `"closed"` (neither side gets anything more)."""
    ended_by: Ending | None
    """Who ended it, or began to: `"client"`, `"server"`; `"cut"` (by a fault), `"refused"`, `"unreachable"` (the target),
    `"stopped"` (the proxy); None: nobody yet."""
    bytes_to_server: int
    """How many bytes have gone on to the server, HTTP upgrade included."""
    bytes_to_client: int
    """The same to the client."""
    frames_to_server: int
    """How many whole WebSocket frames the client has sent, as far as they were read; 0 where the target is wss://."""
    frames_to_client: int
    """The same of the server's."""
