"""Transactions against the development server, which keeps books of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from support.books import check_books
from support.turnstiles import PATIENCE_S, until

from haip_sync import FlowControlConfig, HAIPClient, ProtocolError, ThresholdStrategy
from haip_sync.testing import DevServer, Session

Start = Callable[..., tuple[DevServer, HAIPClient, Session]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a server of the transaction dialect and a client connected to it."""
    with ExitStack() as stack:

        def start_both(client: dict[str, Any] | None = None, **server: Any) -> tuple[DevServer, HAIPClient, Session]:
            running = stack.enter_context(DevServer(**({"dialect": "transaction"} | server)))
            connected = stack.enter_context(HAIPClient(running.url, **(client or {})))
            return running, connected, running.wait_for_session()

        yield start_both


def check_window(client: HAIPClient, session: Session, channel: str = "AGENT") -> None:
    """Check that both sides agree on what the server may still send, to the message and to the byte."""

    def agree() -> bool:
        ours, theirs = client.connection_state().channels[channel], session.books(channel).to_client
        return (ours.receive_window, ours.receive_window_bytes) == (theirs.balance, theirs.balance_bytes)

    until(agree)


def test_a_conversation_balances_on_both_sides(start: Start) -> None:
    """Texts go and come in transactions, far more than any window holds; the books are equal to the byte, none is breached."""
    _, client, session = start({"flow_control": FlowControlConfig(initial_credits=4)}, initial_credits=4)
    for number in range(20):
        with client.transaction("echo", {"n": number}) as tx:
            for text in ("grüß dich", "😀" * 50):
                tx.send_text_message("USER", text, timeout=PATIENCE_S)
                assert tx.receive(PATIENCE_S).payload == text
    check_books(client, session)
    check_window(client, session)
    assert (session.books("USER").breaches, session.books("AGENT").breaches) == (0, 0)
    session.wait_for(lambda s: not any(known.open for known in s.transactions), timeout=PATIENCE_S)


def test_threads_and_a_strategy(start: Start) -> None:
    """Four threads in transactions of their own, with a strategy that asks in them: all arrives, and the books are equal."""
    config = FlowControlConfig(initial_credits=10, max_credits=1_000)
    _, client, session = start({"flow_control": config, "strategy": ThresholdStrategy()}, policy="on-request")

    def work(worker: int) -> list[Any]:
        with client.transaction("echo") as tx:
            for number in range(30):
                tx.enqueue_text_message("USER", f"{worker}: {number}")
            return [tx.receive(PATIENCE_S).payload for _ in range(30)]

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(work, range(4)))
    assert answers == [[f"{worker}: {number}" for number in range(30)] for worker in range(4)]
    check_books(client, session)
    check_window(client, session)
    assert session.books("USER").breaches == 0


def test_the_servers_end_crosses_what_is_given_back(start: Start) -> None:
    """The server ends each transaction as soon as it has answered: none of the credit is lost, however it crosses."""
    server, client, session = start({"flow_control": FlowControlConfig(initial_credits=2)})
    with client.transaction("echo") as keeper:
        for _ in range(30):
            tx = client.transaction("echo")
            tx.send_text_message("USER", "x", timeout=PATIENCE_S)
            tx.receive(PATIENCE_S)
            server.end_transaction(tx.id)
            tx.end()
        keeper.send_text_message("USER", "the window is whole", timeout=PATIENCE_S)
        assert keeper.receive(PATIENCE_S).payload == "the window is whole"
        check_window(client, session)
        check_books(client, session)
        assert client.connection_state().channels["AGENT"].receive_window == 2


def test_a_tool_that_is_not_there(start: Start) -> None:
    """The server's refusal is the error, with its code."""
    _, client, _ = start()
    with pytest.raises(ProtocolError, match="there is no tool 'nothing'") as caught:
        client.transaction("nothing")
    assert caught.value.code == "TOOL_NOT_FOUND"


def test_another_client_joins(start: Start) -> None:
    """Who joins is told the tool, gets what was said so far, and hears and says the rest; one END is everybody's."""
    server, client, _ = start()
    with client.transaction("echo") as tx, HAIPClient(server.url) as other:
        tx.send_text_message("USER", "early")
        assert tx.receive(PATIENCE_S).payload == "early"
        joined = other.join_transaction(tx.id)
        assert (joined.id, joined.tool) == (tx.id, "echo")
        assert [(m.channel, m.payload) for m in (joined.receive(PATIENCE_S), joined.receive(PATIENCE_S))] == [
            ("USER", "early"),
            ("AGENT", "early"),
        ]
        joined.send_text_message("USER", "from the other")
        assert [tx.receive(PATIENCE_S).payload for _ in range(2)] == ["from the other"] * 2
        tx.end()
        assert [message.payload for message in joined.messages()] == ["from the other"]
        assert not joined.is_open
        with pytest.raises(ProtocolError, match="no open transaction") as caught:
            other.join_transaction(tx.id)
        assert caught.value.code == "TRANSACTION_NOT_FOUND"


def test_who_we_are_is_read_in_our_hai(start: Start) -> None:
    """A server that wants a token finds it in the `auth` object."""
    _, client, _ = start({"auth": {"token": "s3cret"}}, token="s3cret")
    with client.transaction("echo") as tx:
        assert tx.is_open
