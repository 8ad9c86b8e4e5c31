"""A fixture for every conftest whose tests open sockets: they leave no descriptor behind."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_GRACE_S = 5.0
_OURS = Path("/proc/self/fd")


def _descriptors() -> set[str]:
    """Return what this process has open, by what the system calls it; nothing where the system does not say."""
    found = set()
    for entry in os.listdir(_OURS) if _OURS.exists() else ():
        try:
            found.add(f"{entry} {os.readlink(_OURS / entry)}")
        except OSError:
            continue  # the one for the listing itself
    return found


@pytest.fixture(autouse=True)
def leaves_no_descriptor() -> Iterator[None]:
    """Fail the test that leaves a socket, a pipe or a file open."""
    before = _descriptors()
    yield
    deadline_s, tick = time.monotonic() + _GRACE_S, threading.Event()
    while (left := _descriptors() - before) and time.monotonic() < deadline_s:
        gc.collect()  # who was dropped without a close is none of this fixture's business
        tick.wait(0.01)
    assert not left, f"descriptors left behind: {sorted(left)}"
