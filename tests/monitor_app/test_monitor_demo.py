"""The demo's choreography."""

from __future__ import annotations

import threading
import time

import pytest

from monitor_app.demo import Demo
from monitor_app.model.client_source import ClientSource
from monitor_app.model.ingest import Ingest
from monitor_app.model.status import Status


@pytest.mark.timeout(60)
def test_every_state_but_offline_is_seen_within_half_a_minute() -> None:
    """FLOWING, LOW, STARVED, PAUSED by us, PAUSED by peer and IDLE are there in time, as the client tells it."""
    demo = Demo()
    try:
        ingest = Ingest(ClientSource(demo.start(), name="demo"))
        tick = threading.Event()
        seen: set[Status] = set()
        deadline = time.monotonic() + 30.0
        while seen != set(Status) - {Status.OFFLINE} and time.monotonic() < deadline:
            ingest.tick()
            seen |= {view.status for view in ingest.channels()}
            tick.wait(0.03)
        ingest.source.close()
    finally:
        demo.stop()
    assert seen == set(Status) - {Status.OFFLINE}
