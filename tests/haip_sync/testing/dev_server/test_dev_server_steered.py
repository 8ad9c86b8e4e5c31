"""A development server that a test steers: what is granted, sent, paused and dropped, and settings that are refused."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

import pytest
from support.meeting import TIMEOUT_S, Dial, meet
from support.turnstiles import until

from haip_sync.errors import ConfigError
from haip_sync.testing import DevServer


# What the server does on request
def test_a_grant_reaches_every_live_session(server: DevServer, dial: Dial) -> None:
    """It says how many it reached."""
    clients = [meet(server, dial)[0] for _ in range(2)]
    assert server.grant("USER", 3, 30) == 2
    for client in clients:
        assert client.expect("FLOW_UPDATE")["payload"] == {"channel": "USER", "add_messages": 3, "add_bytes": 30}


def test_pause_and_resume_reach_the_client(server: DevServer, dial: Dial) -> None:
    """The books show the flag in between."""
    client, session = meet(server, dial)
    server.pause("USER")
    assert client.expect("PAUSE_CHANNEL")["payload"] == {"channel": "USER"}
    assert session.books("USER").paused_by_server
    server.resume("USER")
    client.expect("RESUME_CHANNEL")
    assert not session.books("USER").paused_by_server


def test_a_drop_is_abrupt(server: DevServer, dial: Dial) -> None:
    """No close frame comes; the session is over, the server is not."""
    client, session = meet(server, dial)
    assert server.drop() == 1
    assert client.expect_close() is None
    session.wait_for(lambda s: not s.connected, what="the end")
    assert session.close_code == 1006
    assert server.drop() == 0
    meet(server, dial)


def test_a_drop_with_a_code_says_goodbye(server: DevServer, dial: Dial) -> None:
    """What was sent before it arrives before it."""
    client, session = meet(server, dial)
    server.send_text("AGENT", "last words", session=session)
    server.drop(session=session, code=4321)
    assert client.expect_close() == 4321
    assert client.seen[-1]["type"] == "MESSAGE_END"
    session.wait_for(lambda s: s.close_code == 4321, what="the code")


def test_a_client_that_comes_back_opens_another_session(server: DevServer, dial: Dial) -> None:
    """Under the same id, with fresh books, while the old one stays readable."""
    client, first = meet(server, dial)
    client.say("hello")
    first.wait_for(lambda s: s.text_count == 1, what="a text")
    server.drop()
    again = dial(server.url)
    again.pen = client.pen
    again.greet()
    second = server.wait_for_session(2)
    assert (second.id, second.out_of_order) == (first.id, 0)
    assert (first.books("USER").from_client.spent, second.books("USER").from_client.spent) == (3, 0)


def test_the_oldest_sessions_that_are_over_are_forgotten(dial: Dial) -> None:
    """Of more sessions than are kept, those that stand and the latest that are over are left."""
    with DevServer(keep_sessions=2) as server:
        standing = dial(server.url)
        standing.greet()
        first = server.wait_for_session(1)
        for number in range(2, 5):
            client = dial(server.url)
            client.greet()
            latest = server.wait_for_session(number)
            client.socket.close_socket()
            until(lambda over=latest: not over.connected)  # in order: the one that ends last may not be the latest otherwise
        until(lambda: server.sessions == (first, latest))
        assert first.connected


def test_anything_can_be_sent(server: DevServer, dial: Dial) -> None:
    """Raw data goes out as it is; a frame is well-formed, in sequence, with its binary behind it."""
    client, session = meet(server, dial)
    server.send_raw("rubbish", session=session)
    server.send_raw(b"\x00\x01")
    server.send_frame("AUDIO_CHUNK", {"message_id": "a", "mime": "x"}, "AUDIO_OUT", binary=b"123")
    assert client.socket.recv(TIMEOUT_S) == "rubbish"
    assert client.socket.recv(TIMEOUT_S) == b"\x00\x01"
    audio = client.next()
    assert (audio["type"], audio["seq"], audio["bin_len"]) == ("AUDIO_CHUNK", "2", 3)
    assert client.socket.recv(TIMEOUT_S) == b"123"
    assert session.books("AUDIO_OUT").to_client.spent_bytes == 3


def test_a_text_of_the_servers_keeps_within_the_clients_credit(server: DevServer, dial: Dial) -> None:
    """It waits for the grant and is shown as waiting."""
    flow = {"flow_control": {"initial_credit_messages": 2, "initial_credit_bytes": 50_000}}
    client, session = meet(server, dial, capabilities=flow)
    server.send_text("AGENT", "hello", "me")
    assert client.expect("MESSAGE_START")["payload"]["author"] == "me"
    client.expect("MESSAGE_PART")
    assert session.pending_texts("AGENT") == 1
    client.send("FLOW_UPDATE", {"channel": "AGENT", "add_messages": 1})
    client.expect("MESSAGE_END")
    assert (session.pending_texts("AGENT"), session.texts_dropped) == (0, 0)
    assert session.books("AGENT").to_client.balance == 0


def test_the_agent_answers_over_the_wire(dial: Dial) -> None:
    """A text in the dialect `text` is answered in it."""
    with DevServer(dialect="text") as server:
        accept = ["HAI", "ERROR", "FLOW_UPDATE", "TEXT_MESSAGE_START", "TEXT_MESSAGE_PART", "TEXT_MESSAGE_END"]
        client, _ = meet(server, dial, accept_events=accept)
        client.say("hello", types=("TEXT_MESSAGE_START", "TEXT_MESSAGE_PART", "TEXT_MESSAGE_END"))
        assert client.expect("TEXT_MESSAGE_PART")["payload"]["text"] == "You said: hello"


def test_one_dialect_refuses_the_other(dial: Dial) -> None:
    """A server of the dialect `message` accepts no TEXT_MESSAGE_START."""
    with DevServer(dialect="message") as server:
        client, _ = meet(server, dial)
        client.send("TEXT_MESSAGE_START", {"message_id": "m"}, "USER")
        assert client.expect("ERROR")["payload"]["code"] == "UNSUPPORTED_TYPE"


def test_accepted_types_may_be_narrowed(dial: Dial) -> None:
    """For clients that must cope with a server that accepts no PAUSE_CHANNEL."""
    with DevServer(accept_events=["HAI", "MESSAGE_START"]) as server:
        client = dial(server.url)
        assert client.greet()["payload"]["accept_events"] == ["HAI", "MESSAGE_START"]


# Arguments
@pytest.mark.parametrize(
    "settings",
    [
        {"port": -1},
        {"port": 70_000},
        {"dialect": "klingon"},
        {"policy": "kind"},
        {"initial_credits": -1},
        {"initial_credit_bytes": None},
        {"token": ""},
        {"ssl_context": True},
        {"ssl_context": ssl.create_default_context()},
        {"agent": "yes"},
        {"pause_script": [(1, "USER")]},
        {"repeat_pauses": 1},
        {"keep_received": 0},
        {"keep_sessions": 0},
        {"credit_unit": "letter"},
        {"count_control_frames": 1},
    ],
)
def test_a_wrong_setting_is_refused(settings: dict[str, Any]) -> None:
    """`ConfigError`, before anything listens."""
    with pytest.raises(ConfigError):
        DevServer(**settings)


@pytest.mark.parametrize(
    "call",
    [
        lambda server: server.grant("USER"),
        lambda server: server.grant("USER", -1),
        lambda server: server.grant("no spaces", 1),
        lambda server: server.pause(""),
        lambda server: server.resume(None),
        lambda server: server.drop(code=1005),
        lambda server: server.drop(session="mine"),
        lambda server: server.set_policy(None),
        lambda server: server.set_policy("never", "no spaces"),
        lambda server: server.send_text("no spaces", "x"),
        lambda server: server.send_frame("TOOL_LIST", {}, "no spaces"),
        lambda server: server.wait_for_session(0),
        lambda server: server.wait_for_session(timeout=-1),
    ],
)
def test_a_wrong_argument_is_refused(server: DevServer, call: Callable[[DevServer], object]) -> None:
    """`ConfigError`, and nothing happens."""
    with pytest.raises(ConfigError):
        call(server)


@pytest.mark.parametrize(
    "call",
    [
        lambda server: server.send_frame("TOOL_LIST", {"a": object()}, "AGENT"),
        lambda server: server.start_run("r", metadata={"a": object()}),
        lambda server: server.send_text("AGENT", 7),
        lambda server: server.send_text("AGENT", "\ud800"),
    ],
)
def test_what_cannot_be_written_is_refused(server: DevServer, dial: Dial, call: Callable[[DevServer], object]) -> None:
    """`ConfigError`; nothing is sent or queued, and the session goes on."""
    accept = ["HAI", "PONG", "RUN_STARTED", "MESSAGE_START", "MESSAGE_PART", "MESSAGE_END"]
    client, session = meet(server, dial, accept_events=accept)
    with pytest.raises(ConfigError):
        call(server)
    client.send("PING", {})
    assert client.next()["type"] == "PONG"
    assert (session.pending_texts("AGENT"), session.pending_texts("SYSTEM"), session.runs) == (0, 0, ())


@pytest.mark.parametrize(
    ("host", "url"),
    [(str(IPv4Address(0)), "ws://127.0.0.1:"), ("::1", "ws://[::1]:"), ("localhost", "ws://localhost:")],
)
def test_the_url_is_one_that_a_client_can_use(host: str, url: str, dial: Dial) -> None:
    """Who listens everywhere is found on this machine, and IPv6 has its brackets."""
    try:
        server = DevServer(host).start()
    except OSError:
        pytest.skip(f"{host} cannot be had here")
    with server:
        assert server.url.startswith(url)
        dial(server.url).expect("HAI")
