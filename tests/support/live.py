"""A client and a server that talk: what was told and what has come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from haip_sync import Event, HAIPClient
from haip_sync.testing import DevServer, Session
from support.turnstiles import PATIENCE_S

Start = Callable[..., tuple[DevServer, HAIPClient]]


def listen(client: HAIPClient, *kinds: type[Event]) -> list[Any]:
    """Return a list that fills with the client's events of these kinds."""
    seen: list[Any] = []
    client.subscribe(seen.append, *kinds)
    return seen


def settled(server: DevServer, condition: Callable[[Session], object]) -> Session:
    """Return the first session once `condition` holds for it."""
    session = server.wait_for_session()
    session.wait_for(condition, timeout=PATIENCE_S)
    return session


def types(session: Session) -> list[str]:
    """Return the types of what the server received, in order."""
    return [frame.type for frame in session.received]
