"""When the adaptive strategy asks, and for how much. Time is a number here; nothing waits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.channel_views import MIB, asked, counts, view, views

from haip_sync.flow.strategies import AdaptiveStrategy, ChannelView


def moving(rate: float, now_s: float, *, size: int = 100, **changes: int) -> Mapping[str, ChannelView]:
    """Return USER after `now_s` seconds at `rate` messages of `size` bytes a second."""
    sent = round(rate * now_s)
    return views(view(sent=sent, sent_bytes=sent * size, **changes))


@given(rate=st.floats(0.1, 1_000), pauses_s=st.lists(st.floats(0.001, 30), min_size=1, max_size=30))
def test_a_steady_rate_is_measured_exactly(rate: float, pauses_s: list[float]) -> None:
    """However often it is looked at, once a period has passed, a steady rate is the rate that is measured."""
    strategy, now_s = AdaptiveStrategy(), 0.0
    strategy.connected(moving(rate, 0.0), 0.0)
    for pause_s in [5.0, *pauses_s]:
        now_s += pause_s
        strategy.look(moving(rate, now_s), now_s)
    # Sent messages are whole: one more or less at the end, weighed by the average.
    assert strategy.messages_per_s("USER") == pytest.approx(rate, rel=0.01, abs=0.6)


@given(st.lists(st.tuples(st.floats(0.01, 20), counts(500)), min_size=1, max_size=30), st.data())
def test_the_rate_does_not_depend_on_how_often_one_looks(steps: list[tuple[float, int]], data: st.DataObject) -> None:
    """A stretch at a steady rate counts the same in one look as in several: the average goes by time, not by calls."""
    once, often = AdaptiveStrategy(), AdaptiveStrategy()
    for strategy in (once, often):
        strategy.connected(views(view()), 0.0)
    now_s, sent = 0.0, 0
    for elapsed_s, per_part in steps:
        parts = data.draw(st.integers(1, 4))
        for part in range(1, parts + 1):
            often.look(views(view(sent=sent + part * per_part)), now_s + elapsed_s * part / parts)
        now_s, sent = now_s + elapsed_s, sent + parts * per_part
        once.look(views(view(sent=sent)), now_s)
    assert often.messages_per_s("USER") == pytest.approx(once.messages_per_s("USER"))


def test_an_old_rate_fades() -> None:
    """After one time constant of silence, 1/e of the rate is left, whatever the number of looks."""
    strategy = AdaptiveStrategy(time_constant_s=10.0)
    strategy.connected(moving(8, 0.0), 0.0)
    strategy.look(moving(8, 1_000.0), 1_000.0)
    for tenth in range(1, 101):
        strategy.look(moving(8, 1_000.0), 1_000.0 + tenth / 10)
    assert strategy.messages_per_s("USER") == pytest.approx(8 / math.e)


def test_a_burst_at_the_beginning_makes_no_rate_of_thousands() -> None:
    """Three messages in the first millisecond count as three in a period, not as three thousand a second."""
    strategy = AdaptiveStrategy()
    strategy.connected(views(view()), 0.0)
    strategy.look(views(view(sent=3)), 0.001)
    assert 0 < strategy.messages_per_s("USER") < 1
    strategy.look(views(view(sent=3), view("NEW", sent=3)), 0.002)
    assert 0 < strategy.messages_per_s("NEW") < 1


def test_adaptive_asks_by_the_rate_at_the_end_of_a_period() -> None:
    """2 a second for 15 s (period and interval together) are 30: with 12 left it asks for the other 18, once in 10 s."""
    strategy = AdaptiveStrategy()
    strategy.connected(moving(2, 0.0), 0.0)
    assert strategy.due_s() == 5.0
    assert strategy.look(moving(2, 4.0, credits=12), 4.0) == []
    assert asked(strategy.look(moving(2, 5.0, credits=12), 5.0)) == [(18, 0)]
    assert strategy.due_s() == 10.0
    assert strategy.look(moving(2, 10.0, credits=12), 10.0) == []
    assert asked(strategy.look(moving(2, 15.0, credits=12), 15.0)) == [(18, 0)]


def test_adaptive_asks_for_bytes_by_the_average_size() -> None:
    """Bytes are asked for in the proportion of what was sent."""
    strategy = AdaptiveStrategy()
    strategy.connected(moving(2, 0.0, size=50_000), 0.0)
    seen = moving(2, 5.0, size=50_000, byte_credits=MIB)
    (request,) = strategy.look(seen, 5.0)
    assert request.byte_credits == pytest.approx(30 * 50_000 - MIB, abs=1)


def test_adaptive_asks_for_fifty_at_most() -> None:
    """A fast channel gets 50 messages a request, and bytes for as many."""
    strategy = AdaptiveStrategy()
    strategy.connected(moving(100, 0.0), 0.0)
    (request,) = strategy.look(moving(100, 5.0, credits=0, byte_credits=0), 5.0)
    assert request.messages == 50
    assert request.byte_credits == pytest.approx(5_000, abs=1)


def test_adaptive_leaves_still_channels_alone() -> None:
    """A channel without credit that neither moves nor waits is not asked for."""
    strategy = AdaptiveStrategy()
    empty = views(view(credits=0, byte_credits=0, sent=40, sent_bytes=4_000))
    strategy.connected(empty, 0.0)
    assert [strategy.look(empty, 5.0 * period) for period in range(1, 9)] == [[]] * 8


def test_adaptive_asks_at_once_for_who_waits() -> None:
    """A sender without credit does not wait for the period's end: what it lacks is asked for, and one for each behind it."""
    strategy = AdaptiveStrategy()
    strategy.connected(moving(0, 0.0), 0.0)
    stuck = views(view(credits=1, waiting=4, needed_messages=2))
    assert asked(strategy.look(stuck, 0.5)) == [(5, 0)]


def test_adaptive_comes_back_for_who_waits() -> None:
    """Whom it could not ask for yet it looks at again as soon as the interval allows, not a period later."""
    strategy = AdaptiveStrategy()
    strategy.connected(moving(0, 0.0), 0.0)
    stuck = views(view(credits=0, waiting=1, needed_messages=3, needed_bytes=70))
    assert asked(strategy.look(stuck, 1.0)) == [(3, 70)]
    assert [strategy.look(stuck, now_s) for now_s in (6.0, 10.9)] == [[], []]
    assert strategy.due_s() == 11.0
    assert asked(strategy.look(stuck, 11.0)) == [(3, 70)]


def test_adaptive_serves_who_waits_through_a_reconnect() -> None:
    """A new epoch asks for those who stand already, and does not take its fresh counts for a step back."""
    strategy = AdaptiveStrategy()
    strategy.connected(moving(4, 0.0), 0.0)
    strategy.look(moving(4, 5.0), 5.0)
    rate = strategy.messages_per_s("USER")
    stuck = views(view(sent=0, credits=0, waiting=1, needed_messages=3))
    assert asked(strategy.connected(stuck, 7.0)) == [(3, 0)]
    assert strategy.messages_per_s("USER") == rate
    strategy.look(views(view(sent=8)), 9.0)
    assert strategy.messages_per_s("USER") == pytest.approx(4)


def test_adaptive_forgets_channels_of_an_epoch_before() -> None:
    """What the new epoch does not know is not kept."""
    strategy = AdaptiveStrategy()
    strategy.connected(moving(4, 0.0), 0.0)
    strategy.look(moving(4, 5.0), 5.0)
    strategy.connected({}, 6.0)
    assert strategy.messages_per_s("USER") == 0.0


def test_round_trip_mode_covers_the_way_there_and_back() -> None:
    """It keeps as much as goes out in an interval and a round trip, twice over, and is woken when less is left."""
    strategy = AdaptiveStrategy(mode="round_trip", most=1_000)
    strategy.connected(moving(10, 0.0), 0.0)
    assert strategy.wake_below("USER") is None
    assert strategy.look(moving(10, 1.0, credits=100), 1.0, round_trip_s=0.5) == []
    assert strategy.wake_below("USER") == (30, 3_000)
    assert asked(strategy.look(moving(10, 2.0, credits=22), 2.0, round_trip_s=0.5)) == [(8, 0)]
    assert strategy.look(moving(10, 2.5, credits=0), 2.5, round_trip_s=0.5) == []
    assert asked(strategy.look(moving(10, 3.0, credits=20), 3.0, round_trip_s=1.0)) == [(20, 0)]


def test_rate_mode_is_not_woken_by_balances() -> None:
    """Mode "rate" goes by the clock."""
    strategy = AdaptiveStrategy()
    strategy.connected(moving(10, 0.0), 0.0)
    strategy.look(moving(10, 5.0), 5.0)
    assert strategy.wake_below("USER") is None


@pytest.mark.parametrize(("mode", "rate"), [("rate", 3.0), ("round_trip", 30.0)])
def test_a_steady_sender_never_runs_dry(mode: Any, rate: float) -> None:
    """Against a peer that gives what it is asked for a round trip later, a steady sender is never without credit."""
    strategy, now_s, sent, credit = AdaptiveStrategy(mode=mode), 0.0, 0, 50
    under_way: list[tuple[float, int]] = []

    def seen() -> Mapping[str, ChannelView]:
        return views(view(credits=credit, sent=sent, sent_bytes=100 * sent))

    strategy.connected(seen(), 0.0)
    while now_s < 300:
        now_s += 1 / rate
        credit += sum(amount for due_s, amount in under_way if due_s <= now_s)
        under_way = [(due_s, amount) for due_s, amount in under_way if due_s > now_s]
        assert credit > 0, f"dry at {now_s:.1f} s"
        sent, credit = sent + 1, credit - 1
        below = strategy.wake_below("USER")
        if now_s >= (strategy.due_s() or 0.0) or (below is not None and credit < below[0]):
            under_way += [(now_s + 0.2, request.messages) for request in strategy.look(seen(), now_s, round_trip_s=0.2)]
