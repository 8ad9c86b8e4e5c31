"""Credit without a server."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haip_sync.config import WELL_KNOWN_CHANNELS, FlowControlConfig
from haip_sync.errors import ConfigError, FlowControlError, FlowControlTimeout, MessageTooLargeError
from haip_sync.testing.mock_flow_control import Credits, MockFlowControl

MIB = 1 << 20
PATIENCE_S = 20.0


@pytest.mark.parametrize("channel", [*WELL_KNOWN_CHANNELS, "any-other"])
def test_every_channel_begins_with_ten_messages_and_a_mebibyte(channel: str) -> None:
    """Channels begin with the page's amounts."""
    assert MockFlowControl().get_credits(channel) == Credits(10, MIB)


def test_ten_messages_are_ten_messages() -> None:
    """The page's own example: credit lasts for ten sends, and the eleventh is refused."""
    mock = MockFlowControl()
    assert mock.consume_credits("USER", 1, 100) is True
    assert [mock.consume_credits("USER") for _ in range(10)] == [True] * 9 + [False]
    assert mock.get_credits("USER") == Credits(0, MIB - 100)
    assert mock.get_credits("AGENT") == Credits(10, MIB)


def test_messages_and_bytes_are_taken_together_or_not_at_all() -> None:
    """Where either is short nothing is taken."""
    mock = MockFlowControl(FlowControlConfig(initial_credits=1, initial_credit_bytes=10))
    assert not mock.consume_credits("USER", 1, 11)
    assert not mock.consume_credits("USER", 2, 1)
    assert mock.get_credits("USER") == Credits(1, 10)


def test_what_exceeds_the_cap_is_set_aside_and_enters_later() -> None:
    """A grant above the cap loses nothing: it enters as credit is spent."""
    mock = MockFlowControl(FlowControlConfig(max_credits=12, max_credit_bytes=2 * MIB))
    mock.add_credits("USER", 5, 3 * MIB)
    assert (mock.get_credits("USER"), mock.get_set_aside("USER")) == (Credits(12, 2 * MIB), Credits(3, 2 * MIB))
    assert mock.consume_credits("USER", 4, MIB)
    assert (mock.get_credits("USER"), mock.get_set_aside("USER")) == (Credits(11, 2 * MIB), Credits(0, MIB))


def test_channels_take_their_own_settings() -> None:
    """A configuration may name channels; those it leaves out take the default."""
    mock = MockFlowControl(FlowControlConfig(initial_credits={"USER": 2}))
    assert (mock.get_credits("USER").messages, mock.get_credits("AGENT").messages) == (2, 10)


def test_reset_gives_the_first_balance_back() -> None:
    """As on a new connection, neither spending nor grants outlive it."""
    mock = MockFlowControl()
    mock.consume_credits("USER", 3)
    mock.add_credits("AGENT", 3)
    mock.reset()
    assert (mock.get_credits("USER"), mock.get_credits("AGENT")) == (Credits(10, MIB), Credits(10, MIB))


@pytest.mark.parametrize("arguments", [("USER", -1), ("USER", 1, -1), ("USER", 1.5), ("USER", True), ("no channel", 1), (5, 1)])
def test_wrong_arguments_are_refused(arguments: Any) -> None:
    """A wrong channel or amount raises, and changes nothing."""
    mock = MockFlowControl()
    for act in (mock.consume_credits, mock.add_credits):
        with pytest.raises(ConfigError):
            act(*arguments)
    assert mock.get_credits("USER") == Credits(10, MIB)


def test_a_wrong_configuration_is_refused() -> None:
    """The configuration must be one."""
    wrong: Any = {"initial_credits": 2}
    with pytest.raises(ConfigError, match="flow_control"):
        MockFlowControl(wrong)


AMOUNTS = st.tuples(st.integers(0, 30), st.integers(0, 30))


@given(caps=st.tuples(st.integers(1, 40), st.integers(1, 40)), first=AMOUNTS, moves=st.lists(st.tuples(st.booleans(), AMOUNTS)))
def test_no_credit_is_lost_or_made(
    caps: tuple[int, int], first: tuple[int, int], moves: list[tuple[bool, tuple[int, int]]]
) -> None:
    """What can be spent and what is set aside are all that was given and not taken, and the caps hold."""
    mock = MockFlowControl(
        FlowControlConfig(initial_credits=first[0], initial_credit_bytes=first[1], max_credits=caps[0], max_credit_bytes=caps[1])
    )
    left = list(first)
    for is_grant, amounts in moves:
        covered = all(amount <= min(have, cap) for amount, have, cap in zip(amounts, left, caps, strict=True))
        if is_grant:
            mock.add_credits("USER", *amounts)
        else:
            assert mock.consume_credits("USER", *amounts) is covered
        sign = 1 if is_grant else -int(covered)
        left = [have + sign * amount for have, amount in zip(left, amounts, strict=True)]
        there, aside = mock.get_credits("USER"), mock.get_set_aside("USER")
        assert list(there) == [min(have, cap) for have, cap in zip(left, caps, strict=True)]
        assert [now + later for now, later in zip(there, aside, strict=True)] == left


def test_threads_share_the_credit_and_no_more() -> None:
    """However many threads take at once, exactly what is there is given out."""
    mock = MockFlowControl(FlowControlConfig(initial_credits=500, max_credits=500))
    start = threading.Barrier(8)

    def take() -> int:
        start.wait(PATIENCE_S)
        return sum(mock.consume_credits("USER") for _ in range(100))

    with ThreadPoolExecutor(8) as pool:
        taken = [pool.submit(take) for _ in range(8)]
        assert sum(one.result(PATIENCE_S) for one in taken) == 500
    assert mock.get_credits("USER").messages == 0


# ---- Waiting --------------------------------------------------------------------------------------------------------------


def test_waiting_ends_when_the_credit_is_there_and_takes_nothing() -> None:
    """A waiter is woken by the grant that suffices, not by one that does not."""
    mock = MockFlowControl(FlowControlConfig(initial_credits=0))
    with ThreadPoolExecutor(1) as pool:
        waiter = pool.submit(mock.wait_for_credits, "USER", messages=2, timeout=PATIENCE_S)
        mock.add_credits("USER", 1)
        assert not waiter.done()
        mock.add_credits("USER", 1)
        assert waiter.result(PATIENCE_S) is None
    assert mock.get_credits("USER").messages == 2


def test_reset_wakes_who_waits_for_it() -> None:
    """The first balance, given back, serves waiters."""
    mock = MockFlowControl()
    mock.consume_credits("USER", 10)
    with ThreadPoolExecutor(1) as pool:
        waiter = pool.submit(mock.wait_for_credits, "USER", messages=10, timeout=PATIENCE_S)
        mock.reset()
        assert waiter.result(PATIENCE_S) is None


def test_credit_that_is_there_needs_no_waiting() -> None:
    """With timeout 0 or without end, it returns at once where the credit suffices."""
    mock = MockFlowControl()
    mock.wait_for_credits("USER", messages=10, byte_credits=MIB, timeout=0)
    mock.wait_for_credits("USER")
    mock.wait_for_credits("USER", timeout=1e9)


def test_a_deadline_says_what_was_missing() -> None:
    """The error is the client's own, with the cause and both amounts in it."""
    mock = MockFlowControl()
    with pytest.raises(FlowControlTimeout, match="needs 11 messages and 0 bytes of credit and has 10") as too_late:
        mock.wait_for_credits("USER", messages=11, timeout=0.001)
    assert (too_late.value.cause, too_late.value.channel) == ("messages", "USER")
    with pytest.raises(FlowControlTimeout) as too_late:
        mock.wait_for_credits("USER", byte_credits=2 * MIB, timeout=0.001)
    assert too_late.value.cause == "bytes"


def test_timeout_zero_does_not_wait() -> None:
    """Who does not want to wait gets a plain `FlowControlError`."""
    with pytest.raises(FlowControlError) as refused:
        MockFlowControl().wait_for_credits("USER", messages=11, timeout=0)
    assert not isinstance(refused.value, FlowControlTimeout)


def test_what_can_never_come_is_refused_at_once() -> None:
    """More than a cap is an error and not a wait without end."""
    mock = MockFlowControl()
    with pytest.raises(ConfigError, match="max_credits of USER, 100"):
        mock.wait_for_credits("USER", messages=101)
    with pytest.raises(MessageTooLargeError):
        mock.wait_for_credits("USER", byte_credits=11 * MIB)
    with pytest.raises(ConfigError, match="timeout"):
        mock.wait_for_credits("USER", timeout=-1)
