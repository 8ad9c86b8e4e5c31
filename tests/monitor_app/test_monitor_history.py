"""Gauges over time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from haip_sync import ChannelState, ConnectionState
from monitor_app.model.history import COLUMNS, History, Level

MakeChannel = Callable[..., ChannelState]
MakeConnection = Callable[..., ConnectionState]


def feed(level: Level, values: list[float], *, start_s: float = 0.0, step_s: float = 0.04) -> float:
    """Append one value after another; return the time after the last."""
    for number, value in enumerate(values):
        level.append(start_s + number * step_s, np.array([value]))
    return start_s + len(values) * step_s


def test_a_column_keeps_its_least_and_greatest_value_in_their_order() -> None:
    """Of all the samples in a column the extremes remain, the earlier one first."""
    level = Level(750.0)  # columns of one second
    level.grow(1)
    feed(level, [5.0, 1.0, 9.0, 4.0], step_s=0.2)
    feed(level, [5.0, 9.0, 1.0, 4.0], start_s=1.0, step_s=0.2)
    window = level.window(0.0, ("A",))
    assert list(window.values[0]) == [1.0, 9.0, 9.0, 1.0]


def test_columns_lie_at_absolute_times() -> None:
    """The lattice does not depend on when a window is asked for, so that the past is never cut anew."""
    level = Level(750.0)
    level.grow(1)
    feed(level, [1.0, 2.0, 3.0], start_s=10.3, step_s=1.0)
    assert list(level.window(0.0, ("A",)).times_s) == [10.0, 10.5, 11.0, 11.5, 12.0, 12.5]


def test_a_level_keeps_one_span_however_long_it_runs() -> None:
    """Memory is bounded, and the last span is complete after the buffer has gone round."""
    level = Level(30.0)
    level.grow(1)
    end_s = feed(level, [float(number) for number in range(5 * COLUMNS)], step_s=0.04)
    window = level.window(end_s - 30.0, ("A",))
    assert COLUMNS < len(window.times_s) <= 2 * (COLUMNS + 2)
    assert window.times_s[0] <= end_s - 30.0
    assert np.all(np.diff(window.times_s) > 0)
    assert window.values[0][-1] == 5 * COLUMNS - 1


def test_a_channel_that_comes_later_joins_the_others(channel_state: MakeChannel, connection_state: MakeConnection) -> None:
    """A new channel gets curves of its own and leaves those of the others alone."""
    history = History()
    history.append(1.0, connection_state(channels={"USER": channel_state(credits=7)}))
    history.append(2.0, connection_state(channels={"USER": channel_state(credits=6), "LATE": channel_state(backlog=2)}))
    window = history.window(30.0, 2.0)
    assert window.channels == ("USER", "LATE")
    assert window.value_at(0, "USER", 1.0) == 7.0
    assert window.value_at(0, "USER", 2.0) == 6.0
    assert window.value_at(2, "LATE", 2.0) == 2.0


def test_curves_have_their_units(channel_state: MakeChannel, connection_state: MakeConnection) -> None:
    """Credit is in messages, byte credit in KiB, backlog in messages."""
    history = History()
    state = channel_state(credits=3, byte_credits=2048, backlog=4)
    history.append(1.0, connection_state(channels={"USER": state}))
    window = history.window(30.0, 1.0)
    assert [window.row(metric, "USER")[-1] for metric in range(3)] == [3.0, 2.0, 4.0]
    assert window.top(1) == 2.0


def test_nothing_is_known_before_the_first_sample(connection_state: MakeConnection) -> None:
    """Before the first sample there is no value."""
    history = History()
    history.append(10.0, connection_state())
    assert history.window(30.0, 10.0).value_at(0, "USER", 5.0) is None
    assert History().window(30.0, 0.0).top(0) == 0.0


def test_time_without_a_connection_is_a_gap(connection_state: MakeConnection) -> None:
    """Old values are not recorded again; the span without a connection is remembered, and its end too."""
    history = History()
    history.append(0.5, connection_state(connected=False))
    assert not history.gaps, "what lies before the first connection is no gap"
    history.append(1.0, connection_state())
    history.append(2.0, connection_state(connected=False))
    history.append(3.0, connection_state(connected=False))
    assert list(history.gaps) == [(2.0, None)]
    history.append(4.0, connection_state())
    assert list(history.gaps) == [(2.0, 4.0)]


def test_a_copied_window_stands_still(connection_state: MakeConnection) -> None:
    """What is recorded later does not reach a copy."""
    history = History()
    history.append(1.0, connection_state())
    copy = history.window(30.0, 1.0).copy()
    before = copy.values.copy()
    for number in range(4 * COLUMNS):
        history.append(2.0 + number * 0.04, connection_state())
    assert np.array_equal(copy.values, before)


def test_only_known_spans_can_be_asked_for() -> None:
    """A span without a level is a mistake of the caller's."""
    with pytest.raises(KeyError):
        History().window(31.0, 0.0)
