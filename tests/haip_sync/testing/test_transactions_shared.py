"""Transactions that several clients take part in, and what the server says and ends in them of its own."""

from __future__ import annotations

import threading
from typing import Any

from support.transaction_dial import PATIENCE_S, Dial, begin, meet, mute, say, serve

from haip_sync.testing import ToolInvocation

# Sharing


def test_a_transaction_may_be_joined(dial: Dial) -> None:
    """The joiner gets what was said so far, under the ids that it had, as data on the channels that it had."""
    with serve() as running:
        first, _ = meet(running, dial)
        name = begin(first, params={"k": 1})
        said = say(first, name, "hello")
        answer = first.expect("MESSAGE")["id"]
        edited, _ = first.send("MESSAGE_UPDATE", {"id": said, "text": "hello!"}, "USER", transaction=name)
        first.send("INFO", {"not": "kept"}, "USER", transaction=name)
        first.send("PING", {})
        first.expect("PONG")
        second, session = meet(running, dial, 2)
        second.send("TRANSACTION_JOIN", {}, transaction=name)
        joined = second.expect("TRANSACTION_JOIN")
        assert joined["payload"] == {"toolName": "echo", "params": {"k": 1}, "messages": 3}
        assert joined["transaction"] == name
        window = [second.next() for _ in range(3)]
        assert [frame["id"] for frame in window] == [said, answer, edited]
        assert [frame["type"] for frame in window] == ["MESSAGE", "MESSAGE", "MESSAGE_UPDATE"]
        assert [frame["channel"] for frame in window] == ["USER", "AGENT", "USER"]
        assert window[2]["payload"] == {"id": said, "text": "hello!"}
        assert {frame["transaction"] for frame in window} == {name}
        assert [int(frame["seq"]) for frame in second.seen] == [1, 2, 3, 4, 5]
        assert session.books("USER").to_client.spent == 2
        (transaction,) = session.transactions
        assert (transaction.id, transaction.reference, transaction.params) == (name, None, {"k": 1})


def test_who_takes_part_hears_the_others(dial: Dial) -> None:
    """A message goes to everybody else, the tool's answer to everybody; each pays for what it gets, nobody hears itself."""
    with serve() as running:
        first, one = meet(running, dial)
        second, two = meet(running, dial, 2)
        name = begin(first)
        second.send("TRANSACTION_JOIN", {}, transaction=name)
        second.expect("TRANSACTION_JOIN")
        said = say(second, name, "hello", "SIDE")
        heard = first.expect("MESSAGE")
        assert (heard["id"], heard["channel"], heard["payload"]) == (said, "SIDE", "hello")
        assert heard["session"] == one.server_id
        answers = [client.expect("MESSAGE") for client in (first, second)]
        assert [frame["channel"] for frame in answers] == ["AGENT", "AGENT"]
        assert answers[0]["id"] == answers[1]["id"] != said
        first.send("INFO", {"typing": True}, "USER", transaction=name)
        assert second.expect("INFO")["payload"] == {"typing": True}
        sound, _ = first.send("AUDIO", {"message_id": "a", "mime": "x"}, "USER", transaction=name, bin_len=3)
        first.socket.send(b"123")
        audio = second.expect("AUDIO")
        assert (audio["id"], audio["bin_len"]) == (sound, 3)
        assert second.socket.recv(PATIENCE_S) == b"123"
        assert one.audio("USER") == b"123"
        assert two.books("USER").to_client.spent == 2
        assert one.books("USER").to_client.spent == 0


def test_a_client_that_has_come_back_joins_its_transaction(dial: Dial) -> None:
    """A session that breaks off ends no transaction."""
    with serve() as running:
        client, session = meet(running, dial)
        name = begin(client)
        say(client, name, "hello")
        client.expect("MESSAGE")
        running.drop()
        session.wait_for(lambda s: not s.connected, timeout=PATIENCE_S)
        again, _ = meet(running, dial, 2)
        again.send("TRANSACTION_JOIN", {}, transaction=name)
        assert again.expect("TRANSACTION_JOIN")["payload"]["messages"] == 2
        assert [again.next()["payload"] for _ in range(2)] == ["hello", "hello"]
        say(again, name, "more")
        assert again.expect("MESSAGE")["payload"] == "more"


def test_the_window_is_bounded(dial: Dial) -> None:
    """Of more than 1,000 messages the last are replayed."""
    with serve(initial_credits=2000, tools={"mute": mute}) as running:
        client, session = meet(running, dial)
        name = begin(client, "mute")
        for number in range(1001):
            say(client, name, number)
        session.wait_for(lambda s: s.books("USER").from_client.spent == 1001, timeout=PATIENCE_S)
        flow = {"flow_control": {"initial_credit_messages": 2000, "initial_credit_bytes": 9_000_000}}
        again, _ = meet(running, dial, 2, capabilities=flow)
        again.send("TRANSACTION_JOIN", {}, transaction=name)
        assert again.expect("TRANSACTION_JOIN")["payload"]["messages"] == 1000
        assert [again.next()["payload"] for _ in range(1000)] == list(range(1, 1001))


# The end


def test_an_end_is_for_everybody(dial: Dial) -> None:
    """The others are told, who ends it is not answered, and what its tool still does is cancelled."""
    begun = threading.Event()
    seen: list[ToolInvocation] = []

    def wait(params: Any, call: ToolInvocation) -> str:
        seen.append(call)
        begun.set()
        assert call.cancelled.wait(PATIENCE_S)
        return "too late"

    with serve(tools={"wait": wait}) as running:
        first, one = meet(running, dial)
        second, two = meet(running, dial, 2)
        name = begin(first, "wait")
        second.send("TRANSACTION_JOIN", {}, transaction=name)
        second.expect("TRANSACTION_JOIN")
        for _ in range(2):
            say(first, name, "hello")
        assert begun.wait(PATIENCE_S)
        one.wait_for(lambda s: len(s.calls) == 2, timeout=PATIENCE_S)
        second.send("TRANSACTION_END", {}, transaction=name)
        assert first.expect("TRANSACTION_END")["transaction"] == name
        one.wait_for(lambda s: [call.status for call in s.calls] == ["CANCELLED"] * 2, timeout=PATIENCE_S)
        assert [call.reason for call in seen] == ["its transaction has ended"]
        say(first, name, "anybody?")
        assert first.expect("ERROR")["payload"]["code"] == "TRANSACTION_NOT_FOUND"
        second.send("PING", {})
        second.expect("PONG")
        assert "TRANSACTION_END" not in {frame["type"] for frame in second.seen}
        assert (one.transactions[0].open, two.transactions[0].open) == (False, False)


def test_the_server_may_end_a_transaction(dial: Dial) -> None:
    """Everybody is told once; a transaction that is not open is ended by nothing."""
    with serve() as running:
        first, one = meet(running, dial)
        second, _ = meet(running, dial, 2)
        name = begin(first)
        second.send("TRANSACTION_JOIN", {}, transaction=name)
        second.expect("TRANSACTION_JOIN")
        for _ in range(2):
            running.end_transaction(name)
        for client in (first, second):
            assert client.expect("TRANSACTION_END")["transaction"] == name
            client.send("PING", {})
            assert client.next()["type"] == "PONG"
        assert one.transactions[0].open is False


# What the server says


def test_a_text_of_the_servers_is_a_message(dial: Dial) -> None:
    """In the newest open transaction, or in the one that is named; without any it is dropped and counted."""
    with serve() as running:
        client, session = meet(running, dial)
        running.send_text("AGENT", "nobody hears it", session=session)
        assert session.texts_dropped == 1
        one, two = begin(client), begin(client)
        running.send_text("AGENT", "hello")
        running.send_text("SIDE", "there", transaction=one)
        running.send_text("SIDE", "nowhere", transaction="ended")
        heard = [client.expect("MESSAGE") for _ in range(2)]
        assert [(frame["payload"], frame["channel"], frame["transaction"]) for frame in heard] == [
            ("hello", "AGENT", two),
            ("there", "SIDE", one),
        ]
        assert session.texts_dropped == 2
        client.send("TRANSACTION_JOIN", {}, transaction=two)
        assert client.expect("TRANSACTION_JOIN")["payload"]["messages"] == 1
        assert client.expect("MESSAGE")["id"] == heard[0]["id"]


def test_audio_of_the_servers_is_audio(dial: Dial) -> None:
    """In the newest open transaction."""
    with serve() as running:
        client, _ = meet(running, dial)
        name = begin(client)
        running.send_audio("AUDIO_OUT", b"123")
        frame = client.expect("AUDIO")
        assert (frame["transaction"], frame["bin_len"]) == (name, 3)
        assert client.socket.recv(PATIENCE_S) == b"123"


def test_any_frame_may_name_a_transaction(dial: Dial) -> None:
    """As `send_frame` is told."""
    with serve() as running:
        client, _ = meet(running, dial)
        running.send_frame("INFO", {"a": 1}, "AGENT", transaction="t")
        assert client.expect("INFO")["transaction"] == "t"
