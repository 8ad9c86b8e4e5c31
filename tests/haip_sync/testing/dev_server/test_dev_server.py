"""A development server's life and its sessions: who comes, who is refused, what a test sees."""

from __future__ import annotations

import json
import logging
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

import pytest
from support.meeting import TIMEOUT_S, Dial, meet

from haip_sync.testing import DevServer, Never

WORD = "s3cret"


def hai_of_a_deaf_client() -> dict[str, Any]:
    """Return a HAI that accepts nothing."""
    payload = {"haip_version": "1.1.2", "accept_major": [1], "accept_events": []}
    ids = {"id": "00000000-0000-4000-8000-000000000001", "session": "00000000-0000-4000-8000-000000000002"}
    return {**ids, "seq": "1", "ts": "1", "channel": "SYSTEM", "type": "HAI", "payload": payload, "pv": 1}


def masked(text: str) -> bytes:
    """Return a WebSocket text frame with the mask 0, for a client without a library that would read."""
    data = text.encode()
    return b"\x81\xfe" + len(data).to_bytes(2, "big") + bytes(4) + data


def read_to_end(connection: socket.socket) -> bytes:
    """Return all that the other side sends until it closes."""
    chunks = []
    while chunk := connection.recv(4096):
        chunks.append(chunk)
    return b"".join(chunks)


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
