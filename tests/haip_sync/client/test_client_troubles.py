"""What goes wrong with a client, and how it ends."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.lines import ONE_LINE
from support.live import Start, listen, settled, types
from support.turnstiles import PATIENCE_S, until

from haip_sync import ConnectionClosedError, CreditGranted, Disconnected, ErrorReported, HAIPClient
from haip_sync.testing import DevServer, Generous, Never


@pytest.mark.parametrize("garbage", ["hello", "{", '{"id": 1}', "[]", '{"id":"x","channel":"A B","type":"X","payload":{}}'])
def test_text_in_place_of_json_is_reported_and_nothing_stops(start: Start, garbage: str) -> None:
    """A frame that cannot be read is an event and an ERROR to the peer; credit and connection stay."""
    server, client = start()
    seen = listen(client, ErrorReported)
    before = client.connection_state().credits
    session = server.wait_for_session()
    server.send_raw(garbage, session=session)
    session.wait_for(lambda s: "ERROR" in types(s), timeout=PATIENCE_S)
    until(lambda: seen)
    assert (seen[0].code, seen[0].reported_by) == ("PROTOCOL_VIOLATION", "us")
    assert client.connection_state().credits == before
    client.send_text_message("USER", "still here", timeout=PATIENCE_S)
    settled(server, lambda s: s.texts("USER"))


def test_a_binary_frame_that_nobody_announced_is_reported(start: Start) -> None:
    """A stray binary frame is a violation of the peer's and changes nothing else."""
    server, client = start()
    seen = listen(client, ErrorReported)
    server.send_raw(b"\x00\x01", session=server.wait_for_session())
    until(lambda: seen)
    assert "no envelope announced" in seen[0].message
    assert client.connection_state().connected


def test_the_peers_error_is_an_event(start: Start) -> None:
    """ERROR from the peer reaches listeners with its code."""
    server, client = start()
    seen = listen(client, ErrorReported)
    server.send_frame("ERROR", {"code": "RUN_LIMIT_EXCEEDED", "message": "too many"}, session=server.wait_for_session())
    until(lambda: seen)
    assert (seen[0].code, seen[0].message, seen[0].reported_by) == ("RUN_LIMIT_EXCEEDED", "too many", "peer")


def test_a_loss_wakes_every_waiter_with_its_cause(start: Start) -> None:
    """When the last line breaks, whoever waits is told why and that nothing was sent."""
    server, client = start({"reconnect": ONE_LINE}, policy=Never(), initial_credits=0)
    seen = listen(client, Disconnected)
    with ThreadPoolExecutor(5) as pool:
        waiting = [pool.submit(client.send_text_message, "USER", "x") for _ in range(5)]
        until(lambda: client.connection_state().channels["USER"].waiting == 5)
        server.drop(session=server.wait_for_session())
        for future in waiting:
            with pytest.raises(ConnectionClosedError, match="Nothing was sent"):
                future.result(PATIENCE_S)
    until(lambda: seen)
    assert not seen[0].in_good_order
    state = client.connection_state()
    assert not state.connected
    assert "was lost" in str(state.last_error)
    with pytest.raises(ConnectionClosedError, match="was lost"):
        client.send_text_message("USER", "y")


def test_a_close_by_the_peer_carries_its_code(start: Start) -> None:
    """The peer's close code is in the event and in what later calls raise."""
    server, client = start({"reconnect": ONE_LINE})
    seen = listen(client, Disconnected)
    server.drop(session=server.wait_for_session(), code=1011)
    until(lambda: seen)
    assert (seen[0].code, seen[0].in_good_order) == (1011, False)
    with pytest.raises(ConnectionClosedError, match="code 1011"):
        client.send_text_message("USER", "x")


def test_close_wakes_waiters_and_returns_in_time(start: Start) -> None:
    """close() ends blocked senders with nothing sent, from any thread, and may be called again."""
    _, client = start(policy=Never(), initial_credits=0)
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(client.send_text_message, "USER", "x") for _ in range(3)]
        until(lambda: client.connection_state().channels["USER"].waiting == 3)
        client.close()
        client.close()
        for future in waiting:
            with pytest.raises(ConnectionClosedError, match=r"the client was closed.*Nothing was sent"):
                future.result(PATIENCE_S)
    assert client.connection_state().last_error is None


def test_close_delivers_what_was_admitted() -> None:
    """What a send has returned for arrives, also when close follows at once."""
    with DevServer(policy=Generous()) as server:
        for _ in range(20):
            with HAIPClient(server.url) as client:
                client.send_text_message("USER", "last words")
        session = server.wait_for_session(20)
        for number in range(1, 21):
            session = server.wait_for_session(number)
            session.wait_for(lambda s: s.close_code is not None, timeout=PATIENCE_S)
            assert session.close_code == 1000
            assert [text.text for text in session.texts("USER")] == ["last words"]


def test_an_exception_in_the_with_block_closes_at_once() -> None:
    """The user's exception comes out, and the client is closed behind it."""
    with DevServer() as server:
        with pytest.raises(KeyError), HAIPClient(server.url) as client:
            raise KeyError("mine")
        assert not client.connection_state().connected


def test_close_from_a_listener_does_not_hang(start: Start) -> None:
    """A listener may close the client that it listens to."""
    server, client = start(policy=Never())
    closed = threading.Event()

    def close(_event: object) -> None:
        client.close()
        closed.set()

    client.subscribe(close, CreditGranted)
    server.grant("USER", 1, session=server.wait_for_session())
    assert closed.wait(PATIENCE_S)


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_client_cannot_be_pickled_or_copied(duplicate: Callable[[object], object]) -> None:
    """Who hands a client to another process is told to make one there, before anything is sent."""
    with pytest.raises(TypeError, match=r"cannot be copied or pickled.*Make a client of its own in each process"):
        duplicate(HAIPClient("ws://localhost:1"))
