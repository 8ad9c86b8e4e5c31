"""How the peer answers, and what a window can carry."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor_app.model.grants import GrantBook, Window, delays_of, window_hint


def test_a_delay_is_from_the_first_unanswered_request_to_the_next_grant() -> None:
    """A second request before the grant does not shorten the wait; a grant that nobody asked for is no answer."""
    book = GrantBook()
    book.grant(1.0, 5, 0)
    book.request(2.0)
    book.request(3.0)
    assert book.asked_s == 2.0
    book.grant(6.0, 5, 0)
    book.grant(7.0, 5, 0)
    assert book.asked_s is None
    delays = book.delays(0.0, 10.0)
    assert delays is not None
    assert (delays.median_s, delays.p95_s, delays.count) == (4.0, 4.0, 1)
    assert book.count(0.0, 10.0) == 3
    assert book.count(6.5, 10.0) == 1
    assert book.delays(6.5, 10.0) is None


def test_a_request_of_another_epoch_is_answered_by_nobody() -> None:
    """After a reconnect a grant does not answer what was asked for before."""
    book = GrantBook()
    book.request(1.0)
    book.forget_request()
    book.grant(100.0, 1, 0)
    assert book.delays(0.0, 200.0) is None


@given(st.lists(st.floats(0.0, 1e3), min_size=1, max_size=300))
def test_percentiles_are_values_that_came(seconds: list[float]) -> None:
    """Median and 95th percentile are among the values, in order, with as many below them as their names say."""
    delays = delays_of(seconds)
    assert delays is not None
    assert delays.median_s in seconds
    assert delays.p95_s in seconds
    assert delays.median_s <= delays.p95_s <= max(seconds)
    assert sum(value <= delays.p95_s for value in seconds) >= 0.95 * len(seconds)
    assert sum(value <= delays.median_s for value in seconds) >= 0.5 * len(seconds)
    assert delays_of([]) is None


SMALL = Window(messages=10, byte_count=1 << 20, round_trip_s=0.12, rate_messages=80.0, rate_bytes=20_000.0, starved_share=0.5)


def test_a_window_that_is_smaller_than_rate_times_round_trip_is_named() -> None:
    """Ten messages at 120 ms carry 83 a second at most, and that is what holds the channel."""
    assert window_hint(SMALL) == "The window of 10 messages allows at most 83/s at 120 ms round trip."


def test_a_window_of_bytes_is_named_in_kib() -> None:
    """Bytes are the limit where they are."""
    small = replace(SMALL, messages=10_000, byte_count=64 * 1024, rate_bytes=500_000.0)
    assert window_hint(small) == "The window of 64 KiB allows at most 533 KiB/s at 120 ms round trip."


@pytest.mark.parametrize(
    "window",
    [
        replace(SMALL, starved_share=0.0),
        replace(SMALL, rate_messages=10.0),
        replace(SMALL, round_trip_s=0.0),
        replace(SMALL, messages=0, byte_count=0),
        replace(SMALL, messages=1000),
    ],
)
def test_what_does_not_hold_a_channel_is_not_blamed(window: Window) -> None:
    """No hint where nobody starves, the rate is far below, nothing is known of the round trip, or the window is wide."""
    assert window_hint(window) is None
