"""Clients whose line has just broken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from haip_sync import HAIPClient, ReconnectPolicy
from haip_sync.testing import DevServer, FaultProxy
from support.turnstiles import until

SLOW = ReconnectPolicy(initial_delay=60.0, max_delay=60.0)


def phase(client: HAIPClient) -> str:
    """Return where the client stands."""
    return client.connection_state().phase


@contextmanager
def broken(policy: ReconnectPolicy = SLOW, **settings: Any) -> Iterator[HAIPClient]:
    """Yield a client that is offline, with a server that waits for it."""
    with (
        DevServer(agent=False) as server,
        FaultProxy(server.url) as proxy,
        HAIPClient(proxy.url, reconnect=policy, **settings) as client,
    ):
        proxy.refuse()
        proxy.cut(reset=True)
        until(lambda: phase(client) == "offline" and client.connection_state().attempt > 0)
        yield client
