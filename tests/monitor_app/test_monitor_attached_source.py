"""The source that stands for a client of another process, against a real script and a real server."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path

import msgspec
import pytest
from support.observed import Script, StandIn, meeting_place, script, served
from support.stopwatch import within_a_second
from support.turnstiles import until

from haip_sync import FlowControlTimeout, HAIPClient
from haip_sync.observe import WaitsEnded, list_programs
from haip_sync.testing import DevServer, OnRequest
from monitor_app.model.activity import Activity
from monitor_app.model.attached_source import AttachedSource
from monitor_app.model.explanations import explain
from monitor_app.model.ingest import Ingest
from monitor_app.model.marks import MarkKind
from monitor_app.model.source import Notice, Source
from monitor_app.model.status import Status

SENDER = """
import sys
from haip_sync import HAIPClient
with HAIPClient(sys.argv[1], token="x", name="sender") as client:
    for number in range(int(sys.argv[2])):
        client.send("USER", "TOOL_UPDATE", {"call_id": "c", "status": "RUNNING"}, timeout=60)
        print(number)
    sys.stdin.readline()
"""
Follow = Callable[..., AttachedSource]


@pytest.fixture
def place() -> Iterator[Path]:
    """Yield a meeting place of the test's own."""
    with meeting_place() as directory:
        yield directory


@pytest.fixture
def follow(place: Path) -> Iterator[Follow]:
    """Return a function that makes sources; they are closed at the end."""
    made: list[AttachedSource] = []

    def make(path: Path, client: str = "sender") -> AttachedSource:
        made.append(AttachedSource(path, client))
        return made[-1]

    yield make
    for source in made:
        source.close()
        source.close()


@pytest.fixture
def running(place: Path) -> Iterator[Script]:
    """Yield a script that is blocked after three messages; five more would do."""
    with (
        DevServer(agent=False, initial_credits=3, policy=OnRequest()) as server,
        script(SENDER, server.url, "8", mode="steer") as it,
    ):
        yield it


def notice_of(source: Source, action: str) -> Notice:
    """Wait for the result of a command and return it."""
    found: list[Notice] = []
    until(lambda: found.extend(n for n in source.take_notices() if n.action == action) or bool(found))
    return found[-1]


def test_waits_too_short_for_a_snapshot_are_in_the_figures(place: Path, follow: Follow) -> None:
    """Ten of twenty milliseconds each: the share of the time without credit is what the client itself has counted."""
    del place
    with (
        DevServer(agent=False, initial_credits=0) as server,
        HAIPClient(server.url, name="sender", monitor=True) as client,
    ):
        until(list_programs)
        ingest = Ingest(follow(list_programs()[0].path))
        until(lambda: ingest.tick() or ingest.tracker("USER"))
        begin_s = time.monotonic()
        for _ in range(10):
            with pytest.raises(FlowControlTimeout):
                client.send("USER", "TOOL_UPDATE", {"call_id": "c", "status": "RUNNING"}, timeout=0.02)
            ingest.tick()
        counted = client.metrics().channels["USER"].waits["messages"]
        tracker = ingest.tracker("USER")
        assert tracker is not None

        def ended() -> int:
            ingest.tick()
            return sum(row.detail.times for row in ingest.log.rows if isinstance(row.detail, WaitsEnded))

        until(lambda: ended() == counted.count == 10)
        starved_s = tracker.activity.runs.seconds(begin_s, time.monotonic())[Activity.NO_MESSAGES]
        assert starved_s >= 0.8 * counted.total_s


def test_a_blocked_script_is_seen_through_the_same_models_as_any_client(running: Script, follow: Follow) -> None:
    """Its table says STARVED, a request for credit frees it, and the marks and rows of that are there."""
    source = follow(running.path())
    ingest = Ingest(source)

    def status() -> Status | None:
        ingest.tick()
        channel = ingest.channel("USER")
        return None if channel is None else channel.status

    until(lambda: status() is Status.STARVED)
    assert source.name == f"sender in python -c ({running.pid})"
    assert source.address.startswith("ws://127.0.0.1:")
    assert (source.failure, source.connecting, source.can_reconnect, source.may_steer) == (None, False, False, True)
    source.request("USER", 10, 0)
    notice = notice_of(source, "request")
    assert (notice.ok, notice.channel) == (True, "USER")
    assert "10 messages" in notice.result
    until(lambda: status() is not Status.STARVED)
    assert [running.line() for _ in range(8)] == [str(number) for number in range(8)]
    assert ingest.history.channels
    until(lambda: status() and ingest.marks.between(MarkKind.GRANT, "USER", 0.0, inf))
    assert ingest.marks.between(MarkKind.REQUEST, "USER", 0.0, inf)


def test_every_command_comes_back_as_a_notice(running: Script, follow: Follow) -> None:
    """With the script's own words, refusals included."""
    source = follow(running.path())
    source.pause("AGENT", "lunch")
    assert notice_of(source, "pause").ok
    until(lambda: source.snapshot() is not None and source.snapshot().channels["AGENT"].paused_by_us)
    source.resume("AGENT")
    assert notice_of(source, "resume").ok
    source.send_test_message("AGENT", "hello")
    assert notice_of(source, "test message").result.startswith("Sent as ")
    source.clear_queue("AGENT")
    assert "0 queued messages" in notice_of(source, "clear queue").result
    source.use_strategy("threshold", {"message_threshold": 3})
    assert notice_of(source, "strategy").ok
    source.request("AGENT", 0, 0)
    refused = notice_of(source, "request")
    assert (refused.ok, "at least 1 message" in refused.result) == (False, True)
    source.reconnect()
    source.connect_to("ws://elsewhere", None)
    assert "The script opens" in notice_of(source, "connect").result


def test_a_script_that_is_stopped_and_killed_is_told(running: Script, follow: Follow) -> None:
    """Stopped: it is silent since it was last heard, and as it was when it goes on; killed: it is offline, and gone for good."""
    source = follow(running.path())
    ingest = Ingest(source)

    def says(status: Status) -> bool:
        ingest.tick()
        view = ingest.channel("USER")
        return view is not None and view.status is status

    until(lambda: says(Status.STARVED))
    os.kill(running.pid, signal.SIGSTOP)
    within_a_second(lambda: says(Status.SILENT), running.pid)
    assert source.failure is not None
    assert source.failure.title == "The script has stopped answering"
    view = ingest.channel("USER")
    assert view is not None
    assert 0.5 < view.status_s < 1.5
    assert explain(view).startswith("The script is silent. 1 message waited, the first for ")
    assert "last known values" in source.failure.text
    assert not source.snapshot().connected
    os.kill(running.pid, signal.SIGCONT)
    within_a_second(lambda: says(Status.STARVED), running.pid)
    assert (source.failure, source.silent_s, source.snapshot().connected) == (None, None, True)
    running.process.kill()
    within_a_second(lambda: says(Status.OFFLINE), running.pid)
    assert source.failure is not None
    assert (source.failure.title, source.can_detach) == ("The script is not there any more", False)
    source.pause("USER", None)
    assert "Nothing was asked" in notice_of(source, "pause").result


def test_a_program_is_detached_from_and_attached_to_again(place: Path, follow: Follow) -> None:
    """The program has nobody who watches it then, the last values stay, and what comes later is seen again."""
    client = StandIn("sender")
    with served(place) as service:
        service.offer(client)
        source = follow(service.path)
        until(lambda: source.snapshot() is not None)
        assert (source.can_detach, source.can_attach_again) == (True, False)
        source.detach()
        assert (source.can_detach, source.can_attach_again) == (False, True)
        until(lambda: client.listening == [])
        assert notice_of(source, "script").result.startswith("Detached from ")
        assert source.failure is not None
        assert (source.failure.title, source.silent_s is not None, source.snapshot().connected) == ("Detached", True, False)
        source.detach()
        source.pause("USER", None)
        assert "Nothing was asked" in notice_of(source, "pause").result
        client.change("USER", credits=77)
        source.attach_again()
        source.attach_again()
        until(lambda: source.snapshot() is not None and source.snapshot().channels["USER"].credits == 77)
        assert (source.failure, source.silent_s, source.can_detach, source.can_attach_again) == (None, None, True, False)
        assert notice_of(source, "script").result.startswith("Attached to ")
        assert len(client.listening) == 1


def test_several_clients_and_programs_are_shown_at_once(place: Path, running: Script, follow: Follow) -> None:
    """Each source has a link of its own; what the script closes is told of that one only."""
    first, second = StandIn("first"), StandIn("second")
    first.change("USER", credits=1)
    second.change("USER", credits=2)
    path = running.path()
    with served(place) as service:
        offer = service.offer(first)
        service.offer(second)
        sources = [follow(service.path, "first"), follow(service.path, "second"), follow(path)]
        until(lambda: all(source.snapshot() is not None for source in sources))
        assert [source.snapshot().channels["USER"].credits for source in sources[:2]] == [1, 2]
        assert [source.may_steer for source in sources] == [False, False, True]
        service.service.withdraw(offer)
        until(lambda: sources[0].failure is not None)
        assert sources[0].failure.title == "The script has closed this client"
        assert [source.failure for source in sources[1:]] == [None, None]
        assert len(list_programs()) == 2


def test_the_past_is_told_in_snapshots(place: Path, follow: Follow) -> None:
    """Once, with what the program remembers of each moment, so that plots can begin before the monitor did."""
    client = StandIn("sender")
    client.change("USER", credits=3, backlog=2, waiting_for="messages", oldest_wait=1.5, sent_messages=7)
    with served(place) as service:
        offer = service.offer(client)
        client.change("USER", credits=9, backlog=0, waiting_for=None, oldest_wait=0.0)
        until(lambda: len(offer.ring.samples()) >= 2)
        source = follow(service.path)
        until(lambda: source.snapshot() is not None)
        (time_s, then), (later_s, later), *_ = source.take_past()
        assert time_s < later_s
        user = then.channels["USER"]
        assert (user.credits, user.backlog, user.waiting_for, user.sent_messages) == (3, 2, "messages", 7)
        assert user.max_credits == 100
        assert user.granted == 3 + 7, "what was spent and what was left was granted before"
        assert (later.channels["USER"].credits, later.connected) == (9, True)
        assert not source.take_past()


def test_a_client_that_is_not_there_is_a_failure_in_words(place: Path, follow: Follow) -> None:
    """The program is there, and has none of this name; nothing is shown, and nothing waited for."""
    client = StandIn("sender")
    with served(place) as service:
        service.offer(client)
        source = follow(service.path, "recipient")
        assert source.snapshot() is None
        until(lambda: source.failure is not None)
        assert "no client recipient" in source.failure.text
        assert not source.connecting


@pytest.mark.parametrize(
    ("phase", "title"),
    [
        ("new", "Not connected"),
        ("connecting", None),
        ("open", None),
        ("offline", None),
        ("closed", "The connection is over"),
    ],
)
def test_a_script_without_a_connection_is_a_failure_in_words(place: Path, follow: Follow, phase: str, title: str | None) -> None:
    """As for a client of our own; while it connects, or means to come back, there is none: the snapshot says that."""
    client = StandIn("sender")
    state = {"phase": phase, "connected": phase == "open", "last_loss": "the line broke", "attempt": 3, "next_try_s": 1.0}
    client.state = msgspec.structs.replace(client.state, **state)
    with served(place) as service:
        service.offer(client)
        source = follow(service.path)
        until(lambda: source.snapshot() is not None)
        assert (None if source.failure is None else source.failure.title) == title
        assert source.connecting is (phase == "connecting")
        if phase == "offline":
            snapshot = source.snapshot()
            assert snapshot is not None
            assert (snapshot.last_loss, snapshot.attempt) == ("the line broke", 3)
            assert [info.state for info in list_programs()] == ["offline"]
