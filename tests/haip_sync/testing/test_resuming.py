"""The server's side of a client that comes back: by hand, over real sockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.turnstiles import until

from haip_sync.testing import DevServer, ManualClock, Missing, Never, Quirks, Session

Dial = Callable[[str], Any]
WAIT_S = 20.0


def come_back(
    server: DevServer, dial: Dial, before: Any, last_rx_seq: int | None, number: int = 2, **hai: Any
) -> tuple[Any, Any]:
    """Cut a client's connection and connect it anew; return the new one and the server's HAI."""
    before.socket.close_socket()
    client = dial(server.url)
    client.pen = before.pen  # the session and its numbers run on
    named = {} if last_rx_seq is None else {"last_rx_seq": str(last_rx_seq)}
    greeting = client.greet(**named, **hai)
    server.wait_for_session(2, timeout=WAIT_S)
    return client, greeting


def first(server: DevServer, dial: Dial, **hai: Any) -> Any:
    """Return a client after its handshake."""
    client = dial(server.url)
    client.greet(**hai)
    server.wait_for_session(timeout=WAIT_S)
    return client


def wait_for_texts(server: DevServer, *texts: str) -> None:
    """Wait until exactly these texts have arrived, over all connections."""
    session = server.sessions[-1]
    session.wait_for(lambda _: len(server.client().texts()) >= len(texts), timeout=WAIT_S, what="the texts")
    assert [text.text for text in server.client().texts()] == list(texts)


def test_a_client_that_comes_back_is_told_what_has_come(dial: Dial) -> None:
    """Our HAI names the client's highest number, and ours run on."""
    with DevServer(agent=False) as server:
        client = first(server, dial)
        client.say("hello")
        wait_for_texts(server, "hello")
        client, greeting = come_back(server, dial, client, 1)
        assert greeting["payload"]["last_rx_seq"] == "5", "HAI, three frames, and the new HAI"
        assert greeting["seq"] == "2"
        assert server.sessions[1].resumed
        assert not server.sessions[0].resumed


def test_a_text_may_begin_on_one_connection_and_end_on_another(dial: Dial) -> None:
    """What the client says again is read once, whatever of it had come."""
    with DevServer(agent=False) as server:
        client = first(server, dial)
        frames = client.pen.text("one text")
        client.socket.send(frames[0])
        server.sessions[0].wait_for(lambda s: s.received_count == 2, timeout=WAIT_S)
        client, _ = come_back(server, dial, client, 1)
        for frame in frames:
            client.socket.send(frame)
        wait_for_texts(server, "one text")
        history = server.client()
        assert (history.duplicates, history.lost) == (1, ())
        assert sum(session.books("USER").from_client.spent for session in history.connections) == 3
        assert [frame.type for frame in history.received].count("MESSAGE_START") == 1


def test_what_the_client_says_again_is_no_breach(dial: Dial) -> None:
    """It takes of the new credit what there is; what is new needs credit, as ever."""
    with DevServer(agent=False, initial_credits=2, policy=Never()) as server:
        client = first(server, dial)
        server.grant("USER", 5)
        lost = [client.pen.frame("TOOL_LIST", {}, "USER")[1] for _ in range(4)]
        client, _ = come_back(server, dial, client, 1)
        for frame in lost:
            client.socket.send(frame)
        client.send("TOOL_LIST", {}, "USER")
        assert client.expect("ERROR")["payload"]["code"] == "FLOW_CONTROL_VIOLATION"
        books = server.sessions[1].books("USER")
        assert (books.from_client.spent, books.from_client.balance, books.breaches) == (2, 0, 1)
        assert [frame.type for frame in server.sessions[1].received] == ["HAI", *["TOOL_LIST"] * 4]


def test_what_the_client_lacks_is_said_again_within_its_credit(dial: Dial) -> None:
    """Same id and number, before anything new, and no more than the client's new HAI grants; holes are filled with PONG."""
    with DevServer(agent=False, initial_credits=50) as server:
        client = first(server, dial)
        client.send("PING", {})
        seen = [client.next()]
        server.send_text("AGENT", "lost")
        seen += [client.next() for _ in range(3)]
        client, greeting = come_back(
            server, dial, client, 1, capabilities={"flow_control": {"initial_credit_messages": 2, "initial_credit_bytes": 10_000}}
        )
        again = [client.next() for _ in range(3)]
        assert [frame["type"] for frame in again] == ["PONG", "MESSAGE_START", "MESSAGE_PART"]
        assert [(frame["seq"], frame["type"]) for frame in again] == [(frame["seq"], frame["type"]) for frame in seen[:3]]
        assert [frame["id"] for frame in again[1:]] == [frame["id"] for frame in seen[1:3]]
        assert greeting["seq"] == "6"
        server.send_text("USER", "new")
        client.send("PING", {})
        assert client.next()["type"] == "PONG", "END still waits for credit, and all that is new behind it"
        client.send("FLOW_UPDATE", {"channel": "AGENT", "add_messages": 1})
        assert client.expect("MESSAGE_END")["id"] == seen[3]["id"]
        assert client.next()["channel"] == "USER"
        assert server.sessions[1].books("AGENT").to_client.spent == 3


def test_what_we_had_not_said_yet_follows_on_the_next_connection(dial: Dial) -> None:
    """A text that stood still for want of credit goes on, with the same message id."""
    with DevServer(agent=False) as server:
        little = {"flow_control": {"initial_credit_messages": 1, "initial_credit_bytes": 10_000}}
        client = first(server, dial, capabilities=little)
        server.send_text("AGENT", "slowly")
        start = client.expect("MESSAGE_START")
        client, _ = come_back(server, dial, client, int(start["seq"]))
        part, end = client.expect("MESSAGE_PART"), client.expect("MESSAGE_END")
        assert part["payload"] == {"message_id": start["payload"]["message_id"], "text": "slowly"}
        assert int(end["seq"]) == int(part["seq"]) + 1


@pytest.mark.parametrize("settings", [{"resumes": False}, {"resume_lifetime": 5.0}, {"quirks": Quirks(hai="before_client")}])
def test_a_resume_can_fail(dial: Dial, settings: dict[str, Any]) -> None:
    """A server that does not resume, has waited too long, or has spoken too early says RESUME_FAILED and begins anew."""
    clock = ManualClock()
    with DevServer(agent=False, clock=clock, **settings) as server:
        client = first(server, dial)
        client.socket.close()
        server.sessions[0].wait_for(lambda s: not s.connected, timeout=WAIT_S)
        clock.advance(6.0)
        client, greeting = come_back(server, dial, client, 1)
        assert "last_rx_seq" not in greeting["payload"]
        assert greeting["seq"] == "1"
        assert client.expect("ERROR")["payload"]["code"] == "RESUME_FAILED"
        assert not server.sessions[1].resumed


def test_what_is_not_kept_any_more_is_too_old(dial: Dial) -> None:
    """Our HAI still says what we have of the client; what it lacks of ours is gone."""
    with DevServer(agent=False, replay_frames=2) as server:
        client = first(server, dial)
        for _ in range(4):
            client.send("PING", {})
            client.expect("PONG")
        client, greeting = come_back(server, dial, client, 1)
        assert greeting["payload"]["last_rx_seq"] == "6"
        assert client.expect("ERROR")["payload"]["code"] == "REPLAY_TOO_OLD"


def test_a_client_that_names_nothing_begins_anew(dial: Dial) -> None:
    """The same session id alone resumes nothing."""
    with DevServer(agent=False) as server:
        _, greeting = come_back(server, dial, first(server, dial), None)
        assert "last_rx_seq" not in greeting["payload"]
        assert (greeting["seq"], greeting["ack"]) == ("1", "2")


def test_a_server_that_may_resume_does_not_wait_for_ever(dial: Dial) -> None:
    """A client that says nothing is greeted all the same, a moment later."""
    clock = ManualClock()
    with DevServer(agent=False, clock=clock) as server:
        first(server, dial)
        mute = dial(server.url)
        until(lambda: sum(core.read(lambda talk: talk.due() is not None) for core in server._sessions.connected()) == 1)
        clock.advance(0.2)
        assert mute.next()["type"] == "HAI"


def test_the_server_asks_for_what_is_missing(dial: Dial) -> None:
    """After half a second with REPLAY_REQUEST; what is not sent then is lost, and the rest is read."""
    clock = ManualClock()
    with DevServer(agent=False, policy=Never(), clock=clock) as server:
        client = first(server, dial)
        client.pen.frame("TOOL_LIST", {}, "USER")  # takes a number, and never leaves
        client.say("after the gap")
        session = server.sessions[0]
        session.wait_for(lambda _: _due(session), timeout=WAIT_S)
        clock.advance(0.5)
        assert client.expect("REPLAY_REQUEST")["payload"] == {"from_seq": "2", "to_seq": "2"}
        assert session.text_count == 0
        clock.advance(0.5)
        session.wait_for(lambda s: s.text_count == 1, timeout=WAIT_S)
        assert session.lost == (Missing(2, 2),)


def _due(session: Session) -> bool:
    return session._core.read(lambda conversation: len(conversation.sequence._early) == 3)


def test_how_long_the_server_waits_for_a_resuming_client_can_be_said(dial: Dial) -> None:
    """Over a slow line the client's HAI may take longer than the moment that is the default."""
    clock = ManualClock()
    with DevServer(agent=False, clock=clock, resume_wait=30.0) as server:
        first(server, dial)
        mute = dial(server.url)
        until(lambda: sum(core.read(lambda talk: talk.due() is not None) for core in server._sessions.connected()) == 1)
        clock.advance(29.0)
        assert any(core.read(lambda talk: not talk.voice.greeted) for core in server._sessions.connected())
        clock.advance(1.0)
        assert mute.next()["type"] == "HAI"
