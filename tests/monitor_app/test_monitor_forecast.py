"""When a channel will stand still."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from monitor_app.model.forecast import Books, Forecast, Forecaster, Outlook, Trend, format_range

PLENTY = Books(0.0, 1e9, 1e9)


def nothing(_now_s: float) -> float:
    """Return that nothing went, or came."""
    return 0.0


def run(spend: Callable[[float], float], grant: Callable[[float], float], *, seconds: float, balance: float) -> Forecaster:
    """Let a channel live for a while: `spend` and `grant` return how much has gone and come until a time."""
    forecaster = Forecaster()
    for number in range(int(seconds * 20) + 1):
        now_s = number / 20
        spent, granted = spend(now_s), grant(now_s)
        forecaster.update(now_s, Books(spent, granted, balance + granted - spent), PLENTY)
    return forecaster


@given(st.floats(0.5, 200.0), st.floats(3.0, 400.0))
def test_a_steady_fall_ends_where_it_must(per_second: float, lasts_s: float) -> None:
    """Without grants a balance lasts as long as it takes to spend it: that is in the range, and the range is narrow."""
    forecast = run(lambda t: per_second * t, nothing, seconds=10, balance=per_second * (lasts_s + 10)).forecast(None)
    assert forecast.outlook is Outlook.STARVES
    assert forecast.credit == "messages"
    assert forecast.from_s <= lasts_s * 1.02
    assert forecast.to_s >= lasts_s * 0.98
    assert forecast.to_s < forecast.from_s * 1.5


@given(st.floats(0.5, 100.0), st.floats(1.0, 2.0))
def test_grants_that_keep_up_are_stable(per_second: float, ratio: float) -> None:
    """Where as much comes as goes, or more, nothing starves."""
    forecaster = run(lambda t: per_second * t, lambda t: ratio * per_second * t, seconds=10, balance=50.0)
    assert forecaster.forecast(None).outlook is Outlook.STABLE


@given(st.integers(5, 60), st.floats(1.0, 8.0), st.floats(0.0, 8.0))
def test_a_window_that_is_renewed_in_lumps_is_stable(lump: int, every_s: float, into_s: float) -> None:
    """Between two renewals the balance falls, and that is no starvation: at whatever moment one looks."""
    assume(into_s < every_s)
    seconds = 6 * every_s + into_s
    forecaster = run(lambda t: lump * t / every_s, lambda t: lump * (t // every_s), seconds=seconds, balance=2.0 * lump)
    assert forecaster.forecast(None).outlook is Outlook.STABLE


def test_a_peer_that_stops_granting_is_noticed() -> None:
    """Some seconds after the grants have stopped the channel starves, in a range that holds the truth."""
    forecaster = run(lambda t: 5.0 * t, lambda t: 5.0 * min(t, 20.0), seconds=26, balance=100.0)
    forecast = forecaster.forecast(None)
    assert forecast.outlook is Outlook.STARVES
    assert forecast.from_s <= 14.0 <= forecast.to_s


def test_what_runs_out_first_is_named() -> None:
    """Of both credits the one that ends first decides."""
    forecaster = Forecaster()
    for number in range(200):
        now_s = number / 20
        spent = 10.0 * now_s
        forecaster.update(now_s, Books(spent, 0.0, 1000.0 - spent), Books(100 * spent, 0.0, 15_000.0 - 100 * spent))
    forecast = forecaster.forecast(None)
    assert (forecast.outlook, forecast.credit) == (Outlook.STARVES, "bytes")
    assert forecast.from_s < 5.1 < forecast.to_s * 1.2


def test_little_that_becomes_more_is_recovering() -> None:
    """A scarce credit that grows is recovering; one that merely stays is stable."""
    growing = run(lambda t: t, lambda t: 3.0 * t, seconds=10, balance=1.0)
    assert growing.forecast("messages").outlook is Outlook.RECOVERING
    assert growing.forecast(None).outlook is Outlook.STABLE


def test_nothing_is_said_too_early() -> None:
    """Before there are a few measurements there is no forecast to speak of; an idle channel never starves."""
    assert run(lambda t: 50.0 * t, nothing, seconds=1, balance=60.0).forecast(None).outlook is Outlook.STABLE
    assert run(nothing, nothing, seconds=10, balance=1.0).forecast(None).outlook is Outlook.STABLE


def test_a_new_epoch_begins_anew() -> None:
    """Counters that go back are a new beginning and not a great grant."""
    trend = Trend()
    for number in range(100):
        trend.update(number / 10, Books(10.0 * number, 0.0, 0.0))
    trend.update(10.0, Books(0.0, 60.0, 60.0))
    assert trend.time_to(60.0) is None
    assert trend.fall == 0.0


@given(
    st.lists(st.tuples(st.floats(0.0, 100.0), st.floats(0.0, 100.0)), min_size=5, max_size=80),
    st.floats(0.0, 1e4),
    st.floats(0.01, 100.0),
)
def test_a_range_is_in_order_and_grows_with_the_balance(steps: list[tuple[float, float]], balance: float, more: float) -> None:
    """Whatever was spent and granted: no time is negative, the early end comes first, and more credit never ends sooner."""
    trend = Trend()
    spent = granted = 0.0
    for number, (spend, grant) in enumerate(steps):
        spent, granted = spent + spend, granted + grant
        trend.update(number * 0.5, Books(spent, granted, 0.0))
    small, great = trend.time_to(balance), trend.time_to(balance + more)
    if small is not None:
        assert 0.0 <= small[0] <= small[1]
        assert great is None or (great[0] >= small[0] and great[1] >= small[1])


@pytest.mark.parametrize(
    ("forecast", "text"),
    [
        (Forecast(Outlook.STARVES, "bytes", 13.6, 20.2), "14\N{EN DASH}20 s"),
        (Forecast(Outlook.STARVES, "bytes", 13.6, 14.4), "14 s"),
        (Forecast(Outlook.STARVES, "bytes", 11.8, math.inf), "12+ s"),
        (Forecast(Outlook.STABLE, "messages"), "stable"),
        (Forecast(Outlook.RECOVERING, "messages"), "recovering"),
    ],
)
def test_a_forecast_reads_as_a_range(forecast: Forecast, text: str) -> None:
    """A range has its two ends in whole seconds; without a late end it is open, the other outlooks are words."""
    assert format_range(forecast) == text
