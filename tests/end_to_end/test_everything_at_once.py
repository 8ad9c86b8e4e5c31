"""Everything that a client can have under way, in many threads, and a close at a random moment: nothing is left, nobody waits.

`HAIP_ROUNDS` makes it more than 100 rounds, `HAIP_SEED` repeats the dice of an earlier run (not its interleaving).
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal

import pytest
from support.soak import dice
from support.turnstiles import PATIENCE_S, until

from haip_sync import FlowControlConfig, HAIPClient, HAIPError, Message
from haip_sync.testing import DevServer, Session, ToolInvocation

ROUNDS = int(os.environ.get("HAIP_ROUNDS", "100"))
SEED = int(os.environ.get("HAIP_SEED", random.SystemRandom().randrange(10**9)))
_THREADS = 8
_ROUND_S = 0.04
"""How long a round goes on at the most, before it is closed."""
_SLACK_S = 5.0
"""What a loaded machine may add to the time that close() promises."""

Deed = Callable[[HAIPClient, random.Random], object]


def _moment(chance: random.Random) -> float:
    return chance.choice((0.0, 0.001, 0.01, PATIENCE_S))


def _frame(client: HAIPClient, chance: random.Random) -> None:
    client.send("USER", "MESSAGE", "x" * chance.randint(0, 400), timeout=_moment(chance))


def _text(client: HAIPClient, chance: random.Random) -> None:
    client.send_text_message("USER", "x" * chance.randint(0, 3_000), timeout=_moment(chance))


def _queued(client: HAIPClient, chance: random.Random) -> None:
    pending = client.enqueue_text_message("USER", "x" * chance.randint(0, 3_000))
    if chance.random() < 0.3:
        pending.cancel()
    else:
        pending.result(_moment(chance))


def _wait(client: HAIPClient, chance: random.Random) -> None:
    client.wait_for_credits("USER", messages=chance.randint(1, 8), timeout=_moment(chance))


def _receive(client: HAIPClient, chance: random.Random) -> None:
    client.receive(_moment(chance))


def _tool(client: HAIPClient, chance: random.Random) -> None:
    call = client.call_tool("USER", "work", {}, timeout=_moment(chance))
    if chance.random() < 0.3:
        call.cancel(timeout=_moment(chance))
    call.result(_moment(chance))


def _run(client: HAIPClient, chance: random.Random) -> None:
    with client.run(timeout=_moment(chance)) as run:
        run.send_text_message("USER", "in a run", timeout=_moment(chance))
        if chance.random() < 0.3:
            run.cancelled.wait(0.001)


def _texts(client: HAIPClient, chance: random.Random) -> None:
    with client.texts("AGENT") as texts:
        client.send_text_message("USER", "answer me", timeout=_moment(chance))
        text = texts.receive(_moment(chance))
        if chance.random() < 0.5:
            text.text(_moment(chance))


def _transaction(client: HAIPClient, chance: random.Random) -> None:
    with client.transaction("work", timeout=_moment(chance)) as transaction:
        transaction.send_text_message("USER", "y" * chance.randint(0, 400), timeout=_moment(chance))
        transaction.enqueue_text_message("USER", "later")
        transaction.receive(_moment(chance))


def _forgotten_transaction(client: HAIPClient, chance: random.Random) -> None:
    client.transaction("work", timeout=_moment(chance)).send_text_message("USER", "and left", timeout=_moment(chance))


def _hold(client: HAIPClient, chance: random.Random) -> None:
    client.pause_channel("USER")
    client.ping(_moment(chance))
    client.resume_channel("USER")


_DEEDS: dict[str, tuple[Deed, ...]] = {
    "haip": (_text, _text, _queued, _wait, _receive, _tool, _tool, _run, _texts, _texts, _hold),
    "transaction": (_frame, _transaction, _transaction, _forgotten_transaction, _wait, _receive),
}


def _work(params: Any, call: ToolInvocation) -> str:
    """Be done at once."""
    del params, call
    return "done"


def _busy(client: HAIPClient, seed: str, deeds: tuple[Deed, ...], wrong: list[BaseException]) -> None:
    """Do whatever the dice say until the client is over."""
    chance = dice(seed)
    try:
        while not client._connection.is_over:
            with suppress(HAIPError):
                chance.choice(deeds)(client, chance)
    except BaseException as exc:
        wrong.append(exc)


@contextmanager
def _quick_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@pytest.mark.timeout(120 + ROUNDS)
@pytest.mark.parametrize("kind", ["haip", "transaction"])
@pytest.mark.parametrize("inbox", ["queue", "listeners"])
def test_whatever_is_under_way_a_close_leaves_nothing(kind: str, inbox: Literal["queue", "listeners"]) -> None:
    """Every call returned or raised a HAIPError, close() kept its time, no thread and no handle is left, the books are equal."""
    sys.stdout.write(f"HAIP_SEED={SEED}\n")
    dialect: Any = "transaction" if kind == "transaction" else "both"
    config = FlowControlConfig(max_credits=12, max_credit_bytes=4_000, queue_max_messages=4, overflow="block")
    with DevServer(dialect=dialect, tools={"work": _work}, max_concurrent_runs=100) as server, _quick_switches():
        for number in range(1, ROUNDS // 4 + 1):
            chance = dice(f"{SEED}/{kind}/{inbox}/{number}")
            client = HAIPClient(server.url, flow_control=config, inbox=inbox)
            heard: list[Message] = []
            client.subscribe(heard.append, Message)
            client.connect(PATIENCE_S)
            session = server.wait_for_session(number, timeout=PATIENCE_S)
            timeout_s = _round(client, chance, f"{SEED}/{kind}/{inbox}/{number}", _DEEDS[kind])
            # Without time for the peer's close frame what was written may be lost on the way.
            if timeout_s > 1 and client._connection.failure is None and client._connection.rooms.outgoing.is_empty:
                _check_spent(client, session)


def _check_spent(client: HAIPClient, session: Session) -> None:
    """Check that the server has all that the client spent, and no more; what it granted at the end may not have come."""
    ours = client.connection_state().channels["USER"]

    def is_equal() -> bool:
        theirs = session.books("USER").from_client
        return (theirs.spent, theirs.spent_bytes) == (ours.sent_messages, ours.sent_bytes)

    until(is_equal)


def _round(client: HAIPClient, chance: random.Random, seed: str, deeds: tuple[Deed, ...]) -> float:
    """Keep threads busy with a client, close it at some moment, look at what is left; return close()'s timeout."""
    wrong: list[BaseException] = []
    threads = [
        threading.Thread(target=_busy, args=(client, f"{seed}/{n}", deeds, wrong), name=f"busy-{n}", daemon=True)
        for n in range(_THREADS)
    ]
    for thread in threads:
        thread.start()
    threading.Event().wait(chance.uniform(0, _ROUND_S))
    timeout_s = chance.choice((0.0, 0.1, 2.0))
    began_s = time.monotonic()
    client.close(timeout_s)
    assert time.monotonic() - began_s < timeout_s + _SLACK_S, seed
    for thread in threads:
        thread.join(PATIENCE_S)
    assert [thread.name for thread in threads if thread.is_alive()] == [], seed
    assert wrong == [], seed
    connection = client._connection
    until(lambda: not any(thread.is_alive() for thread in connection._threads))  # close() waits a tenth of a second at the end
    assert not connection.rooms.routes._handles, seed
    assert not connection.rooms.routes._begun_by, seed
    assert not connection.exchanges._exchanges, seed
    assert not client._conversation._desk._open, seed
    assert not client._conversation._desk._subscriptions, seed
    for gate in connection.rooms.turnstile.gates:
        assert not gate.queue, seed
        assert not gate.room, seed
        assert (gate.queued, gate.queued_bytes) == (0, 0), seed
        assert gate.ledger.is_conserved(), seed
    assert all(window.is_conserved() for _, window in connection.rooms.inbox.windows()), seed
    return timeout_s
