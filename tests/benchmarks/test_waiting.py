"""The turnstile by itself, without a socket: what waiting, waking and the queue cost above the bare primitives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.benches.drivers import acquire_s, pass_with, wake_up_s
from support.benches.entrances import Entrance, FifoOfConditions, OneCondition, OurTurnstile
from support.benches.rows import COST, Row
from support.benches.table import Table

pytestmark = pytest.mark.timeout(600)

_FIFO = "FIFO of conditions"
_BARS = {"64 waiting, credit by ones: CPU": ("<= 1.5", "1.1")}
ROWS = (
    Row("grant to admitted, one waiter", COST, "one condition", "<= 1.2", "1"),
    Row("acquire without waiting", COST, "counter under one lock"),
    *(
        Row(name, COST, _FIFO, *_BARS.get(name, ()))
        for by in ("ones", "64")
        for threads in (1, 8, 64)
        for what in ("CPU", "wall")
        if (name := f"{threads} waiting, credit by {by}: {what}")
    ),
)


def test_wake_up(benchmark: Any, table: Table) -> None:
    """One waiter is woken by a grant: from just before the grant to just after its return."""

    def run(make: Callable[[], Entrance]) -> dict[str, float]:
        return {"grant to admitted, one waiter": wake_up_s(make(), 200)}

    table.measure(benchmark, lambda: run(OneCondition), lambda: run(OurTurnstile), rounds=101)


def test_acquire_without_waiting(benchmark: Any, table: Table) -> None:
    """Credit is there, nobody waits."""

    def run(make: Callable[[], Entrance], times: int) -> dict[str, float]:
        return {"acquire without waiting": acquire_s(make(), times)}

    # The floor is so much cheaper that it takes more of them to fill as long a round.
    table.measure(benchmark, lambda: run(OneCondition, 10_000), lambda: run(OurTurnstile, 2_000), rounds=101)


@pytest.mark.parametrize("threads", [1, 8, 64])
@pytest.mark.parametrize(("grant", "how", "messages"), [(1, "ones", 1_024), (64, "64", 4_096)])
def test_waiting_threads(benchmark: Any, table: Table, threads: int, grant: int, how: str, messages: int) -> None:
    """So many threads send on one channel, and credit comes one at a time or 64 at once."""

    def run(make: Callable[[], Entrance]) -> dict[str, float]:
        spent = pass_with(make(), threads=threads, messages=messages, grant=grant)
        what = f"{threads} waiting, credit by {how}"
        return {f"{what}: CPU": spent.cpu_s, f"{what}: wall": spent.wall_s}

    table.measure(benchmark, lambda: run(FifoOfConditions), lambda: run(OurTurnstile), rounds=15)
