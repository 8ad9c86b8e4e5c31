"""What a monitor sees of a program's clients, and has them do."""

from __future__ import annotations

import gc
import logging
import os
import threading

import pytest
from support.attending import warning
from support.observed import Served, StandIn
from support.rude import RudeMonitor
from support.turnstiles import PATIENCE_S, until

from haip_sync import SendReceipt
from haip_sync.events import PongReceived
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
from haip_sync.observe.messages import Answer, Ask, Attach, Detach, Happened, Past, Roster, Snapshot


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
        until(lambda: offer.client is None)  # the thread that made the snapshot may have it in hand for a moment more
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
