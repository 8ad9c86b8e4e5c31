"""How a channel spends its time, from events and snapshots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from support.states import make_grant

from haip_sync import ChannelPaused, ChannelResumed, ChannelState, Connected, CreditGranted, Disconnected, SendBlocked
from haip_sync.observe import WaitsBegan, WaitsEnded
from monitor_app.model.activity import Activity, ActivityRecorder
from monitor_app.model.ingest import Ingest
from monitor_app.model.status import FLOWING_S, Status

Make = Callable[..., ChannelState]


def seconds(ingest: Ingest, from_s: float, to_s: float, channel: str = "USER") -> dict[Activity, float]:
    """Return what a channel did between two times, without what took no time."""
    tracker = ingest.tracker(channel)
    assert tracker is not None
    found = tracker.activity.runs.seconds(from_s, to_s)
    return {activity: pytest.approx(spent_s) for activity, spent_s in found.items() if spent_s}


@pytest.fixture
def ingest(source: Any, clock: Any) -> Ingest:
    """Return an ingest that has seen the first snapshot, at 1000 s."""
    made = Ingest(source, clock)
    made.tick()
    return made


def test_a_pause_counts_from_its_event_and_not_from_the_next_look(ingest: Ingest, source: Any, clock: Any) -> None:
    """Pause and resume between two looks take exactly the time between their events."""
    clock.time_s = 1001.0
    source.events.append(ChannelPaused(time_s=1000.2, channel="USER", by="us", peer_told=True))
    source.events.append(ChannelResumed(time_s=1000.7, channel="USER", by="us", still_paused=False))
    ingest.tick()
    assert seconds(ingest, 1000.0, 1001.0) == {Activity.IDLE: 0.5, Activity.PAUSED_BY_US: 0.5}


def test_a_starvation_between_two_looks_is_counted(ingest: Ingest, source: Any, clock: Any) -> None:
    """A wait that began and was ended by a grant since the last look is there, though no snapshot ever saw it."""
    clock.time_s = 1001.0
    source.events.append(blocked(1000.5, "bytes"))
    source.events.append(grant(1000.6))
    source.change("USER", sent_messages=1)
    ingest.tick()
    assert seconds(ingest, 1000.0, 1000.6)[Activity.NO_BYTES] == 0.1
    assert seconds(ingest, 1000.6, 1001.0) == {Activity.SENDING: 0.4}


def test_waits_between_two_looks_are_counted_in_sums_too(ingest: Ingest, source: Any, clock: Any) -> None:
    """As an attached script tells them: from when, and for how long all together."""
    clock.time_s = 1001.0
    wait = msgspec.structs.asdict(blocked(1000.5, "messages"))
    source.events.append(WaitsBegan(**wait, times=4))
    source.events.append(WaitsEnded(time_s=1000.8, channel="USER", cause="messages", times=4, total_s=0.3))
    ingest.tick()
    assert seconds(ingest, 1000.0, 1001.0)[Activity.NO_MESSAGES] == 0.3
    assert [row.kind for row in ingest.log.rows] == ["BLOCKED", "ADMITTED"]


def test_a_grant_that_is_too_small_ends_nothing(ingest: Ingest, source: Any, clock: Any) -> None:
    """While the snapshot still shows somebody standing, a grant in between has not interrupted the wait."""
    source.events.append(blocked(1000.5, "messages"))
    source.change("USER", credits=0, backlog=1, waiting_for="messages", missing=2, oldest_wait=0.5)
    clock.time_s = 1001.0
    ingest.tick()
    source.events.append(grant(1001.2))
    source.change("USER", oldest_wait=1.5, missing=1)
    clock.time_s = 1002.0
    ingest.tick()
    assert seconds(ingest, 1000.5, 1002.0) == {Activity.NO_MESSAGES: 1.5}


def test_a_new_wait_says_that_the_one_before_is_over(ingest: Ingest, source: Any, clock: Any) -> None:
    """Who comes first in line while somebody stood there comes after he was served, by the grant in between."""
    clock.time_s = 1001.0
    source.events.extend([blocked(1000.1, "messages"), grant(1000.2), blocked(1000.6, "messages"), grant(1000.7)])
    source.change("USER", sent_messages=2)
    ingest.tick()
    assert seconds(ingest, 1000.0, 1001.0)[Activity.NO_MESSAGES] == 0.2


def test_a_grant_that_is_used_up_between_two_looks_ends_the_stop(ingest: Ingest, source: Any, clock: Any) -> None:
    """Somebody was served and the next stands already: what was sent tells it, since who moves up to the front says nothing."""
    lack = {"credits": 0, "backlog": 3, "waiting_for": "messages", "missing": 1}
    source.events.append(blocked(1000.0, "messages"))
    source.change("USER", oldest_wait=1.0, **lack)
    clock.time_s = 1001.0
    ingest.tick()
    source.events.append(grant(1001.2))
    source.change("USER", sent_messages=1, oldest_wait=2.0, **lack)
    clock.time_s = 1002.0
    ingest.tick()
    view, tracker = ingest.channel("USER"), ingest.tracker("USER")
    assert view is not None
    assert (view.status, view.status_s) == (Status.STARVED, pytest.approx(0.8, abs=0.01))
    assert tracker.activity.runs.longest_s((Activity.NO_MESSAGES,), 1000.0, 1002.0) == pytest.approx(1.2)
    assert [row.text for row in ingest.log.rows if row.kind == "STARVED" and "over" in row.text] == [
        "starvation over after 1.2 s: served, and starved again"
    ]


def test_another_lack_begins_with_the_grant_that_ended_the_one_before(ingest: Ingest, source: Any, clock: Any) -> None:
    """The first in line may have stood for long, behind others: what he lacks now was not lacking all that time."""
    source.events.append(blocked(1000.0, "messages"))
    source.change("USER", credits=0, backlog=2, waiting_for="messages", missing=1, oldest_wait=1.0)
    clock.time_s = 1001.0
    ingest.tick()
    source.events.append(grant(1001.2))
    source.change("USER", sent_messages=1, credits=5, byte_credits=0, waiting_for="bytes", oldest_wait=2.0)
    clock.time_s = 1002.0
    ingest.tick()
    assert seconds(ingest, 1000.0, 1002.0) == {Activity.NO_MESSAGES: 1.2, Activity.NO_BYTES: 0.8}


def test_who_stands_behind_others_lacks_nothing_of_its_own(ingest: Ingest, source: Any, clock: Any) -> None:
    """A wait behind others does not begin a starvation."""
    clock.time_s = 1001.0
    source.events.append(blocked(1000.5, "behind_others"))
    ingest.tick()
    assert seconds(ingest, 1000.0, 1001.0) == {Activity.IDLE: 1.0}


def test_where_the_event_was_lost_the_oldest_wait_tells_the_beginning(ingest: Ingest, source: Any, clock: Any) -> None:
    """Without an event the snapshot's own measure of the wait is used, and the time of the look only as a last resort."""
    clock.time_s = 1001.0
    source.change("USER", credits=0, backlog=1, waiting_for="messages", missing=1, oldest_wait=0.4)
    ingest.tick()
    assert seconds(ingest, 1000.0, 1001.0) == {Activity.IDLE: 0.6, Activity.NO_MESSAGES: 0.4}


def test_without_a_connection_a_channel_is_offline_from_the_event_on(ingest: Ingest, source: Any, clock: Any) -> None:
    """Offline hides every other activity, and a reconnect brings back what the snapshot says."""
    clock.time_s = 1001.0
    source.change("USER", paused_by_us=True)
    source.events.append(ChannelPaused(time_s=1000.1, channel="USER", by="us", peer_told=True))
    source.events.append(Disconnected(time_s=1000.4, reason="gone", in_good_order=False))
    source.lose()
    ingest.tick()
    source.events.append(Connected(time_s=1001.5, address="ws://fake:1"))
    clock.time_s = 1002.0
    source.state = msgspec.structs.replace(source.state, connected=True)
    ingest.tick()
    assert seconds(ingest, 1000.0, 1002.0) == {Activity.IDLE: 0.1, Activity.PAUSED_BY_US: 0.8, Activity.OFFLINE: 1.1}


def test_while_nothing_is_heard_a_channel_is_silent_since_it_was_heard_last(ingest: Ingest, source: Any, clock: Any) -> None:
    """Silence is noticed late and counts from its beginning; the next snapshot ends it. The values stay, the rate does not."""
    clock.time_s = 1001.0
    source.change("USER", sent_messages=30, credits=90)
    ingest.tick()
    clock.time_s, source.silent_s = 1002.0, 0.7
    ingest.tick()
    view = ingest.channel("USER")
    assert view is not None
    assert (view.status, view.state.credits, round(view.status_s, 6)) == (Status.SILENT, 90, 0.7)
    clock.time_s, source.silent_s = 1010.0, 8.7
    ingest.tick()
    assert ingest.channel("USER").rate_messages == 0.0
    clock.time_s, source.silent_s = 1011.0, None
    ingest.tick()
    assert ingest.channel("USER").status is Status.IDLE
    assert seconds(ingest, 1001.0, 1011.0)[Activity.SILENT] == pytest.approx(9.7)


def test_sending_lasts_a_little_longer_than_its_frames(channel_state: Make) -> None:
    """Between two frames a channel still sends; when none has come for a while it is idle."""
    recorder = ActivityRecorder(0.0)
    recorder.snapshot(channel_state(), 0.0, connected=True)
    recorder.snapshot(channel_state(sent_messages=1), 1.0, connected=True)
    for step in range(30):
        recorder.snapshot(channel_state(sent_messages=1), 1.0 + step * 0.5, connected=True)
    found = recorder.runs.seconds(0.0, 15.0)
    assert found[Activity.SENDING] == pytest.approx(FLOWING_S, abs=0.5)
    assert found[Activity.IDLE] == pytest.approx(15.0 - FLOWING_S, abs=1.0)


def test_an_unread_socket_is_no_lack_of_credit(channel_state: Make) -> None:
    """A wait for something other than credit is not called starved."""
    recorder = ActivityRecorder(0.0)
    recorder.snapshot(channel_state(backlog=1, waiting_for="socket"), 1.0, connected=True)
    assert recorder.runs.last.state is Activity.IDLE


def blocked(time_s: float, cause: str) -> SendBlocked:
    """Return the beginning of a wait."""
    return SendBlocked(
        time_s=time_s, channel="USER", cause=cause, messages_needed=1, bytes_needed=10, credits=0, byte_credits=0, waiting=1
    )


def grant(time_s: float) -> CreditGranted:
    """Return a grant of one message."""
    return make_grant(time_s, 1)
