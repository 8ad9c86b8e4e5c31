"""The program's side, with stand-ins for its clients: whatever monitors do, the script and the other monitors go on."""

from __future__ import annotations

import gc
import logging
import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.observed import Served, StandIn, meeting_place, served
from support.rude import RudeMonitor
from support.turnstiles import PATIENCE_S, until

from haip_sync import SendReceipt
from haip_sync.events import ChannelPaused, ChannelResumed, Disconnected, PongReceived, WarningRaised
from haip_sync.observe import guests
from haip_sync.observe.command_messages import (
    ClearQueue,
    Command,
    ExplainChannel,
    PauseChannel,
    ReadMetrics,
    RequestCredits,
    ResumeChannel,
    SendTestMessage,
    UseStrategy,
)
from haip_sync.observe.framing import framed
from haip_sync.observe.guests import MOST_VISITORS
from haip_sync.observe.messages import (
    VERSION,
    Answer,
    Ask,
    Attach,
    Beat,
    Detach,
    Greeting,
    Happened,
    Past,
    Refusal,
    Roster,
    Snapshot,
    encoded,
)
from haip_sync.observe.offer import Offer
from haip_sync.observe.peers import Peer
from haip_sync.observe.service import Service
from haip_sync.observe.visitor import MOST_MESSAGES_A_SECOND


@pytest.fixture
def place() -> Iterator[Path]:
    """Yield a meeting place of the test's own."""
    with meeting_place() as directory:
        yield directory


@pytest.fixture
def running(place: Path) -> Iterator[Served]:
    """Yield a service."""
    with served(place) as service:
        yield service


def warning(number: int) -> WarningRaised:
    """Return an event that may be dropped, of a kilobyte."""
    return WarningRaised(time_s=float(number), text=f"{number} " + "x" * 1_000)


def asked(monitor: RudeMonitor, client: str, command: Command, number: int = 1) -> Answer:
    """Have a command carried out."""
    monitor.say(Ask(number=number, client=client, command=command))
    answer: Answer = monitor.hear(Answer)
    assert answer.number == number
    return answer


# ---- What a monitor sees ------------------------------------------------------------------------------------------------------


def test_a_greeting_is_answered_with_what_there_is(running: Served) -> None:
    """Process, script, clients by name, and of each the channel that is worst off."""
    client = StandIn("sender")
    client.change("AGENT", waiting_for="messages", oldest_wait=2.5, waiting=1, backlog=1)
    client.change("USER", waiting_for="bytes", oldest_wait=0.5, waiting=1, backlog=1)
    running.offer(client, may_steer=True)
    with RudeMonitor(running.path) as monitor:
        welcome = monitor.greet()
    assert welcome.pid == os.getpid()
    (line,) = welcome.clients
    assert (line.name, line.address, line.connected, line.may_steer) == ("sender", client.address, True, True)
    assert (line.worst, line.cause, line.oldest_wait, line.why) == ("AGENT", "messages", 2.5, "AGENT it is")


def test_clients_of_one_name_are_told_apart(running: Served) -> None:
    """The second is called so, and gets its own commands."""
    first, second = StandIn("twin"), StandIn("twin")
    running.offer(first, may_steer=True)
    running.offer(second, may_steer=True)
    with RudeMonitor(running.path) as monitor:
        assert [line.name for line in monitor.greet().clients] == ["twin", "twin (2)"]
        assert asked(monitor, "twin (2)", ResumeChannel(channel="USER")).ok
    assert (first.told, second.told) == ([], [("resume", "USER")])


def test_a_client_tells_nobody_anything_until_somebody_is_attached(running: Served) -> None:
    """No listener is there before the first monitor attaches, nor after the last has left, in whatever way."""
    client = StandIn()
    running.offer(client)
    with RudeMonitor(running.path) as monitor, RudeMonitor(running.path) as other:
        monitor.greet()
        assert client.listening == []
        monitor.say(Attach(client="client"))
        monitor.hear(Snapshot)
        other.greet()
        other.say(Attach(client="client", every_event=True))
        other.hear(Snapshot)
        (listening,) = client.listening
        assert listening.kinds == ()
        other.say(Detach(client="client"))
        until(lambda: client.listening and client.listening[0].kinds)
    until(lambda: not client.listening)


def test_an_attached_monitor_hears_what_happens(running: Served) -> None:
    """Marks come without asking, single sends and gauges only to who asked for every event."""
    client = StandIn()
    running.offer(client)
    pong, mark = PongReceived(time_s=1.0, round_trip_s=0.1), warning(2)
    with RudeMonitor(running.path) as monitor, RudeMonitor(running.path) as curious:
        for each, every in ((monitor, False), (curious, True)):
            each.greet()
            each.say(Attach(client="client", every_event=every))
            each.hear(Snapshot)
        client.emit(pong, mark)
        assert monitor.hear(Happened).events == (mark,)
        assert curious.hear(Happened).events == (pong, mark)
        client.change("USER", credits=77)
        until(lambda: monitor.hear(Snapshot).state.channels["USER"].credits == 77)


def test_who_attaches_sees_the_past(running: Served) -> None:
    """The samples from before come first, one for each second that the client has been offered."""
    client = StandIn()
    offer = running.offer(client)
    client.change("USER", credits=7, backlog=3, waiting_for="messages")
    until(lambda: len(offer.ring.samples()) >= 2)
    with RudeMonitor(running.path) as monitor:
        monitor.greet()
        monitor.say(Attach(client="client"))
        past: Past = monitor.hear(Past)
    first, second, *_ = past.samples
    assert first.channels["USER"].credits == 10
    assert (second.channels["USER"].credits, second.channels["USER"].backlog) == (7, 3)
    assert 0.5 < second.time_s - first.time_s < 10
    assert second.time_s <= past.now_s


def test_a_client_that_is_withdrawn_says_its_last_words(running: Served) -> None:
    """What happened last, the state of the end, and that it is there no more; to attach to it again changes nothing."""
    client = StandIn()
    offer = running.offer(client)
    running.offer(StandIn("other"))
    with RudeMonitor(running.path) as monitor:
        monitor.greet()
        monitor.say(Attach(client="client"))
        monitor.hear(Snapshot)
        client.change("USER", credits=1)
        client.emit(warning(9))
        running.service.withdraw(offer)
        running.service.withdraw(offer)
        assert monitor.hear(Happened).events == (warning(9),)
        assert monitor.hear(Snapshot).state.channels["USER"].credits == 1
        assert [line.name for line in monitor.hear(Roster).clients] == ["other"]
        assert client.listening == []
        monitor.say(Attach(client="client"))
        answer = asked(monitor, "client", ResumeChannel(channel="USER"))
        assert (answer.ok, "no client 'client' any more" in answer.text) == (False, True)


def test_a_client_that_nobody_holds_any_more_is_withdrawn(running: Served) -> None:
    """To be offered keeps no client alive."""
    client = StandIn("lost")
    offer = running.offer(client)
    with RudeMonitor(running.path) as monitor:
        monitor.greet()
        monitor.say(Attach(client="lost"))
        monitor.hear(Snapshot)
        del client
        running.clients.clear()
        gc.collect()
        assert offer.client is None
        until(lambda: monitor.hear(Roster).clients == ())


# ---- Commands -----------------------------------------------------------------------------------------------------------------


def test_each_command_is_carried_out_by_the_client(running: Served) -> None:
    """And answered with what came of it."""
    client = StandIn()
    running.offer(client, may_steer=True)
    with RudeMonitor(running.path) as monitor:
        monitor.greet()
        texts = [
            asked(monitor, "client", command, number).text
            for number, command in enumerate(
                [
                    PauseChannel(channel="USER", reason="why"),
                    ResumeChannel(channel="USER"),
                    RequestCredits(channel="USER", messages=5, byte_credits=6),
                    ClearQueue(channel="USER"),
                    SendTestMessage(channel="USER", text="hello"),
                    UseStrategy(strategy="threshold", settings={"message_threshold": 7}),
                ]
            )
        ]
        answer = asked(monitor, "client", ExplainChannel(channel="USER"))
        assert answer.explanation is not None
        assert (answer.text, answer.explanation.channel) == ("USER it is", "USER")
        metrics = asked(monitor, "client", ReadMetrics()).metrics
        assert metrics is not None
        assert metrics.credit_requests == 0
    told, strategy = client.told[:-1], client.told[-1][1]
    assert told == [
        ("pause", "USER", "why"),
        ("resume", "USER"),
        ("request", "USER", 5, 6),
        ("clear", "USER"),
        ("send", "USER", "hello"),
    ]
    assert (strategy.name, strategy.message_threshold) == ("threshold", 7)
    assert texts[3] == "3 queued messages of USER were taken back"
    assert texts[4] == "sent as m1"


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"message_threshold": -1}, "message_threshold"), ({"nonsense": 1}, "nonsense"), ({"_state": 1}, "_state")],
)
def test_a_strategy_that_cannot_be_is_named(running: Served, settings: dict[str, int], said: str) -> None:
    """What is wrong with it is answered, and the old one stays."""
    client = StandIn()
    running.offer(client, may_steer=True)
    with RudeMonitor(running.path) as monitor:
        monitor.greet()
        for strategy in ("threshold", "clever"):
            answer = asked(monitor, "client", UseStrategy(strategy=strategy, settings=settings))
            assert not answer.ok
            assert (said if strategy == "threshold" else "'clever'") in answer.text
    assert client.told == []


def test_a_client_that_raises_costs_an_answer(running: Served, caplog: pytest.LogCaptureFixture) -> None:
    """What it raises on purpose is the answer; what it should not have raised is in the script's log."""
    client = StandIn()
    running.offer(client, may_steer=True)
    client.resume_channel = lambda _: 1 / 0
    with RudeMonitor(running.path) as monitor:
        monitor.greet()
        answer = asked(monitor, "client", ResumeChannel(channel="USER"))
        assert (answer.ok, answer.refused) == (False, False)
        assert "ZeroDivisionError" in answer.text
        assert asked(monitor, "client", PauseChannel(channel="USER")).ok
    assert "ZeroDivisionError" in caplog.text


def test_a_client_that_may_be_watched_only_is_not_steered(running: Served) -> None:
    """Every command is refused with how to allow it; questions are answered."""
    client = StandIn()
    running.offer(client)
    with RudeMonitor(running.path) as monitor:
        monitor.greet()
        for command in (PauseChannel(channel="USER"), SendTestMessage(channel="USER", text="x"), ClearQueue(channel="USER")):
            answer = asked(monitor, "client", command)
            assert (answer.ok, answer.refused) == (False, True)
            assert "HAIP_SYNC_MONITOR=steer" in answer.text
            assert 'monitor="steer"' in answer.text
        assert asked(monitor, "client", ExplainChannel(channel="USER")).ok
    assert client.told == []


def test_who_did_what_is_in_the_scripts_log(running: Served, caplog: pytest.LogCaptureFixture) -> None:
    """User, uid, pid, the monitor's name, the reason and the result; the monitor's words cannot look like a line of their own."""
    client = StandIn("sender")
    running.offer(client, may_steer=True)
    with caplog.at_level(logging.INFO, "haip_sync.observe"), RudeMonitor(running.path) as monitor:
        monitor.greet()
        asked(monitor, "sender", PauseChannel(channel="USER", reason="night\nERROR forged"))
    (line,) = [record.getMessage() for record in caplog.records if "PauseChannel" in record.getMessage()]
    assert "\n" not in line
    for part in ("USER", "'sender'", f"uid {os.geteuid()}", f"pid {os.getpid()}", "'rude'", "night", "USER is paused"):
        assert part in line


def test_a_command_that_stands_still_holds_up_no_monitor(running: Served) -> None:
    """Others are served meanwhile; commands beyond the bound are refused, and those that wait are done in the end."""
    client = StandIn()
    running.offer(client, may_steer=True)
    client.gate.clear()
    with RudeMonitor(running.path) as monitor, RudeMonitor(running.path) as other:
        monitor.greet()
        for number in range(20):
            monitor.say(Ask(number=number, client="client", command=ResumeChannel(channel="USER")))
        refused = monitor.hear(Answer)
        assert (refused.refused, refused.number) == (True, 16)
        other.greet()
        other.say(Attach(client="client"))
        other.hear(Snapshot)
        client.gate.set()
        done: set[int] = set()
        while len(done) < 16:
            answer: Answer = monitor.hear(Answer)
            if answer.ok:
                done.add(answer.number)
        assert done == set(range(16))


def test_a_test_message_that_waits_holds_up_no_other_command(running: Served) -> None:
    """It may wait for credit, a second each: what would give that credit is done meanwhile, whoever asks for it."""

    class Starved(StandIn):
        def send_text_message(self, channel: str, text: str, *, timeout: float) -> SendReceipt:
            assert resumed.wait(PATIENCE_S)
            return super().send_text_message(channel, text, timeout=timeout)

        def resume_channel(self, channel: str) -> None:
            super().resume_channel(channel)
            resumed.set()

    resumed = threading.Event()
    running.offer(Starved(), may_steer=True)
    with RudeMonitor(running.path) as hasty, RudeMonitor(running.path) as helper:
        for monitor in (hasty, helper):
            monitor.greet()
        for number in range(3):
            hasty.say(Ask(number=number, client="client", command=SendTestMessage(channel="USER", text="x")))
        helper.say(Ask(number=7, client="client", command=ResumeChannel(channel="USER")))
        assert helper.hear(Answer).ok
        assert [hasty.hear(Answer).number for _ in range(3)] == [0, 1, 2]


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
