"""When the conservative strategy asks, and for how much. Time is a number here; nothing waits."""

from __future__ import annotations

from support.channel_views import MIB, asked, view, views

from haip_sync.flow.strategies import ConservativeStrategy


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
