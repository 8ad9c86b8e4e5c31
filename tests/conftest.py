"""What every test is held to: it leaves no thread behind. At the end the run says how many schedules it has tried."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import settings
from support.interleavings import TALLY

# A busy machine makes any example slow: no test fails on that.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

_GRACE_S = 5.0


@pytest.fixture(autouse=True)
def _leaves_no_thread() -> Iterator[None]:
    """Fail the test that leaves a thread running, and say where it was started from."""
    before = set(threading.enumerate())
    yield
    deadline_s = time.monotonic() + _GRACE_S
    for thread in set(threading.enumerate()) - before:
        thread.join(max(0.0, deadline_s - time.monotonic()))
    left = [thread.name for thread in threading.enumerate() if thread not in before and thread.is_alive()]
    assert not left, f"threads left behind: {left}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many interleavings the deterministic scheduler has run."""
    if TALLY:
        terminalreporter.write_line(f"deterministic scheduler: {sum(TALLY):,} schedules in {len(TALLY)} scenarios")
