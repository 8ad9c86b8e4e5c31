"""Waits that come in sums: few rows, timely, and every wait in one of them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from haip_sync.observe import WaitsBegan, WaitsEnded
from monitor_app.model.wait_rows import PACE_S, WaitRows, WaitsTold


def began(time_s: float, times: int = 1, *, waiting: int = 0, channel: str = "USER") -> WaitsBegan:
    """Return so many sends that had to wait for messages."""
    return WaitsBegan(
        time_s=time_s,
        channel=channel,
        cause="messages",
        messages_needed=1,
        bytes_needed=0,
        credits=0,
        byte_credits=9,
        waiting=waiting,
        times=times,
    )


def ended(time_s: float, times: int = 1, total_s: float = 0.5) -> WaitsEnded:
    """Return so many that went on."""
    return WaitsEnded(time_s=time_s, channel="USER", cause="messages", times=times, total_s=total_s)


def test_what_comes_after_a_pause_is_told_at_once() -> None:
    """A beginning and an end are told by themselves, and each channel is."""
    rows = WaitRows()
    first = [began(1.0), ended(1.0), began(1.0, channel="AGENT")]
    assert [rows.take(event, 1.0) for event in first] == first
    assert rows.take(began(1.1), 1.1) is None
    assert rows.due(1.0 + PACE_S) == [began(1.1)]
    assert rows.due(1.0 + 2 * PACE_S) == []
    assert rows.take(began(9.0), 9.0) == began(9.0)


def test_what_was_held_is_told_as_one() -> None:
    """It began when the first of it did; who stands now is the last one's to say; lengths add up."""
    rows = WaitRows()
    for event in (began(1.0), ended(1.0)):
        rows.take(event, 1.0)
    for event in (began(1.1, 3), ended(1.1, 2, 0.25), began(1.2, 4, waiting=5), ended(1.2, 6, 0.5)):
        assert rows.take(event, event.time_s) is None
    assert rows.due(1.2) == []
    assert rows.due(1.0 + PACE_S) == [began(1.1, 7, waiting=5), ended(1.2, 8, 0.75)]


@given(st.lists(st.tuples(st.floats(0.0, 0.3), st.booleans(), st.integers(1, 9)), max_size=40))
def test_no_wait_is_lost_and_rows_come_at_a_pace(steps: list[tuple[float, bool, int]]) -> None:
    """Whatever comes and however fast: the rows' sums are those of what was told."""
    rows, now_s, told = WaitRows(), 0.0, list[tuple[float, WaitsTold]]()
    for pause_s, is_end, times in steps:
        now_s += pause_s
        told += [(now_s, event) for event in rows.due(now_s)]
        event = rows.take(ended(now_s, times) if is_end else began(now_s, times), now_s)
        told += [(now_s, event)] if event is not None else []
    told += [(now_s + 1.0, event) for event in rows.due(now_s + 1.0)]
    for kind, is_kind in ((WaitsBegan, False), (WaitsEnded, True)):
        mine = [(time_s, event) for time_s, event in told if isinstance(event, kind)]
        assert sum(event.times for _, event in mine) == sum(times for _, is_end, times in steps if is_end is is_kind)
        assert all(then - before >= PACE_S - 1e-9 for (before, _), (then, _) in pairwise(mine))
