"""When the strategies ask, and for how much. Time is a number here; nothing waits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haip_sync.errors import ConfigError
from haip_sync.flow.strategies import (
    AdaptiveStrategy,
    AggressiveStrategy,
    ChannelView,
    ConservativeStrategy,
    CreditRequest,
    ManualStrategy,
    Strategy,
    ThresholdStrategy,
    clipped,
)

MIB = 1 << 20
ALL = (ManualStrategy, ThresholdStrategy, ConservativeStrategy, AggressiveStrategy, AdaptiveStrategy)
WELL_OFF = ChannelView("USER", 50, 5 * MIB, 100, 10 * MIB, 50, 5 * MIB, 0, 0, 0, 0, 0)


def view(channel: str = "USER", **changes: int) -> ChannelView:
    """Return a channel that is well off, with these changes."""
    return WELL_OFF._replace(channel=channel, **changes)


def views(*shown: ChannelView) -> Mapping[str, ChannelView]:
    """Return the channels by name."""
    return {one.channel: one for one in shown}


def asked(requests: Sequence[CreditRequest]) -> list[tuple[int, int]]:
    """Return the amounts."""
    return [(request.messages, request.byte_credits) for request in requests]


def counts(largest: int) -> st.SearchStrategy[int]:
    """Return numbers from 0 to `largest`."""
    return st.integers(0, largest)


VIEWS = st.builds(
    ChannelView,
    channel=st.sampled_from(["USER", "AGENT", "SYSTEM"]),
    credits=counts(200),
    byte_credits=counts(20 * MIB),
    max_credits=st.integers(1, 200),
    max_credit_bytes=st.integers(1, 20 * MIB),
    granted=counts(1_000),
    granted_bytes=counts(100 * MIB),
    sent=counts(1_000),
    sent_bytes=counts(100 * MIB),
    waiting=counts(50),
    needed_messages=counts(300),
    needed_bytes=counts(30 * MIB),
)
GRANTS = st.tuples(counts(300), counts(30 * MIB))


# ---- All of them ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [*ALL, lambda: AdaptiveStrategy(mode="round_trip")])
@given(steps=st.lists(st.tuples(st.floats(0, 20), VIEWS, st.none() | GRANTS), min_size=1, max_size=25))
def test_no_request_exceeds_the_caps_or_is_empty(
    make: type[Strategy], steps: list[tuple[float, ChannelView, tuple[int, int] | None]]
) -> None:
    """Whatever a channel goes through, each request asks for something, and for no more than the channel's caps."""
    strategy, now_s = make(), 0.0
    shown: dict[str, ChannelView] = {}
    requests = list(strategy.connected({}, now_s))
    for elapsed_s, seen, grant in steps:
        now_s += elapsed_s
        shown[seen.channel] = seen
        requests = list(strategy.look(shown, now_s, round_trip_s=0.1) if grant is None else strategy.granted(seen, *grant, now_s))
        due_s = strategy.due_s()
        assert grant is not None or due_s is None or due_s > now_s
        for channel, messages, byte_credits in requests:
            assert messages or byte_credits
            assert 0 <= messages <= shown[channel].max_credits
            assert 0 <= byte_credits <= shown[channel].max_credit_bytes


def test_a_strategy_of_ones_own_needs_only_what_it_uses() -> None:
    """The base class never asks and never wants to be called."""
    strategy = Strategy()
    assert (*strategy.connected(views(view()), 0.0), *strategy.look(views(view()), 0.0)) == ()
    assert (*strategy.granted(view(), 5, 5, 0.0), strategy.wake_below("USER"), strategy.due_s()) == (None, None)


def test_every_strategy_has_a_name_of_its_own() -> None:
    """Names tell strategies apart in logs and windows."""
    assert [kind.name for kind in ALL] == ["manual", "threshold", "conservative", "aggressive", "adaptive"]


def test_a_request_is_clipped_to_the_caps() -> None:
    """What is negative becomes nothing, and a request for nothing is none."""
    assert clipped(view(), 500, -3) == CreditRequest("USER", 100, 0)
    assert clipped(view(), 0, -3) is None


@pytest.mark.parametrize(
    ("kind", "settings", "wrong"),
    [
        (ThresholdStrategy, {"message_threshold": -1}, "message_threshold"),
        (ThresholdStrategy, {"byte_threshold": 0.5}, "byte_threshold"),
        (ThresholdStrategy, {"request_messages": 0}, "request_messages"),
        (ThresholdStrategy, {"request_bytes": {"USER": 0}}, r"request_bytes\['USER'\]"),
        (ThresholdStrategy, {"message_threshold": {"no channel": 1}}, "no channel"),
        (ConservativeStrategy, {"delay_s": 0}, "delay_s"),
        (ConservativeStrategy, {"delay_s": "1"}, "delay_s"),
        (AggressiveStrategy, {"messages": -1}, "messages"),
        (AggressiveStrategy, {"byte_credits": 1.5}, "byte_credits"),
        (AggressiveStrategy, {"messages": 0, "byte_credits": 0}, "both 0"),
        (AggressiveStrategy, {"channels": "USER"}, "channels"),
        (AggressiveStrategy, {"channels": 5}, "channels"),
        (AggressiveStrategy, {"channels": ["a b"]}, "a b"),
        (AdaptiveStrategy, {"mode": "fast"}, "mode"),
        (AdaptiveStrategy, {"period_s": 0}, "period_s"),
        (AdaptiveStrategy, {"min_interval_s": math.inf}, "min_interval_s"),
        (AdaptiveStrategy, {"most": 0}, "most"),
        (AdaptiveStrategy, {"time_constant_s": -1}, "time_constant_s"),
        (AdaptiveStrategy, {"head_room": 0.5}, "head_room"),
        (AdaptiveStrategy, {"head_room": "2"}, "head_room"),
    ],
)
def test_a_wrong_setting_is_named(kind: Any, settings: dict[str, Any], wrong: str) -> None:
    """A setting of the wrong type or size raises at once, and the text names it."""
    with pytest.raises(ConfigError, match=wrong):
        kind(**settings)


# ---- Manual and aggressive ------------------------------------------------------------------------------------------------


def test_manual_asks_for_nothing() -> None:
    """A starved channel whose sender waits is left to the program."""
    starved = views(view(credits=0, byte_credits=0, waiting=3, needed_messages=1, needed_bytes=100))
    strategy = ManualStrategy()
    assert not [*strategy.connected(starved, 0.0), *strategy.look(starved, 99.0), *strategy.granted(view(), 1, 1, 99.0)]


def test_aggressive_asks_for_every_channel_at_connect() -> None:
    """100 messages and 10 MiB are asked for on each channel, once, and once more in the next epoch."""
    strategy, both = AggressiveStrategy(), views(view("USER"), view("AGENT"))
    assert strategy.connected(both, 0.0) == [CreditRequest("USER", 100, 10 * MIB), CreditRequest("AGENT", 100, 10 * MIB)]
    assert strategy.look(both, 60.0) == []
    assert len(strategy.connected(both, 61.0)) == 2


def test_aggressive_asks_for_a_channel_that_comes_up_later() -> None:
    """A channel that was not known at connect is asked for when it is first seen."""
    strategy = AggressiveStrategy()
    strategy.connected(views(view("USER")), 0.0)
    assert strategy.look(views(view("USER"), view("NEW")), 5.0) == [CreditRequest("NEW", 100, 10 * MIB)]
    assert strategy.look(views(view("NEW")), 6.0) == []


def test_aggressive_asks_only_for_the_channels_it_was_given() -> None:
    """Other channels are left alone; the amounts are clipped to the caps."""
    strategy = AggressiveStrategy(messages=30, byte_credits=0, channels=["AGENT"])
    assert strategy.connected(views(view("USER"), view("AGENT", max_credits=20)), 0.0) == [CreditRequest("AGENT", 20, 0)]


# ---- Threshold ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"credits": 5}, []),
        ({"credits": 4}, [(10, 0)]),
        ({"byte_credits": 512 << 10}, []),
        ({"byte_credits": (512 << 10) - 1}, [(0, MIB)]),
        ({"credits": 0, "byte_credits": 0}, [(10, MIB)]),
        ({"credits": 3, "waiting": 1, "needed_messages": 40}, [(40, 0)]),
        ({"credits": 8, "waiting": 1, "needed_messages": 2}, [(10, 0)]),
        ({"waiting": 1, "needed_bytes": 3 * MIB}, [(0, 3 * MIB)]),
        ({"credits": 0, "max_credits": 6}, [(6, 0)]),
        ({"credits": 3, "max_credits": 3}, []),
        ({"waiting": 4}, []),
    ],
)
def test_threshold_asks_below_its_threshold(changes: dict[str, int], expected: list[tuple[int, int]]) -> None:
    """Each resource is asked for on its own: below the threshold or where the first in line lacks it, and enough of it."""
    strategy = ThresholdStrategy()
    seen = view(**changes)
    assert asked(strategy.look(views(seen), 0.0)) == expected
    assert asked(strategy.connected(views(seen), 0.0)) == expected
    assert asked(strategy.granted(seen, 1, 1, 0.0)) == expected


def test_threshold_asks_for_what_is_missing_to_a_high_threshold() -> None:
    """Where the usual request would not reach the threshold, more is asked for."""
    assert asked(ThresholdStrategy(message_threshold=60).look(views(view(credits=20)), 0.0)) == [(40, 0)]


def test_threshold_takes_mappings_and_fills_the_gaps_with_defaults() -> None:
    """A channel that a mapping leaves out has the default, and a later change of the mapping changes nothing."""
    thresholds = {"USER": 20}
    strategy = ThresholdStrategy(thresholds, request_messages={"AGENT": 7})
    thresholds["USER"] = 0
    assert (strategy.wake_below("USER"), strategy.wake_below("AGENT")) == ((20, 512 << 10), (5, 512 << 10))
    low = views(view("USER", credits=19), view("AGENT", credits=4))
    assert strategy.look(low, 0.0) == [CreditRequest("USER", 10, 0), CreditRequest("AGENT", 7, 0)]


@given(VIEWS)
def test_threshold_is_content_once_its_request_is_granted(seen: ChannelView) -> None:
    """A request that is granted in full ends the asking, as far as the caps let the balance rise."""
    strategy = ThresholdStrategy()
    for _, messages, byte_credits in strategy.look(views(seen), 0.0):
        after = seen._replace(
            credits=min(seen.credits + messages, seen.max_credits),
            byte_credits=min(seen.byte_credits + byte_credits, seen.max_credit_bytes),
            needed_messages=0,
            needed_bytes=0,
        )
        assert strategy.look(views(after), 1.0) == []


# ---- Conservative ---------------------------------------------------------------------------------------------------------


def granted_conservative(messages: int, byte_credits: int = 0) -> ConservativeStrategy:
    """Return a strategy that saw USER begin with plenty at 0 s, and this grant at 10 s."""
    strategy = ConservativeStrategy()
    strategy.connected(views(view()), 0.0)
    assert strategy.look(views(view()), 9.0) == []
    assert strategy.granted(view(), messages, byte_credits, 10.0) == ()
    return strategy


def test_conservative_asks_a_second_after_a_grant() -> None:
    """It wants to be called one second after the grant, asks then and not before, for as much again."""
    strategy = granted_conservative(20)
    half = views(view(credits=10))
    assert strategy.due_s() == 11.0
    assert strategy.look(half, 10.9) == []
    assert asked(strategy.look(half, 11.0)) == [(20, 0)]
    assert strategy.due_s() is None


def test_conservative_waits_until_half_is_gone() -> None:
    """With more than half left after the delay it asks for nothing, and once half is reached it does."""
    strategy = granted_conservative(21)
    assert strategy.wake_below("USER") == (0, 5 * MIB // 2 + 1)
    assert strategy.look(views(view(credits=11)), 11.0) == []
    assert strategy.wake_below("USER") == (11, 5 * MIB // 2 + 1)
    assert asked(strategy.look(views(view(credits=10)), 30.0)) == [(21, 0)]


def test_conservative_judges_bytes_on_their_own() -> None:
    """A grant of bytes says nothing of messages."""
    strategy = granted_conservative(0, 2 * MIB)
    assert asked(strategy.look(views(view(byte_credits=MIB)), 11.0)) == [(0, 2 * MIB)]


def test_conservative_takes_a_dribble_for_one_grant() -> None:
    """Grants within one delay count together; the delay runs from the first."""
    strategy = granted_conservative(1)
    for tenth in range(1, 10):
        strategy.granted(view(), 1, 0, 10.0 + tenth / 10)
    assert strategy.due_s() == 11.0
    assert asked(strategy.look(views(view(credits=5)), 11.0)) == [(10, 0)]


def test_conservative_forgets_the_grant_before_the_last() -> None:
    """The grant that counts is the latest."""
    strategy = granted_conservative(80)
    strategy.granted(view(), 4, 0, 20.0)
    assert strategy.look(views(view(credits=3)), 21.0) == []
    assert asked(strategy.look(views(view(credits=2)), 21.0)) == [(4, 0)]


def test_conservative_counts_the_first_balance_as_a_grant() -> None:
    """A peer that only gives what it is asked for is asked, though it never granted anything."""
    strategy = ConservativeStrategy(delay_s=2.0)
    assert strategy.connected(views(view(credits=10)), 5.0) == ()
    assert strategy.due_s() == 7.0
    assert asked(strategy.look(views(view(credits=5)), 7.0)) == [(10, 0)]


def test_conservative_lets_a_grant_take_the_place_of_the_first_balance() -> None:
    """A grant that comes right after the beginning is not added to what was there."""
    strategy = ConservativeStrategy()
    strategy.connected(views(view(credits=80)), 0.0)
    strategy.granted(view(credits=84), 4, 0, 0.5)
    assert strategy.look(views(view(credits=30)), 1.5) == []


def test_conservative_helps_the_first_in_line() -> None:
    """Who lacks credit though more than half is left, or nothing was ever granted, is asked for."""
    strategy = granted_conservative(4)
    waiting = view(credits=3, waiting=1, needed_messages=6)
    assert asked(strategy.look(views(waiting), 11.0)) == [(6, 0)]
    strategy.connected(views(view(credits=0)), 20.0)
    assert strategy.look(views(view(credits=0)), 21.0) == []
    assert asked(strategy.look(views(waiting._replace(credits=0, needed_messages=1)), 22.0)) == [(1, 0)]


def test_conservative_meets_a_new_channel_like_a_beginning() -> None:
    """A channel that comes up later is looked at one delay after it is first seen."""
    strategy = ConservativeStrategy()
    strategy.connected({}, 0.0)
    fresh = views(view("NEW", credits=0, waiting=1, needed_messages=2))
    assert strategy.wake_below("NEW") is None
    assert strategy.look(fresh, 3.0) == []
    assert strategy.due_s() == 4.0
    assert asked(strategy.look(fresh, 4.0)) == [(2, 0)]


# ---- Adaptive -------------------------------------------------------------------------------------------------------------


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
