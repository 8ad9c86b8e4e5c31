"""From a source to what the views read."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from support.states import make_grant

from haip_sync import ChannelPaused, Connected, CreditGranted, CreditRequested
from monitor_app.model.activity import Activity
from monitor_app.model.answer import evidence_of
from monitor_app.model.clock import Clock
from monitor_app.model.explanations import grant_of
from monitor_app.model.ingest import REPORT_STARVATION_S, Ingest
from monitor_app.model.marks import MarkKind
from monitor_app.model.source import Failure, Notice
from monitor_app.model.status import Status
from monitor_app.model.text_table import render


@pytest.fixture
def ingest(source: Any, clock: Any) -> Ingest:
    """Return an ingest that has seen the first snapshot."""
    made = Ingest(source, clock)
    made.tick()
    return made


def grant(time_s: float, channel: str = "USER") -> CreditGranted:
    """Return a grant of ten messages."""
    return make_grant(time_s, 10, channel=channel)


def test_the_clock_reads_as_time_of_day() -> None:
    """A monotonic time is read as local time, with milliseconds where asked for."""
    clock = Clock(lambda: 5.0, lambda: 1_700_000_005.25)
    assert clock.time_of_day(5.0, milliseconds=True).endswith(".250")
    assert len(clock.time_of_day(5.0)) == len("14:33:08")


def test_a_grant_is_a_mark_a_row_and_an_age(ingest: Ingest, source: Any, clock: Any) -> None:
    """One grant shows on the axis, in the log and in the channel's explanation."""
    source.events.append(grant(clock.time_s))
    clock.time_s += 2.0
    ingest.tick()
    view = ingest.channel("USER")
    assert view is not None
    assert view.grant_age_s == pytest.approx(2.0)
    assert [mark.time_s for mark in ingest.marks.between(MarkKind.GRANT, "USER", 0.0, clock.time_s)] == [clock.time_s - 2.0]
    assert ingest.log.rows[-1].kind == "FLOW_UPDATE"
    assert ingest.lag_s == pytest.approx(2.0)


def test_what_is_remembered_is_told_by_its_events_and_not_by_looks(source: Any, clock: Any, connection_state: Any) -> None:
    """A program remembers a moment a second; what was offline for 50 ms between two of them was that long offline."""
    begun_s = clock.time_s - 10.0
    states = [(begun_s, msgspec.structs.replace(connection_state(), connected=False))]
    states += [(begun_s + ago_s, connection_state()) for ago_s in (1.0, 2.0)]
    source.past = states
    source.events.append(Connected(time_s=begun_s + 0.05, address="ws://fake:1", epoch=1, resumed=False))
    ingest = Ingest(source, clock)
    ingest.tick()
    tracker = ingest.tracker("USER")
    assert tracker is not None
    seconds = tracker.activity.runs.seconds(begun_s, clock.time_s)
    assert seconds[Activity.OFFLINE] == pytest.approx(0.05, abs=0.01)
    assert sum(seconds.values()) == pytest.approx(10.0, abs=0.01)


def test_our_request_is_a_mark_and_giving_back_is_not(ingest: Ingest, source: Any, clock: Any) -> None:
    """What goes back by itself would drown what somebody asked for."""
    for gives_back in (True, False):
        source.events.append(
            CreditRequested(time_s=clock.time_s, channel="USER", add_messages=1, add_bytes=0, gives_back=gives_back)
        )
    ingest.tick()
    assert len(ingest.marks.between(MarkKind.REQUEST, "USER", 0.0, float("inf"))) == 1


def test_the_reason_of_a_pause_lasts_as_long_as_the_pause(ingest: Ingest, source: Any, clock: Any) -> None:
    """The reason is shown while the channel is held and forgotten afterwards."""
    source.change("USER", paused_by_us=True)
    source.events.append(ChannelPaused(time_s=clock.time_s, channel="USER", by="us", peer_told=True, reason="why"))
    ingest.tick()
    assert _view(ingest).pause_reason == "why"
    source.change("USER", paused_by_us=False)
    ingest.tick()
    assert _view(ingest).pause_reason is None


def test_what_the_buffer_lost_is_counted(ingest: Ingest, source: Any) -> None:
    """Losses add up over the ticks."""
    for lost in (3, 4):
        source.dropped = lost
        ingest.tick()
    assert ingest.dropped == 7


def test_a_tick_takes_no_longer_than_its_budget(ingest: Ingest, source: Any, clock: Any) -> None:
    """A flood is taken in over several ticks; the window stays alive meanwhile."""
    source.events.extend(grant(clock.time_s) for _ in range(1000))
    drain = source.drain

    def slow_drain(limit: int) -> Any:
        clock.time_s += 1.0
        return drain(limit)

    source.drain = slow_drain
    ingest.tick()
    assert 0 < len(source.events) < 1000


def test_a_starvation_that_lasts_is_logged_once_with_its_end(ingest: Ingest, source: Any, clock: Any) -> None:
    """The log has one row when a starvation has lasted half a second, and one when it is over."""
    source.change("USER", credits=0, backlog=2, waiting_for="messages", missing=3)
    for _ in range(5):
        ingest.tick()
        clock.time_s += REPORT_STARVATION_S / 2
    source.change("USER", credits=50, backlog=0, waiting_for=None, missing=0)
    ingest.tick()
    texts = [row.text for row in ingest.log.rows if row.kind == "STARVED"]
    assert texts == ["needs 3 messages, has 0; backlog 2, for 0.5 s", "starvation over after 1.2 s: IDLE"]
    assert len(ingest.marks.between(MarkKind.STARVATION, "USER", 0.0, float("inf"))) == 1


def test_a_breath_of_starvation_is_not_logged(ingest: Ingest, source: Any, clock: Any) -> None:
    """Starvations shorter than half a second are the normal breathing of a busy channel."""
    source.change("USER", credits=0, backlog=1, waiting_for="messages", missing=1)
    ingest.tick()
    clock.time_s += REPORT_STARVATION_S / 2
    source.change("USER", credits=50, backlog=0, waiting_for=None)
    ingest.tick()
    assert not ingest.log.rows


def test_sending_makes_a_rate_and_a_flowing_channel(ingest: Ingest, source: Any, clock: Any) -> None:
    """The rate is what was spent over the last seconds."""
    for number in range(1, 9):
        clock.time_s += 0.25
        source.change("USER", sent_messages=number, sent_bytes=number * 1024)
        ingest.tick()
    view = _view(ingest)
    assert view.status is Status.FLOWING
    assert view.rate_messages == pytest.approx(4.0)
    assert view.rate_bytes == pytest.approx(4096.0)


def test_a_new_epoch_does_not_make_a_negative_rate(ingest: Ingest, source: Any, clock: Any) -> None:
    """Counters that begin anew are not taken for a loss."""
    for sent in (1000, 1010, 0, 1):
        clock.time_s += 0.5
        source.change("USER", sent_messages=sent)
        ingest.tick()
    assert _view(ingest).rate_messages >= 0.0


def test_the_results_of_commands_are_kept_by_channel(ingest: Ingest, source: Any) -> None:
    """The last request and the last answer to each other command are at hand for the controls."""
    for action in ("request", "pause"):
        source.notices.append(Notice(time_s=1.0, channel="USER", action=action, result="r", ok=False))
    source.notices.append(Notice(time_s=1.0, channel=None, action="connect", result="c", ok=True))
    ingest.tick()
    assert ingest.answered["USER", "request"].result == "r"
    assert ("USER", "pause") in ingest.answered
    assert len(ingest.log.rows) == 3


def test_a_source_without_a_client_shows_nothing(source: Any, clock: Any) -> None:
    """Before there is a client there are no channels."""
    source.state = None
    ingest = Ingest(source, clock)
    ingest.tick()
    assert ingest.channels() == []
    assert ingest.channel("USER") is None


def test_a_reset_forgets_everything_but_the_log(ingest: Ingest, source: Any, clock: Any) -> None:
    """Another address begins with empty plots; what happened stays in the log."""
    source.events.append(grant(clock.time_s))
    ingest.tick()
    ingest.reset()
    assert ingest.history.channels == ()
    assert ingest.connection is None
    assert len(ingest.log.rows) == 1


def test_the_text_table_says_what_each_channel_lacks(ingest: Ingest, source: Any) -> None:
    """The table has the connection, and a line for each channel with state, credits and lack."""
    source.change("AUDIO_IN", byte_credits=512, backlog=2, oldest_wait=1.5, waiting_for="bytes", missing=1536)
    ingest.tick()
    lines = render(ingest, ingest.clock).splitlines()
    assert lines[0].endswith("Connected to ws://fake:1")
    line = next(line for line in lines if line.startswith("AUDIO_IN"))
    cells = "AUDIO_IN STARVED 100/100 0.5/512 2 1.5 s 0 needs 2 KiB, has 512 B"
    assert " ".join(line.split()) == cells
    assert len({line.index("STARVED") for line in lines if "STARVED" in line} | {lines[1].index("State")}) == 1


def test_the_text_table_says_why_there_is_no_connection(ingest: Ingest, source: Any) -> None:
    """A failure stands above the table with its reason, an attempt with its address."""
    source.lose("It is gone.")
    ingest.tick()
    assert "The connection is over. It is gone." in render(ingest, ingest.clock)
    source.connecting = True
    assert "Connecting to ws://fake:1" in render(ingest, ingest.clock)
    source.connecting, source.failure = False, None
    assert "Not connected" in render(ingest, ingest.clock)


def _view(ingest: Ingest) -> Any:
    view = ingest.channel("USER")
    assert view is not None
    return view


def test_what_a_source_remembers_comes_before_what_is_seen(
    source: Any, clock: Any, connection_state: Any, channel_state: Any
) -> None:
    """The past is in the history when the first snapshot is, once, and at its own times."""
    past = connection_state(channels={"USER": channel_state(credits=7)})
    source.past = [(clock.time_s - 60.0, past), (clock.time_s - 59.0, past)]
    ingest = Ingest(source, clock)
    ingest.tick()
    assert ingest.history.value_at(0, "USER", clock.time_s - 58.5) == 7.0
    assert ingest.history.value_at(0, "USER", clock.time_s) == 100.0
    assert ingest.history.value_at(0, "USER", clock.time_s - 61.0) is None


def test_a_source_that_is_looked_at_late_tells_since_when_a_channel_stands(source: Any, clock: Any) -> None:
    """The time is that of the past which it remembers, not of the first look, and a grant from before is known by its age."""

    def state(waited_s: float | None) -> Any:
        if waited_s is not None:
            lack = {"waiting_for": "messages", "missing": 1, "oldest_wait": waited_s}
            source.change("USER", credits=0, backlog=1, waiting=1, last_grant_age=33.0 if waited_s else None, **lack)
        return source.state

    source.past = [(clock.time_s - ago_s, state(waited_s)) for ago_s, waited_s in ((30.0, None), (20.0, 0.0))]
    state(20.0)
    ingest = Ingest(source, clock)
    ingest.tick()
    view = ingest.channel("USER")
    assert view is not None
    assert (view.status, view.status_s) == (Status.STARVED, pytest.approx(20.0))
    assert view.grant_age_s == pytest.approx(33.0)
    assert grant_of(view) == "33.0 s ago"
    assert "granted nothing since the handshake" not in evidence_of(view)


@pytest.mark.parametrize(("grant_age_s", "stands_for_s"), [(None, 40.0), (90.0, 40.0), (15.0, 15.0)])
def test_a_client_that_stood_before_the_window_opened_stands_since_then(
    source: Any, clock: Any, grant_age_s: float | None, stands_for_s: float
) -> None:
    """Without a past the first look tells it: who is first waits so long, and a grant within that time was too small for him."""
    lack = {"waiting_for": "messages", "missing": 2, "oldest_wait": 40.0, "last_grant_age": grant_age_s}
    source.change("USER", credits=1, backlog=1, waiting=1, **lack)
    ingest = Ingest(source, clock)
    ingest.tick()
    assert (_view(ingest).status, _view(ingest).status_s) == (Status.STARVED, pytest.approx(stands_for_s))
    clock.time_s += 1.0
    ingest.tick()
    assert _view(ingest).status_s == pytest.approx(stands_for_s + 1.0)
    source.change("USER", credits=100, backlog=0, waiting=0, waiting_for=None, missing=0, oldest_wait=0.0)
    ingest.tick()
    assert _view(ingest).status is not Status.STARVED
    source.change("USER", credits=0, backlog=1, waiting=1, waiting_for="messages", missing=1, oldest_wait=0.0)
    clock.time_s += 2.0
    ingest.tick()
    assert _view(ingest).status_s < 3.0


def test_a_source_that_tells_nothing_any_more_is_offline(source: Any, clock: Any) -> None:
    """A program that ended before it was heard again is not silent for ever: what is shown was known last."""
    ingest = Ingest(source, clock)
    ingest.tick()
    source.state, source.silent_s = None, 2.0
    clock.time_s += 2.0
    ingest.tick()
    source.silent_s = None
    ingest.tick()
    view = ingest.channel("USER")
    assert view is not None
    assert view.status is Status.OFFLINE
    assert ingest.connection is not None and not ingest.connection.connected  # noqa: PT018 - one state


def test_what_no_source_of_ours_can_mend_is_said_on_top_in_its_own_words(window: Any, source: Any) -> None:
    """A program that is silent is not called unconnected; there is no second notice with the same words."""
    source.can_reconnect = False
    source.lose()
    source.failure = Failure(title="The script does not answer", text="x.py (pid 7) is silent.")
    window.refresh()
    assert window.answer.title.text() == "The script does not answer"
    assert window.answer.evidence.text() == "x.py (pid 7) is silent."
    assert not window.banner.isVisible()
