"""A proxy between two bare ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from support.stations import Station


@pytest.fixture
def make_station() -> Iterator[Callable[..., Station]]:
    """Return a function that starts a proxy with these options; everything is closed at the end."""
    with ExitStack() as stack:
        yield lambda **options: Station(stack, **options)


@pytest.fixture
def station(make_station: Callable[..., Station]) -> Station:
    """Return a proxy with bare ends."""
    return make_station()
