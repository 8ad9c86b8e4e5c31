"""The transaction dialect over real sockets: beginning and talking, tools, and who is let in."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from support.transaction_dial import PATIENCE_S, TYPES, Dial, begin, errors, meet, mute, say, serve

from haip_sync.testing import ToolInvocation

WORD = "s3cret"


# What it accepts


def test_the_hai_of_the_transaction_dialect(dial: Dial) -> None:
    """It announces itself as 1.1.2, with the dialect's types only; what belongs to no transaction says "null"."""
    with serve() as running:
        client, _ = meet(running, dial)
        payload = client.seen[0]["payload"]
        assert payload["haip_version"] == "1.1.2"
        assert payload["accept_events"] == sorted(TYPES)
        client.send("PING", {}, transaction="null")
        client.expect("PONG")
        assert {frame["transaction"] for frame in client.seen} == {"null"}


@pytest.mark.parametrize("event_type", ["PAUSE_CHANNEL", "MESSAGE_START", "TEXT_MESSAGE_START", "RUN_STARTED", "TOOL_CALL"])
def test_other_dialects_are_not_accepted(dial: Dial, event_type: str) -> None:
    """Neither pausing nor streamed texts nor runs."""
    with serve() as running:
        client, _ = meet(running, dial)
        client.send(event_type, {"channel": "USER", "message_id": "m"}, "USER")
        assert client.expect("ERROR")["payload"]["code"] == "UNSUPPORTED_TYPE"


# Talking


def test_a_message_is_answered_in_its_transaction(dial: Dial) -> None:
    """The echo comes on AGENT with the real id; both directions pay one message and the frame's bytes."""
    with serve() as running:
        client, session = meet(running, dial)
        name = begin(client, params={"k": 1})
        frame_id, size = client.send("MESSAGE", "hello", "USER", transaction=name)
        answer = client.expect("MESSAGE")
        assert (answer["payload"], answer["channel"], answer["transaction"]) == ("hello", "AGENT", name)
        assert answer["id"] != frame_id
        (text,) = session.texts("USER")
        assert (text.text, text.message_id, text.transaction) == ("hello", frame_id, name)
        tally = session.books("USER").from_client
        assert (tally.spent, tally.spent_bytes) == (1, size)
        assert session.books("AGENT").to_client.spent == 1
        assert session.books("SYSTEM").from_client.spent == 0
        (transaction,) = session.transactions
        assert (transaction.id, transaction.reference, transaction.tool) == (name, "temporary", "echo")
        assert (transaction.params, transaction.open) == ({"k": 1}, True)
        (call,) = session.calls
        assert (call.call_id, call.tool, call.transaction, call.status) == (frame_id, "echo", name, "OK")


@pytest.mark.parametrize("payload", ["", {"a": [1]}, [1, 2], 7, True])
def test_a_message_may_be_any_json(dial: Dial, payload: object) -> None:
    """Only a string is a text."""
    with serve() as running:
        client, session = meet(running, dial)
        say(client, begin(client), payload)
        assert client.expect("MESSAGE")["payload"] == payload
        assert session.text_count == isinstance(payload, str)


def test_a_message_is_never_null(dial: Dial) -> None:
    """It is no envelope then."""
    with serve() as running:
        client, session = meet(running, dial)
        say(client, begin(client), None)
        assert client.expect("ERROR")["payload"]["code"] == "PROTOCOL_VIOLATION"
        assert session.books("USER").from_client.spent == 0


def test_the_agent_is_a_tool(dial: Dial) -> None:
    """It says what it heard, also where no agent answers texts."""
    with serve(agent=False) as running:
        client, _ = meet(running, dial)
        say(client, begin(client, "agent"), "hello")
        assert client.expect("MESSAGE")["payload"] == "You said: hello"


def test_a_tool_of_ones_own(dial: Dial) -> None:
    """It may say several things, tell how it gets on, and fail; it sees the transaction and what it was begun with."""

    def chat(params: Any, call: ToolInvocation) -> str | None:
        assert call.transaction is not None
        if params == "fail":
            raise LookupError("nothing there")
        call.update(progress=10, partial=[1])
        call.send({"begun with": call.transaction.params, "in": call.transaction.id})
        return None if params == "quiet" else "done"

    with serve(tools={"chat": chat}) as running:
        client, session = meet(running, dial)
        name = begin(client, "chat", {"k": 1})
        say(client, name, "hello")
        info = client.next()
        assert (info["type"], info["payload"]) == ("INFO", {"status": "RUNNING", "progress": 10, "partial": [1]})
        assert client.next()["payload"] == {"begun with": {"k": 1}, "in": name}
        assert client.next()["payload"] == "done"
        failing = say(client, name, "fail")
        error = client.next()
        assert error["payload"] == {
            "code": "TOOL_ERROR",
            "message": "LookupError: nothing there",
            "related_id": failing,
        }
        assert error["transaction"] == name
        say(client, name, "quiet")
        assert [client.next()["type"] for _ in range(2)] == ["INFO", "MESSAGE"]
        client.send("PING", {})
        assert client.next()["type"] == "PONG"
        session.wait_for(lambda s: [call.status for call in s.calls] == ["OK", "ERROR", "OK"], timeout=PATIENCE_S)


def test_messages_of_one_transaction_are_answered_in_order(dial: Dial) -> None:
    """However many threads there are, and however long the first takes; another transaction does not wait for it."""
    go = threading.Event()

    def slow(params: Any, call: ToolInvocation) -> str:
        if params == "first":
            go.wait(PATIENCE_S)
        return str(params)

    with serve(tools={"slow": slow}) as running:
        client, _ = meet(running, dial)
        one, two = begin(client, "slow"), begin(client, "slow")
        for text in ("first", "second", "third"):
            say(client, one, text)
        say(client, two, "elsewhere")
        assert client.expect("MESSAGE")["payload"] == "elsewhere"
        go.set()
        assert [client.expect("MESSAGE")["payload"] for _ in range(3)] == ["first", "second", "third"]


def test_what_a_tool_says_waits_for_credit(dial: Dial) -> None:
    """A grant inside of the transaction lets it go; what becomes of the answer meanwhile is not sent."""
    answer = ["said"]

    def talk(params: Any, call: ToolInvocation) -> list[str]:
        return answer

    flow = {"flow_control": {"initial_credit_messages": 0, "initial_credit_bytes": 50_000}}
    with serve(tools={"talk": talk}) as running:
        client, session = meet(running, dial, capabilities=flow)
        name = begin(client, "talk")
        say(client, name, "hello")
        session.wait_for(lambda s: s.pending_texts("AGENT") == 1, timeout=PATIENCE_S)
        answer.append("thought better of")
        client.send("FLOW_UPDATE", {"channel": "AGENT", "add_messages": 1}, transaction=name)
        assert client.expect("MESSAGE")["payload"] == ["said"]


def test_the_tools_may_be_asked_for(dial: Dial) -> None:
    """Those of the server and the default ones; nothing is announced unasked."""
    with serve(tools={"own": mute}) as running:
        client, _ = meet(running, dial)
        client.send("TOOL_LIST", {})
        listed = client.next()
        assert [tool["name"] for tool in listed["payload"]["tools"]] == ["echo", "agent", "own"]
        client.send("TOOL_SCHEMA", {"tool": "echo"})
        assert client.next()["payload"] == {"tool": "echo", "schema": {"type": "object"}}


# Who may come in


@pytest.mark.parametrize("auth", [{"token": WORD}, {"token": f"Bearer {WORD}"}, {"user": "me", "secret": WORD}])
def test_the_token_may_stand_in_the_hai(dial: Dial, auth: dict[str, str]) -> None:
    """Under any name, after "Bearer " or not."""
    with serve(token=WORD) as running:
        client, _ = meet(running, dial, auth=auth)
        begin(client)


@pytest.mark.parametrize("auth", [None, {}, {"token": "wrong"}, {"token": 7}, WORD])
def test_a_wrong_token_in_the_hai_is_refused(dial: Dial, auth: object) -> None:
    """FAILED_AUTH, then 1008; it never becomes a session."""
    with serve(token=WORD) as running:
        client = dial(running.url)
        client.greet(auth=auth)
        assert client.expect_close() == 1008
        assert errors(client) == ["FAILED_AUTH"]
        refusal = running.wait_for_refusal(timeout=PATIENCE_S)
        assert (refusal.close_code, running.sessions) == (1008, ())
        assert WORD not in repr(refusal)


def test_the_token_may_still_stand_in_the_url(dial: Dial) -> None:
    """Then the HAI need not show it."""
    with serve(token=WORD) as running:
        client = dial(f"{running.url}?token={WORD}")
        client.greet(accept_events=TYPES)
        begin(client)


# All dialects


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        (["HAI", *TYPES, "MESSAGE_START", "MESSAGE_PART", "MESSAGE_END"], "MESSAGE_START"),
        (["HAI", *TYPES, "TEXT_MESSAGE_START", "TEXT_MESSAGE_PART", "TEXT_MESSAGE_END"], "TEXT_MESSAGE_START"),
        (TYPES, "MESSAGE"),
    ],
)
def test_a_server_may_speak_all_of_them(dial: Dial, accept: list[str], answer: str) -> None:
    """It writes as the first of message, text and transaction that the client takes; a transaction is possible in each."""
    with serve(dialect="all", agent=False) as running:
        client, _ = meet(running, dial, accept_events=accept)
        accepted = client.seen[0]["payload"]["accept_events"]
        assert {*TYPES, "MESSAGE_START", "TEXT_MESSAGE_START", "PAUSE_CHANNEL", "RUN_STARTED"} <= set(accepted)
        name = begin(client)
        running.send_text("AGENT", "hello")
        assert client.next()["type"] == answer
        assert ("transaction" in client.seen[0], client.seen[-1].get("transaction")) == (
            False,
            name if answer == "MESSAGE" else None,
        )
