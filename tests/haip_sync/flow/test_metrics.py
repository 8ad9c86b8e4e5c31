"""What is counted, and how near the percentiles come."""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haip_sync.errors import WaitCause
from haip_sync.flow.metrics import MAX_CHANNELS, OTHER_CHANNELS, MetricsRecorder, bucket_of, upper_edge_s

WAITS_S = st.floats(0, 10_000) | st.floats(0, 0.01) | st.sampled_from([0.0, 2**-20, 1e-6, 1.0, 1.125, 4_096.0, math.inf])


def test_nothing_counted_is_nothing() -> None:
    """A fresh recorder shows zeros, and divides nothing by zero."""
    metrics = MetricsRecorder().snapshot()
    assert (metrics.credit_requests, metrics.credit_received, metrics.credit_received_bytes, metrics.messages_blocked) == (
        0,
        0,
        0,
        0,
    )
    assert (metrics.total_wait_time, metrics.average_wait_time, metrics.credit_utilization) == (0.0, 0.0, 0.0)
    assert (metrics.waits, metrics.channels) == ({}, {})


def filled() -> MetricsRecorder:
    """Return a recorder with figures on two channels."""
    recorder = MetricsRecorder()
    recorder.requested("USER")
    recorder.requested("USER")
    recorder.requested("AGENT")
    recorder.received("USER", 10, 1_000)
    recorder.received("AGENT", 5, 0)
    recorder.waited("USER", WaitCause.MESSAGES, 1.0)
    recorder.waited("USER", WaitCause.MESSAGES, 3.0)
    recorder.waited("USER", WaitCause.PAUSED_BY_PEER, 0.5)
    recorder.waited("AGENT", WaitCause.MESSAGES, 2.0)
    return recorder


def test_the_figures_of_the_page_are_there() -> None:
    """Requests, credit, blocked messages and waits add up over channels; the utilization is requests per hundred messages."""
    metrics = filled().snapshot()
    assert (metrics.credit_requests, metrics.credit_received, metrics.credit_received_bytes) == (3, 15, 1_000)
    assert (metrics.messages_blocked, metrics.total_wait_time, metrics.average_wait_time) == (4, 6.5, 1.625)
    assert metrics.credit_utilization == pytest.approx(3 / 15 * 100)


def test_each_channel_has_its_own_figures() -> None:
    """A channel's figures hold its own counts and nobody else's."""
    user = filled().snapshot().channels["USER"]
    assert (user.credit_requests, user.credit_received, user.credit_utilization) == (2, 10, 20.0)
    assert (user.messages_blocked, user.total_wait_time, user.average_wait_time) == (3, 4.5, 1.5)


def test_waits_are_told_apart_by_cause() -> None:
    """Each cause has its own statistics, under the name that errors and events use."""
    waits = filled().snapshot().waits
    assert {cause: (one.count, one.total_s, one.max_s) for cause, one in waits.items()} == {
        "messages": (3, 6.0, 3.0),
        "paused_by_peer": (1, 0.5, 0.5),
    }
    assert waits["messages"].average_s == 2.0


def test_a_snapshot_does_not_change_afterwards() -> None:
    """What is counted later shows in later snapshots only, and a copy counts for itself."""
    recorder = filled()
    before, twin = recorder.snapshot(), recorder.copy()
    recorder.requested("USER")
    recorder.waited("USER", WaitCause.MESSAGES, 60.0)
    recorder.waited("USER", WaitCause.BYTES, 60.0)
    assert before == twin.snapshot()
    assert recorder.snapshot().waits["messages"].max_s == 60.0


def test_reset_begins_anew() -> None:
    """After a reset everything is zero and no channel is known."""
    recorder = filled()
    recorder.reset()
    assert recorder.snapshot() == MetricsRecorder().snapshot()


def test_figures_can_be_written_as_json() -> None:
    """A snapshot goes through msgspec whole, for logs and for windows in other processes."""
    metrics = filled().snapshot()
    assert msgspec.json.decode(msgspec.json.encode(metrics), type=type(metrics)) == metrics


def test_channels_beyond_the_most_share_one_place() -> None:
    """Memory is bounded: what comes after the 1,024th channel is counted together, and the total misses none of it."""
    recorder = MetricsRecorder()
    for number in range(MAX_CHANNELS + 10):
        recorder.requested(f"c{number}")
    metrics = recorder.snapshot()
    assert len(metrics.channels) == MAX_CHANNELS + 1
    assert metrics.channels[OTHER_CHANNELS].credit_requests == 10
    assert metrics.credit_requests == MAX_CHANNELS + 10


def test_a_clock_that_stood_still_counts_as_no_wait() -> None:
    """A wait of zero or less is a wait of zero."""
    recorder = MetricsRecorder()
    recorder.waited("USER", WaitCause.SOCKET, -1e-9)
    assert recorder.snapshot().waits["socket"].total_s == 0.0


# ---- Percentiles ----------------------------------------------------------------------------------------------------------


@given(WAITS_S)
def test_a_wait_is_within_its_bucket(wait_s: float) -> None:
    """It is below the upper edge, and not below the upper edge of the bucket before."""
    bucket = bucket_of(wait_s)
    assert wait_s < upper_edge_s(bucket) or upper_edge_s(bucket) == math.inf
    assert bucket == 0 or wait_s >= upper_edge_s(bucket - 1)


def test_buckets_are_narrow_and_without_gaps() -> None:
    """From a microsecond to an hour, none is wider than an eighth of what it holds."""
    edges_s = [upper_edge_s(bucket) for bucket in range(256)]
    assert edges_s == sorted(edges_s)
    assert edges_s[0] < 1.1e-6
    assert 3_600 < edges_s[-2] < edges_s[-1] == math.inf
    assert all(upper / lower <= 1.125 + 1e-9 for lower, upper in pairwise(edges_s[:-1]))


@given(st.lists(WAITS_S.filter(math.isfinite), min_size=1, max_size=200))
def test_percentiles_are_right_to_one_bucket(waits_s: list[float]) -> None:
    """Each lies in the bucket of the value that sorting finds, never below that value nor above the longest wait."""
    recorder = MetricsRecorder()
    for wait_s in waits_s:
        recorder.waited("USER", WaitCause.BYTES, wait_s)
    found = recorder.snapshot().waits["bytes"]
    ordered = sorted(waits_s)
    for percent, estimate_s in ((50, found.p50_s), (90, found.p90_s), (99, found.p99_s)):
        true_s = ordered[math.ceil(percent * len(ordered) / 100) - 1]
        assert true_s <= estimate_s <= min(upper_edge_s(bucket_of(true_s)), found.max_s)
    assert (found.count, found.max_s) == (len(waits_s), ordered[-1])
    assert found.total_s == pytest.approx(math.fsum(waits_s))


CHANNELS = st.sampled_from(["USER", "AGENT", "SYSTEM"])
CAUSES = st.sampled_from(list(WaitCause))


@given(st.lists(st.tuples(CHANNELS, CAUSES, WAITS_S.filter(math.isfinite)), max_size=60))
def test_the_total_is_the_sum_of_the_channels(waits: list[tuple[str, WaitCause, float]]) -> None:
    """Counts and times over all channels are what the channels add up to, and so are the percentiles' waits."""
    apart, together = MetricsRecorder(), MetricsRecorder()
    for channel, cause, wait_s in waits:
        apart.waited(channel, cause, wait_s)
        together.waited("ONE", cause, wait_s)
    metrics = apart.snapshot()
    assert metrics.messages_blocked == sum(one.messages_blocked for one in metrics.channels.values())
    assert metrics.total_wait_time == pytest.approx(sum(one.total_wait_time for one in metrics.channels.values()))
    for cause_name, expected in together.snapshot().waits.items():
        found = metrics.waits[cause_name]
        assert (found.count, found.p50_s, found.p90_s, found.max_s) == (
            expected.count,
            expected.p50_s,
            expected.p90_s,
            expected.max_s,
        )
