"""What the benchmarks on a socket send, and how the time of it is taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from haip_sync import ErrorReported, Event, FlowControlConfig, HAIPClient
from support.benches.minimal_client import MinimalClient

CHANNEL: Final = "USER"
TYPE: Final = "TOOL_UPDATE"
PAYLOAD: Final = {"call_id": "c1", "status": "RUNNING", "progress": 50, "partial": "x" * 10}
"""About 250 bytes with its envelope."""
PATIENCE_S: Final = 60.0
MANY: Final = 1 << 40
"""Bytes: more than any benchmark sends."""


def payload_of(size: int) -> dict[str, Any]:
    """Return a payload that makes a frame of about `size` bytes."""
    return PAYLOAD | {"partial": "x" * max(0, size - 240)}


@contextmanager
def our_client(url: str, *, window: int, **settings: Any) -> Iterator[HAIPClient]:
    """Connect; raise at the end where the server complained: it is no measurement then."""
    errors: list[Event] = []
    flow_control = FlowControlConfig(
        initial_credits=20_000, initial_credit_bytes=MANY, max_credits=max(window, 20_000), max_credit_bytes=MANY
    )
    with HAIPClient(url, flow_control=flow_control, **settings) as client:
        client.subscribe(errors.append, ErrorReported)
        yield client
    assert not errors, f"it is no measurement: {errors[0]}"


@contextmanager
def minimal_client(url: str) -> Iterator[MinimalClient]:
    """Connect a minimal client, likewise."""
    client = MinimalClient(url, CHANNEL)
    try:
        yield client
    finally:
        client.close()
    assert not client.errors, f"it is no measurement: {client.errors[0]}"


def sends(client: HAIPClient) -> Callable[[], object]:
    """Return what sends one frame of about 250 bytes."""
    return lambda: client.send(CHANNEL, TYPE, PAYLOAD, timeout=PATIENCE_S)


def nothing_is_left() -> None:
    """Wait for nothing: a send of the minimal client's has left once it returns."""


def rate_and_cpu(
    send: Callable[[], object], messages: int, until_sent: Callable[[], object] = nothing_is_left
) -> tuple[float, float]:
    """Send so many; return messages/s, and the CPU of one, of all threads of the process together, until the last has left."""
    begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
    for _ in range(messages):
        send()
    until_sent()
    wall_s, cpu_s = time.perf_counter() - begin_s, time.process_time() - begin_cpu_s
    return messages / wall_s, cpu_s / messages


def rate_of_threads(
    send: Callable[[], object], messages: int, threads: int, until_sent: Callable[[], object] = nothing_is_left
) -> tuple[float, float, list[float]]:
    """Send `messages` from so many threads, each as many; return as `rate_and_cpu`, and when each was done, in seconds."""
    start = threading.Barrier(threads + 1)
    done_s: list[float] = []
    failures: list[BaseException] = []

    def work() -> None:
        start.wait(PATIENCE_S)
        try:
            for _ in range(messages // threads):
                send()
        except BaseException as exc:
            failures.append(exc)
        done_s.append(time.perf_counter())

    crew = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for thread in crew:
        thread.start()
    begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
    start.wait(PATIENCE_S)
    for thread in crew:
        thread.join(PATIENCE_S)
    until_sent()
    wall_s, cpu_s = time.perf_counter() - begin_s, time.process_time() - begin_cpu_s
    if failures:
        raise failures[0]
    return messages / wall_s, cpu_s / messages, [at_s - begin_s for at_s in done_s]
