"""What the plots and the table say once nothing new comes: the same, to the last value."""

from __future__ import annotations

from typing import Any

import pytest
from support.states import CHANNELS
from support.still_clock import StillClock

from monitor_app.main_window import MainWindow
from monitor_app.model.channel_view import ChannelView
from monitor_app.model.history import METRICS, History, gauges_of
from monitor_app.views.channel_cells import Column, Side, two_lines
from monitor_app.views.channel_delegate import VIEW_ROLE

ENDS = ("offline", "silent", "detached")


def lose(source: Any, end: str) -> None:
    """Let nothing new come any more."""
    source.lose()
    source.silent_s = None if end == "offline" else 0.1
    source.can_attach_again = end == "detached"


def in_table(window: MainWindow, row: int) -> ChannelView:
    """Return a channel as the table has it."""
    view: ChannelView = window.table.model().index(row, 0).data(VIEW_ROLE)
    return view


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("span_s", [30.0, 120.0, 3600.0])
def test_the_curves_end_with_the_values_of_the_table(
    window: MainWindow, source: Any, clock: StillClock, end: str, span_s: float
) -> None:
    """What changed last, after the last look that was plotted, is the last point of every span and what stands beside it."""
    window.ingest.visibility.folds_idle = False
    for number in range(40):
        clock.time_s += 1 / 30
        source.change(
            "USER", credits=90 - number % 7, byte_credits=1024 * (number % 5), backlog=number % 3, waiting_for="messages"
        )
        window.refresh()
    clock.time_s += 0.01
    source.change("USER", credits=41, byte_credits=2048, backlog=2)
    lose(source, end)
    window.refresh()
    shown = in_table(window, CHANNELS.index("USER")).state
    assert (shown.credits, shown.byte_credits, shown.backlog) == (41, 2048, 2)
    curves = window.ingest.history.window(clock.time_s - span_s, clock.time_s)
    frame = window.flow.picture.frame()
    for metric, value in enumerate(gauges_of(shown)):
        assert curves.row(metric, "USER")[-1] == value, METRICS[metric]
        beside = {name: value for name, _, value in window.flow.picture.values(frame, None)[metric]}
        assert beside["USER"] == value, METRICS[metric]


@pytest.mark.parametrize("end", ENDS)
def test_the_rate_beside_the_plots_is_that_of_the_table(window: MainWindow, source: Any, clock: StillClock, end: str) -> None:
    """As nothing is seen to be sent any more both go down to nothing, and neither before the other."""
    window.ingest.visibility.folds_idle = False
    for number in range(60):
        clock.time_s += 0.1
        source.change("USER", sent_messages=number * 5)
        window.refresh()
    lose(source, end)
    rates = set()
    for _ in range(80):
        clock.time_s += 0.1
        window.refresh()
        rate = window.ingest.history.latest(METRICS.index("rate"), "USER")
        assert rate is not None
        assert rate == in_table(window, CHANNELS.index("USER")).rate_messages
        rates.add(round(rate))
    assert {50, 0} <= rates
    assert two_lines(in_table(window, 0), Column.RATE, Side.SEND)[0] == "0 /s"


def test_what_a_client_queues_while_it_is_offline_is_told_beside_the_plots(window: MainWindow, source: Any, clock: Any) -> None:
    """The curve has ended; the value beside it is that of the table, and nothing is drawn into the gap."""
    source.lose()
    window.refresh()
    clock.time_s += 1.0
    source.change("USER", backlog=5)
    window.refresh()
    assert window.ingest.history.latest(METRICS.index("backlog"), "USER") == 5.0
    curves = window.ingest.history.window(clock.time_s - 30.0, clock.time_s)
    assert curves.row(METRICS.index("backlog"), "USER")[-1] == 0.0
    assert window.ingest.history.value_at(METRICS.index("backlog"), "USER", clock.time_s) is None


def test_the_farther_value_of_the_last_column_stays_in_sight(channel_state: Any, connection_state: Any) -> None:
    """A column has two points: the last is where the curve ends, the other what lay farthest from it."""
    history = History()
    for time_s, credit in ((12.01, 50), (12.02, 3), (12.03, 90), (12.04, 60)):
        channels = {"USER": channel_state(credits=credit)}
        history.append(time_s, connection_state(channels=channels, connected=time_s < 12.035))
    assert history.window(0.0, 12.1).row(0, "USER").tolist()[-2:] == [3.0, 60.0]
