"""Meeting a development server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from haip_sync.testing import DevServer, Session

TIMEOUT_S = 5.0
Dial = Callable[[str], Any]


def meet(server: DevServer, dial: Dial, **hai: Any) -> tuple[Any, Session]:
    """Connect a client; return it with its session."""
    number = len(server.sessions) + 1
    client = dial(server.url)
    client.greet(**hai)
    return client, server.wait_for_session(number)
