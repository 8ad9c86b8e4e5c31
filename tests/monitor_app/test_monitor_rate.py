"""How fast a channel spends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.still_clock import StillClock

from haip_sync import ChannelState, ConnectionState
from monitor_app.model.history import METRICS, History
from monitor_app.model.ingest import Ingest
from monitor_app.model.rate import RateMeter

MakeConnection = Callable[..., ConnectionState]
MakeChannel = Callable[..., ChannelState]
RATE = METRICS.index("rate")


def test_a_rate_is_that_of_the_last_three_seconds() -> None:
    """Ten messages a second, then none: it falls to nothing within three seconds, and there is none before two samples."""
    meter = RateMeter()
    assert meter.rates == (0.0, 0.0)
    for tenth in range(50):
        meter.sample(tenth / 10, tenth, 100 * tenth)
        assert tenth < 10 or meter.rates == (pytest.approx(10.0), pytest.approx(1_000.0))
    for tenth in range(50, 85):
        meter.sample(tenth / 10, 49, 4_900)
    assert meter.rates == (0.0, 0.0)
    meter.clear()
    assert meter.rates == (0.0, 0.0)


def test_counters_that_begin_anew_are_no_negative_rate() -> None:
    """Even where nobody says so."""
    meter = RateMeter()
    for second, count in enumerate((100, 110, 0)):
        meter.sample(float(second), count, count)
    assert meter.rates == (0.0, 0.0)


def test_the_history_has_the_rate_over_a_reconnect(channel_state: MakeChannel, connection_state: MakeConnection) -> None:
    """The plot's rate goes on from one epoch to the next, and is the table's."""
    history = History()
    for tick in range(80):
        epoch, sent = (1, tick) if tick < 40 else (2, tick - 40)
        state = channel_state(sent_messages=sent)
        history.append(tick / 4, connection_state(channels={"USER": state}, epoch=epoch))
    assert history.value_at(RATE, "USER", 9.0) == pytest.approx(4.0)
    assert history.latest(RATE, "USER") == pytest.approx(4.0)
    assert history.window(0.0, 20.0).top(RATE, ("USER",)) == pytest.approx(4.0)


def test_table_and_plot_tell_the_same_rate(source: object, clock: StillClock) -> None:
    """Both read the same meter's figures."""
    ingest = Ingest(source, clock)  # type: ignore[arg-type]
    for tick in range(40):
        source.change("USER", sent_messages=3 * tick)  # type: ignore[attr-defined]
        clock.time_s += 0.25
        ingest.tick()
    view = ingest.channel("USER")
    assert view is not None
    assert view.rate_messages == ingest.history.latest(RATE, "USER") == pytest.approx(12.0)
