"""Gauges and counters over time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from haip_sync import ChannelState, ConnectionState
from monitor_app.model.history import BYTES_PER_CHANNEL, LEVELS, MOST_CHANNELS, MOST_COLUMNS, ROWS, History, Level

MakeChannel = Callable[..., ChannelState]
MakeConnection = Callable[..., ConnectionState]
ALL_S = float("inf")


def feed(level: Level, values: list[float], *, start_s: float = 0.0, step_s: float = 0.04) -> float:
    """Append one value after another; return the time after the last."""
    for number, value in enumerate(values):
        level.append(start_s + number * step_s, np.array([value]))
    return start_s + len(values) * step_s


def one_level(width_s: float = 1.0, columns: int = 100) -> Level:
    """Return a level for one curve."""
    level = Level(width_s, columns)
    level.grow(1)
    return level


def test_a_column_keeps_its_least_and_greatest_value_in_their_order() -> None:
    """Of all the samples in a column the extremes remain, the earlier one first."""
    level = one_level()
    feed(level, [5.0, 1.0, 9.0, 4.0], step_s=0.2)
    feed(level, [5.0, 9.0, 1.0, 4.0], start_s=1.0, step_s=0.2)
    assert list(level.window(0.0, ALL_S, ("A",)).values[0]) == [1.0, 9.0, 9.0, 1.0]


def test_columns_lie_at_absolute_times() -> None:
    """The lattice does not depend on when a window is asked for, so that the past is never cut anew."""
    level = one_level()
    feed(level, [1.0, 2.0, 3.0], start_s=10.3, step_s=1.0)
    assert list(level.window(0.0, ALL_S, ("A",)).times_s) == [10.0, 10.5, 11.0, 11.5, 12.0, 12.5]


def test_a_level_keeps_its_columns_however_long_it_runs() -> None:
    """Memory is bounded, and as many columns as were asked for are complete after the buffer has gone round."""
    level = one_level(0.25, 750)
    end_s = feed(level, [float(number) for number in range(5 * 750)], step_s=0.25)
    window = level.window(end_s - 750 * 0.25, ALL_S, ("A",))
    assert len(window.times_s) >= 2 * 750
    assert level._values.shape[1] <= 2 * 750 * 1.25
    assert np.all(np.diff(window.times_s) > 0)
    assert window.values[0][-1] == 5 * 750 - 1


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400),
    st.floats(0.01, 0.3),
    st.floats(0.0, 1e5),
)
def test_no_level_loses_an_extreme(values: list[float], step_s: float, start_s: float) -> None:
    """Whatever comes, the least and the greatest value of a stretch are the same at every level of detail."""
    history = History()
    for level in history._levels:
        level.grow(1)
        feed(level, values, start_s=start_s, step_s=step_s)
        kept = level.window(0.0, ALL_S, ("A",)).values[0]
        assert (kept.min(), kept.max()) == (min(values), max(values))


def test_an_hour_and_more_is_kept_in_bounded_memory(connection_state: MakeConnection) -> None:
    """After three hours of two samples a second the last hour is there, and no buffer has grown."""
    history = History()
    state = connection_state()
    for number in range(3 * 7200):
        history.append(number * 0.5, state)
    now_s = 3 * 3600.0
    for span_s in (30.0, 120.0, 600.0, 3600.0):
        window = history.window(now_s - span_s, now_s)
        assert window.times_s[0] <= now_s - span_s + window.width_s
        assert len(window.times_s) <= 2 * (MOST_COLUMNS + 3)
    assert sum(level._values.nbytes for level in history._levels) == len(state.channels) * BYTES_PER_CHANNEL


def test_a_window_is_as_fine_as_what_is_still_known(connection_state: MakeConnection) -> None:
    """The same span is drawn from twentieths of a second when it is new, and from coarser columns when it is old."""
    history = History()
    for number in range(12_000):
        history.append(number * 0.1, connection_state())
    assert history.window(1170.0, 1200.0).width_s == LEVELS[0][0]
    assert history.window(100.0, 130.0).width_s > LEVELS[0][0]
    assert history.window(100.0, 130.0).times_s[0] <= 100.0


@given(st.floats(0.0, 30.0), st.floats(0.0, 30.0))
def test_a_window_has_whole_columns(from_s: float, span_s: float) -> None:
    """Wherever a window is cut, each column comes with both of its ends, and reaches over the edges."""
    level = one_level(0.25, 200)
    feed(level, [float(number % 7) for number in range(300)], step_s=0.1)
    window = level.window(from_s, from_s + span_s, ("A",))
    assert len(window.times_s) % 2 == 0
    assert np.all(window.times_s[1::2] - window.times_s[::2] == 0.125)
    assert window.times_s[0] <= max(from_s, 0.0)


def test_a_channel_that_comes_later_joins_the_others(channel_state: MakeChannel, connection_state: MakeConnection) -> None:
    """A new channel gets curves of its own and leaves those of the others alone."""
    history = History()
    history.append(1.0, connection_state(channels={"USER": channel_state(credits=7)}))
    history.append(2.0, connection_state(channels={"USER": channel_state(credits=6), "LATE": channel_state(backlog=2)}))
    assert history.channels == ("USER", "LATE")
    assert history.value_at(0, "USER", 1.0) == 7.0
    assert history.value_at(0, "USER", 2.0) == 6.0
    assert history.value_at(2, "LATE", 2.0) == 2.0
    assert history.latest(2, "LATE") == 2.0


def test_a_channel_that_is_not_told_of_any_more_stays_as_it_was(
    channel_state: MakeChannel, connection_state: MakeConnection
) -> None:
    """A program elsewhere may leave out what it told before; its curve goes on flat."""
    history = History()
    both = {"USER": channel_state(credits=7, sent_messages=3), "AGENT": channel_state()}
    history.append(1.0, connection_state(channels=both))
    history.append(2.0, connection_state(channels={"AGENT": channel_state(credits=5)}))
    assert (history.latest(0, "USER"), history.latest(0, "AGENT")) == (7.0, 5.0)
    assert history.value_at(ROWS.index("sent"), "USER", 2.0) == 3.0


def test_no_number_of_channels_takes_all_memory(channel_state: MakeChannel, connection_state: MakeConnection) -> None:
    """A peer that opens channel after channel fills the table and not the memory: what came later is not drawn."""
    history = History()
    history.append(1.0, connection_state(channels={f"C{number}": channel_state() for number in range(200)}))
    history.append(2.0, connection_state(channels={f"C{number}": channel_state() for number in range(400)}))
    assert len(history.channels) == MOST_CHANNELS
    assert history.latest(0, "C399") is None
    assert history.value_at(0, "C399", 1.0) is None


def test_curves_have_their_units(channel_state: MakeChannel, connection_state: MakeConnection) -> None:
    """Credit is in messages, byte credit in KiB, backlog in messages; what was spent and granted is counted in both."""
    history = History()
    state = channel_state(credits=3, byte_credits=2048, backlog=4, sent_messages=5, sent_bytes=512, granted=8, granted_bytes=3072)
    history.append(1.0, connection_state(channels={"USER": state}))
    window = history.window(0.0, 1.0)
    assert [window.row(metric, "USER")[-1] for metric in range(len(ROWS))] == [3.0, 2.0, 4.0, 0.0, 5.0, 0.5, 8.0, 3.0]
    assert window.top(1, ["USER"]) == 2.0
    assert window.top(1, ["OTHER"]) == 0.0


def test_counters_go_on_over_epochs(channel_state: MakeChannel, connection_state: MakeConnection) -> None:
    """What was sent before a reconnect is not taken back by it."""
    history = History()
    for time_s, epoch, sent in ((1.0, 1, 10), (2.0, 1, 12), (3.0, 2, 0), (4.0, 2, 20)):
        history.append(time_s, connection_state(epoch=epoch, channels={"USER": channel_state(sent_messages=sent)}))
    sent = ROWS.index("sent")
    assert [history.value_at(sent, "USER", time_s) for time_s in (1.0, 2.0, 3.0, 4.0)] == [10.0, 12.0, 12.0, 32.0]


def test_nothing_is_known_before_the_first_sample(connection_state: MakeConnection) -> None:
    """Before the first sample there is no value."""
    history = History()
    assert history.oldest_s is None
    history.append(10.0, connection_state())
    assert history.value_at(0, "USER", 5.0) is None
    assert History().window(0.0, 30.0).top(0, ["USER"]) == 0.0


def test_time_without_a_connection_is_a_gap(connection_state: MakeConnection) -> None:
    """Old values are not recorded again; the span without a connection is remembered, and its end too."""
    history = History()
    history.append(0.5, connection_state(connected=False))
    assert not history.gaps, "what lies before the first connection is no gap"
    history.append(1.0, connection_state())
    history.append(2.0, connection_state(connected=False))
    history.append(3.0, connection_state(connected=False))
    assert list(history.gaps) == [(2.0, None)]
    assert history.gaps_between(0.0, 3.5) == [(2.0, 3.5)]
    history.append(4.0, connection_state())
    assert list(history.gaps) == [(2.0, 4.0)]
    assert history.gaps_between(2.5, 3.0) == [(2.5, 3.0)]
    assert history.gaps_between(4.5, 5.0) == []
    assert history.value_at(0, "USER", 3.0) is None, "what nobody measured is no value"
    assert history.value_at(0, "USER", 1.5) == 100.0, "what was before is kept"
    assert history.value_at(0, "USER", 4.0) == 100.0


def test_a_copied_window_stands_still(connection_state: MakeConnection) -> None:
    """What is recorded later does not reach a copy."""
    history = History()
    history.append(1.0, connection_state())
    copy = history.window(0.0, 1.0).copy()
    before = copy.values.copy()
    for number in range(4_000):
        history.append(2.0 + number * 0.04, connection_state())
    assert np.array_equal(copy.values, before)
