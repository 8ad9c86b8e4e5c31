"""What goes on over a broken line: those who wait, what is queued, pauses, strategies, and what was received."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.lines import AT_ONCE
from support.outages import broken, phase
from support.peers_in_turn import Told, cut, peers_in_turn
from support.scripted_peer import Peer
from support.turnstiles import PATIENCE_S, until

from haip_sync import ChannelView, CreditRequest, FlowControlTimeout, HAIPClient, Strategy, ThresholdStrategy
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
