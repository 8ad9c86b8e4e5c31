"""When a channel will stand still."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from monitor_app.model.forecast import MOST_FADE_S, Books, Forecast, Forecaster, Outlook, Trend, format_range

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


@dataclass(frozen=True)
class Uneven:
    """A channel whose window is renewed every so often, and then for a while not at all; times in seconds."""

    window: float
    lasts_s: float
    """For so long a full window does."""
    renewed_s: float
    grants_s: float
    famine_s: float

    def live(self, seconds: float) -> Iterator[tuple[float, bool, Forecaster]]:
        """Yield, twenty times a second, the time, whether the channel stands still, and what is forecast of it."""
        forecaster, spent, granted, balance, renewed_s = Forecaster(), 0.0, 0.0, self.window, 0.0
        for number in range(int(seconds * 20)):
            now_s = number / 20
            if now_s % (self.grants_s + self.famine_s) < self.grants_s and now_s - renewed_s >= self.renewed_s:
                granted, balance, renewed_s = granted + self.window - balance, self.window, now_s
            wanted = self.window / self.lasts_s / 20
            lacks = balance < wanted
            spent, balance = (spent, balance) if lacks else (spent + wanted, balance - wanted)
            forecaster.update(now_s, Books(spent, granted, balance), PLENTY, "messages" if lacks else None)
            yield now_s, lacks, forecaster


@st.composite
def uneven(draw: st.DrawFn) -> Uneven:
    """Return a channel that starves in every famine and never between them."""
    lasts_s = draw(st.floats(1.0, 5.0))
    famine_s = lasts_s + draw(st.floats(1.5, 8.0))
    return Uneven(
        window=draw(st.floats(20.0, 500.0)),
        lasts_s=lasts_s,
        renewed_s=lasts_s * draw(st.floats(0.2, 0.8)),
        grants_s=2 * lasts_s + draw(st.floats(0.0, 2.0)) * famine_s,
        famine_s=famine_s,
    )


@given(uneven())
@settings(deadline=None)
def test_a_famine_like_the_last_is_in_the_range(channel: Uneven) -> None:
    """Grants come unevenly: in the two seconds before a channel starves again the range holds what is left until then."""
    cycle_s = channel.grants_s + channel.famine_s
    lived = [(now_s, lacks, each.forecast(None)) for now_s, lacks, each in channel.live(3 * cycle_s)]
    begins = [now_s for (_, lacked, _), (now_s, lacks, _) in pairwise(lived) if lacks and not lacked]
    assert len(begins) >= 2
    for begin_s in begins[1:]:
        for now_s, _, forecast in lived:
            if begin_s - 2.0 <= now_s < begin_s:
                assert forecast.outlook is Outlook.STARVES
                assert forecast.from_s <= begin_s - now_s + 0.1
                assert forecast.to_s >= begin_s - now_s - 0.1


@given(uneven())
@settings(deadline=None)
def test_a_famine_is_forgotten_when_it_does_not_come_again(channel: Uneven) -> None:
    """Some time after it has ended a channel whose window is renewed as before is stable, whenever one looks."""
    once = replace(channel, grants_s=channel.grants_s + 6 * channel.famine_s)
    begin_s = None
    for now_s, lacks, forecaster in once.live(2 * once.grants_s + once.famine_s):
        begin_s = now_s if lacks else begin_s
        if begin_s is not None and begin_s + 5 * channel.famine_s + 3 * MOST_FADE_S < now_s < 2 * once.grants_s + once.famine_s:
            assert forecaster.forecast(None).outlook is Outlook.STABLE


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
