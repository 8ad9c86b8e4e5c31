"""A meeting place, and a service in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.observed import Served, meeting_place, served


@pytest.fixture
def place() -> Iterator[Path]:
    """Yield a meeting place of the test's own."""
    with meeting_place() as directory:
        yield directory


@pytest.fixture
def running(place: Path) -> Iterator[Served]:
    """Yield a service."""
    with served(place) as service:
        yield service
