"""Strategies as an operator sets them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haip_sync import AdaptiveStrategy, ConfigError, Strategy, ThresholdStrategy
from monitor_app.model.strategy_plan import KINDS, StrategyPlan, build_strategy, kind_of


def build(plan: StrategyPlan) -> Strategy:
    """Build what a plan says, as a source does."""
    return build_strategy(plan.name, plan.settings())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_defaults_shown_are_those_of_the_library(kind: object) -> None:
    """A plan with every default written out builds what a plan without any builds."""
    name = getattr(kind, "name", "")
    settings = kind_of(name).settings
    spelt = build(StrategyPlan(name, {setting.name: setting.default for setting in settings}))
    bare = build(StrategyPlan(name))
    assert type(spelt) is type(bare)
    for setting in settings:
        assert getattr(spelt, setting.name) == getattr(bare, setting.name)


@given(st.integers(1, 1000), st.integers(1024, 100 << 20))
def test_nothing_above_a_cap_is_proposed(max_messages: int, max_bytes: int) -> None:
    """Every strategy's numbers fit what the channel can have at a time, and can be applied as they are."""
    for kind in KINDS:
        values = {setting.name: setting.proposed(max_messages, max_bytes) for setting in kind.settings}
        for setting in kind.settings:
            cap = {"msg": max_messages, "KiB": max_bytes // 1024}.get(setting.unit, setting.default)
            assert values[setting.name] <= min(cap, setting.default)
        assert not StrategyPlan(kind.name, values).problem()


def test_a_great_cap_leaves_the_defaults() -> None:
    """The library's own caps are great enough for all but what asks for the most at once."""
    threshold = {setting.name: setting.proposed(100, 10 << 20) for setting in kind_of("threshold").settings}
    assert threshold == {setting.name: setting.default for setting in kind_of("threshold").settings}
    small = {setting.name: setting.proposed(100, 96 << 10) for setting in kind_of("threshold").settings}
    assert small == {"message_threshold": 5, "byte_threshold": 48, "request_messages": 10, "request_bytes": 96}


def test_kib_become_bytes() -> None:
    """What was typed in KiB reaches the strategy in bytes."""
    built = build(StrategyPlan("threshold", {"byte_threshold": 64, "request_messages": 7}))
    assert isinstance(built, ThresholdStrategy)
    assert (built.byte_threshold, built.request_messages) == (64 * 1024, 7)


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (StrategyPlan("threshold", {"request_messages": 0}), "“Ask for … msg” must be at least 1, not 0"),
        (StrategyPlan("conservative", {"delay_s": 0.0}), "“After a grant, wait … s” must be"),
        (StrategyPlan("aggressive", {"messages": 0, "byte_credits": 0}), "at least 1 message"),
        (StrategyPlan("adaptive", {"most": -1}), "“At most … msg” must be"),
        (StrategyPlan("adaptive", {"pace": 1}), "no setting pace"),
        (StrategyPlan("greedy"), "no strategy 'greedy'"),
    ],
)
def test_what_cannot_be_is_named(plan: StrategyPlan, words: str) -> None:
    """A wrong number is refused by the library's own check, and the sentence names its field as a person sees it."""
    assert words in plan.problem()
    with pytest.raises(ConfigError):
        build(plan)


def test_a_plan_reads_as_words() -> None:
    """The trail says what was set, defaults included; each build is a strategy of its own."""
    assert str(StrategyPlan("manual")) == "manual"
    plan = StrategyPlan("threshold", {"message_threshold": 9})
    assert str(plan) == "threshold: below 9 msg, or below 512 KiB, ask for 10 msg, and 1 024 KiB"
    assert not plan.problem()
    adaptive = StrategyPlan("adaptive")
    first, second = build(adaptive), build(adaptive)
    assert isinstance(first, AdaptiveStrategy)
    assert first is not second
