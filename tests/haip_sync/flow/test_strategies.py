"""When strategies ask, and for how much: what all of them keep to, and the simple ones. Time is a number here; nothing waits."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.channel_views import MIB, asked, counts, view, views

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

ALL = (ManualStrategy, ThresholdStrategy, ConservativeStrategy, AggressiveStrategy, AdaptiveStrategy)

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
