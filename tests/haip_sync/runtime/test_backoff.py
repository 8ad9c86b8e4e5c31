"""How long to wait before each attempt to connect again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haip_sync import ReconnectPolicy
from haip_sync.runtime.backoff import Backoff

SECONDS = st.floats(min_value=0, max_value=1_000)
PARTS = st.floats(min_value=0, max_value=1, exclude_max=True)


def test_each_attempt_waits_twice_as_long_as_the_one_before_up_to_the_cap() -> None:
    """Without chance the delays are the first one doubled, and never longer than the longest."""
    backoff = Backoff(ReconnectPolicy(initial_delay=0.5, max_delay=5.0, jitter=0.0), lambda: 0.7)
    assert [backoff.next_delay_s() for _ in range(6)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert backoff.attempts == 6


@pytest.mark.parametrize(("chance", "delay_s"), [(0.0, 0.8), (0.5, 1.0), (0.75, 1.1)])
def test_chance_makes_a_delay_longer_or_shorter_by_its_part(chance: float, delay_s: float) -> None:
    """A jitter of a fifth takes a second to between 0.8 s and 1.2 s."""
    backoff = Backoff(ReconnectPolicy(initial_delay=1.0, jitter=0.2), lambda: chance)
    assert backoff.next_delay_s() == pytest.approx(delay_s)


@given(SECONDS, SECONDS, PARTS, st.lists(PARTS, min_size=1, max_size=200))
def test_no_delay_is_ever_longer_than_the_cap_or_off_by_more_than_its_part(
    initial_s: float, cap_s: float, jitter: float, chances: list[float]
) -> None:
    """Whatever chance says, each delay stays within its part of the doubled one, and below the cap."""
    left = list(chances)
    backoff = Backoff(ReconnectPolicy(initial_delay=initial_s, max_delay=cap_s, jitter=jitter), lambda: left.pop(0))
    for number in range(len(chances)):
        around_s = min(initial_s * 2.0**number, cap_s)
        delay_s = backoff.next_delay_s()
        assert delay_s is not None
        assert 0 <= delay_s <= cap_s
        assert around_s * (1 - jitter) * 0.999 <= delay_s <= around_s * (1 + jitter) * 1.001


@given(st.integers(min_value=1, max_value=50))
def test_so_many_attempts_and_no_more(most: int) -> None:
    """After `max_attempts` there is none any more."""
    backoff = Backoff(ReconnectPolicy(max_attempts=most), lambda: 0.5)
    delays = [backoff.next_delay_s() for _ in range(most + 2)]
    assert None not in delays[:most]
    assert delays[most:] == [None, None]
    assert backoff.attempts == most


def test_a_policy_that_is_not_enabled_tries_nothing() -> None:
    """Switched off there is no first attempt either."""
    assert Backoff(ReconnectPolicy(enabled=False), lambda: 0.5).next_delay_s() is None


def test_a_thousand_attempts_overflow_nothing() -> None:
    """An outage of days goes on at the longest delay."""
    backoff = Backoff(ReconnectPolicy(jitter=0.0), lambda: 0.5)
    assert [backoff.next_delay_s() for _ in range(3_000)][-1] == 30.0
