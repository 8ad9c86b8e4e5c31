"""An interrupt of who closes: everybody else is told all the same, once somebody takes up what it left."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from support.interrupts import every_interrupt, interrupted_at
from support.transaction_peer import TYPES, TransactionPeer
from support.turnstiles import PATIENCE_S, until

from haip_sync import Disconnected, HAIPClient, HAIPError
from haip_sync.flow.parking import Parking
from haip_sync.flow.pending import PendingSend
from haip_sync.state import Fate, SendReceipt

_CONVERSATION = ["TOOL_CALL", "TOOL_DONE", "RUN_STARTED", "RUN_FINISHED", "MESSAGE_START", "MESSAGE_PART", "MESSAGE_END"]
_STEP = 3
"""Every third place will do: each takes a connection."""


def _raised(call: Callable[[], Any]) -> type[BaseException] | None:
    try:
        call()
    except HAIPError as exc:
        return type(exc)
    return None


def test_wherever_an_interrupt_strikes_who_closes_nobody_waits_for_ever() -> None:
    """Whoever waits for the peer, for credit or for a message is told of the end though the closing thread was interrupted."""
    with ThreadPoolExecutor(16) as pool, TransactionPeer(accept_events=TYPES + _CONVERSATION, messages=2) as server:

        def close_interrupted(at: int) -> bool:
            server.answers = True
            client = HAIPClient(server.url)
            client.connect(PATIENCE_S)
            waiting = _everybody_who_can_wait(client, server, pool)
            fired, _ = interrupted_at(at * _STEP, partial(client.close, 0.0))
            client.close(0.0)
            told = [future.result(PATIENCE_S) for future in waiting]
            client.close(PATIENCE_S)  # with time to wait for its threads, and to give the descriptor back
            assert None not in told, told
            assert not client._connection.rooms.routes._handles
            assert not client._connection.writer.is_writing_here()
            return fired

        assert len(list(every_interrupt(close_interrupted))) > 30


def _everybody_who_can_wait(client: HAIPClient, server: TransactionPeer, pool: ThreadPoolExecutor) -> list[Future[Any]]:
    """Have threads wait for everything that there is to wait for; all of them do when this is back."""
    transaction = client.transaction("echo", timeout=PATIENCE_S)
    server.answers = False
    call = client.call_tool("USER", "slow")
    run = client.run().__enter__()
    texts = client.texts("AGENT").__enter__()
    client.send("USER", "TOOL_CALL", {"call_id": "1", "tool": "t", "params": {}})
    pending = transaction.enqueue_text_message("USER", "without credit")
    waits = [
        client.receive,
        transaction.receive,
        call.result,
        run.wait,
        texts.receive,
        pending.result,
        partial(client.wait_for_credits, "USER", messages=9),
        partial(client.transaction, "never answered", timeout=None),
    ]
    waiting = [pool.submit(_raised, wait) for wait in waits]
    until(lambda: all(future.running() for future in waiting))
    return waiting


def test_wherever_an_interrupt_strikes_who_closes_listeners_hear_the_end_once(caplog: pytest.LogCaptureFixture) -> None:
    """The thread that runs listeners does not end before they have heard of the end, which somebody else may have to tell.

    Nor does the log have it twice, where the interrupt struck who told it.
    """
    caplog.set_level(logging.INFO, "haip_sync.connection")
    with TransactionPeer(accept_events=TYPES + _CONVERSATION) as server:

        def close_interrupted(at: int) -> bool:
            client, heard = HAIPClient(server.url), list[Disconnected]()
            caplog.clear()
            client.connect(PATIENCE_S)
            client.subscribe(heard.append, Disconnected)
            fired, _ = interrupted_at(at, partial(client.close, 0.0))
            if client.connection_state().phase == "open":
                client.close(0.0)  # nothing was done yet
            until(lambda: heard)
            client.close(PATIENCE_S)
            assert (len(heard), caplog.messages.count("the client was closed")) == (1, 1)
            return fired

        assert len(list(every_interrupt(close_interrupted))) > 30


class _Inline:
    """The connection of a handle: what it is to run soon is kept."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], object]] = []

    def cancel(self, pending: PendingSend) -> bool:
        raise NotImplementedError

    def call_soon(self, callback: Callable[[PendingSend], object], pending: PendingSend) -> None:
        self.soon.append(partial(callback, pending))

    call_late = call_soon

    def is_dispatching(self) -> bool:
        return False


def test_an_outcome_whose_telling_was_interrupted_is_told_by_the_next() -> None:
    """Wherever an interrupt strikes who settles a handle, settling it again wakes its waiter, and its callback runs once."""

    def settle_interrupted(place: int) -> bool:
        parking, host, called = Parking(), _Inline(), []
        pending = PendingSend(host, parking, channel="USER", message_id="m", queued_bytes=1)
        pending.add_done_callback(called.append)
        receipt = SendReceipt("m", 1, Fate("USER", "m"))
        waiter = threading.Thread(target=pending.result)
        waiter.start()
        until(lambda: pending._settled is not None and len(pending._settled._waiters) == 1)

        def settle() -> None:
            with parking.lock:
                pending.settle(receipt)

        fired, _ = interrupted_at(place, settle)
        settle()
        waiter.join(PATIENCE_S)
        for run in host.soon:
            run()
        assert not waiter.is_alive()
        assert called == [pending]
        return fired

    assert len(list(every_interrupt(settle_interrupted))) > 2
