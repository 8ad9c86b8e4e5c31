"""A line that breaks is followed by another: what is told, and what waits meanwhile."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest
from support.certificates import client_context, server_context
from support.lines import AT_ONCE
from support.live import listen
from support.outages import broken, phase
from support.peers_in_turn import Told, greets_and_cuts, greets_and_stays, peers_in_turn
from support.scripted_peer import Peer
from support.turnstiles import PATIENCE_S, until

from haip_sync import (
    Connected,
    ConnectionClosedError,
    Disconnected,
    FlowControlError,
    FlowControlTimeout,
    HAIPClient,
    HAIPTimeout,
    HandshakeCompleted,
    HeartbeatPolicy,
    Reconnecting,
)
from haip_sync.runtime.line import Line
from haip_sync.testing import DevServer, FaultProxy


def test_a_line_that_breaks_is_told_and_so_is_the_next() -> None:
    """Listeners hear of the loss, of the attempt and of the new line, in that order; the epoch counts up."""
    with peers_in_turn(greets_and_cuts, greets_and_stays) as url, closing(HAIPClient(url, reconnect=AT_ONCE)) as client:
        seen = listen(client, Disconnected, Reconnecting, Connected, HandshakeCompleted)
        client.connect()
        until(lambda: any(isinstance(event, HandshakeCompleted) and event.epoch == 2 for event in seen))
        lost, planned, came, greeted = seen[-4:]
        assert (lost.will_reconnect, lost.in_good_order, lost.code) == (True, False, None)
        assert (planned.attempt, planned.reason) == (1, lost.reason)
        assert 0 < planned.delay_s <= 0.05
        assert planned.next_try_s == pytest.approx(planned.time_s + planned.delay_s, abs=0.5)
        assert (came.epoch, came.resumed, greeted.epoch, greeted.resumed) == (2, False, 2, False)
        state = client.connection_state()
        assert (state.phase, state.connected, state.epoch, state.attempt) == ("open", True, 2, 0)
        assert (state.last_loss, state.last_error, state.next_try_s) == (lost.reason, None, None)


def test_the_names_for_listeners_include_reconnecting() -> None:
    """`on("reconnecting")` and `on("connect")` hear of every attempt and every line."""
    heard = Told()
    with peers_in_turn(greets_and_cuts, greets_and_stays) as url:
        client = HAIPClient(url, reconnect=AT_ONCE)
        client.on("reconnecting", lambda event: heard.put(event.attempt))
        client.on("connect", lambda event: heard.put(f"line {event.epoch}"))
        with client:
            assert [heard.get() for _ in range(3)] == ["line 1", 1, "line 2"]


def test_while_offline_the_state_says_where_it_stands() -> None:
    """Phase, attempt, time of the next try and the loss are in every snapshot; the explanation says the same in words."""
    with broken() as client:
        state = client.connection_state()
        assert (state.phase, state.connected, state.epoch, state.attempt) == ("offline", False, 1, 1)
        assert state.next_try_s is not None
        assert state.next_try_s > time.monotonic()
        assert state.offline_since_s is not None
        assert state.offline_since_s <= time.monotonic()
        assert state.last_loss
        assert state.last_loss in str(client.explain("USER"))
        assert "attempt 1 to connect again in" in str(client.explain("USER"))
        assert client.explain("USER").likely_cause == "offline"


def test_the_phases_of_a_life_in_good_order() -> None:
    """New, open, closed: what a client that meets no trouble goes through."""
    with DevServer() as server:
        client = HAIPClient(server.url)
        assert phase(client) == "new"
        with client:
            assert phase(client) == "open"
        assert phase(client) == "closed"
        assert client.connection_state().last_loss is None


def test_offline_a_send_that_does_not_wait_is_refused() -> None:
    """With timeout 0 it raises `FlowControlError` with cause offline; with a deadline `FlowControlTimeout`. Nothing is sent."""
    with broken() as client:
        with pytest.raises(FlowControlError, match="offline since") as refused:
            client.send_text_message("USER", "now", timeout=0)
        with pytest.raises(FlowControlTimeout, match="Nothing was sent") as late:
            client.send_text_message("USER", "soon", timeout=0.01)
        with pytest.raises(FlowControlTimeout) as credit:
            client.wait_for_credits("USER", timeout=0.01)
        assert {error.value.cause for error in (refused, late, credit)} == {"offline"}
        assert client.metrics().waits["offline"].count == 2


def test_offline_credit_is_not_asked_for() -> None:
    """`request_credits` says that there is no line, and sends nothing."""
    with broken() as client, pytest.raises(FlowControlError, match="Nothing was asked for") as caught:
        client.request_credits("USER", messages=1)
    assert caught.value.cause == "offline"


def test_offline_what_needs_the_peer_now_raises_at_once() -> None:
    """A ping and a transaction have no sense without a line."""
    with broken() as client:
        with pytest.raises(ConnectionClosedError, match=r"the client is offline since.*Nothing was sent"):
            client.ping()
        with pytest.raises(ConnectionClosedError, match=r"the client is offline since.*Nothing was sent"):
            client.transaction("echo")


def test_offline_receive_waits_and_flush_too() -> None:
    """Both go on waiting through an outage: their own deadlines end them, not the loss."""
    with broken() as client:
        client.enqueue_text_message("USER", "queued")
        with pytest.raises(HAIPTimeout):
            client.receive(timeout=0.01)
        with pytest.raises(HAIPTimeout, match="not everything was written"):
            client.flush(timeout=0.01)
        assert client.queue_length("USER") == 1
        assert client.clear_queue("USER") == 1


def test_a_server_that_starts_anew_on_its_port_is_found_again() -> None:
    """A server that was down for a while is connected to when it is back; attempts are counted meanwhile."""
    with DevServer(agent=False) as first:
        port = first.port
        client = HAIPClient(first.url, reconnect=AT_ONCE)
        seen = listen(client, Reconnecting)
        client.connect(PATIENCE_S)
    until(lambda: len(seen) > 2)
    assert [event.attempt for event in seen[:3]] == [1, 2, 3]
    assert "cannot be reached" in seen[2].reason
    with DevServer(port=port, agent=False) as second:
        client.send_text_message("USER", "hello again", timeout=PATIENCE_S)
        second.wait_for_session().wait_for(lambda s: s.text_count == 1)
        client.close()


def test_a_line_with_tls_is_followed_by_another() -> None:
    """The next line shakes hands anew, and what was sent while the last one broke arrives once."""
    with (
        DevServer(ssl_context=server_context(), agent=False) as server,
        FaultProxy(server.url) as proxy,
        HAIPClient(proxy.url, ssl=client_context(), reconnect=AT_ONCE) as client,
    ):
        for number in range(30):
            if number % 10 == 5:
                proxy.cut(reset=number > 10)
            client.send_text_message("USER", f"text {number}", timeout=PATIENCE_S)
        until(lambda: sum(session.text_count for session in server.sessions) == 30)
        until(lambda: client.connection_state().epoch >= 4)


def test_a_dead_peer_is_found_by_the_heartbeat_and_left() -> None:
    """A peer that answers no PING is given up though nobody sends, and another line is opened."""

    def silent(talk: Peer) -> None:
        talk.greets()
        talk.stays()

    heartbeat = HeartbeatPolicy(interval=0.05, timeout=0.1)
    with peers_in_turn(silent, greets_and_stays) as url, HAIPClient(url, reconnect=AT_ONCE, heartbeat=heartbeat) as client:
        until(lambda: client.connection_state().epoch >= 2)
        assert "has sent nothing, no PONG either" in (client.connection_state().last_loss or "")


def test_a_silent_line_is_shut_under_no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who gives a line up for its silence shuts the socket with no lock in its hands: everybody else goes on meanwhile."""
    shut, held = Line.shut, Told()

    def watched(line: Line) -> None:
        if threading.current_thread().name == "silence-service":
            held.put(client._connection.is_reentered())
        shut(line)

    def silent(talk: Peer) -> None:
        talk.greets()
        talk.stays()

    monkeypatch.setattr(Line, "shut", watched)
    heartbeat = HeartbeatPolicy(interval=0.05, timeout=0.1)
    with peers_in_turn(silent, greets_and_stays) as url:
        client = HAIPClient(url, reconnect=AT_ONCE, heartbeat=heartbeat, name="silence")
        with client:
            assert held.get() is False


def test_a_peer_that_never_greets_again_costs_one_attempt() -> None:
    """An attempt whose peer sends no HAI ends at `connect`'s timeout, and the next one follows."""

    def mute(talk: Peer) -> None:
        talk.stays()

    with peers_in_turn(greets_and_cuts, mute, greets_and_stays) as url:
        client = HAIPClient(url, reconnect=AT_ONCE)
        seen = listen(client, Reconnecting)
        client.connect(1.0)
        until(lambda: client.connection_state().epoch == 2)
        client.close()
    assert [event.attempt for event in seen] == [1, 2]
    assert "sent no HAI within 1 s" in seen[1].reason
