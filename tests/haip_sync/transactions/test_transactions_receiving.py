"""What comes in a transaction, the credit for it, and what nobody asked for."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from support.in_transactions import Start, check_books
from support.live import listen
from support.turnstiles import PATIENCE_S, until

from haip_sync import (
    AggressiveStrategy,
    ConfigError,
    DeadlockError,
    ErrorReported,
    FlowControlConfig,
    HAIPClient,
    HAIPTimeout,
    Message,
    TransactionEndedError,
    UnsupportedByPeerError,
    WarningRaised,
)
from haip_sync.testing import DevServer


def window(client: HAIPClient, channel: str = "AGENT") -> tuple[int, int]:
    """Return what the peer may still send."""
    state = client.connection_state().channels[channel]
    return state.receive_window, state.receive_window_bytes


# ---- Receiving, and credit ----------------------------------------------------------------------------------------------------


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


def test_a_request_that_came_too_late_is_made_again(start: Start) -> None:
    """A strategy's request that crosses the peer's END is refused there: the next transaction carries it, though it asks once."""
    server, client = start({"strategy": AggressiveStrategy(channels=["USER"])})
    tx = client.transaction("tool")
    asked = server.hears("FLOW_UPDATE")
    server.says("TRANSACTION_END", {}, tx.id)
    server.says("ERROR", {"code": "TRANSACTION_NOT_FOUND", "message": "over", "related_id": asked["id"]}, tx.id)
    with client.transaction("next") as following:
        again = server.hears("FLOW_UPDATE", 2)
        assert (again["transaction"], again["payload"]) == (following.id, asked["payload"])


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
