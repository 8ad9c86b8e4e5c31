"""What it costs a script to be looked at: by monitors, and by Prometheus."""

from __future__ import annotations

import time
from typing import Any, Final

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from support.benches.monitors import monitors
from support.benches.rows import COST, RATE, Row
from support.benches.table import Table
from support.observed import meeting_place

from haip_sync import ErrorReported, Event, FlowControlConfig, HAIPClient, WaitCause
from haip_sync.integrations.prometheus import HaipCollector

pytestmark = pytest.mark.timeout(600)

CHANNEL: Final = "USER"
TYPE: Final = "TOOL_UPDATE"
PAYLOAD: Final = {"call_id": "c1", "status": "RUNNING", "progress": 50, "partial": "x" * 10}
PATIENCE_S: Final = 60.0
WINDOW: Final = 1_000
MESSAGES: Final = 500
BUDGET_S: Final = 0.020
_UNWATCHED: Final = "client that is not offered"

ROWS = (
    Row("watched by 0 monitors: CPU", COST, _UNWATCHED, "<= 1.02"),
    Row("watched by 1 monitors: CPU", COST, _UNWATCHED, "<= 1.02"),
    Row("watched by 8 monitors: CPU", COST, _UNWATCHED),
    *(Row(f"watched by {count} monitors: rate", RATE, _UNWATCHED) for count in (0, 1, 8)),
    Row("scrape of 50 clients x 5 channels", COST, "20 ms", "<= 1"),
)


@pytest.mark.parametrize("count", [0, 1, 8])
def test_sender_that_is_watched(benchmark: Any, table: Table, server: str, count: int) -> None:
    """One thread sends as fast as the credit comes, with so many monitors attached that hear of grants and balances.

    The bar is for the process's CPU time, in many short rounds in turn: the rate is as the machine's other work lets it be.
    """
    name = f"watched by {count} monitors"
    errors: list[Event] = []
    flow_control = FlowControlConfig(max_credits=WINDOW, max_credit_bytes=1_000 * WINDOW)

    def run(client: HAIPClient) -> dict[str, float]:
        client.wait_for_credits(CHANNEL, messages=WINDOW, timeout=PATIENCE_S)
        begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
        for _ in range(MESSAGES):
            client.send(CHANNEL, TYPE, PAYLOAD, timeout=PATIENCE_S)
        wall_s, cpu_s = time.perf_counter() - begin_s, time.process_time() - begin_cpu_s
        return {f"{name}: rate": MESSAGES / wall_s, f"{name}: CPU": cpu_s / MESSAGES}

    url = f"{server}/{WINDOW}/{WINDOW // 2}"
    with meeting_place():
        plain = HAIPClient(url, flow_control=flow_control, monitor=False)
        offered = HAIPClient(url, flow_control=flow_control, monitor=True, name="offered")
        with plain, offered, monitors(count, "offered"):
            for client in (plain, offered):
                client.subscribe(errors.append, ErrorReported)
            table.measure(benchmark, lambda: run(plain), lambda: run(offered), rounds=201)
    assert errors == [], "the server refused what was sent: it is no measurement"


def test_scrape(benchmark: Any, table: Table) -> None:
    """Every channel has been granted and asked for, one of each client has been waited for; the text is made, as for a server."""
    clients = [HAIPClient("ws://localhost:1", name=f"client {number}") for number in range(50)]
    for client in clients:
        counts = client._connection.watch.metrics
        for channel in client.connection_state().channels:
            counts.requested(channel)
            counts.received(channel, 10, 1_000)
        counts.waited(CHANNEL, WaitCause.MESSAGES, 0.3)
    registry = CollectorRegistry()
    registry.register(HaipCollector(clients))

    def ours() -> dict[str, float]:
        begin_s = time.thread_time()  # what the scrape itself takes: nothing here waits for anybody
        text = generate_latest(registry)
        cost_s = time.thread_time() - begin_s
        assert text.count(b"haip_credits{") == 250
        return {"scrape of 50 clients x 5 channels": cost_s}

    table.measure(benchmark, lambda: {"scrape of 50 clients x 5 channels": BUDGET_S}, ours, rounds=101)
