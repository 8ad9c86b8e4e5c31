"""The transaction dialect over real sockets: beginning, talking, sharing and ending, and credit inside of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from haip_sync.testing import DevServer, Generous, Quirks, Session, ToolInvocation

PATIENCE_S = 20.0
WORD = "s3cret"
Dial = Callable[[str], Any]
TYPES = [
    *("HAI", "PING", "PONG", "ERROR", "FLOW_UPDATE", "REPLAY_REQUEST"),
    *("TRANSACTION_START", "TRANSACTION_END", "TRANSACTION_JOIN"),
    *("MESSAGE", "MESSAGE_UPDATE", "AUDIO", "INFO", "TOOL_LIST", "TOOL_SCHEMA"),
]


def serve(**options: Any) -> DevServer:
    """Return a server of the transaction dialect that grants nothing by itself."""
    return DevServer(**({"dialect": "transaction", "policy": "never"} | options))


def meet(running: DevServer, dial: Dial, number: int = 1, **hai: Any) -> tuple[Any, Session]:
    """Connect a client of the transaction dialect; return it with its session."""
    client = dial(running.url)
    client.greet(**({"accept_events": TYPES} | hai))
    return client, running.wait_for_session(number, timeout=PATIENCE_S)


def begin(client: Any, tool: str = "echo", params: object = None) -> str:
    """Begin a transaction and return its real id."""
    payload = {"toolName": tool} | ({} if params is None else {"params": params})
    client.send("TRANSACTION_START", payload, transaction="temporary")
    started = client.expect("TRANSACTION_START")
    assert started["payload"] == {"referenceId": "temporary"}
    return str(started["transaction"])


def say(client: Any, transaction: str, text: object, channel: str = "USER") -> str:
    """Say something in a transaction; return the frame's id."""
    return str(client.send("MESSAGE", text, channel, transaction=transaction)[0])


def mute(params: Any, call: ToolInvocation) -> None:
    """Say nothing."""


def errors(client: Any) -> list[str]:
    """Return the codes of the ERRORs that came so far."""
    return [frame["payload"]["code"] for frame in client.seen if frame["type"] == "ERROR"]


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


# What is wrong


@pytest.mark.parametrize(("payload", "code"), [({}, "MISSING_TOOL_NAME"), ({"toolName": "no"}, "TOOL_NOT_FOUND")])
@pytest.mark.parametrize("is_named", [True, False])
def test_a_transaction_needs_a_tool(dial: Dial, payload: Any, code: str, *, is_named: bool) -> None:
    """The ERROR has the temporary id in its envelope, and the frame's id, unless the quirks say otherwise."""
    with serve(quirks=Quirks(names_related_id=is_named)) as running:
        client, session = meet(running, dial)
        frame_id, _ = client.send("TRANSACTION_START", payload, transaction="temporary")
        error = client.expect("ERROR")
        assert (error["payload"]["code"], error["transaction"]) == (code, "temporary")
        assert error["payload"].get("related_id") == (frame_id if is_named else None)
        assert session.transactions == ()


@pytest.mark.parametrize("event_type", ["MESSAGE", "MESSAGE_UPDATE", "AUDIO", "TRANSACTION_END", "TRANSACTION_JOIN"])
@pytest.mark.parametrize("transaction", [None, "null", "temporary", "ended"])
def test_what_belongs_to_no_open_transaction(dial: Dial, event_type: str, transaction: str | None) -> None:
    """TRANSACTION_NOT_FOUND; data was sent and is paid for all the same."""
    with serve() as running:
        client, session = meet(running, dial)
        name = begin(client)
        client.send("TRANSACTION_END", {}, transaction=name)
        named = name if transaction == "ended" else transaction
        frame_id, _ = client.send(event_type, {}, "USER", transaction=named)
        error = client.expect("ERROR")
        assert (error["payload"]["code"], error["payload"]["related_id"]) == ("TRANSACTION_NOT_FOUND", frame_id)
        assert error["transaction"] == (named or "null")
        assert session.books("USER").from_client.spent == (0 if event_type.startswith("TRANSACTION") else 1)
        assert session.transactions[0].open is False


def test_an_info_needs_no_transaction(dial: Dial) -> None:
    """It is kept among what was received."""
    with serve() as running:
        client, session = meet(running, dial)
        client.send("INFO", {"a": 1}, "USER", transaction="null")
        client.send("INFO", {"a": 1}, "USER", transaction="t")
        client.send("PING", {})
        client.expect("PONG")
        assert errors(client) == []
        assert [frame.type for frame in session.received] == ["HAI", "INFO", "INFO", "PING"]
        assert [frame.transaction for frame in session.received] == [None, None, "t", None]


# Credit


def test_a_flow_update_belongs_to_a_transaction(dial: Dial) -> None:
    """Outside of one it changes nothing and is answered with TRANSACTION_NOT_FOUND."""
    with serve(policy="on-request") as running:
        client, session = meet(running, dial)
        outside, _ = client.send("FLOW_UPDATE", {"channel": "AGENT", "add_messages": 5})
        error = client.expect("ERROR")["payload"]
        assert (error["code"], error["related_id"]) == ("TRANSACTION_NOT_FOUND", outside)
        assert session.books("AGENT").to_client.granted == 50
        name = begin(client)
        client.send("FLOW_UPDATE", {"channel": "AGENT", "add_messages": 5}, transaction=name)
        answer = client.expect("FLOW_UPDATE")
        assert (answer["payload"], answer["transaction"]) == ({"channel": "AGENT", "add_messages": 5}, name)
        assert session.books("AGENT").to_client.granted == 55


def test_what_the_policy_owes_waits_for_a_transaction(dial: Dial) -> None:
    """It is neither sent nor booked before; an explicit grant is sent at once, in no transaction."""
    with serve(policy=Generous()) as running:
        client, session = meet(running, dial)
        client.send("INFO", {}, "USER")
        client.send("PING", {})
        client.expect("PONG")
        assert [frame["type"] for frame in client.seen] == ["HAI", "PONG"]
        assert session.books("USER").from_client.balance == 9
        running.grant("SIDE", 3)
        assert client.expect("FLOW_UPDATE")["transaction"] == "null"
        name = begin(client)
        grant = client.expect("FLOW_UPDATE")
        assert (grant["payload"]["channel"], grant["payload"]["add_messages"], grant["transaction"]) == ("USER", 1, name)
        assert session.books("USER").from_client.balance == 10


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


def test_a_client_of_another_dialect_may_grant_outside_of_transactions(dial: Dial) -> None:
    """The rule is the transaction dialect's."""
    with serve(dialect="all") as running:
        client = dial(running.url)
        client.greet()
        session = running.wait_for_session(timeout=PATIENCE_S)
        client.send("FLOW_UPDATE", {"channel": "AGENT", "add_messages": 5})
        client.send("PING", {})
        client.expect("PONG")
        assert (errors(client), session.books("AGENT").to_client.granted) == ([], 55)
