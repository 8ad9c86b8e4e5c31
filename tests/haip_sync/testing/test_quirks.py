"""Servers that differ from the specification, over real sockets: each quirk of its own, and those that go together."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from haip_sync import FlowControlConfig, HAIPClient
from haip_sync.errors import ConfigError
from haip_sync.testing import DevServer, Generous, ManualClock, Never, Quirks, Session

PATIENCE_S = 20.0
Dial = Callable[[str], Any]


def server(quirks: Quirks, **options: Any) -> DevServer:
    """Return a server with these quirks that says nothing by itself."""
    return DevServer(quirks=quirks, **({"policy": Never(), "agent": False} | options))


def meet(running: DevServer, dial: Dial, **hai: Any) -> tuple[Any, Session]:
    """Connect a client; return it with its session."""
    client = dial(running.url)
    client.greet(**hai)
    return client, running.wait_for_session(timeout=PATIENCE_S)


# seq


def test_seq_may_be_no_number(dial: Dial) -> None:
    """A time in ms with nine letters behind it, another one on each frame."""
    with server(Quirks(seq="not_decimal")) as running:
        client, _ = meet(running, dial)
        for _ in range(3):
            client.send("PING", {})
            client.expect("PONG")
        assert all(re.fullmatch(r"\d{13}[a-z]{9}", frame["seq"]) for frame in client.seen)
        assert len({frame["seq"] for frame in client.seen}) == 4


def test_a_seq_may_come_twice(dial: Dial) -> None:
    """Each number is on two frames, and the two have ids of their own."""
    with server(Quirks(seq="repeated")) as running:
        client, _ = meet(running, dial)
        for _ in range(3):
            client.send("PING", {})
            client.expect("PONG")
        assert [frame["seq"] for frame in client.seen] == ["1", "1", "2", "2"]
        assert len({frame["id"] for frame in client.seen}) == 4


# Whose frames


def test_a_data_frame_comes_back_as_it_went(dial: Dial) -> None:
    """The client's own id, session and seq, to the byte, binary part included; it is paid for from the client's grant."""
    with server(Quirks(echoes=True)) as running:
        client, session = meet(running, dial)
        frame_id, text = client.pen.frame("TOOL_LIST", {"a": 1}, "USER")
        client.socket.send(text)
        assert client.socket.recv(PATIENCE_S) == text
        assert json.loads(text)["session"] == client.pen.session
        assert json.loads(text)["id"] == frame_id
        _, audio = client.pen.frame("AUDIO_CHUNK", {"message_id": "a", "mime": "x"}, "AUDIO_IN", bin_len=3)
        client.socket.send(audio)
        client.socket.send(b"123")
        assert [client.socket.recv(PATIENCE_S), client.socket.recv(PATIENCE_S)] == [audio, b"123"]
        tally = session.books("USER").to_client
        assert (tally.spent, tally.spent_bytes) == (1, len(text.encode()))
        assert session.books("AUDIO_IN").to_client.spent_bytes == 3


def test_neither_a_control_frame_nor_a_refused_one_comes_back(dial: Dial) -> None:
    """The echo is of what was taken."""
    with server(Quirks(echoes=True), initial_credits=0) as running:
        client, _ = meet(running, dial)
        client.send("TOOL_LIST", {}, "USER")
        client.send("PING", {})
        assert [client.next()["type"], client.next()["type"]] == ["ERROR", "PONG"]


def test_frames_may_carry_the_clients_session(dial: Dial) -> None:
    """From the client's HAI on; the HAI that leaves before it has no choice."""
    with server(Quirks(session_in_frames="client")) as running:
        client, session = meet(running, dial)
        client.send("PING", {})
        assert client.expect("PONG")["session"] == client.pen.session == session.id
        assert client.seen[0]["session"] == session.server_id != session.id


# HAI


def test_the_hai_may_answer_the_clients(dial: Dial) -> None:
    """Nothing comes before ours has gone; the session id is known by then."""
    with server(Quirks(hai="after_client", session_in_frames="client")) as running:
        client = dial(running.url)
        with pytest.raises(TimeoutError):
            client.socket.recv(0.05)
        assert client.greet()["session"] == client.pen.session
        assert client.seen[0]["seq"] == "1"
        assert client.seen[0]["ack"] == "1"


def test_a_hai_that_answers_needs_a_good_one(dial: Dial) -> None:
    """Who does not begin with HAI gets an ERROR and the end, and never a HAI."""
    with server(Quirks(hai="after_client")) as running:
        client = dial(running.url)
        client.send("PING", {})
        assert client.expect_close() == 1002
        assert [frame["type"] for frame in client.seen] == ["ERROR"]


def test_the_hai_may_come_late(dial: Dial) -> None:
    """By the server's clock; what the client sent meanwhile is read afterwards, in order."""
    clock = ManualClock()
    with server(Quirks(hai="late", hai_delay=5.0), clock=clock) as running:
        client = dial(running.url)
        client.socket.send(client.pen.hai())
        client.send("PING", {"nonce": "early"})
        with pytest.raises(TimeoutError):
            client.socket.recv(0.05)
        assert running.sessions == ()
        clock.advance(5.0)
        assert [client.next()["type"], client.next()["payload"]] == ["HAI", {"nonce": "early"}]
        assert running.wait_for_session(timeout=PATIENCE_S).id == client.pen.session
        client.send("PING", {"nonce": "then"})
        assert client.expect("PONG")["payload"] == {"nonce": "then"}


def test_too_much_before_a_late_hai_ends_the_connection(dial: Dial) -> None:
    """What is held back is bounded."""
    with server(Quirks(hai="late"), clock=ManualClock()) as running:
        client = dial(running.url)
        for _ in range(1001):
            client.send("PING", {})
        assert client.expect_close() == 1002


# What nobody knows


def test_what_nobody_knows_comes_now_and_then(dial: Dial) -> None:
    """After every third data frame: an unknown type, an unknown member, and one that is critical; then anew."""
    with server(Quirks(unknown_types=True), policy=Generous()) as running:
        client, session = meet(running, dial)
        for _ in range(12):
            client.send("TOOL_LIST", {}, "USER")
        client.send("PING", {"nonce": "end"})
        client.expect("PONG")
        odd = [frame for frame in client.seen if frame["type"] in ("TELEPATHY", "PING")]
        assert [frame["type"] for frame in odd] == ["TELEPATHY", "PING", "PING", "TELEPATHY"]
        assert [frame.get("colour") for frame in odd] == [None, "blue", "red", None]
        assert [frame.get("crit") for frame in odd] == [None, None, True, None]
        assert session.books("USER").to_client.spent == 2
        assert session.books("SYSTEM").to_client.spent == 0


def test_an_unknown_type_keeps_within_credit(dial: Dial) -> None:
    """Without credit for it, it is left out."""
    flow = {"flow_control": {"initial_credit_messages": 0, "initial_credit_bytes": 0}}
    with server(Quirks(unknown_types=True)) as running:
        client, _ = meet(running, dial, capabilities=flow)
        for _ in range(3):
            client.send("TOOL_LIST", {}, "USER")
        client.send("PING", {})
        assert client.next()["type"] == "PONG"


# Credit


@pytest.mark.parametrize("is_named", [True, False])
def test_a_refusal_may_have_another_code_and_no_name(dial: Dial, *, is_named: bool) -> None:
    """The frame is dropped and booked as a breach either way."""
    quirks = Quirks(refusal="INSUFFICIENT_CREDITS", names_related_id=is_named)
    with server(quirks, initial_credits=0) as running:
        client, session = meet(running, dial)
        frame_id, _ = client.send("TOOL_LIST", {}, "USER")
        payload = client.expect("ERROR")["payload"]
        assert payload["code"] == "INSUFFICIENT_CREDITS"
        assert payload.get("related_id") == (frame_id if is_named else None)
        assert session.breaches[0].id == frame_id


@pytest.mark.parametrize("is_announced", [True, False])
@pytest.mark.parametrize("reading", ["accepted", "unsupported"])
def test_a_flow_update_may_be_unsupported_whatever_the_hai_says(dial: Dial, reading: Any, *, is_announced: bool) -> None:
    """What is announced and what is done are two options."""
    with server(Quirks(flow_update=reading, announces_flow_update=is_announced)) as running:
        client, session = meet(running, dial)
        assert ("FLOW_UPDATE" in client.seen[0]["payload"]["accept_events"]) == is_announced
        update, _ = client.send("FLOW_UPDATE", {"channel": "AGENT", "add_messages": 3})
        client.send("PING", {})
        answer = client.next()
        granted = session.books("AGENT").to_client.granted
        if reading == "accepted":
            assert (answer["type"], granted) == ("PONG", 53)
        else:
            assert (answer["payload"]["code"], answer["payload"]["related_id"]) == ("UNSUPPORTED_TYPE", update)
            assert granted == 50


def test_quirks_may_set_the_policy_and_the_count(dial: Dial) -> None:
    """Every frame is debited and nothing comes back; a policy that is given goes before the quirk."""
    quirks = Quirks(debits_every_frame=True, never_grants=True)
    with DevServer(quirks=quirks, agent=False) as running:
        client, session = meet(running, dial)
        client.send("PING", {})
        client.send("TOOL_LIST", {}, "SYSTEM")
        client.send("PING", {})
        for _ in range(2):
            client.expect("PONG")
        assert session.books("SYSTEM").from_client.balance == 7
        assert {frame["type"] for frame in client.seen} == {"HAI", "PONG"}
    with DevServer(quirks=quirks, policy="generous", agent=False) as running:
        client, _ = meet(running, dial)
        client.send("TOOL_LIST", {}, "USER")
        client.expect("FLOW_UPDATE")


# Together


def test_a_published_server(dial: Dial) -> None:
    """No decimal seq, INSUFFICIENT_CREDITS without a name, no FLOW_UPDATE, every frame debited, nothing granted."""
    with DevServer(quirks=Quirks.published(), initial_credits=2, agent=False) as running:
        client, session = meet(running, dial)
        assert not client.seen[0]["seq"].isdecimal()
        client.send("FLOW_UPDATE", {"channel": "USER", "add_messages": 5})
        assert client.expect("ERROR")["payload"]["code"] == "UNSUPPORTED_TYPE"
        for _ in range(3):
            client.send("TOOL_LIST", {}, "USER")
        payload = client.expect("ERROR")["payload"]
        assert (payload["code"], "related_id" in payload) == ("INSUFFICIENT_CREDITS", False)
        assert session.books("SYSTEM").from_client.balance == 1


def test_the_client_keeps_its_books_with_a_published_server() -> None:
    """It sends what it was granted, is refused nothing, and both sides' books agree on USER and on SYSTEM."""
    config = FlowControlConfig(count_control_frames=True)
    quirks = dataclasses.replace(Quirks.published(), echoes=True, unknown_types=True)
    with (
        DevServer(quirks=quirks, initial_credits=9, agent=False) as running,
        HAIPClient(running.url, flow_control=config) as client,
    ):
        for number in range(3):
            client.send_text_message("USER", f"line {number}", timeout=PATIENCE_S)
        session = running.wait_for_session()
        session.wait_for(lambda s: s.text_count == 3, timeout=PATIENCE_S)
        state = client.connection_state().channels["USER"]
        tally = session.books("USER").from_client
        assert (state.credits, state.byte_credits) == (tally.balance, tally.balance_bytes)
        assert tally.balance == 0
        assert session.breaches == ()


@pytest.mark.parametrize(
    "options",
    [
        {"seq": "roman"},
        {"echoes": 1},
        {"hai": "never"},
        {"hai_delay": -1.0},
        {"session_in_frames": "nobody"},
        {"unknown_types": None},
        {"refusal": "NO"},
        {"flow_update": True},
    ],
)
def test_a_wrong_quirk_is_refused(options: dict[str, Any]) -> None:
    """`ConfigError` names it."""
    with pytest.raises(ConfigError, match=f"quirks.{next(iter(options))}"):
        Quirks(**options)


def test_quirks_must_be_quirks() -> None:
    """A mapping is none."""
    with pytest.raises(ConfigError, match="quirks"):
        DevServer(quirks={"seq": "decimal"})  # type: ignore[arg-type]
