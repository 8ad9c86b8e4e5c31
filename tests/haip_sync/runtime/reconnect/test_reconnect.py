"""A line that breaks is followed by another: what is told, what waits, and what goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from support.certificates import client_context, server_context
from support.lines import AT_ONCE
from support.live import listen
from support.outages import broken, phase
from support.peers_in_turn import Told, cut, greets_and_cuts, greets_and_stays, peers_in_turn
from support.scripted_peer import Peer
from support.turnstiles import PATIENCE_S, until

from haip_sync import (
    ChannelView,
    Connected,
    ConnectionClosedError,
    CreditRequest,
    Disconnected,
    FlowControlError,
    FlowControlTimeout,
    HAIPClient,
    HAIPTimeout,
    HandshakeCompleted,
    HeartbeatPolicy,
    Reconnecting,
    Strategy,
    ThresholdStrategy,
)
from haip_sync.runtime.line import Line
from haip_sync.testing import DevServer, FaultProxy, Generous, Never


class Slow(Strategy):
    """Asks for as many messages as lines were begun; thinks of the first until the second stands."""

    def __init__(self) -> None:
        self.lines = 0
        self.begun, self.thought = threading.Event(), threading.Event()

    def connected(self, views: Mapping[str, ChannelView], now_s: float) -> list[CreditRequest]:
        self.lines += 1
        self.begun.set()
        assert self.thought.wait(PATIENCE_S)
        return [CreditRequest("USER", self.lines, 0)]

    def greets_and_cuts(self, talk: Peer) -> None:
        """Be a peer that greets, and breaks the line once the strategy thinks."""
        talk.greets()
        assert self.begun.wait(PATIENCE_S)
        cut(talk)


# ---- What is told -------------------------------------------------------------------------------------------------------------


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


# ---- While there is no line ---------------------------------------------------------------------------------------------------


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


# ---- What goes on -------------------------------------------------------------------------------------------------------------


def test_waiting_senders_keep_their_order_over_a_broken_line() -> None:
    """Who waited for credit when the line broke is served on the next one, first come first served."""
    with (
        DevServer(initial_credits=3, policy=Never(), agent=False) as server,
        FaultProxy(server.url) as proxy,
        HAIPClient(proxy.url, reconnect=AT_ONCE) as client,
        ThreadPoolExecutor(3) as pool,
    ):
        client.send_text_message("USER", "all credit", timeout=PATIENCE_S)
        sends = []
        for number in range(3):
            sends.append(pool.submit(client.send, "USER", "TOOL_LIST", {"tools": [], "number": number}, timeout=PATIENCE_S))
            until(lambda: client.connection_state().channels["USER"].waiting == len(sends))
        proxy.cut()
        assert all(send.result(PATIENCE_S).outcome for send in sends)
        session = server.wait_for_session(2)
        session.wait_for(lambda s: s.books("USER").from_client.spent == 3)
        numbers = [frame.payload["number"] for frame in session.received if frame.type == "TOOL_LIST"]
        assert numbers == [0, 1, 2]
        assert session.books("USER").breaches == 0


def test_a_deadline_runs_on_through_an_outage() -> None:
    """One deadline per call: it ends a send while the line is broken, and a message that timed out is never sent."""
    with broken(AT_ONCE) as client, pytest.raises(FlowControlTimeout):
        client.send_text_message("USER", "too late", timeout=0.2)


def test_what_is_queued_arrives_once() -> None:
    """Messages queued before and during an outage leave on the next line, in order, each once."""
    with (
        DevServer(policy=Generous(), agent=False) as server,
        FaultProxy(server.url) as proxy,
        HAIPClient(proxy.url, reconnect=AT_ONCE) as client,
    ):
        client.pause_channel("USER")
        handles = [client.enqueue_text_message("USER", f"before {number}") for number in range(5)]
        proxy.refuse()
        proxy.cut()
        until(lambda: phase(client) == "offline")
        handles += [client.enqueue_text_message("USER", f"during {number}") for number in range(5)]
        client.resume_channel("USER")
        proxy.refuse(refused=False)
        client.flush(timeout=PATIENCE_S)
        assert [handle.result(PATIENCE_S).message_id for handle in handles] == [handle.message_id for handle in handles]
        session = server.wait_for_session(2)
        session.wait_for(lambda s: s.text_count == 10)
        expected = [f"before {number}" for number in range(5)] + [f"during {number}" for number in range(5)]
        assert [text.text for text in session.texts("USER")] == expected


def test_pauses_and_strategy_survive() -> None:
    """A channel that was paused before or during an outage stays paused, and the new peer is told; the strategy begins anew."""
    strategy = ThresholdStrategy()
    told = Told()

    def second(talk: Peer) -> None:
        talk.greets(messages=1)
        for _ in range(2):
            told.put(talk.hears("PAUSE_CHANNEL")["channel"])
        while (asked := talk.hears("FLOW_UPDATE"))["channel"] != "USER":
            pass
        told.put(asked)
        talk.stays()

    def first(talk: Peer) -> None:
        talk.greets(messages=50)
        talk.says("PAUSE_CHANNEL", {"channel": "AUDIO_OUT"})
        talk.hears("PAUSE_CHANNEL")
        cut(talk)

    with peers_in_turn(first, second) as url, HAIPClient(url, reconnect=AT_ONCE, strategy=strategy) as client:
        until(lambda: client.connection_state().channels["AUDIO_OUT"].paused_by_peer)
        client.on("disconnect", lambda _event: client.pause_channel("AUDIO_IN"))
        client.pause_channel("USER", reason="the operator said so")
        assert {told.get(), told.get()} == {"USER", "AUDIO_IN"}
        assert told.get()["add_messages"] > 0
        until(lambda: client.connection_state().epoch == 2)
        assert client.connection_state().paused_channels == {"USER", "AUDIO_IN"}
        assert client.connection_state().credits["AGENT"] == 1


def test_a_strategy_that_thinks_does_not_hold_up_the_greeting() -> None:
    """Our HAI leaves on the new line while the strategy still thinks about the last one."""
    strategy, told = Slow(), Told()

    def second(talk: Peer) -> None:
        talk.hears("HAI")
        told.put("our HAI")
        talk.greets()
        talk.stays()

    with peers_in_turn(strategy.greets_and_cuts, second) as url, HAIPClient(url, strategy=strategy, reconnect=AT_ONCE):
        try:
            assert told.get() == "our HAI"
        finally:
            strategy.thought.set()


def test_what_a_strategy_proposed_for_the_last_line_is_not_asked_for_on_the_next() -> None:
    """A new epoch is a new beginning: the strategy is told, and what it made of the old books is dropped."""
    strategy, told = Slow(), Told()

    def second(talk: Peer) -> None:
        talk.greets()
        told.put(talk.hears("FLOW_UPDATE")["add_messages"])
        talk.stays()

    with peers_in_turn(strategy.greets_and_cuts, second) as url, HAIPClient(url, reconnect=AT_ONCE, strategy=strategy) as client:
        until(lambda: client.connection_state().epoch == 2)
        strategy.thought.set()
        assert told.get() == 2


def test_what_was_received_before_is_handed_out_and_gives_no_credit_back_on_the_next_line() -> None:
    """Frames of the earlier line stay in the inbox; the new HAI has granted all afresh, so that they are not given back again."""
    told = Told()

    def first(talk: Peer) -> None:
        talk.greets()
        for number in range(10):
            talk.says("TOOL_LIST", {"tools": [], "number": number}, channel="AGENT")
        talk.hears("HAI")
        cut(talk)

    def second(talk: Peer) -> None:
        talk.greets()
        talk.says("TOOL_LIST", {"tools": [], "number": 10}, channel="AGENT")
        told.put(talk.hears("FLOW_UPDATE"))
        talk.stays()

    with peers_in_turn(first, second) as url, HAIPClient(url, reconnect=AT_ONCE) as client:
        until(lambda: client.connection_state().epoch == 2)
        until(lambda: client.connection_state().channels["AGENT"].received_messages == 1)
        assert [client.receive(PATIENCE_S).payload["number"] for _ in range(11)] == list(range(11))
        assert told.get()["add_messages"] == 1
        assert client.connection_state().channels["AGENT"].receive_window == 10


def test_messages_go_on_over_lines() -> None:
    """Who iterates `messages()` sees what both lines bring, and no end between."""

    def says(number: int) -> Any:
        def script(talk: Peer) -> None:
            talk.greets()
            talk.hears("HAI")
            talk.says("TOOL_LIST", {"tools": [], "number": number}, channel="AGENT")
            if number < 2:
                cut(talk)
            else:
                talk.connection.close()

        return script

    with peers_in_turn(says(0), says(1), says(2)) as url, HAIPClient(url, reconnect=AT_ONCE) as client:
        assert [message.payload["number"] for message in client.messages()] == [0, 1, 2]


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
