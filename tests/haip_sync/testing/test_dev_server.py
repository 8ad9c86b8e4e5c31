"""The server over real sockets: sessions, books, grants, pauses, ends."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from ipaddress import IPv4Address
from typing import Any

import pytest
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
    Session,
    Stingy,
)

TIMEOUT_S = 5.0
WORD = "s3cret"
Dial = Callable[[str], Any]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """Every test must leave as many threads as it found."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before and "raw" not in thread.name]
    deadline = time.monotonic() + TIMEOUT_S
    for thread in left:
        # A raw client's reader ends a moment after its socket; the server's threads are over already.
        thread.join(max(0.0, deadline - time.monotonic()))
        assert not thread.is_alive()


@pytest.fixture
def server() -> Iterator[DevServer]:
    """Return a server that grants nothing by itself and answers nothing."""
    with DevServer(policy=Never(), agent=False) as server:
        yield server


def meet(server: DevServer, dial: Dial, **hai: Any) -> tuple[Any, Session]:
    """Connect a client; return it with its session."""
    number = len(server.sessions) + 1
    client = dial(server.url)
    client.greet(**hai)
    return client, server.wait_for_session(number)


# Life


def test_a_server_has_an_address_while_it_runs() -> None:
    """Port 0 becomes a real one, starting again changes nothing, and stopping twice is no error."""
    server = DevServer()
    with pytest.raises(RuntimeError):
        _ = server.url
    assert server.start() is server.start()
    assert server.url == f"ws://127.0.0.1:{server.port}/"
    assert str(server.port) in repr(server)
    server.stop()
    server.stop()
    with pytest.raises(RuntimeError):
        server.start()


def test_a_server_that_never_started_can_be_stopped() -> None:
    """Then there is nothing to end."""
    DevServer().stop()


def test_stopping_closes_every_session(dial: Dial) -> None:
    """Clients see code 1001, the sessions stay readable."""
    with DevServer() as server:
        client, session = meet(server, dial)
        other = dial(server.url)
        other.expect("HAI")
    assert client.expect_close() == 1001
    assert other.expect_close() == 1001
    assert (session.connected, session.close_code) == (False, 1001)
    assert server.sessions == (session,)
    assert server.grant("USER", 1) == 0


def test_stopping_takes_no_longer_for_clients_that_do_not_read() -> None:
    """A full socket, a mute handshake and a client that ignores the close: the end is bounded all the same."""
    with DevServer(policy=Never(), agent=False) as server:
        mute = socket.create_connection(("127.0.0.1", server.port))
        deaf = socket.create_connection(("127.0.0.1", server.port))
        deaf.sendall(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        deaf.sendall(masked(json.dumps(hai_of_a_deaf_client())))
        session = server.wait_for_session()
        for _ in range(40):
            server.send_raw("x" * 1_000_000, session=session)
        began = time.monotonic()
    assert time.monotonic() - began < 4.0
    mute.close()
    deaf.close()


def test_a_client_that_leaves_too_much_unread_is_dropped() -> None:
    """Memory stays bounded, and nobody else notices."""
    with DevServer(policy=Never(), agent=False) as server, socket.create_connection(("127.0.0.1", server.port)) as deaf:
        deaf.sendall(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        deaf.sendall(masked(json.dumps(hai_of_a_deaf_client())))
        session = server.wait_for_session()
        for _ in range(150):
            server.send_raw("x" * 1_000_000, session=session)
        session.wait_for(lambda s: not s.connected, what="the end")
        assert session.close_code == 1006


def hai_of_a_deaf_client() -> dict[str, Any]:
    """Return a HAI that accepts nothing."""
    payload = {"haip_version": "1.1.2", "accept_major": [1], "accept_events": []}
    ids = {"id": "00000000-0000-4000-8000-000000000001", "session": "00000000-0000-4000-8000-000000000002"}
    return {**ids, "seq": "1", "ts": "1", "channel": "SYSTEM", "type": "HAI", "payload": payload, "pv": 1}


def masked(text: str) -> bytes:
    """Return a WebSocket text frame with the mask 0, for a client without a library that would read."""
    data = text.encode()
    return b"\x81\xfe" + len(data).to_bytes(2, "big") + bytes(4) + data


def test_a_port_that_is_taken_cannot_be_had(server: DevServer) -> None:
    """`start` raises what the operating system says, and nothing is left behind."""
    with pytest.raises(OSError, match="in use"):
        DevServer(port=server.port).start()


def test_several_sessions_have_books_of_their_own(server: DevServer, dial: Dial) -> None:
    """What one client spends, and what it is granted, is nothing to another."""
    first, one = meet(server, dial)
    second, two = meet(server, dial)
    first.say("hello")
    server.grant("USER", 2, session=two)
    second.expect("FLOW_UPDATE")
    one.wait_for(lambda s: s.text_count == 1, what="a text")
    assert (one.books("USER").from_client.balance, two.books("USER").from_client.balance) == (7, 12)
    assert one.id == first.pen.session != two.id == second.pen.session
    assert server.sessions == (one, two)


def test_a_port_scanner_is_met_in_silence(
    server: DevServer, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Rubbish, and plain HTTP, leave no stack trace in any log and harm nothing."""
    with caplog.at_level(logging.DEBUG):
        with socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S) as scanner:
            scanner.sendall(b"\x16\x03\x01\x00\xff rubbish\r\n\r\n")
            scanner.settimeout(TIMEOUT_S)
            assert read_to_end(scanner)[:4] in {b"", b"HTTP"}
        browser = HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_S)
        browser.request("GET", "/")
        assert browser.getresponse().status == 426
        browser.close()
    server.stop()
    assert "Traceback" not in caplog.text
    assert capfd.readouterr() == ("", "")


def read_to_end(connection: socket.socket) -> bytes:
    """Return all that the other side sends until it closes."""
    chunks = []
    while chunk := connection.recv(4096):
        chunks.append(chunk)
    return b"".join(chunks)


# Who may come in


@pytest.mark.parametrize("query", ["", "?token=wrong", "?token="])
def test_a_wrong_token_is_closed_with_1008(dial: Dial, query: str) -> None:
    """The WebSocket opens, nothing is sent, not even a HAI, and the connection never becomes a session."""
    with DevServer(token=WORD) as server:
        client = dial(server.url + query)
        assert client.expect_close() == 1008
        assert client.seen == []
        refusal = server.wait_for_refusal()
        assert (refusal.close_code, server.sessions, server.refusals) == (1008, (), (refusal,))


def test_the_right_token_comes_in_and_shows_nowhere(dial: Dial, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the URL nor any repr or log line carries it, even with every logger at DEBUG."""
    with caplog.at_level(logging.DEBUG), DevServer(token=WORD) as server:
        client = dial(f"{server.url}some/path?token={WORD}")
        client.greet()
        session = server.wait_for_session()
        shown = server.url + repr(server) + repr(session) + repr(vars(server))
    own = "".join(record.getMessage() for record in caplog.records if record.name.startswith("haip_sync"))
    assert WORD not in shown + own


def test_a_client_without_a_common_version_is_refused(server: DevServer, dial: Dial) -> None:
    """ERROR comes first, then the close."""
    client = dial(server.url)
    client.greet(accept_major=[9])
    assert client.expect_close() == 1002
    assert client.seen[-1]["payload"]["code"] == "VERSION_INCOMPATIBLE"
    assert server.wait_for_refusal().close_code == 1002


def test_a_client_that_leaves_before_its_hai_is_noted(server: DevServer, dial: Dial) -> None:
    """It never was a session."""
    dial(server.url).socket.close()
    assert server.wait_for_refusal().close_code is None
    assert server.sessions == ()


# What a session shows


def test_a_session_shows_what_it_received(server: DevServer, dial: Dial) -> None:
    """Frames with their costs, texts by channel, and both sides' ids."""
    client, session = meet(server, dial)
    size = client.say("hello")
    client.say("psst", "SIDE")
    session.wait_for(lambda s: s.text_count == 2, what="two texts")
    assert [text.text for text in session.texts()] == ["hello", "psst"]
    assert [text.text for text in session.texts("SIDE")] == ["psst"]
    assert [frame.type for frame in session.received][:3] == ["HAI", "MESSAGE_START", "MESSAGE_PART"]
    assert sum(frame.cost_bytes for frame in session.received if frame.channel == "USER") == size
    assert session.books("USER").from_client.spent_bytes == size
    assert session.channels == ("USER", "SIDE")
    assert (session.received_count, session.received_dropped, session.out_of_order) == (7, 0, 0)
    assert session.server_id == client.seen[0]["session"] != session.id
    assert (session.connected, session.close_code, session.breaches) == (True, None, ())


def test_a_breach_is_answered_and_shown(dial: Dial) -> None:
    """FLOW_CONTROL_VIOLATION names the frame, the books count it."""
    with DevServer(policy=Never(), initial_credits=0) as server:
        client, session = meet(server, dial)
        frame_id, size = client.send("TOOL_LIST", {}, "USER")
        error = client.expect("ERROR")["payload"]
        assert (error["code"], error["related_id"]) == ("FLOW_CONTROL_VIOLATION", frame_id)
        assert (session.books("USER").breaches, session.books("USER").breach_bytes) == (1, size)
        assert session.breaches[0].id == frame_id
        assert "1 breaches" in repr(session)


def test_waiting_for_a_session_ends_in_time(server: DevServer) -> None:
    """The error says what was waited for and what there is."""
    with pytest.raises(TimeoutError, match=r"session number 1.*0 opened"):
        server.wait_for_session(timeout=0.01)


def test_waiting_on_a_session_ends_in_time(server: DevServer, dial: Dial) -> None:
    """The error names the condition and how far the session came."""
    _, session = meet(server, dial)
    with pytest.raises(TimeoutError, match=r"ten texts in vain.*1 frames, 0 texts"):
        session.wait_for(lambda s: s.text_count == 10, timeout=0.01, what="ten texts")


def test_waiting_on_a_session_ends_with_it(server: DevServer, dial: Dial) -> None:
    """What can no longer happen is not waited for."""
    _, session = meet(server, dial)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(session.wait_for, lambda s: s.text_count == 10, None)
        server.drop(session=session)
        with pytest.raises(TimeoutError):
            waiting.result(TIMEOUT_S)


def test_stopping_wakes_who_waits_for_a_session() -> None:
    """It will not come any more."""
    server = DevServer().start()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(server.wait_for_session, timeout=None)
        server.stop()
        with pytest.raises(TimeoutError, match="has stopped"):
            waiting.result(TIMEOUT_S)


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
        until(lambda: server.sessions == (first, latest) and not latest.connected)
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
