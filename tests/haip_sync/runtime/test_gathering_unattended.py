"""What gathers needs somebody who looks after it: while the service thread is in a strategy nothing does."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import pytest
from support.gathered import gathered, gathering_client, let_gather
from support.peers_in_turn import Told
from support.scripted_peer import Peer, peer
from support.turnstiles import PATIENCE_S, in_thread, until
from support.writing import Desk, Full, Taking

from haip_sync import HAIPClient
from haip_sync.flow.strategies import ChannelView, CreditRequest, Strategy
from haip_sync.runtime import writer


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
