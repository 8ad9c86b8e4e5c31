"""What gathers needs somebody who looks after it: where nobody does nothing gathers, and no frame is left to its sender."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import pytest
from support.gathered import gathered, gathering_client, let_gather
from support.peers_in_turn import Told
from support.scripted_peer import TYPES, Peer, peer
from support.turnstiles import PATIENCE_S, in_thread, until
from support.writing import Desk, Full, Taking

from haip_sync import HAIPClient, HeartbeatPolicy
from haip_sync.flow.strategies import ChannelView, CreditRequest, Strategy
from haip_sync.runtime import service, writer
from haip_sync.runtime.entry import Entry
from haip_sync.runtime.writer import Writer


class Thinker(Strategy):
    """Thinks until it is told that it has thought enough."""

    def __init__(self) -> None:
        self.thinks = threading.Event()
        self.thought = threading.Event()

    def connected(self, views: Mapping[str, ChannelView], now_s: float) -> Sequence[CreditRequest]:
        del views, now_s
        self.thinks.set()
        assert self.thought.wait(PATIENCE_S)
        return ()


def test_nothing_stands_while_a_strategy_thinks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has gathered leaves before the service thread goes into a strategy, and what comes meanwhile is written at once."""
    told, strategy = Told(), Thinker()

    def script(talk: Peer) -> None:
        talk.greets()
        while True:
            told.put(talk.hears("MESSAGE_PART")["text"])

    def send(client: HAIPClient, text: str) -> None:
        client.send_text_message("USER", text, timeout=PATIENCE_S)

    with peer(script) as url, gathering_client(monkeypatch, url) as client:
        assert told.get() == "first"
        send(client, "gathered before")
        assert gathered(client) == 1
        client.set_strategy(strategy)
        assert strategy.thinks.wait(PATIENCE_S)
        try:
            assert told.get() == "gathered before"
            send(client, "sent meanwhile")
            assert gathered(client) == 0
            assert told.get() == "sent meanwhile"
        finally:
            strategy.thought.set()
        until(lambda: client._connection.writer.is_attended)
        send(client, "gathers again")
        assert gathered(client) == 1


@pytest.mark.parametrize("is_thinking", [False, True], ids=["nobody looks", "a strategy thinks"])
def test_a_sender_that_is_held_up_holds_no_frame_back(monkeypatch: pytest.MonkeyPatch, *, is_thinking: bool) -> None:
    """A lone sender is admitted, and before it comes to write its frame it waits for the peer, as a signal handler may."""
    told, strategy, grant, hand_over = Told(), Thinker(), threading.Event(), Writer.hand_over

    def script(talk: Peer) -> None:
        talk.greets(messages=5, accept_events=[*TYPES, "TOOL_LIST"])  # the first text takes three
        talk.hears("TOOL_LIST")
        talk.hears("TOOL_LIST")
        assert grant.wait(PATIENCE_S)
        talk.says("FLOW_UPDATE", {"channel": "USER", "add_messages": 1})
        talk.hears("TOOL_LIST")
        told.put("the third has arrived")
        talk.stays()

    def hand_over_late(self: Writer, entry: Entry) -> None:
        assert not grant.is_set() or told.get() == "the third has arrived"
        hand_over(self, entry)

    def send() -> None:
        for _ in range(3):
            client.send("USER", "TOOL_LIST", {"tools": []}, timeout=PATIENCE_S)

    never = HeartbeatPolicy(interval=3_600.0)
    with peer(script) as url, gathering_client(monkeypatch, url, heartbeat=never, stall_warning=None) as client:
        monkeypatch.setattr(Writer, "hand_over", hand_over_late)
        sending = in_thread(send)
        until(lambda: client.connection_state().channels["USER"].waiting == 1)
        if is_thinking:
            client.set_strategy(strategy)
            assert strategy.thinks.wait(PATIENCE_S)
        else:
            monkeypatch.setattr(service, "LOOK_S", 0.001)
            client._connection.poke()
            until(lambda: not client._connection.writer.is_watched)
        try:
            grant.set()
            sending.result(PATIENCE_S)
        finally:
            strategy.thought.set()


def test_who_leaves_takes_the_pen_after_whoever_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service thread waits a moment for whoever writes, and writes what he has left."""
    let_gather(monkeypatch)
    monkeypatch.setattr(writer, "_LEAVE_S", PATIENCE_S)
    desk = Desk(Taking())
    desk.writer.hand_over(desk.commit(b"gathers"))
    with desk.writer._pen:
        leaving = in_thread(desk.writer.leave)
        until(lambda: bool(desk.writer._standing_by))
    desk.writer._hand_on_pen()
    leaving.result(PATIENCE_S)
    assert not desk.outgoing.entries


def test_a_full_socket_holds_nobody_who_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the peer does not read the service thread goes after a moment; whoever sends next writes it all."""
    let_gather(monkeypatch)
    line = Full()
    desk = Desk(line)
    desk.writer.hand_over(desk.commit(b"gathers,"))
    desk.writer.leave()
    assert line.taken == b""
    desk.writer.hand_over(desk.commit(b"does not"))
    assert line.taken == b"gathers,does not"
