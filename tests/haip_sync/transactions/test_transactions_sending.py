"""What is sent in a transaction, and how it ends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from support.in_transactions import Start, check_books
from support.turnstiles import PATIENCE_S, until

from haip_sync import (
    ConfigError,
    FlowControlConfig,
    FlowControlError,
    FlowControlTimeout,
    HeartbeatPolicy,
    MessageTooLargeError,
    NotSentError,
    TransactionEndedError,
    UnsupportedByPeerError,
)


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


def test_what_has_left_costs_nothing_while_another_channel_waits(start: Start) -> None:
    """A message that waits on one channel keeps no handle of what was queued, and has left, on another."""
    _, client = start(messages=10_000)
    with client.transaction("tool") as tx:
        client.pause_channel("AGENT")
        waits = tx.enqueue_text_message("AGENT", "held")
        for number in range(1_000):
            tx.enqueue_text_message("USER", str(number)).result(PATIENCE_S)
        assert len(tx._queued) <= 100
        client.resume_channel("AGENT")
        waits.result(PATIENCE_S)


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
