"""A development server, and no thread of it behind a test."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from support.meeting import TIMEOUT_S

from haip_sync.testing import DevServer, Never


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """Every test must leave as many threads as it found."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before and "raw" not in thread.name]
    deadline = time.monotonic() + TIMEOUT_S
    for thread in left:
        # A raw client's reader ends a moment after its socket; the server's threads are over already.
        thread.join(max(0.0, deadline - time.monotonic()))
        assert not thread.is_alive()


@pytest.fixture
def server() -> Iterator[DevServer]:
    """Return a server that grants nothing by itself and answers nothing."""
    with DevServer(policy=Never(), agent=False) as server:
        yield server
