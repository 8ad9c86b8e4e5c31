"""Waits that nobody tells one by one: the monitor works them out from the snapshots, none is lost, none comes twice."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.observed import StandIn, meeting_place, served
from support.states import make_channel, make_connection
from support.turnstiles import PATIENCE_S, until

from haip_sync import FlowControlTimeout, HAIPClient, SendAdmitted, SendBlocked, WaitCause
from haip_sync.events import Event
from haip_sync.flow.metrics import MetricsRecorder
from haip_sync.observe import ProgramLink, WaitsBegan, WaitsEnded, list_programs
from haip_sync.observe.messages import Snapshot
from haip_sync.observe.waits import WaitBook
from haip_sync.observe.watched import Offset, Watched
from haip_sync.state import ConnectionState, Waited
from haip_sync.testing import DevServer, OnRequest

Over = dict[str, Waited]


def standing(waiting: int = 0, over: Over | None = None, *, oldest_wait: float = 0.0) -> ConnectionState:
    """Return a client with so many threads in the line of USER, the first of which lacks two messages of three."""
    channel = make_channel(
        credits=1,
        waiting=waiting,
        backlog=waiting,
        oldest_wait=oldest_wait,
        waiting_for="messages" if waiting else None,
        missing=2 if waiting else 0,
        waits=over or {},
    )
    return make_connection(channels={"USER": channel})


def over(count: int, total_s: float = 0.0, cause: str = "messages") -> Over:
    """Return so many waits that are over."""
    return {cause: Waited(count, total_s)} if count else {}


@dataclass(frozen=True)
class Round:
    """What happens between two snapshots."""

    begin: int
    end: int
    """Of those who stand."""
    in_between: int
    """Of these, let go on by the time of the snapshot, and not counted yet."""
    is_told: bool
    """Whether the monitor gets the snapshot: one that does not read gets none."""


FEW = st.integers(0, 5)
ROUNDS = st.lists(st.builds(Round, begin=FEW, end=FEW, in_between=FEW, is_told=st.booleans()), max_size=12)


@given(past=st.integers(0, 9), rounds=ROUNDS)
def test_each_wait_begins_once_and_ends_once(past: int, rounds: list[Round]) -> None:
    """Whenever it comes, also where somebody goes on while a snapshot is taken; what was over before the first is not told."""
    book, stand, done, told = WaitBook(), 0, past, Counter[str]()
    book.catch_up(standing(0, over(past)), 0.0)
    for number, one in enumerate([*rounds, *[Round(0, 0, 0, is_told=True)] * 2], 1):
        stand += one.begin
        ended = min(stand, one.end)
        late = min(ended, one.in_between)
        stand -= ended
        counted = over(done + ended - late, float(done + ended - late))
        done += ended
        for event in book.catch_up(standing(stand, counted), float(number)) if one.is_told else ():
            assert isinstance(event, WaitsBegan | WaitsEnded)
            told[type(event).__name__] += event.times
    assert told["WaitsBegan"] == sum(one.begin for one in rounds)
    assert told["WaitsEnded"] == done - past
    assert stand == told["WaitsBegan"] - told["WaitsEnded"]


def test_who_stands_is_told_with_the_time_and_what_is_lacking() -> None:
    """At the first snapshot too: an operator attaches because somebody stands."""
    (event,) = WaitBook().catch_up(standing(2, over(50, 1.0), oldest_wait=7.0), 100.0)
    assert isinstance(event, SendBlocked)
    assert event == WaitsBegan(
        time_s=93.0,
        channel="USER",
        cause="messages",
        messages_needed=3,
        bytes_needed=0,
        credits=1,
        byte_credits=512 * 1024,
        waiting=2,
        times=2,
    )


def test_a_wait_between_two_snapshots_is_told_with_its_length() -> None:
    """It began after the one and was over before the other; its cause is the one that was counted."""
    book = WaitBook()
    book.catch_up(standing(), 10.0)
    events = book.catch_up(standing(0, over(3, 0.02, "bytes")), 10.05)
    began, ended = events
    assert isinstance(began, WaitsBegan)
    assert (began.cause, began.times, began.waiting, began.time_s) == ("bytes", 3, 0, pytest.approx(10.03))
    assert ended == WaitsEnded(time_s=pytest.approx(10.05), channel="USER", cause="bytes", times=3, total_s=0.02)


@pytest.mark.parametrize("claimed", [inf, nan])
def test_a_claim_that_is_no_number_makes_no_time_that_is_none(claimed: float) -> None:
    """A hostile program: every event has a time that can be shown."""
    book = WaitBook()
    events = [
        *book.catch_up(standing(1, oldest_wait=claimed), 1.0),
        *book.catch_up(standing(2, over(1, claimed), oldest_wait=claimed), 2.0),
        *book.catch_up(standing(0, over(9, claimed)), 3.0),
    ]
    assert len(events) == 5
    assert all(1.0 <= event.time_s <= 3.0 for event in events)


def test_metrics_that_begin_anew_lose_nothing() -> None:
    """Who stood as the script reset them is not told again, and what comes after is."""
    book = WaitBook()
    book.catch_up(standing(1, over(8, 4.0)), 1.0)
    assert book.catch_up(standing(1), 2.0) == []
    (ended,) = book.catch_up(standing(0, over(1, 2.5)), 3.0)
    assert isinstance(ended, WaitsEnded)
    assert (ended.times, ended.total_s) == (1, 2.5)
    assert [type(event) for event in book.catch_up(standing(0, over(2, 3.0)), 4.0)] == [WaitsBegan, WaitsEnded]


def test_what_is_counted_is_what_the_metrics_have() -> None:
    """By channel and cause, and nothing of a channel where nobody waited."""
    counts = MetricsRecorder()
    counts.requested("AGENT")
    counts.waited("USER", WaitCause.MESSAGES, 0.5)
    counts.waited("USER", WaitCause.BYTES, 0.25)
    counts.waited("USER", WaitCause.BYTES, 0.25)
    assert counts.over("USER") == {"messages": Waited(1, 0.5), "bytes": Waited(2, 0.5)}
    assert counts.over("AGENT") == counts.over("SYSTEM") == {}
    spread = counts.snapshot().channels["USER"].waits
    assert counts.over("USER") == {cause: Waited(waits.count, waits.total_s) for cause, waits in spread.items()}


def test_who_hears_of_every_wait_is_told_no_sums() -> None:
    """They would come twice; the sums go on from where they are, once single waits are told no longer."""
    watched, offset = Watched(every_event=True), Offset()
    for now_s, count in ((1.0, 0), (2.0, 3)):
        watched.take_in(Snapshot(client="c", now_s=now_s, state=standing(0, over(count))), offset)
    assert watched.drain(9).events == []
    watched.every_event = False
    watched.take_in(Snapshot(client="c", now_s=3.0, state=standing(0, over(4))), offset)
    assert [getattr(event, "times", 0) for event in watched.drain(9).events] == [1, 1]


def test_nobody_listens_for_single_waits() -> None:
    """Not for a monitor that wants the marks: a wait costs the sender the same whoever watches."""
    with meeting_place() as place, served(place) as running:
        client = StandIn()
        running.offer(client)
        with ProgramLink(running.path) as link:
            link.attach("client")
            until(lambda: client.listening)
            assert all(each.kinds and not {SendBlocked, SendAdmitted} & set(each.kinds) for each in client.listening)


def test_a_script_that_waits_for_a_moment_is_told_of() -> None:
    """A real client whose sends wait for less than a round lies between two snapshots: both ends of each wait are told."""
    with (
        DevServer(agent=False, initial_credits=1, policy=OnRequest()) as server,
        meeting_place(),
        HAIPClient(server.url, name="sender", monitor=True) as client,
    ):
        client.send("USER", "TOOL_UPDATE", {"call_id": "c", "status": "RUNNING"}, timeout=PATIENCE_S)
        until(list_programs)
        heard: list[Event] = []
        with ProgramLink(list_programs()[0]) as link:
            link.attach("sender")
            until(lambda: link.snapshot("sender"))
            for _ in range(5):
                with pytest.raises(FlowControlTimeout):
                    client.send("USER", "TOOL_UPDATE", {"call_id": "c", "status": "RUNNING"}, timeout=0.002)
            waiting = threading.Thread(target=lambda: client.wait_for_credits("USER", messages=1, timeout=PATIENCE_S))
            waiting.start()
            until(lambda: client.connection_state().channels["USER"].waiting)
            client.request_credits("USER", messages=1)
            waiting.join(PATIENCE_S)

            def told() -> tuple[int, int]:
                heard.extend(link.drain("sender", 99).events)
                began, ended = (
                    sum(event.times for event in heard if isinstance(event, kind)) for kind in (WaitsBegan, WaitsEnded)
                )
                return began, ended

            until(lambda: told() == (6, 6))
            counted = client.metrics().channels["USER"].waits["messages"]
            assert sum(event.total_s for event in heard if isinstance(event, WaitsEnded)) == pytest.approx(counted.total_s)
