"""What is kept of a client that is watched: events by number, times by our clock."""

from __future__ import annotations

import msgspec
import pytest
from support.observed import CONNECTED

from haip_sync import Reconnecting, WarningRaised
from haip_sync.observe import Sample
from haip_sync.observe.messages import Happened, Past, Snapshot
from haip_sync.observe.watched import MOST_EVENTS, Offset, Watched


def test_events_that_nobody_takes_are_counted() -> None:
    """A monitor that stands still keeps the latest, and the number of the others."""
    watched, offset = Watched(every_event=False), Offset()
    for begin in range(0, MOST_EVENTS + 500, 500):
        events = tuple(WarningRaised(time_s=float(n), text="w") for n in range(begin, begin + 500))
        watched.take_in(Happened(client="c", events=events, dropped=1), offset)
    taken = watched.drain(1)
    assert (taken.events[0].time_s, taken.dropped) == (500.0, 500 + 41)
    assert watched.drain(1).dropped == 0


@pytest.mark.parametrize(
    ("heard", "expected_s"),
    [([(100.0, 100.3), (101.0, 101.002)], 0.0), ([(100.0, 7.5), (101.0, 8.1)], -92.9), ([(5.0, 900.0), (6.0, 902.0)], 895.0)],
    ids=["one machine", "a machine that runs longer", "a younger one"],
)
def test_clocks_of_two_machines_are_reckoned_from_one_to_the_other(heard: list[tuple[float, float]], expected_s: float) -> None:
    """On one machine the clock is the same; otherwise the message that came fastest is the nearest to the truth."""
    offset = Offset()
    for theirs_s, ours_s in heard:
        offset.learn(theirs_s, ours_s)
    assert offset.ours(0.0) == pytest.approx(expected_s)


def test_every_time_is_reckoned_onto_our_clock() -> None:
    """Of events, snapshots and the past: when they were, and when an attempt is to come."""
    watched, offset = Watched(every_event=False), Offset()
    offset.learn(100.0, 1_100.0)
    state = msgspec.structs.replace(CONNECTED, phase="offline", next_try_s=102.0, offline_since_s=99.0)
    event = Reconnecting(time_s=99.0, attempt=1, delay_s=3.0, next_try_s=102.0, reason="r")
    watched.take_in(Snapshot(client="c", now_s=100.0, state=state), offset)
    watched.take_in(Happened(client="c", events=(event,), dropped=0), offset)
    watched.take_in(Past(client="c", now_s=100.0, samples=(Sample(98.0, True, {}),)), offset)
    assert watched.state is not None
    assert (watched.state_s, watched.state.next_try_s, watched.state.offline_since_s) == (1_100.0, 1_102.0, 1_099.0)
    (moved,) = watched.drain(1).events
    assert (moved.time_s, moved.next_try_s) == (1_099.0, 1_102.0)
    assert [sample.time_s for sample in watched.take_past()] == [1_098.0]
