"""Monitors without manners harm nobody but themselves; the service ends with its last client."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import pytest
from support.attending import warning
from support.observed import Served, StandIn, served
from support.rude import RudeMonitor
from support.turnstiles import until

from haip_sync.events import ChannelPaused, ChannelResumed, Disconnected, WarningRaised
from haip_sync.observe import guests
from haip_sync.observe.framing import framed
from haip_sync.observe.guests import MOST_VISITORS
from haip_sync.observe.messages import VERSION, Attach, Beat, Greeting, Happened, Refusal, Roster, Snapshot, encoded
from haip_sync.observe.offer import Offer
from haip_sync.observe.peers import Peer
from haip_sync.observe.service import Service
from haip_sync.observe.visitor import MOST_MESSAGES_A_SECOND

# ---- Bad manners --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (framed(encoded(Greeting(version=VERSION + 1, monitor="new"))), f"it speaks version {VERSION + 1}"),
        (framed(encoded(Attach(client="client"))), "begins with a Greeting, not with Attach"),
        (framed(b"garbage"), "cannot be understood"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "a frame of"),
        (struct.pack(">I", 0xFFFFFFFF), "4,294,967,295"),
        (framed(b""), "cannot be understood"),
    ],
    ids=["version", "no greeting", "garbage", "HTTP", "huge", "empty"],
)
def test_who_cannot_be_understood_is_told_and_sent_away(running: Served, said: bytes, why: str) -> None:
    """Nobody else notices."""
    running.offer(StandIn())
    with RudeMonitor(running.path) as polite, RudeMonitor(running.path) as rude:
        polite.greet()
        polite.say(Attach(client="client"))
        rude.sock.sendall(said)
        assert why in rude.hear(Refusal).text
        assert rude.is_sent_away()
        polite.hear(Snapshot)


def test_half_a_message_is_waited_for_no_longer_than_a_greeting(running: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who begins a frame and never ends it is sent away like who says nothing at all."""
    monkeypatch.setattr(guests, "GREETING_S", 0.2)
    with RudeMonitor(running.path) as half, RudeMonitor(running.path) as silent:
        half.sock.sendall(framed(encoded(Greeting(version=VERSION, monitor="slow")))[:-3])
        for each in (half, silent):
            assert "said nothing" in each.hear(Refusal).text
            assert each.is_sent_away()


def test_a_monitor_that_falls_silent_is_let_go(running: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a time: one that beats stays."""
    monkeypatch.setattr(guests, "SILENT_S", 0.5)
    with RudeMonitor(running.path) as silent, RudeMonitor(running.path) as alive:
        silent.greet()
        alive.greet()
        while not isinstance(said := silent.next(), Refusal):
            assert said is not None
            alive.say(Beat())
        assert "said nothing" in said.text
        alive.hear(Beat)


def test_silent_connections_keep_nobody_out(running: Served) -> None:
    """Where all places are taken, who has said nothing longest makes room; who comes when all have spoken is told so."""
    running.offer(StandIn())
    silent = [RudeMonitor(running.path) for _ in range(MOST_VISITORS + 20)]
    polite = [RudeMonitor(running.path) for _ in range(MOST_VISITORS)]
    try:
        for monitor in polite:
            assert monitor.greet().clients
        with RudeMonitor(running.path) as late:
            assert "close one" in late.hear(Refusal).text
        assert all(monitor.is_sent_away() for monitor in silent)
    finally:
        for monitor in silent + polite:
            monitor.sock.close()


def test_a_flood_is_stopped(running: Served) -> None:
    """A monitor that says more than it can mean is sent away."""
    with RudeMonitor(running.path) as rude, RudeMonitor(running.path) as polite:
        rude.greet()
        try:
            for _ in range(20):
                rude.sock.sendall(framed(encoded(Beat())) * MOST_MESSAGES_A_SECOND)
        except OSError:
            pass  # it is being sent away already
        assert rude.is_sent_away()
        polite.greet()


def test_who_does_not_read_costs_a_bounded_buffer_and_misses_no_state(running: Served) -> None:
    """Stuck for megabytes of events: what does not fit is counted, the latest state comes all the same, and others get it all."""
    client = StandIn()
    running.offer(client)
    total = 8_000
    with RudeMonitor(running.path) as stuck, RudeMonitor(running.path) as polite:
        for monitor in (stuck, polite):
            monitor.greet()
            monitor.say(Attach(client="client"))
            monitor.hear(Snapshot)
        seen = 0
        for begin in range(0, total, 500):
            client.emit(*(warning(n) for n in range(begin, begin + 500)))
            while seen < begin + 500:
                seen += len(polite.hear(Happened).events)
        client.emit(ChannelPaused(time_s=1e6, channel="USER", by="us", peer_told=True))
        client.emit(ChannelResumed(time_s=1e6 + 1, channel="USER", by="us", still_paused=False))
        while not isinstance(polite.hear(Happened).events[-1], ChannelResumed):
            pass
        client.change("USER", credits=42)
        until(lambda: polite.hear(Snapshot).state.channels["USER"].credits == 42)
        counted, dropped, states = 0, 0, []
        while counted < total or not states:
            happened: Happened = stuck.hear(Happened)
            dropped += happened.dropped
            counted += happened.dropped + sum(isinstance(event, WarningRaised) for event in happened.events)
            states += [event for event in happened.events if not isinstance(event, WarningRaised)]
        assert isinstance(states[-1], ChannelResumed)
        assert (counted, dropped > 1_000) == (total, True)
        until(lambda: stuck.hear(Snapshot).state.channels["USER"].credits == 42)


def test_half_a_message_of_one_who_leaves_harms_nobody(running: Served, caplog: pytest.LogCaptureFixture) -> None:
    """An attached monitor that dies in the middle of a word is gone, and the log says so; another is served."""
    caplog.set_level("INFO")
    running.offer(StandIn())
    with RudeMonitor(running.path) as polite, RudeMonitor(running.path) as dying:
        for each in (polite, dying):
            each.greet()
            each.say(Attach(client="client"))
            each.hear(Snapshot)
        dying.sock.sendall(framed(encoded(Beat()))[:-1])
        dying.sock.close()
        until(lambda: "which watched 'client', is gone: it has ended, or left" in caplog.text)
        polite.hear(Snapshot)


def test_who_does_not_read_gets_the_last_words_all_the_same(running: Served) -> None:
    """What a client had to tell as it was closed waits for a monitor whose buffer is full."""
    client = StandIn()
    offer = running.offer(client)
    running.offer(StandIn("other"))
    with RudeMonitor(running.path) as stuck:
        stuck.greet()
        stuck.say(Attach(client="client"))
        until(lambda: client.listening)
        (visitor,) = running.service._guests._visitors
        until(lambda: client.emit(*(WarningRaised(time_s=1.0, text="x" * 2_000) for _ in range(50))) or visitor.is_full)
        client.emit(Disconnected(time_s=2.0, reason="over", in_good_order=True))
        running.service.withdraw(offer)
        happened: Happened = stuck.hear(Happened)
        while not any(isinstance(event, Disconnected) for event in happened.events):
            happened = stuck.hear(Happened)


def test_a_stranger_is_turned_away(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A process of another user's, whatever let it reach the socket, is refused before it has said a word."""
    with served(place, peer_of=lambda _: Peer(4_242, os.geteuid() + 1)) as running:
        running.offer(StandIn())
        with RudeMonitor(running.path) as stranger:
            assert f"belongs to user {os.geteuid() + 1}" in stranger.hear(Refusal).text
            assert stranger.is_sent_away()
    assert "turned away" in caplog.text


def test_a_connection_whose_owner_cannot_be_known_is_dropped(place: Path) -> None:
    """Where the system says nothing at all about it."""

    def unknown(sock: socket.socket) -> Peer:
        raise OSError("no such option")

    with served(place, peer_of=unknown) as running, RudeMonitor(running.path) as monitor:
        assert monitor.next() is None


# ---- The end ------------------------------------------------------------------------------------------------------------------


def test_the_service_ends_with_its_last_client(place: Path) -> None:
    """Its socket is gone then, and who was attached is told the end and not left hanging."""
    with served(place) as running:
        running.offer(StandIn())
        path = running.path
        with RudeMonitor(path) as monitor:
            monitor.greet()
            running.close()
            assert monitor.hear(Roster).clients == ()
            assert monitor.is_sent_away()
        until(lambda: not path.exists())
        until(lambda: running.service.has_ended)
    assert list(place.iterdir()) == []


def test_a_service_that_finds_no_place_says_so_and_harms_nobody(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The script goes on without monitors, the log says why there are none, and the service still ends with its last client."""
    (place / "file").touch()
    service = Service([place / "file"], retire=lambda _: True)
    client = StandIn()
    offer = Offer(client, may_steer=False)
    service.add(offer)
    service.start()
    until(lambda: offer.state)
    assert "no monitor can attach to this process" in caplog.text
    service.withdraw(offer)
    until(lambda: service.has_ended)


def test_a_fault_of_ours_costs_one_monitor_and_not_all(running: Served, caplog: pytest.LogCaptureFixture) -> None:
    """The log has it, and the others are served on."""
    client = StandIn()
    running.offer(client)
    with RudeMonitor(running.path) as polite:
        polite.greet()
        running.service._guests._welcome = lambda: 1 / 0
        with RudeMonitor(running.path) as unlucky:
            unlucky.say(Greeting(version=VERSION, monitor="unlucky"))
            assert unlucky.is_sent_away()
        polite.say(Attach(client="client"))
        polite.hear(Snapshot)
    assert "could not be served" in caplog.text
