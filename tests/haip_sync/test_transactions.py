"""Transactions over real sockets, against a server of the transaction dialect that keeps books."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from support.interrupts import every_interrupt, interrupted_at
from support.transaction_peer import TransactionPeer
from support.turnstiles import PATIENCE_S, until

from haip_sync import (
    AggressiveStrategy,
    ConfigError,
    ConnectionClosedError,
    DeadlockError,
    ErrorReported,
    Event,
    FlowControlConfig,
    FlowControlError,
    FlowControlTimeout,
    HAIPClient,
    HAIPTimeout,
    HandshakeCompleted,
    HeartbeatPolicy,
    Message,
    MessageTooLargeError,
    NotSentError,
    ProtocolError,
    Transaction,
    TransactionEndedError,
    UnsupportedByPeerError,
    WarningRaised,
)
from haip_sync.runtime import exchanges
from haip_sync.testing import DevServer

Start = Callable[..., tuple[TransactionPeer, HAIPClient]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a server and a client connected to it; both are closed at the end."""
    with ExitStack() as stack:

        def start_both(client: dict[str, Any] | None = None, **server: Any) -> tuple[TransactionPeer, HAIPClient]:
            running = stack.enter_context(TransactionPeer(**server))
            return running, stack.enter_context(HAIPClient(running.url, **(client or {})))

        yield start_both


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Return threads for what blocks."""
    with ThreadPoolExecutor(4) as threads:
        yield threads


def listen(client: HAIPClient, *kinds: type[Event]) -> list[Any]:
    """Return a list that fills with the client's events of these kinds."""
    seen: list[Any] = []
    client.subscribe(seen.append, *kinds)
    return seen


def check_books(server: TransactionPeer, client: HAIPClient, channel: str = "USER") -> None:
    """Check that both sides agree on what the client spent, to the message and to the byte, and that nothing is lost."""
    ours = client.connection_state().channels[channel]
    server.wait_for(lambda: server.spent[channel] == [ours.sent_messages, ours.sent_bytes])
    assert ours.is_conserved


def window(client: HAIPClient, channel: str = "AGENT") -> tuple[int, int]:
    """Return what the peer may still send."""
    state = client.connection_state().channels[channel]
    return state.receive_window, state.receive_window_bytes


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


# ---- Sending ------------------------------------------------------------------------------------------------------------------


def test_a_message_waits_for_credit_and_is_never_split(start: Start, pool: ThreadPoolExecutor) -> None:
    """A MESSAGE pays one message and its bytes, waits in line for them, and goes out whole."""
    server, client = start(messages=1, byte_credits=100_000)
    with client.transaction("tool") as tx:
        tx.send_text_message("USER", "first")
        with pytest.raises(FlowControlError, match="Nothing was sent"):
            tx.send_text_message("USER", "now", timeout=0)
        waiting = pool.submit(tx.send_text_message, "USER", "x" * 5_000, timeout=PATIENCE_S)
        until(lambda: client.connection_state().channels["USER"].waiting == 1)
        server.grants("USER", 2, transaction=tx.id)
        assert waiting.result(PATIENCE_S).outcome in ("sent", "acknowledged")
        assert server.hears("MESSAGE", 2)["payload"] == "x" * 5_000
        check_books(server, client)
        assert client.connection_state().channels["USER"].credits == 1


def test_the_clients_send_timeout_holds_in_it(start: Start) -> None:
    """A send that names no timeout takes the client's; its error says what was missing."""
    _, client = start({"send_timeout": 0.05}, messages=0)
    with client.transaction("tool") as tx:
        with pytest.raises(FlowControlTimeout, match="Nothing was sent") as caught:
            tx.send_text_message("USER", "x")
        assert caught.value.cause == "messages"


def test_who_waits_for_room_in_the_outbox_is_told(start: Start, pool: ThreadPoolExecutor) -> None:
    """Whoever a full outbox holds gets nothing into a transaction that ended meanwhile."""
    server, client = start({"flow_control": FlowControlConfig(queue_max_messages=1)}, messages=0)
    tx, other = client.transaction("tool"), client.transaction("other")
    full = other.enqueue_text_message("USER", "stands there")
    held = pool.submit(tx.enqueue_text_message, "USER", "never")
    until(lambda: client._connection.rooms.turnstile.gate("USER").room)
    tx.end()
    assert full.cancel()
    with pytest.raises(TransactionEndedError):
        held.result(PATIENCE_S)
    assert client.queue_length("USER") == 0
    server.hears("TRANSACTION_END")


def test_a_message_above_the_cap_is_refused_at_once(start: Start) -> None:
    """A MESSAGE larger than max_credit_bytes can never go: nothing leaves, and both sizes are told."""
    server, client = start({"flow_control": FlowControlConfig(max_credit_bytes=1_000)})
    with client.transaction("tool") as tx:
        for send in (tx.send_text_message, tx.enqueue_text_message):
            with pytest.raises(MessageTooLargeError, match="max_credit_bytes there is 1000"):
                send("USER", "x" * 2_000)
    server.hears("TRANSACTION_END")
    assert server.frames("MESSAGE") == []


def test_other_types_and_binary_travel_in_it_too(start: Start) -> None:
    """`send` takes the dialect's data types and a binary half; control types and what the peer does not accept never leave."""
    server, client = start()
    with client.transaction("tool") as tx:
        tx.send("USER", "INFO", {"n": 1})
        tx.send("AUDIO_IN", "AUDIO", {"m": 1}, binary=b"abc", binary_mime="audio/x")
        with pytest.raises(UnsupportedByPeerError, match="does not accept TOOL_CALL"):
            tx.send("USER", "TOOL_CALL", {})
        for control in ("TRANSACTION_END", "FLOW_UPDATE", "PING", ""):
            with pytest.raises(ConfigError, match="data type"):
                tx.send("USER", control, {})
        for wrong in ({"payload": 7}, {"payload": {}, "binary": "x"}):
            with pytest.raises(ConfigError):
                tx.send("USER", "INFO", **wrong)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="must be a string"):
            tx.send_text_message("USER", 7)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="cannot be written as JSON"):
            tx.send_text_message("USER", "\ud800")
        server.hears("AUDIO")
    [audio] = server.frames("AUDIO")
    assert (audio["bin_len"], audio["bin_mime"], audio["transaction"]) == (3, "audio/x", "tx-1")
    check_books(server, client, "AUDIO_IN")
    assert server.spent["AUDIO_IN"] == [1, 3]


def test_what_is_queued_leaves_before_a_clean_end(start: Start, pool: ThreadPoolExecutor) -> None:
    """The end of the block waits for what is queued in it, and END comes behind it."""
    server, client = start(messages=5)
    tx = client.transaction("tool")
    handles = [tx.enqueue_text_message("USER", str(number)) for number in range(20)]
    ending = pool.submit(tx.__exit__, None, None, None)
    server.hears("MESSAGE", 5)
    server.grants("USER", 15, transaction=tx.id)
    ending.result(PATIENCE_S)
    server.hears("TRANSACTION_END")
    assert all(handle.result(0).outcome in ("sent", "acknowledged") for handle in handles)
    assert [frame["payload"] for frame in server.received if frame["type"] == "MESSAGE"] == [str(n) for n in range(20)]
    assert server.received[-1]["type"] == "TRANSACTION_END"
    check_books(server, client)


def test_an_exception_ends_it_at_once(start: Start) -> None:
    """An exception in the block ends the transaction without waiting: what is queued is not sent, and its holder is told."""
    server, client = start(messages=0)
    handles = []

    def fail_inside() -> None:
        with client.transaction("tool") as tx:
            handles.append(tx.enqueue_text_message("USER", "never"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    with pytest.raises(NotSentError, match="was ended by us") as caught:
        handles[0].result(PATIENCE_S)
    assert caught.value.reason == "closed"
    server.hears("TRANSACTION_END")
    assert server.frames("MESSAGE") == []
    assert client.queue_length("USER") == 0


def test_the_peers_end_wakes_whoever_waits_in_it(start: Start, pool: ThreadPoolExecutor) -> None:
    """Senders, queued messages and readers of an ended transaction are told, nothing sent; others in the line go on."""
    server, client = start(messages=0)
    mine, other = client.transaction("a"), client.transaction("b")
    blocked = pool.submit(mine.send_text_message, "USER", "never", timeout=PATIENCE_S)
    until(lambda: client.connection_state().channels["USER"].waiting == 1)
    handle = mine.enqueue_text_message("USER", "never either")
    behind = pool.submit(other.send_text_message, "USER", "goes", timeout=PATIENCE_S)
    reading = pool.submit(list, mine.messages())
    until(lambda: client.connection_state().channels["USER"].backlog == 3)
    server.says("MESSAGE", "last words", mine.id, "AGENT")
    server.says("TRANSACTION_END", {}, mine.id)
    with pytest.raises(TransactionEndedError, match=r"was ended by the peer\. Nothing was sent"):
        blocked.result(PATIENCE_S)
    with pytest.raises(NotSentError, match="was ended by the peer"):
        handle.result(PATIENCE_S)
    assert [message.payload for message in reading.result(PATIENCE_S)] == ["last words"]
    for send in (mine.send_text_message, mine.enqueue_text_message):
        with pytest.raises(TransactionEndedError):
            send("USER", "late")
    with pytest.raises(TransactionEndedError):
        mine.request_credits("USER", messages=1)
    with pytest.raises(TransactionEndedError, match="nothing is left"):
        mine.receive(PATIENCE_S)
    assert client.connection_state().channels["USER"].backlog == 1
    server.grants("USER", 1, transaction=other.id)
    behind.result(PATIENCE_S)
    assert server.hears("MESSAGE")["payload"] == "goes"
    mine.end()
    other.end()
    client.send("SYSTEM", "PING", {"nonce": "n"})  # comes behind whatever else was said
    server.hears("PING")
    assert [frame["transaction"] for frame in server.frames("TRANSACTION_END")] == [other.id]
    assert len(server.frames("MESSAGE")) == 1


def test_ending_takes_place_before_whoever_still_waits(start: Start, pool: ThreadPoolExecutor) -> None:
    """`end` turns back a sender that waits for credit: a grant that comes later finds nobody, and nothing follows END."""
    server, client = start(messages=0)
    tx = client.transaction("tool")
    blocked = pool.submit(tx.send_text_message, "USER", "never", timeout=PATIENCE_S)
    until(lambda: client.connection_state().channels["USER"].waiting == 1)
    tx.end()
    tx.end()
    server.grants("USER", 5, transaction=tx.id)
    with pytest.raises(TransactionEndedError, match="was ended by us"):
        blocked.result(PATIENCE_S)
    until(lambda: client.connection_state().channels["USER"].credits == 5)
    server.hears("TRANSACTION_END")
    client.send("USER", "INFO", {}, timeout=PATIENCE_S)
    server.hears("INFO")
    assert len(server.frames("TRANSACTION_END")) == 1
    assert server.frames("MESSAGE") == []


# ---- Receiving, and credit -----------------------------------------------------------------------------------------------------


def test_credit_goes_back_in_the_transaction_that_it_came_in(start: Start) -> None:
    """What is taken is given back by a FLOW_UPDATE that carries the transaction's id."""
    server, client = start({"flow_control": FlowControlConfig(initial_credits=4)})
    first, second = client.transaction("a"), client.transaction("b")
    order = [first, second, first, second]
    for number, tx in enumerate(order, 1):
        server.says("MESSAGE", "x", tx.id, "AGENT")
        tx.receive(PATIENCE_S)
        server.hears("FLOW_UPDATE", number)
    assert [update["transaction"] for update in server.frames("FLOW_UPDATE")] == [tx.id for tx in order]
    assert {update["payload"]["channel"] for update in server.frames("FLOW_UPDATE")} == {"AGENT"}
    assert window(client)[0] == 4
    assert server.breaches == 0


def test_credit_that_cannot_travel_is_kept_and_never_lost(start: Start) -> None:
    """Without an open transaction nothing is given back; the next one that opens carries all of it."""
    server, client = start({"flow_control": FlowControlConfig(initial_credits=4)})
    size = sum(server.says("MESSAGE", f"m{number}", None, "AGENT") for number in range(3))
    assert [client.receive(PATIENCE_S).payload for _ in range(3)] == ["m0", "m1", "m2"]
    assert window(client)[0] == 1
    assert server.frames("FLOW_UPDATE") == []
    with client.transaction("tool") as tx:
        update = server.hears("FLOW_UPDATE")
        assert (update["transaction"], update["payload"]) == (tx.id, {"channel": "AGENT", "add_messages": 3, "add_bytes": size})
    assert window(client) == (4, 1 << 20)
    assert server.granted["AGENT"] == [3, size]


def test_credit_that_came_too_late_is_owed_again(start: Start) -> None:
    """A give-back that crosses the peer's END is refused there: the next transaction carries it, and the window is whole."""
    server, client = start({"flow_control": FlowControlConfig(initial_credits=4)})
    tx = client.transaction("tool")
    size = server.says("MESSAGE", "x", tx.id, "AGENT")
    tx.receive(PATIENCE_S)
    update = server.hears("FLOW_UPDATE")
    server.says("TRANSACTION_END", {}, tx.id)
    server.says("ERROR", {"code": "TRANSACTION_NOT_FOUND", "message": "over", "related_id": update["id"]}, tx.id)
    until(lambda: window(client)[0] == 3)
    with client.transaction("next") as following:
        again = server.hears("FLOW_UPDATE", 2)
        assert (again["transaction"], again["payload"]) == (
            following.id,
            {"channel": "AGENT", "add_messages": 1, "add_bytes": size},
        )
        assert window(client) == (4, 1 << 20)


def test_a_peer_that_cannot_be_given_credit_is_not_accused(start: Start) -> None:
    """While no transaction is open, frames beyond the window are kept and nobody is accused; the next one makes good for all."""
    server, client = start({"flow_control": FlowControlConfig(initial_credits=4)})
    errors = listen(client, ErrorReported)
    size = sum(server.says("INFO", {"n": number}, None, "AGENT") for number in range(12))
    assert [client.receive(PATIENCE_S).payload["n"] for _ in range(12)] == list(range(12))
    with client.transaction("tool"):
        server.wait_for(lambda: server.granted["AGENT"] == [12, size])
        assert window(client) == (4, 1 << 20)
    assert (errors, client.connection_state().channels["AGENT"].receive_breaches) == ([], 0)


def test_what_nobody_received_is_given_back_at_the_end(start: Start) -> None:
    """Messages that were not taken when the transaction ended, and those under way, cost the peer nothing for good."""
    server, client = start({"flow_control": FlowControlConfig(initial_credits=4)})
    keeper = client.transaction("keeper")
    tx = client.transaction("tool")
    size = sum(server.says("MESSAGE", "unread", tx.id, "AGENT") for _ in range(2))
    until(lambda: client.connection_state().channels["AGENT"].received_messages == 2)
    tx.end()
    server.hears("TRANSACTION_END")
    size += server.says("MESSAGE", "late", tx.id, "AGENT")
    server.wait_for(lambda: server.granted["AGENT"] == [3, size])
    assert window(client) == (4, 1 << 20)
    assert {update["transaction"] for update in server.frames("FLOW_UPDATE")} == {keeper.id}
    with pytest.raises(HAIPTimeout):
        client.receive(0)
    with pytest.raises(TransactionEndedError):
        tx.receive(0)


def test_what_a_mapping_grants_beyond_the_hai_waits_for_a_transaction(start: Start) -> None:
    """First grants per channel travel in the first transaction, once."""
    server, client = start({"flow_control": FlowControlConfig(initial_credits={"AGENT": 25})})
    size = server.says("MESSAGE", "early", None, "AGENT")
    assert client.receive(PATIENCE_S).payload == "early"
    assert server.frames("FLOW_UPDATE") == []
    with client.transaction("a"), client.transaction("b"):
        server.wait_for(lambda: server.granted["AGENT"] == [16, size])
    server.hears("TRANSACTION_END", 2)
    assert server.granted["AGENT"] == [16, size]
    assert window(client) == (25, 1 << 20)


def test_requests_need_a_transaction(start: Start) -> None:
    """Outside of every transaction request_credits raises and sends nothing; inside, and beside an open one, it travels in it."""
    server, client = start()
    with pytest.raises(UnsupportedByPeerError, match=r"inside a transaction only, and none is open\. Nothing was sent"):
        client.request_credits("USER", messages=5)
    first, second = client.transaction("a"), client.transaction("b")
    first.request_credits("USER", messages=5)
    second.request_credits("AGENT", byte_credits=7)
    first.send_text_message("USER", "x")
    client.request_credits("USER", messages=6)
    server.hears("FLOW_UPDATE", 3)
    assert [(update["transaction"], update["payload"]) for update in server.frames("FLOW_UPDATE")] == [
        (first.id, {"channel": "USER", "add_messages": 5}),
        (second.id, {"channel": "AGENT", "add_bytes": 7}),
        (first.id, {"channel": "USER", "add_messages": 6}),
    ]
    with pytest.raises(ConfigError):
        first.request_credits("USER")
    assert server.breaches == 0


def test_a_strategy_waits_for_a_transaction(start: Start) -> None:
    """What a strategy wants to ask at connect is asked in the first transaction, and not before."""
    server, client = start(
        {"strategy": AggressiveStrategy(), "stall_warning": None}
    )  # the service thread has no other reason to look
    assert server.frames("FLOW_UPDATE") == []
    with client.transaction("tool") as tx:
        server.wait_for(lambda: {u["payload"]["channel"] for u in server.frames("FLOW_UPDATE")} >= {"USER", "AGENT"})
        assert {update["transaction"] for update in server.frames("FLOW_UPDATE")} == {tx.id}
    assert server.breaches == 0


def test_pausing_acts_locally_and_says_so(start: Start, pool: ThreadPoolExecutor) -> None:
    """A peer that accepts no PAUSE_CHANNEL is sent none: our own sends are held, with a warning."""
    server, client = start()
    warnings = listen(client, WarningRaised)
    with client.transaction("tool") as tx:
        client.pause_channel("USER")
        held = pool.submit(tx.send_text_message, "USER", "held", timeout=PATIENCE_S)
        until(lambda: client.connection_state().channels["USER"].waiting_for == "paused_by_us")
        client.resume_channel("USER")
        held.result(PATIENCE_S)
    until(lambda: len(warnings) == 2)
    assert "accepts no PAUSE_CHANNEL" in warnings[0].text
    server.hears("TRANSACTION_END")
    assert {frame["type"] for frame in server.received} == {"HAI", "TRANSACTION_START", "MESSAGE", "TRANSACTION_END"}


def test_texts_outside_of_a_transaction_are_refused(start: Start) -> None:
    """send_text_message and enqueue_text_message name the way to go, and nothing leaves."""
    server, client = start()
    for send in (client.send_text_message, client.enqueue_text_message):
        with pytest.raises(UnsupportedByPeerError, match=r"inside a transaction only: use client\.transaction\(\.\.\.\)"):
            send("USER", "x")
    for name in ("TRANSACTION_START", "TRANSACTION_JOIN", "TRANSACTION_END"):
        with pytest.raises(ConfigError, match="is sent by"):
            client.send("USER", name, {})
    with client.transaction("tool"):
        pass
    server.hears("TRANSACTION_END")
    assert [frame["type"] for frame in server.received] == ["HAI", "TRANSACTION_START", "TRANSACTION_END"]


def test_a_peer_without_transactions_is_told_apart() -> None:
    """Transaction and join_transaction raise before anything leaves where the peer does not accept their frames."""
    with DevServer(agent=False) as server, HAIPClient(server.url) as client:
        with pytest.raises(UnsupportedByPeerError, match="no TRANSACTION_START and no TRANSACTION_END"):
            client.transaction("tool")
        with pytest.raises(UnsupportedByPeerError, match="no TRANSACTION_JOIN"):
            client.join_transaction("id")


def test_a_peer_that_takes_texts_both_ways(start: Start) -> None:
    """With a peer that accepts streamed texts and transactions both work, and FLOW_UPDATE needs no transaction."""
    accepted = "HAI ERROR FLOW_UPDATE MESSAGE_START MESSAGE_PART MESSAGE_END MESSAGE TRANSACTION_START TRANSACTION_END"
    server, client = start(accept_events=accepted.split())
    client.send_text_message("USER", "streamed")
    client.request_credits("USER", messages=1)
    with client.transaction("tool") as tx:
        tx.send_text_message("USER", "inside")
    assert "transaction" not in server.hears("FLOW_UPDATE")
    assert server.hears("MESSAGE")["transaction"] == tx.id
    check_books(server, client)
    with HAIPClient(server.url, dialect="transaction") as other:
        assert other.connection_state().dialect == "transaction"
        with pytest.raises(UnsupportedByPeerError):
            other.send_text_message("USER", "x")


# ---- What nobody asked for ----------------------------------------------------------------------------------------------------


def test_a_transaction_of_the_peers_own_comes_to_receive(start: Start) -> None:
    """Frames of a transaction that we do not know are plain data frames that name it; its START is told."""
    server, client = start()
    warnings = listen(client, WarningRaised)
    server.says("TRANSACTION_START", {"referenceId": None}, "theirs")
    server.says("MESSAGE", "hello", "theirs", "AGENT")
    message = client.receive(PATIENCE_S)
    assert (message.payload, message.transaction) == ("hello", "theirs")
    server.says("MESSAGE", "plain", None, "AGENT")
    assert client.receive(PATIENCE_S).transaction is None
    until(lambda: warnings)
    assert any("theirs, which nobody here asked for" in warning.text for warning in warnings)
    server.hears("HAI")
    assert [frame["type"] for frame in server.received] == ["HAI"]


def test_a_start_answered_twice_leaves_one(start: Start) -> None:
    """The second answer's transaction is ended at once, the first goes on."""
    server, client = start()
    warnings = listen(client, WarningRaised)
    with client.transaction("tool") as tx:
        second = server.answer(server.frames("TRANSACTION_START")[0])
        assert server.hears("TRANSACTION_END")["transaction"] == second
        tx.send_text_message("USER", "still here")
        server.hears("MESSAGE")
    server.wait_for(lambda: server.opened == [])
    until(lambda: any("twice" in warning.text for warning in warnings))


def test_listeners_get_its_messages_where_they_take_them(start: Start) -> None:
    """With inbox="listeners" messages of transactions come to listeners, are remembered, and given back in the transaction."""
    server, client = start({"inbox": "listeners"})
    messages: list[Message] = []
    client.subscribe(lambda event: messages.append(event) if event.type == "MESSAGE" else None, Message)
    with client.transaction("tool") as tx:
        server.says("MESSAGE", "heard", tx.id, "AGENT")
        assert server.hears("FLOW_UPDATE")["transaction"] == tx.id
        assert [message.payload for message in tx.history] == ["heard"]
        with pytest.raises(ConfigError, match="listeners"):
            tx.receive(0)
    assert [(message.payload, message.transaction) for message in messages] == [("heard", tx.id)]


def test_a_listener_must_not_wait_in_it(start: Start) -> None:
    """Opening, waiting sends and waiting receives raise DeadlockError in a listener; timeout 0 and `end` do not."""
    server, client = start()
    tx = client.transaction("tool")
    done: Future[list[str]] = Future()

    def listener(_event: Message) -> None:
        raised = []
        for call in (lambda: client.transaction("x"), lambda: tx.send_text_message("USER", "x"), tx.receive):
            try:
                call()
            except DeadlockError as exc:
                raised.append(str(exc))
        tx.send_text_message("USER", "at once", timeout=0)
        tx.end()
        done.set_result(raised)

    client.subscribe(lambda event: listener(event) if event.type == "INFO" else None, Message)
    server.says("INFO", {}, None, "AGENT")
    assert len(done.result(PATIENCE_S)) == 3
    server.hears("TRANSACTION_END")
    assert [frame["payload"] for frame in server.frames("MESSAGE")] == ["at once"]


# ---- History and joining -------------------------------------------------------------------------------------------------------


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


# ---- Interrupts, and what is forgotten -----------------------------------------------------------------------------------------


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


def test_what_the_peer_withdraws_holds_up_no_flush(start: Start, pool: ThreadPoolExecutor) -> None:
    """flush() is back once the end of a transaction has taken what was queued in it, though nothing more is written."""
    calm = {"stall_warning": None, "heartbeat": HeartbeatPolicy(interval=PATIENCE_S * 9)}
    server, client = start(messages=1, client=calm)
    with client.transaction("echo") as tx:
        tx.send_text_message("USER", "all the credit")
        pending = tx.enqueue_text_message("USER", "waits")
        flushed = pool.submit(client.flush)
        until(lambda: bool(client._connection._changed._waiters))  # type: ignore[attr-defined]
        server.says("TRANSACTION_END", {}, tx.id)
        flushed.result(PATIENCE_S)
        with pytest.raises(NotSentError):
            pending.result(0)


def test_who_waits_for_room_hears_that_the_transaction_is_over(start: Start, pool: ThreadPoolExecutor) -> None:
    """A full outbox holds nobody whose message may not be queued any more."""
    config = FlowControlConfig(queue_max_messages=1, overflow="block")
    server, client = start(messages=0, client={"flow_control": config})
    with client.transaction("echo") as tx:
        other = client.transaction("echo")
        other.enqueue_text_message("USER", "stays")
        held = pool.submit(tx.enqueue_text_message, "USER", "no room")
        until(lambda: bool(client._connection.rooms.turnstile.gate("USER").room))
        server.says("TRANSACTION_END", {}, tx.id)
        assert isinstance(held.exception(PATIENCE_S), TransactionEndedError)
        assert client.queue_length("USER") == 1
        other.end(timeout=0.0)
