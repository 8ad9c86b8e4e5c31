"""A development server that a test steers: what is sent, policies, settings."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address
from typing import Any

import pytest
from support.meeting import TIMEOUT_S, Dial, meet
from support.turnstiles import until

from haip_sync.errors import ConfigError
from haip_sync.testing import (
    ChannelPolicy,
    Credit,
    CreditPolicy,
    DevServer,
    Generous,
    ManualClock,
    Never,
    OnRequest,
    Paced,
    RenewAtHalf,
    Stingy,
)


class Broken(CreditPolicy):
    """A policy of a user's own, with a fault in it."""

    name = "broken"

    def start(self, window: Credit) -> ChannelPolicy:
        """Return a state that cannot count."""
        assert window
        return BrokenChannel()


class BrokenChannel(ChannelPolicy):
    """Fails on the first frame."""

    def after_frame(self, owed: Credit, now: float) -> Credit:
        """Fail."""
        raise ArithmeticError(f"{owed} at {now}")


class Purse:
    """A client's credit on USER: whoever wants to send three frames waits for all of it at once."""

    def __init__(self, client: Any, messages: int, byte_credits: int) -> None:
        self.client = client
        self.messages = messages
        self.byte_credits = byte_credits
        # Guards the two above and the pen; waits for a grant.
        self.changed = threading.Condition()

    def read(self) -> None:
        """Take grants until the connection closes."""
        for text in self.client.socket:
            frame = json.loads(text)
            if frame["type"] == "FLOW_UPDATE":
                with self.changed:
                    self.messages += frame["payload"].get("add_messages", 0)
                    self.byte_credits += frame["payload"].get("add_bytes", 0)
                    self.changed.notify_all()

    def speak(self, name: int, lines: int) -> None:
        """Send so many texts of three frames each."""
        for number in range(lines):
            with self.changed:
                assert self.changed.wait_for(lambda: self.messages >= 3 and self.byte_credits >= 1500, 10)
                size = self.client.say(f"{name}:{number}", message_id=f"{name}-{number}")
                self.messages -= 3
                self.byte_credits -= size


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


# Policies
def test_a_policy_changes_while_a_client_waits(server: DevServer, dial: Dial) -> None:
    """What `never` kept back comes at once; sessions to come have the new policy too."""
    client, session = meet(server, dial)
    client.say("hello")
    session.wait_for(lambda s: s.text_count == 1, what="a text")
    assert server.set_policy(Generous()) == 1
    assert client.expect("FLOW_UPDATE")["payload"]["add_messages"] == 3
    later, _ = meet(server, dial)
    later.say("hello")
    assert later.expect("FLOW_UPDATE")["payload"]["add_messages"] == 1


def test_a_policy_may_be_for_one_channel(server: DevServer, dial: Dial) -> None:
    """The others keep theirs, in sessions to come as well, until a policy for all takes its place."""
    server.set_policy("generous", "FAST")
    client, session = meet(server, dial)
    client.send("TOOL_LIST", {}, "SLOW")
    client.send("TOOL_LIST", {}, "FAST")
    assert client.expect("FLOW_UPDATE")["payload"]["channel"] == "FAST"
    server.set_policy(OnRequest(), session=session)
    client.send("FLOW_UPDATE", {"channel": "FAST", "add_messages": 7})
    assert client.expect("FLOW_UPDATE")["payload"] == {"channel": "FAST", "add_messages": 7}


def test_a_policy_reaches_a_client_whose_hai_is_still_to_come(server: DevServer, dial: Dial) -> None:
    """A connection made under the old policy opens under the new one."""
    client = dial(server.url)
    client.expect("HAI")
    server.set_policy(Generous())
    client.socket.send(client.pen.hai())
    client.send("TOOL_LIST", {}, "USER")
    client.expect("FLOW_UPDATE")


def test_policies_go_by_the_servers_clock(dial: Dial) -> None:
    """On a manual clock a stingy server gives when the clock says so."""
    clock = ManualClock()
    with DevServer(policy=Stingy(60.0), clock=clock, agent=False) as server:
        client, session = meet(server, dial)
        client.say("hello")
        session.wait_for(lambda s: s.text_count == 1, what="a text")
        for balance in (8, 9, 10):
            clock.advance(60.0)
            assert client.expect("FLOW_UPDATE")["payload"]["add_messages"] == 1
            assert session.books("USER").from_client.balance == balance
        assert session.books("USER").from_client.balance_bytes == 1 << 20


def test_a_policy_that_raises_ends_its_session(dial: Dial, caplog: pytest.LogCaptureFixture) -> None:
    """With code 1011 and a line in the log; the server goes on."""
    with DevServer(policy=Broken()) as server:
        client, session = meet(server, dial)
        client.send("TOOL_LIST", {}, "USER")
        assert client.expect_close() == 1011
        session.wait_for(lambda s: s.close_code == 1011, what="the end")
        meet(server, dial)
    assert "a session failed" in caplog.text


def test_a_script_pauses_and_resumes_over_and_over(dial: Dial) -> None:
    """It starts with each session's handshake, and anew when its last pause is over."""
    clock = ManualClock()
    with DevServer(pause_script=[(1.0, "USER", 2.0)], repeat_pauses=True, clock=clock) as server:
        client, session = meet(server, dial)
        for _ in range(3):
            clock.advance(1.0)
            client.expect("PAUSE_CHANNEL")
            assert session.books("USER").paused_by_server
            clock.advance(2.0)
            client.expect("RESUME_CHANNEL")


@pytest.mark.parametrize("policy", [Generous(), RenewAtHalf(0.01), Paced(2000), Stingy(0.002)], ids=lambda p: p.name)
def test_many_threads_of_one_client_never_breach(policy: Any, dial: Dial) -> None:
    """Eight threads that spend only what they hold, through a window of three, agree with the server to the byte."""
    with DevServer(policy=policy, initial_credits=3, initial_credit_bytes=4000, agent=False) as server:
        client, session = meet(server, dial)
        purse = Purse(client, 3, 4000)
        reader = threading.Thread(target=purse.read)
        reader.start()
        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(purse.speak, name, 6) for name in range(8)]:
                done.result(30)
        session.wait_for(lambda s: s.text_count == 48, what="48 texts")
        server.set_policy(Never())
        server.drop(code=1000)
        reader.join(TIMEOUT_S)
        books = session.books("USER").from_client
        assert session.breaches == ()
        assert (books.balance, books.balance_bytes) == (purse.messages, purse.byte_credits)
        lines = [text.text for text in session.texts()]
        for name in range(8):
            mine = [line for line in lines if line.startswith(f"{name}:")]
            assert mine == [f"{name}:{number}" for number in range(6)]


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
