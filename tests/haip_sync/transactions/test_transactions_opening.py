"""Opening a transaction, joining one, and who we are."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.in_transactions import Start, check_books
from support.live import listen
from support.transaction_peer import TransactionPeer
from support.turnstiles import PATIENCE_S, until

from haip_sync import ConfigError, ConnectionClosedError, Event, HAIPClient, HAIPTimeout, HandshakeCompleted, ProtocolError
from haip_sync.runtime import exchanges

# ---- Opening ------------------------------------------------------------------------------------------------------------------


def test_a_text_travels_in_a_transaction(start: Start) -> None:
    """START with tool and params, the server's id, one MESSAGE with the text as its payload, END; books equal to the byte."""
    server, client = start()
    with client.transaction("echo", {"lang": "grüß"}) as tx:
        assert (tx.id, tx.tool, tx.is_open) == ("tx-1", "echo", True)
        receipt = tx.send_text_message("USER", 'grüß dich\n"😀"')
        server.says("MESSAGE", "hello back", tx.id, "AGENT")
        message = tx.receive(PATIENCE_S)
        assert (message.type, message.payload, message.transaction) == ("MESSAGE", "hello back", "tx-1")
    assert not tx.is_open
    server.hears("TRANSACTION_END")
    begin, text, end = (server.frames(name)[0] for name in ("TRANSACTION_START", "MESSAGE", "TRANSACTION_END"))
    assert (begin["channel"], begin["payload"]) == ("SYSTEM", {"toolName": "echo", "params": {"lang": "grüß"}})
    assert begin["transaction"] not in ("tx-1", "null", "")
    assert (text["channel"], text["payload"], text["transaction"]) == ("USER", 'grüß dich\n"😀"', "tx-1")
    assert (receipt.message_id, receipt.seq) == (text["id"], int(text["seq"]))
    assert (end["channel"], end["transaction"], end["payload"]) == ("SYSTEM", "tx-1", {})
    check_books(server, client)
    assert client.connection_state().channels["USER"].sent_messages == 1
    assert client.connection_state().channels["SYSTEM"].sent_messages == 0


def test_the_dialect_is_named(start: Start) -> None:
    """Snapshot and handshake event say "transaction"."""
    server, client = start()
    assert client.connection_state().dialect == "transaction"
    other = HAIPClient(server.url)
    handshakes = listen(other, HandshakeCompleted)
    with other:
        until(lambda: handshakes)
    assert handshakes[0].dialect == "transaction"


def test_an_answer_that_never_comes_is_a_timeout_and_a_late_one_is_ended(start: Start) -> None:
    """HAIPTimeout says what becomes of a late answer: TRANSACTION_END in it, and nothing of it is open here."""
    server, client = start(answers=False)
    with pytest.raises(HAIPTimeout, match=r"did not answer the TRANSACTION_START .* with slow within 0\.05 s"):
        client.transaction("slow", timeout=0.05)
    server.answer(server.hears("TRANSACTION_START"))
    assert server.hears("TRANSACTION_END")["transaction"] == "tx-1"
    server.says("MESSAGE", "for nobody", "tx-1", "AGENT")
    server.says("MESSAGE", "for receive", None, "AGENT")
    assert client.receive(PATIENCE_S).payload == "for receive"


def test_a_refusal_is_told_with_the_peers_code(start: Start, pool: ThreadPoolExecutor) -> None:
    """An ERROR that names our START raises ProtocolError, blamed on the peer, with its code."""
    server, client = start(answers=False)
    opening = pool.submit(client.transaction, "secret")
    begin = server.hears("TRANSACTION_START")
    server.says("ERROR", {"code": "NOT_FOUND", "message": "no such tool", "related_id": begin["id"]})
    with pytest.raises(ProtocolError, match=r"refused the transaction .* with secret: NOT_FOUND: no such tool") as caught:
        opening.result(PATIENCE_S)
    assert (caught.value.code, caught.value.blame) == ("NOT_FOUND", "remote")


def test_a_lost_line_ends_the_wait_for_an_answer(start: Start, pool: ThreadPoolExecutor) -> None:
    """Whoever waits for an answer is told when the connection is over."""
    server, client = start(answers=False)
    opening = pool.submit(client.transaction, "tool")
    server.hears("TRANSACTION_START")
    client.close()
    with pytest.raises(ConnectionClosedError, match="before the peer answered"):
        opening.result(PATIENCE_S)
    with pytest.raises(ConnectionClosedError):
        client.transaction("tool")


def test_two_transactions_share_a_channel(start: Start) -> None:
    """Each transaction's frames come to it, in order, and both spend the one channel's credit."""
    server, client = start()
    with client.transaction("a") as first, client.transaction("b") as second:
        for number in range(3):
            server.says("MESSAGE", f"b{number}", second.id, "AGENT")
            server.says("MESSAGE", f"a{number}", first.id, "AGENT")
        assert [first.receive(PATIENCE_S).payload for _ in range(3)] == ["a0", "a1", "a2"]
        assert [second.receive(PATIENCE_S).payload for _ in range(3)] == ["b0", "b1", "b2"]
        first.send_text_message("USER", "to a")
        second.send_text_message("USER", "to b")
        with pytest.raises(HAIPTimeout):
            client.receive(0)
        server.hears("MESSAGE", 2)
    assert [(frame["payload"], frame["transaction"]) for frame in server.frames("MESSAGE")] == [
        ("to a", "tx-1"),
        ("to b", "tx-2"),
    ]
    check_books(server, client)


def test_an_answer_to_another_start_opens_that_one(start: Start, pool: ThreadPoolExecutor) -> None:
    """Answers may come in any order: each opener gets its own."""
    server, client = start(answers=False)
    one, two = pool.submit(client.transaction, "one"), pool.submit(client.transaction, "two")
    server.hears("TRANSACTION_START", 2)
    starts = {frame["payload"]["toolName"]: frame for frame in server.frames("TRANSACTION_START")}
    ids = {tool: server.answer(starts[tool]) for tool in ("two", "one")}
    opened = {"one": one.result(PATIENCE_S), "two": two.result(PATIENCE_S)}
    assert {tool: tx.id for tool, tx in opened.items()} == ids


# ---- History and joining ------------------------------------------------------------------------------------------------------


def test_history_keeps_the_latest(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came in it is remembered, taken or not, within bounds of number and bytes; the latest message always."""
    monkeypatch.setattr(exchanges, "MOST_HISTORY", 3)
    monkeypatch.setattr(exchanges, "MOST_HISTORY_BYTES", 2_000)
    server, client = start()
    with client.transaction("tool") as tx:
        for number in range(5):
            server.says("MESSAGE", str(number), tx.id, "AGENT")
        for _ in range(5):
            tx.receive(PATIENCE_S)
        assert [message.payload for message in tx.history] == ["2", "3", "4"]
        server.says("MESSAGE", "x" * 3_000, tx.id, "AGENT")
        tx.receive(PATIENCE_S)
        assert [len(message.payload) for message in tx.history] == [3_000]
    assert len(tx.history) == 1


def test_a_join_gets_what_the_peer_replays(start: Start, pool: ThreadPoolExecutor) -> None:
    """TRANSACTION_JOIN names the transaction in its envelope; what the peer replays are the first messages of it."""
    server, client = start()
    joining = pool.submit(client.join_transaction, "shared")
    join = server.hears("TRANSACTION_JOIN")
    assert (join["transaction"], join["payload"], join["channel"]) == ("shared", {}, "SYSTEM")
    with pytest.raises(ConfigError, match="open already"):
        client.join_transaction("shared")
    for text in ("one", "two"):
        server.says("MESSAGE", text, "shared", "AGENT")
    with joining.result(PATIENCE_S) as tx:
        assert (tx.id, tx.tool) == ("shared", None)
        assert [tx.receive(PATIENCE_S).payload for _ in range(2)] == ["one", "two"]
        assert [message.payload for message in tx.history] == ["one", "two"]
        tx.send_text_message("USER", "three")
        assert server.hears("MESSAGE")["transaction"] == "shared"
    assert server.hears("TRANSACTION_END")["transaction"] == "shared"
    assert len(server.frames("TRANSACTION_JOIN")) == 1


def test_a_refused_join(start: Start, pool: ThreadPoolExecutor) -> None:
    """An ERROR in the transaction to join refuses it."""
    server, client = start()
    joining = pool.submit(client.join_transaction, "gone")
    server.hears("TRANSACTION_JOIN")
    server.says("ERROR", {"code": "NOT_FOUND", "message": "over"}, "gone")
    with pytest.raises(ProtocolError, match="NOT_FOUND: over"):
        joining.result(PATIENCE_S)


@pytest.mark.parametrize("arguments", [("",), (7,), ("tool", [1]), ("tool", {"x": object()})])
def test_wrong_arguments_are_refused(start: Start, arguments: tuple[Any, ...]) -> None:
    """A wrong tool or params is a ConfigError before anything leaves."""
    server, client = start()
    with pytest.raises(ConfigError):
        client.transaction(*arguments)
    for timeout in (0, -1, "x"):
        with pytest.raises(ConfigError):
            client.transaction("tool", timeout=timeout)  # type: ignore[arg-type]
    for wrong in ("", "null", None):
        with pytest.raises(ConfigError):
            client.join_transaction(wrong)  # type: ignore[arg-type]
    assert server.frames("TRANSACTION_START") == []


# ---- Who we are ---------------------------------------------------------------------------------------------------------------


def test_auth_travels_in_our_hai_and_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    """The `auth` mapping is in the HAI that the server reads, as it was when the client was made, and in nothing that we show."""
    caplog.set_level(logging.DEBUG)
    auth = {"token": "s3cret", "scopes": ["a"]}
    with TransactionPeer() as server:
        client = HAIPClient(server.url, auth=auth)
        auth["scopes"].append("later")  # type: ignore[attr-defined]
        events = listen(client, Event)
        with client, client.transaction("tool"):
            assert server.hears("HAI")["payload"]["auth"] == {"token": "s3cret", "scopes": ["a"]}
        shown = [repr(client), repr(client._settings), repr(client.connection_state()), *map(repr, events), caplog.text]
    assert not any("s3cret" in text for text in shown)
    assert "haip_sync" in caplog.text or events


@pytest.mark.parametrize("auth", ["s3cret", {"s3cret": object()}, {"t": "s3cret\ud800"}, ["s3cret"]])
def test_auth_that_cannot_be_sent_is_refused_without_its_words(auth: Any) -> None:
    """A wrong `auth` is a ConfigError that does not repeat it, nor carries what would."""
    with pytest.raises(ConfigError) as caught:
        HAIPClient("ws://localhost:1", auth=auth)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
