"""The whole client on a real socket, against a minimal one on the same server."""

from __future__ import annotations

import time
from typing import Any

import pytest
from support.benches.raw_socket import RawSocket
from support.benches.rows import COST, PLAIN, RATE, Curve, Row
from support.benches.sending import (
    CHANNEL,
    PATIENCE_S,
    PAYLOAD,
    TYPE,
    minimal_client,
    our_client,
    payload_of,
    rate_and_cpu,
    rate_of_threads,
    sends,
)
from support.benches.table import Table

from haip_sync.runtime.masking import mask_in_python

pytestmark = pytest.mark.timeout(600)

_CLIENT = "minimal client"
_RAW = "C-masked raw frames"
ROWS = (
    Row("window 10: rate", RATE, _CLIENT, ">= 0.75", "1"),
    Row("window 100: rate", RATE, _CLIENT, ">= 0.75", "1"),
    Row("window 1,000: rate", RATE, _CLIENT, ">= 0.75", "1"),
    Row("window 10: CPU", COST, _CLIENT),
    Row("window 100: CPU", COST, _CLIENT),
    Row("window 1,000: CPU", COST, _CLIENT),
    Row("send, 250 B, window 1,000: rate", RATE, "the same, frames ready-made", ">= 0.45", "0.7"),
    Row("send, 250 B, against masked bytes: rate", RATE, "the same, masked as well"),
    Row("8 threads, one channel: rate", RATE, "minimal client, 8 threads", ">= 1", "2"),
    Row("64 threads, one channel: rate", RATE, "minimal client, 64 threads", ">= 1", "2"),
    Row("8 threads, one channel: CPU", COST, "minimal client, 8 threads"),
    Row("64 threads, one channel: CPU", COST, "minimal client, 64 threads"),
    Row("64 equal senders, credit for 32: first to last", PLAIN, "the last finisher, s", ">= 0.35", "0.8"),
    Row("64 equal senders, credit for 100: first to last", PLAIN, "the last finisher, s"),
    Row("64 KB sends, nothing optional installed: rate", RATE, _RAW, ">= 0.2", "0.9"),
    Row("64 KB sends, with the accelerators: rate", RATE, _RAW, ">= 0.33", "0.9"),
    Row("64 KB sends, nothing optional installed: CPU", COST, _RAW),
    Row("64 KB sends, with the accelerators: CPU", COST, _RAW),
    Row("64 KB sends, masked by Python itself: rate", RATE, _RAW),
    Row("64 KB sends, masked by Python itself: CPU", COST, _RAW),
)
SIZES = Curve("message size in bytes: CPU of a send", COST, (100, 1_000, 10_000, 100_000, 1 << 20, 8 << 20), _CLIENT)
ROWS += (SIZES,)


@pytest.mark.parametrize(("window", "messages"), [(10, 250), (100, 500), (1_000, 1_000)])
def test_messages_on_a_socket(benchmark: Any, table: Table, server: str, window: int, messages: int) -> None:
    """One thread sends frames of about 250 bytes as fast as the credit comes."""
    url = f"{server}/{window}/{window // 2}"

    def figures(rate: float, cpu_s: float) -> dict[str, float]:
        return {f"window {window:,}: rate": rate, f"window {window:,}: CPU": cpu_s}

    def floor() -> dict[str, float]:
        minimal.wait_for_credits(window)  # the server has caught up, and all of the window is ours
        return figures(*rate_and_cpu(lambda: minimal.send(TYPE, PAYLOAD), messages))

    def ours() -> dict[str, float]:
        client.wait_for_credits(CHANNEL, messages=window, timeout=PATIENCE_S)
        return figures(*rate_and_cpu(sends(client), messages, client.flush))

    with minimal_client(url) as minimal, our_client(url, window=window) as client:
        table.measure(benchmark, floor, ours, rounds=61)


@pytest.mark.parametrize("is_masked", [False, True])
def test_against_ready_made_frames(benchmark: Any, table: Table, server: str, *, is_masked: bool) -> None:
    """One thread sends; the floor has nothing to encode, or nothing to mask either."""
    url, messages = f"{server}/1000/500", 1_000
    name = "send, 250 B, against masked bytes: rate" if is_masked else "send, 250 B, window 1,000: rate"

    def floor() -> dict[str, float]:
        minimal.wait_for_credits(1_000)
        send = minimal.send_raw if is_masked else minimal.send_ready
        return {name: rate_and_cpu(lambda: send(ready), messages)[0]}

    def ours() -> dict[str, float]:
        client.wait_for_credits(CHANNEL, messages=1_000, timeout=PATIENCE_S)
        return {name: rate_and_cpu(sends(client), messages, client.flush)[0]}

    with minimal_client(url) as minimal, our_client(url, window=1_000) as client:
        ready = minimal.ready(TYPE, PAYLOAD)
        if is_masked:
            ready = RawSocket.masked(ready)
        table.measure(benchmark, floor, ours, rounds=61)


@pytest.mark.parametrize("threads", [8, 64])
def test_threads_on_one_channel(benchmark: Any, table: Table, server: str, threads: int) -> None:
    """So many threads share a client and a channel; both clients have the same window."""
    url, messages, name = f"{server}/1000/500", 1_024, f"{threads} threads, one channel"

    def floor() -> dict[str, float]:
        rate, cpu_s, _ = rate_of_threads(lambda: minimal.send(TYPE, PAYLOAD), messages, threads)
        return {f"{name}: rate": rate, f"{name}: CPU": cpu_s}

    def ours() -> dict[str, float]:
        rate, cpu_s, _ = rate_of_threads(sends(client), messages, threads, client.flush)
        return {f"{name}: rate": rate, f"{name}: CPU": cpu_s}

    with minimal_client(url) as minimal, our_client(url, window=1_000) as client:
        table.measure(benchmark, floor, ours, rounds=31)


@pytest.mark.parametrize("window", [32, 100])
def test_fairness(benchmark: Any, table: Table, server: str, window: int) -> None:
    """64 threads send as many messages each; when the first is done is held against when the last is.

    Whose turn it is the line decides where the credit is for fewer than there are senders. Where it is for more, as long as the
    peer keeps up nobody stands in line, and the interpreter decides: a thread may send all it has before the next one begins.
    """
    name = f"64 equal senders, credit for {window}: first to last"
    done_s: list[float] = []

    def floor() -> dict[str, float]:
        done_s[:] = rate_of_threads(sends(client), 3_200, 64)[2]
        return {name: max(done_s)}

    with our_client(f"{server}/{window}/{window // 2}", window=window) as client:
        table.measure(benchmark, floor, lambda: {name: min(done_s)}, rounds=21)


@pytest.mark.parametrize("with_what", ["nothing optional installed", "with the accelerators", "masked by Python itself"])
def test_large_sends(benchmark: Any, table: Table, server: str, monkeypatch: pytest.MonkeyPatch, with_what: str) -> None:
    """64 KB payloads against frames masked in C and nothing else.

    As an install leaves us, with the extra `fast`, or as where the package that masks has no C for the machine.
    """
    name = f"64 KB sends, {with_what}"
    if with_what != "with the accelerators":
        monkeypatch.setattr("haip_sync.protocol.long_strings.fast_writer", lambda: None)
    if with_what == "masked by Python itself":
        monkeypatch.setattr("haip_sync.runtime.line.fastest_mask", lambda: mask_in_python)
    payload, messages = payload_of(64 << 10), 100

    def run(send: Any) -> dict[str, float]:
        rate, cpu_s = rate_and_cpu(send, messages)
        return {f"{name}: rate": rate, f"{name}: CPU": cpu_s}

    with RawSocket(f"{server}/1000/500") as raw, our_client(f"{server}/1000/500", window=1_000) as client:
        data = bytes(raw.payload(64 << 10))
        table.measure(
            benchmark,
            lambda: run(lambda: raw.send(data)),
            lambda: run(lambda: client.send(CHANNEL, TYPE, payload, timeout=PATIENCE_S)),
            rounds=31,
        )


def test_sizes(benchmark: Any, table: Table, server: str) -> None:
    """Sends from 100 bytes to 8 MiB against a minimal client's."""

    def run(send: Any, size: int) -> dict[str, float]:
        payload, messages = payload_of(size), max(2, min(500, (4 << 20) // size))
        begin_s = time.process_time()
        for _ in range(messages):
            send(payload)
        client.flush()
        return {SIZES.name: (time.process_time() - begin_s) / messages}

    with minimal_client(f"{server}/1000/500") as minimal, our_client(f"{server}/1000/500", window=1_000) as client:
        table.measure_curves(
            benchmark,
            (SIZES,),
            lambda size: run(lambda payload: minimal.send(TYPE, payload), size),
            lambda size: run(lambda payload: client.send(CHANNEL, TYPE, payload, timeout=PATIENCE_S), size),
            rounds=7,
        )
