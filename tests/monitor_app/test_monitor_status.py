"""The states of a channel."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from haip_sync import ChannelState
from monitor_app.model.status import Status, classify

Make = Callable[..., ChannelState]


def test_without_a_connection_every_channel_is_offline(channel_state: Make) -> None:
    """OFFLINE comes before everything else: paused and starving channels included."""
    state = channel_state(paused_by_us=True, backlog=3, waiting_for="messages", missing=1)
    assert classify(state, connected=False, idle_s=0.0) is Status.OFFLINE


def test_our_pause_is_named_before_the_peers(channel_state: Make) -> None:
    """With both holds in place the one that we can lift is named."""
    state = channel_state(paused_by_us=True, paused_by_peer=True)
    assert classify(state, connected=True, idle_s=None) is Status.PAUSED_BY_US


def test_a_peers_pause_is_named_before_starvation(channel_state: Make) -> None:
    """A channel that the peer holds is not called starved, though its senders wait."""
    state = channel_state(paused_by_peer=True, backlog=1, waiting_for="messages", missing=1)
    assert classify(state, connected=True, idle_s=None) is Status.PAUSED_BY_PEER


@pytest.mark.parametrize("credit", ["messages", "bytes"])
def test_a_head_that_lacks_credit_is_starved(channel_state: Make, credit: str) -> None:
    """STARVED needs somebody who waits and lacks credit."""
    state = channel_state(backlog=1, waiting_for=credit, missing=1)
    assert classify(state, connected=True, idle_s=0.1) is Status.STARVED


def test_a_head_that_waits_for_the_socket_is_not_starved(channel_state: Make) -> None:
    """Waiting for the operating system is no lack of credit."""
    state = channel_state(backlog=1, waiting_for="socket")
    assert classify(state, connected=True, idle_s=0.1) is Status.FLOWING


@pytest.mark.parametrize("low", [{"credits": 19}, {"byte_credits": 100 * 1024}])
def test_a_channel_in_use_with_little_credit_is_low(channel_state: Make, low: dict[str, int]) -> None:
    """LOW is said when either credit is below a fifth of its window and the channel is in use."""
    assert classify(channel_state(**low), connected=True, idle_s=0.1) is Status.LOW


def test_a_fifth_of_the_window_is_not_low(channel_state: Make) -> None:
    """The threshold itself is not yet LOW."""
    assert classify(channel_state(credits=20), connected=True, idle_s=0.1) is Status.FLOWING


def test_low_is_measured_against_what_the_peer_ever_granted(channel_state: Make) -> None:
    """A peer that works with ten messages at a time is not low for ever because our cap is a hundred."""
    state = channel_state(credits=9, peak_credits=10)
    assert classify(state, connected=True, idle_s=0.1) is Status.FLOWING


def test_an_unused_channel_with_little_credit_is_idle(channel_state: Make) -> None:
    """Little credit harms nobody where nothing is sent."""
    assert classify(channel_state(credits=1), connected=True, idle_s=None) is Status.IDLE
    assert classify(channel_state(credits=1), connected=True, idle_s=11.0) is Status.IDLE


def test_flowing_becomes_idle_after_two_seconds(channel_state: Make) -> None:
    """FLOWING means that something was sent just now."""
    assert classify(channel_state(), connected=True, idle_s=2.0) is Status.FLOWING
    assert classify(channel_state(), connected=True, idle_s=2.1) is Status.IDLE
