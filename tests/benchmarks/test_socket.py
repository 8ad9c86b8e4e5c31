"""The whole client on a real socket, against a minimal one on the same server."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, Final

import pytest
from support.benches.minimal_client import MinimalClient
from support.benches.server_process import dev_server
from support.benches.table import Table

from haip_sync import ErrorReported, Event, FlowControlConfig, HAIPClient

pytestmark = pytest.mark.timeout(600)

CHANNEL: Final = "USER"
TYPE: Final = "TOOL_UPDATE"
PAYLOAD: Final = {"call_id": "c1", "status": "RUNNING", "progress": 50, "partial": "x" * 10}
"""About 250 bytes with its envelope."""
PATIENCE_S: Final = 60.0


@pytest.mark.parametrize(("window", "messages"), [(10, 500), (100, 2_000), (1_000, 5_000)])
def test_messages_on_a_socket(benchmark: Any, table: Table, window: int, messages: int) -> None:
    """One thread sends frames of about 250 bytes as fast as the credit comes."""
    name = f"socket, window {window}"
    window_bytes = 1_000 * window
    errors: list[Event] = []
    flow_control = FlowControlConfig(max_credits=window, max_credit_bytes=window_bytes)

    def run(send: Callable[[], object]) -> dict[str, float]:
        begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
        for _ in range(messages):
            send()
        wall_s, cpu_s = time.perf_counter() - begin_s, time.process_time() - begin_cpu_s
        return {f"{name}: rate": messages / wall_s, f"{name}: CPU": cpu_s / messages}

    def floor() -> dict[str, float]:
        minimal.wait_for_credits(window)  # the server has caught up, and all of the window is ours
        return run(lambda: minimal.send(TYPE, PAYLOAD))

    def ours() -> dict[str, float]:
        client.wait_for_credits(CHANNEL, messages=window, timeout=PATIENCE_S)
        return run(lambda: client.send(CHANNEL, TYPE, PAYLOAD, timeout=PATIENCE_S))

    with (
        dev_server(window=window, window_bytes=window_bytes) as url,
        closing(MinimalClient(url, CHANNEL)) as minimal,
        HAIPClient(url, flow_control=flow_control) as client,
    ):
        client.subscribe(errors.append, ErrorReported)
        table.measure(benchmark, floor, ours, rounds=31)
    assert minimal.errors == errors == [], "the server refused what was sent: it is no measurement"
