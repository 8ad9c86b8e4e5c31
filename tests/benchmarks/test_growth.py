"""How the cost grows with channels, waiting threads, queued messages and clients. Flat is what it should be."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import pytest
from support.benches.drivers import pass_with
from support.benches.entrances import Entrance, FifoOfConditions, OurTurnstile
from support.benches.rows import COST, PLAIN, Curve
from support.benches.sending import CHANNEL, MANY, PATIENCE_S, PAYLOAD, TYPE, our_client, rate_and_cpu, sends
from support.benches.server_process import run_module
from support.benches.table import Table
from support.turnstiles import until

from haip_sync import FlowControlConfig, FlowControlError, HAIPClient

pytestmark = pytest.mark.timeout(600)

_DEPTHS: Final = (1, 100, 10_000, 100_000)
CHANNELS: Final = Curve("channels: CPU of a send", COST, (1, 10, 100, 1_000), "")
WAITING: Final = Curve("waiting threads, credit by ones: CPU", COST, (1, 8, 64, 512), "FIFO of conditions")
QUEUED: Final = Curve("queued messages: CPU to queue one more", COST, _DEPTHS, "")
ELSEWHERE: Final = Curve("queued messages: CPU of a send elsewhere", COST, _DEPTHS, "")
TRIES: Final = Curve("queued messages: CPU of a try that fails", COST, _DEPTHS, "")
CANCELLED: Final = Curve("queued messages: CPU to cancel the last", COST, _DEPTHS, "")
LEAVING: Final = Curve("queued messages: CPU of one that is sent", COST, (100, 10_000, 100_000), "")
_CLIENTS: Final = (1, 20, 200)
THREADS: Final = Curve("clients: threads of each", PLAIN, _CLIENTS, "3", "<= 1", is_limit=True)
MEMORY: Final = Curve("clients: memory of each, MiB", PLAIN, _CLIENTS, "1", "<= 1", is_limit=True)
IDLE: Final = Curve("clients: idle CPU of each, % of a core", PLAIN, _CLIENTS, "0.1", "<= 1", is_limit=True)
ROWS = (CHANNELS, WAITING, QUEUED, ELSEWHERE, TRIES, CANCELLED, LEAVING, THREADS, MEMORY, IDLE)


def test_channels(benchmark: Any, table: Table, server: str) -> None:
    """Sends on one channel while the peer has granted credit on ever more."""
    with ExitStack() as stack:
        clients = {n: stack.enter_context(our_client(f"{server}/1000/500", window=1_000)) for n in CHANNELS.points}
        for channels, client in clients.items():
            client.send(CHANNEL, TYPE, PAYLOAD | {"partial": f"grant {channels - 1} channels"}, timeout=PATIENCE_S)
            until(lambda client=client, channels=channels: len(client.connection_state().channels) >= channels)
            # Half a window in all: what is renewed is renewed.
            rate_and_cpu(sends(client), 499)

        def ours(channels: int) -> dict[str, float]:
            client = clients[channels]
            return {CHANNELS.name: rate_and_cpu(sends(client), 1_000, client.flush)[1]}

        table.measure_curves(benchmark, (CHANNELS,), None, ours, rounds=11)


def test_waiting_threads(benchmark: Any, table: Table) -> None:
    """So many threads wait in one line, and credit comes one message at a time."""

    def run(make: Callable[[], Entrance], threads: int) -> dict[str, float]:
        return {WAITING.name: pass_with(make(), threads=threads, messages=1_024, grant=1).cpu_s}

    table.measure_curves(benchmark, (WAITING,), lambda n: run(FifoOfConditions, n), lambda n: run(OurTurnstile, n), rounds=7)


@contextmanager
def _paused_client(server: str) -> Iterator[HAIPClient]:
    """Connect a client with credit for everything, and room for all the queue, whose USER channel is held."""
    flow_control = FlowControlConfig(max_credits=10**6, max_credit_bytes=MANY, queue_max_messages=10**6, queue_max_bytes=MANY)
    # Renewed in thirds, as a text is three messages: one that never adds up to a whole text would be waited for in vain.
    with HAIPClient(f"{server}/1000000/300000", flow_control=flow_control) as client:
        client.pause_channel(CHANNEL)
        yield client


def _cpu_s(work: Callable[[], object], times: int) -> float:
    """Return the CPU time of the calling thread for one."""
    begin_s = time.thread_time()
    for _ in range(times):
        work()
    return (time.thread_time() - begin_s) / times


def test_queued_messages(benchmark: Any, table: Table, server: str) -> None:
    """Ever more messages stand in a channel's queue, and others come, go elsewhere, try in vain, and are taken back."""

    def fail(client: HAIPClient) -> None:
        with pytest.raises(FlowControlError):
            client.send(CHANNEL, TYPE, PAYLOAD, timeout=0)

    with _paused_client(server) as client:

        def ours(depth: int) -> dict[str, float]:
            if client.queue_length(CHANNEL) > depth:
                client.clear_queue(CHANNEL)
            while client.queue_length(CHANNEL) < depth:
                client.enqueue_text_message(CHANNEL, "hello")
            handles = []
            figures = {
                QUEUED.name: _cpu_s(lambda: handles.append(client.enqueue_text_message(CHANNEL, "hello")), 200),
                ELSEWHERE.name: _cpu_s(lambda: client.send("AGENT", TYPE, PAYLOAD, timeout=PATIENCE_S), 200),
                TRIES.name: _cpu_s(lambda: fail(client), 50),
            }
            return figures | {CANCELLED.name: _cpu_s(lambda: handles.pop().cancel(), 50)}

        table.measure_curves(benchmark, (QUEUED, ELSEWHERE, TRIES, CANCELLED), None, ours, rounds=5)
        client.clear_queue(CHANNEL)


def test_queued_messages_leave(benchmark: Any, table: Table, server: str) -> None:
    """A channel that was held is let go: what each of the messages costs that then leave, in all threads."""
    with _paused_client(server) as client:

        def ours(depth: int) -> dict[str, float]:
            client.pause_channel(CHANNEL)
            for _ in range(depth):
                client.enqueue_text_message(CHANNEL, "hello")
            begin_s = time.process_time()
            client.resume_channel(CHANNEL)
            client.flush(PATIENCE_S)
            return {LEAVING.name: (time.process_time() - begin_s) / depth}

        table.measure_curves(benchmark, (LEAVING,), None, ours, rounds=3)


def test_clients(benchmark: Any, table: Table, server: str) -> None:
    """So many idle clients in one process: what each has of threads, memory and CPU, against the limits."""
    limits = {THREADS.name: 3.0, MEMORY.name: 1.0, IDLE.name: 0.1}

    def ours(clients: int) -> dict[str, float]:
        figures = json.loads(run_module("support.benches.many_clients", f"{server}/10/5", str(clients)))
        return dict(zip(limits, figures, strict=True))

    table.measure_curves(benchmark, (THREADS, MEMORY, IDLE), lambda _clients: limits, ours, rounds=1)
