"""What it costs a script to be looked at: by monitors, and by Prometheus."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from support.benches.monitors import monitors
from support.benches.rows import COST, RATE, Row
from support.benches.table import Table
from support.observed import meeting_place
from support.turnstiles import until

from haip_sync import ErrorReported, Event, FlowControlConfig, HAIPClient, WaitCause
from haip_sync.flow.gates import Ticket
from haip_sync.flow.ledger import NOTHING
from haip_sync.integrations.prometheus import HaipCollector
from haip_sync.observe.offering import Offering
from haip_sync.runtime.parcels import WaitParcel

pytestmark = pytest.mark.timeout(600)

CHANNEL: Final = "USER"
TYPE: Final = "TOOL_UPDATE"
PAYLOAD: Final = {"call_id": "c1", "status": "RUNNING", "progress": 50, "partial": "x" * 10}
PATIENCE_S: Final = 60.0
WIDE, MIDDLE, NARROW = (1_000, 500), (100, 50), (10, 5)
"""The credit at first, and after how much of it the peer grants as much again."""
ROUND_S: Final = 0.2
"""Two to four times what lies between two reports to a monitor, however fast the machine sends."""
TO_BEGIN_WITH_S: Final = 0.15
"""Before a round: who attaches hears of every grant at first, until these are seen to come thick."""
ROUNDS: Final = 41
BUDGET_S: Final = 0.020
_UNWATCHED: Final = "client that is not offered"
_COUNTS: Final = (0, 1, 8)


def _name(count: int, window: tuple[int, int]) -> str:
    return f"watched by {count} monitors{'' if window is WIDE else f', window of {window[0]}'}"


_CASES: Final = [*((count, WIDE) for count in _COUNTS), (1, MIDDLE), (1, NARROW)]
ROWS = (
    *(Row(f"{_name(*case)}: CPU beside the sender", COST, _UNWATCHED, "<= 1.02" if case[0] < 2 else "") for case in _CASES),
    *(
        Row(f"{_name(*case)}: {what}", kind, _UNWATCHED)
        for case in _CASES
        for what, kind in (("CPU of the sender", COST), ("rate", RATE))
    ),
    Row("scrape of 50 clients x 5 channels", COST, "20 ms", "<= 1"),
)


class Spent(NamedTuple):
    """What a message took in one round: seconds."""

    wall_s: float
    cpu_s: float
    """Of all threads of this process."""
    sender_s: float
    """Of the one that sends."""


def _send(client: HAIPClient, window: int) -> Spent:
    _send_for(client, window, TO_BEGIN_WITH_S)
    client.wait_for_credits(CHANNEL, messages=window, timeout=PATIENCE_S)
    begin = time.perf_counter(), time.process_time(), time.thread_time()
    messages = _send_for(client, window, ROUND_S)
    end = time.perf_counter(), time.process_time(), time.thread_time()
    return Spent(*((after - before) / messages for before, after in zip(begin, end, strict=True)))


def _send_for(client: HAIPClient, window: int, seconds: float) -> int:
    """Send for so long, whole windows, so that all of the credit comes back; return how many messages it were."""
    messages, end_s = 0, time.perf_counter() + seconds
    while time.perf_counter() < end_s:
        for _ in range(window):
            client.send(CHANNEL, TYPE, PAYLOAD, timeout=PATIENCE_S)
        messages += window
    return messages


@pytest.mark.parametrize(("count", "window"), _CASES, ids=[_name(*case).replace(" ", "-") for case in _CASES])
def test_sender_that_is_watched(benchmark: Any, table: Table, server: str, count: int, window: tuple[int, int]) -> None:
    """One thread sends as fast as the credit comes. In every other round its client is offered, with so many monitors attached.

    They hear of grants and balances, and go before the next round, so that the floor pays nothing for them. What other threads
    take is what watching costs: it is added to the floor of the same moment, and certain to a part of a hundred. The sending
    thread itself does the same work, as `test_observe_cost.py` counts: its own time and the rate are shown, and differ by some
    parts of a hundred from run to run whether anybody watches or not, so that no bar of two parts can be held to them.
    """
    name = _name(count, window)
    errors: list[Event] = []
    floors: list[Spent] = []
    flow_control = FlowControlConfig(max_credits=window[0], max_credit_bytes=1_000_000)

    def figures(spent: Spent, cpu_s: float) -> dict[str, float]:
        return {
            f"{name}: rate": 1 / spent.wall_s,
            f"{name}: CPU of the sender": spent.sender_s,
            f"{name}: CPU beside the sender": cpu_s,
        }

    def floor() -> dict[str, float]:
        floors.append(_send(client, window[0]))
        return figures(floors[-1], floors[-1].cpu_s)

    def ours() -> dict[str, float]:
        with offered(client, count):
            spent = _send(client, window[0])
        beside_s = (spent.cpu_s - spent.sender_s) - (floors[-1].cpu_s - floors[-1].sender_s)
        return figures(spent, floors[-1].cpu_s + beside_s)

    url = f"{server}/{window[0]}/{window[1]}"
    with (
        meeting_place(),
        HAIPClient(url, flow_control=flow_control, monitor=False, name="sender") as client,
        monitors(count, "sender") as watching,
    ):
        client.subscribe(errors.append, ErrorReported)

        @contextmanager
        def offered(client: HAIPClient, count: int) -> Iterator[None]:
            offering = Offering(client, may_steer=False)
            offering.begin()
            if count:
                watching.attach()
            try:
                yield
            finally:
                if count:
                    watching.detach()
                offering.close()
                until(lambda: all(thread.name != "haip-observe" for thread in threading.enumerate()))

        table.measure(benchmark, floor, ours, rounds=ROUNDS)
    assert errors == [], "the server refused what was sent: it is no measurement"


def test_scrape(benchmark: Any, table: Table) -> None:
    """Every series of every channel has begun but for waits that are over, which one of each client has; the text is made.

    The caps are those of settings that name no channel. As for a server: this is what one thread of the script takes while
    Prometheus waits for the answer.
    """
    clients = [HAIPClient("ws://localhost:1", name=f"client {number}") for number in range(50)]
    for client in clients:
        counts = client._connection.watch.metrics
        for channel in client.connection_state().channels:
            counts.requested(channel)
            counts.received(channel, 10, 1_000)
            client._connection.rooms.inbox.window(channel).breaches = 1
            client._connection.rooms.turnstile.gate(channel).add(Ticket(WaitParcel(NOTHING), 0.0))
        counts.waited(CHANNEL, WaitCause.MESSAGES, 0.3)
    registry, collector = CollectorRegistry(), HaipCollector(clients)
    registry.register(collector)
    assert generate_latest(registry).count(b"haip_waiting_threads{") == 250
    for client in clients:
        for gate in client._connection.rooms.turnstile.gates:
            gate.leave(next(iter(gate.queue)))

    def ours() -> dict[str, float]:
        begin_s = time.thread_time()  # what the scrape itself takes: nothing here waits for anybody
        text = generate_latest(registry)
        cost_s = time.thread_time() - begin_s
        assert all(text.count(b"haip_%s{" % name) == 250 for name in (b"credits", b"backlog", b"breaches_total"))
        return {"scrape of 50 clients x 5 channels": cost_s}

    table.measure(benchmark, lambda: {"scrape of 50 clients x 5 channels": BUDGET_S}, ours, rounds=101)
