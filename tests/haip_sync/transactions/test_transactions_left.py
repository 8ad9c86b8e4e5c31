"""Transactions that are interrupted, forgotten, or many."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from support.in_transactions import Start, check_books
from support.interrupts import every_interrupt, interrupted_at
from support.turnstiles import PATIENCE_S, until

from haip_sync import ConnectionClosedError, FlowControlConfig, Transaction


def test_one_that_nobody_holds_is_ended(start: Start) -> None:
    """A Transaction that is forgotten is ended on the wire."""
    server, client = start()
    client.transaction("tool")
    gc.collect()
    assert server.hears("TRANSACTION_END")["transaction"] == "tx-1"


def test_an_interrupt_behind_the_answer_ends_it_though_its_traceback_lives(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever keeps the exception of an interrupted opening keeps no transaction open with it."""
    server, client = start()
    opens = Transaction.open

    def interrupted(tx: Transaction, timeout_s: float | None) -> None:
        opens(tx, timeout_s)
        raise KeyboardInterrupt

    monkeypatch.setattr(Transaction, "open", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        client.transaction("tool")
    server.hears("TRANSACTION_END")
    assert caught.tb is not None


@pytest.fixture
def _little_to_collect() -> Iterator[None]:
    """Have the garbage collector look at nothing that was there before: hundreds of full collections follow."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("_little_to_collect")
def test_wherever_an_interrupt_strikes_who_opens_one_its_traceback_keeps_none_open(start: Start) -> None:
    """From the arguments to the moment in which the caller has it: whatever holds on to the exception."""
    _, client = start()
    exchanges = client._connection.exchanges
    kept: list[BaseException | None] = []

    def run(place: int) -> bool:
        was_reached, raised = interrupted_at(place, partial(client.transaction, "tool", timeout=PATIENCE_S))
        kept.append(raised)
        if was_reached:
            until(lambda: not exchanges._exchanges)
        return was_reached

    assert sum(1 for _ in every_interrupt(run)) > 100


def test_an_interrupt_anywhere_leaks_no_transaction(start: Start) -> None:
    """Wherever an interrupt strikes a with block from before START to behind END, the server's transaction is ended, once."""
    server, client = start({"flow_control": FlowControlConfig(max_credits=100_000)}, messages=100_000, byte_credits=1 << 30)

    def action() -> None:
        with client.transaction("tool") as tx:
            tx.send_text_message("USER", "x", timeout=PATIENCE_S)

    def run(place: int) -> bool:
        starts = len(server.frames("TRANSACTION_START"))
        fired, raised = interrupted_at(place, action)
        assert isinstance(raised, KeyboardInterrupt) if fired else raised is None
        raised = None
        client.send("USER", "INFO", {}, timeout=PATIENCE_S)  # whoever comes next is not held up
        server.hears("INFO", place + 1)
        if server.opened:
            gc.collect()  # what came out of the interrupt may hold the transaction still
        server.wait_for(lambda: not server.opened and len(server.frames("TRANSACTION_END")) == server.given_out)
        assert len(server.frames("TRANSACTION_START")) - starts in (0, 1)
        return fired

    assert len(list(every_interrupt(run))) > 300
    until(lambda: not client._connection.exchanges._exchanges)
    assert client._connection.rooms.session.transactions.carrier() is None
    check_books(server, client)


def test_a_handler_that_interrupts_us_in_mid_work_may_end_it(start: Start) -> None:
    """`end` in a signal handler that interrupted another call of the same thread has it ended by the service thread."""
    server, client = start()
    tx = client.transaction("tool")
    with client._connection.rooms.parking.lock:
        tx.end()
        assert server.frames("TRANSACTION_END") == []
    server.hears("TRANSACTION_END")
    assert not tx.is_open


def test_after_close_nothing_is_raised_and_nothing_is_left(start: Start) -> None:
    """A transaction outlives its client quietly: what came is still received, then the loss is told; `end` raises nothing."""
    server, client = start()
    with client.transaction("tool") as tx:
        server.says("MESSAGE", "kept", tx.id, "AGENT")
        until(lambda: tx.history)
        client.close()
        assert not tx.is_open
        assert tx.receive(PATIENCE_S).payload == "kept"
        with pytest.raises(ConnectionClosedError, match="closed"):
            tx.receive(PATIENCE_S)
        with pytest.raises(ConnectionClosedError):
            tx.send_text_message("USER", "x")
    assert isinstance(tx, Transaction)
    assert "over" in repr(tx)


def test_many_threads_many_transactions(start: Start, pool: ThreadPoolExecutor) -> None:
    """Threads that open, send, receive and end at once: every book balances, to the byte, and nothing is left open."""
    server, client = start(messages=100_000, byte_credits=1 << 30)
    ready = threading.Barrier(4)

    def work(worker: int) -> None:
        ready.wait(PATIENCE_S)
        for number in range(25):
            with client.transaction(f"tool {worker}") as tx:
                tx.send_text_message("USER", f"{worker}: {number}", timeout=PATIENCE_S)
                tx.enqueue_text_message("USER", f"{worker}: queued {number}")
                server.says("MESSAGE", tx.id, tx.id, "AGENT")
                assert tx.receive(PATIENCE_S).payload == tx.id

    for job in [pool.submit(work, worker) for worker in range(4)]:
        job.result(PATIENCE_S)
    server.wait_for(lambda: not server.opened)
    check_books(server, client)
    assert server.spent["USER"][0] == 200
    assert (server.given_out, server.breaches) == (100, 0)
    ours = client.connection_state().channels["AGENT"]
    assert ours.received_messages == 100
    assert ours.receive_window == 10 - ours.received_messages + server.granted["AGENT"][0]
