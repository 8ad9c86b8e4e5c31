"""What the tests of scripts and monitors share: a folder for their sockets, and a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.observed import meeting_place

from haip_sync.testing import DevServer, OnRequest


@pytest.fixture
def place() -> Iterator[Path]:
    """Yield a meeting place of the test's own."""
    with meeting_place() as directory:
        yield directory


@pytest.fixture
def server() -> Iterator[DevServer]:
    """Yield a server that grants three messages, and more when it is asked."""
    with DevServer(agent=False, initial_credits=3, policy=OnRequest()) as running:
        yield running


@pytest.fixture
def path(place: Path) -> Path:
    """Return the path of a socket that a program might have."""
    return place / "4242-rude.sock"
