"""Frames that gather for as long as a test wants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from haip_sync import HAIPClient
from haip_sync.runtime import gathering, service
from support.turnstiles import PATIENCE_S, until


def let_gather(patch: pytest.MonkeyPatch) -> None:
    """Let every frame wait for company, as in a program that sends very fast, and nobody look after it of himself."""
    patch.setattr(gathering, "_MANY", 1)
    patch.setattr(gathering, "_FAST_PER_S", -1)
    patch.setattr(gathering, "GATHER_S", float("inf"))
    patch.setattr(gathering, "_PAUSE_S", float("inf"))
    patch.setattr(service, "LOOK_S", PATIENCE_S)


@contextmanager
def gathering_client(patch: pytest.MonkeyPatch, url: str, **settings: object) -> Iterator[HAIPClient]:
    """Connect a client whose frames gather from its second text on: the first calls the service thread, which writes it."""
    let_gather(patch)
    with HAIPClient(url, **settings) as client:  # type: ignore[arg-type]
        client.send_text_message("USER", "first", timeout=PATIENCE_S)
        until(lambda: not client._connection.rooms.outgoing.entries)
        yield client


def gathered(client: HAIPClient) -> int:
    """Return how many sends stand before the socket."""
    return len(client._connection.rooms.outgoing.entries)
