"""How much credit was asked for, granted and waited for: counts, and how the waits were spread.

The recorder is cheap enough for every send: a wait is counted in one of 256 buckets, eight to each doubling of the time from
1 µs to 68 minutes, so that a percentile is right to one bucket (an eighth of the time or less) and memory stays bounded.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate, pairwise, starmap
from operator import add
from typing import Any, Final

import msgspec

from haip_sync.errors import WaitCause
from haip_sync.state import Waited

MAX_CHANNELS: Final = 1_024
"""The most channels with figures of their own."""
OTHER_CHANNELS: Final = "(other)"
"""Where everything beyond them is counted together; no channel can have this name."""

_PER_OCTAVE: Final = 8
_FIRST_EXPONENT: Final = -20  # the first octave begins at 2**-20 s, a microsecond
_OCTAVES: Final = 32
_TWO_OCTAVES: Final = 2 * _PER_OCTAVE
_BELOW: Final = (_FIRST_EXPONENT + 1) * _PER_OCTAVE + _PER_OCTAVE
"""What place and exponent come to, taken together, where the first bucket begins."""
_BUCKETS: Final = _PER_OCTAVE * _OCTAVES
_FIRST_S: Final = math.ldexp(1.0, _FIRST_EXPONENT)
_END_S: Final = math.ldexp(1.0, _FIRST_EXPONENT + _OCTAVES)

WAIT_EDGES_S: Final = tuple(math.ldexp(1.0, exponent) for exponent in range(-10, 11, 3))
"""What `WaitStatistics.reached` counts up to: 1 ms, 8 ms, 63 ms, 0.5 s, 4 s, 32 s and 256 s."""


class WaitStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """How long sends had to wait for one cause. Percentiles are the upper edge of the bucket, and never above `max_s`."""

    count: int
    """How many waited."""
    total_s: float
    average_s: float
    """0.0 when none waited."""
    p50_s: float
    """Half of them waited no longer."""
    p90_s: float
    p99_s: float
    max_s: float
    reached: tuple[int, ...] = ()
    """How many waited less than each of `WAIT_EDGES_S`, in seconds; the rest waited longer."""


class ChannelMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """What one channel asked for, was granted and waited for since the beginning or the last reset."""

    credit_requests: int
    """Requests for credit that were sent, whatever their amount."""
    credit_received: int
    """Messages granted."""
    credit_received_bytes: int
    """Bytes granted."""
    messages_blocked: int
    """Sends that had to wait."""
    total_wait_time: float
    """Seconds that they waited, all together."""
    average_wait_time: float
    """Seconds that one of them waited; 0.0 when none did."""
    credit_utilization: float
    """Requests for every hundred messages granted: `credit_requests / credit_received * 100`; 0.0 when none were granted.
    The formula is that of HAIP's page on flow control. It says how hard credit was to get, not how much of it was used."""
    waits: Mapping[str, WaitStatistics]
    """The waits by cause: messages, bytes, paused_by_us and so on; only causes that came up."""


class FlowControlMetrics(ChannelMetrics, frozen=True, kw_only=True):
    """The same over all channels together, and of each."""

    channels: Mapping[str, ChannelMetrics]
    """By channel; what came after the 1,024th is under `"(other)"`."""


def bucket_of(wait_s: float) -> int:
    """Return the bucket that a wait is counted in, from 0: the first also holds what is shorter, the last what is longer."""
    if not _FIRST_S <= wait_s < _END_S:
        return 0 if wait_s < _FIRST_S else _BUCKETS - 1
    fraction, exponent = math.frexp(wait_s)  # fraction in [0.5, 1): its first half is the octave's, the rest the place in it
    return exponent * _PER_OCTAVE + int(fraction * _TWO_OCTAVES) - _BELOW


def upper_edge_s(bucket: int) -> float:
    """Return where `bucket` ends, in seconds; the last one never does."""
    if bucket >= _BUCKETS - 1:
        return math.inf
    octave, place = divmod(bucket, _PER_OCTAVE)
    return math.ldexp(_PER_OCTAVE + place + 1, octave + _FIRST_EXPONENT) / _PER_OCTAVE


_EDGE_BUCKETS: Final = tuple(bucket_of(edge_s) - 1 for edge_s in WAIT_EDGES_S)
_BETWEEN_EDGES: Final = tuple(starmap(slice, pairwise((0, *(bucket + 1 for bucket in _EDGE_BUCKETS)))))


class Histogram:
    """The waits for one cause."""

    __slots__ = ("count", "counts", "max_s", "total_s")

    def __init__(self) -> None:
        self.counts = array("Q", bytes(8 * _BUCKETS))
        self.count = 0
        self.total_s = 0.0
        self.max_s = 0.0

    def record(self, wait_s: float) -> None:
        """Count a wait."""
        self.counts[bucket_of(wait_s)] += 1
        self.count += 1
        self.total_s += wait_s
        self.max_s = max(self.max_s, wait_s)

    def plus(self, other: Histogram) -> Histogram:
        """Return the waits of both."""
        both = Histogram.__new__(Histogram)
        both.counts = array("Q", map(add, self.counts, other.counts))
        both.count, both.total_s = self.count + other.count, self.total_s + other.total_s
        both.max_s = max(self.max_s, other.max_s)
        return both

    def copy(self) -> Histogram:
        """Return the same, sharing nothing with this one."""
        same = Histogram.__new__(Histogram)
        same.counts, same.count, same.total_s, same.max_s = self.counts[:], self.count, self.total_s, self.max_s
        return same

    def reached(self) -> Iterator[int]:
        """Yield how many waited less than each of `WAIT_EDGES_S`, in a third of the time that all statistics take."""
        return accumulate(map(sum, map(self.counts.__getitem__, _BETWEEN_EDGES)))

    def statistics(self) -> WaitStatistics:
        """Return what is told of them."""
        reached = list(accumulate(self.counts))
        p50_s, p90_s, p99_s = (self._percentile_s(percent, reached) for percent in (50, 90, 99))
        return WaitStatistics(
            count=self.count,
            total_s=self.total_s,
            average_s=self.total_s / self.count if self.count else 0.0,
            p50_s=p50_s,
            p90_s=p90_s,
            p99_s=p99_s,
            max_s=self.max_s,
            reached=tuple(reached[bucket] for bucket in _EDGE_BUCKETS),
        )

    def _percentile_s(self, percent: int, reached: list[int]) -> float:
        """Return the upper edge of the bucket that holds the first wait no shorter than `percent` of all."""
        rank = max(1, -(-percent * self.count // 100))
        return min(upper_edge_s(bisect_left(reached, rank)), self.max_s)


class Figures:
    """What was counted of one channel. `ChannelMetrics` is what is told of it."""

    __slots__ = ("received", "received_bytes", "requests", "waits")

    def __init__(self) -> None:
        self.requests = 0
        self.received = 0
        self.received_bytes = 0
        self.waits: dict[WaitCause, Histogram] = {}

    def add(self, other: Figures) -> None:
        """Count as well what the other has. Waits for a cause that was unknown here are shared: nobody counts on here."""
        self.requests += other.requests
        self.received += other.received
        self.received_bytes += other.received_bytes
        for cause, waits in other.waits.items():
            mine = self.waits.get(cause)
            self.waits[cause] = waits if mine is None else mine.plus(waits)

    def copy(self) -> Figures:
        """Return the same, sharing nothing with this one."""
        same = Figures.__new__(Figures)
        same.requests, same.received, same.received_bytes = self.requests, self.received, self.received_bytes
        same.waits = {cause: waits.copy() for cause, waits in self.waits.items()}
        return same

    def metrics(self, statistics_of: Callable[[Histogram], WaitStatistics]) -> dict[str, Any]:
        """Return the members of `ChannelMetrics`."""
        blocked, total_s, waits = 0, 0.0, {}
        for cause, histogram in self.waits.items():
            blocked += histogram.count
            total_s += histogram.total_s
            waits[cause.value] = statistics_of(histogram)
        return {
            "credit_requests": self.requests,
            "credit_received": self.received,
            "credit_received_bytes": self.received_bytes,
            "messages_blocked": blocked,
            "total_wait_time": total_s,
            "average_wait_time": total_s / blocked if blocked else 0.0,
            "credit_utilization": self.requests / self.received * 100 if self.received else 0.0,
            "waits": waits,
        }


class MetricsRecorder:
    """Counts for one client, over all of its epochs. Not thread-safe: its owner's lock guards it.

    Each count costs a microsecond or less. `snapshot` costs some 30 µs per channel and cause that came up; who does not want
    to hold the lock for as long takes a `copy` under it, and the snapshot of that without.
    """

    def __init__(self) -> None:
        self._channels: dict[str, Figures] = {}

    def requested(self, channel: str) -> None:
        """Count a request for credit that was sent."""
        (self._channels.get(channel) or self._opened(channel)).requests += 1

    def received(self, channel: str, messages: int, byte_credits: int) -> None:
        """Count a grant of the peer's."""
        figures = self._channels.get(channel) or self._opened(channel)
        figures.received += messages
        figures.received_bytes += byte_credits

    def waited(self, channel: str, cause: WaitCause, wait_s: float) -> None:
        """Count a send that had to wait, once its wait is over; `cause` is what held it up first."""
        waits = (self._channels.get(channel) or self._opened(channel)).waits
        histogram = waits.get(cause)
        if histogram is None:
            histogram = waits[cause] = Histogram()
        histogram.record(wait_s if wait_s > 0.0 else 0.0)

    def over(self, channel: str) -> dict[str, Waited]:
        """Return the waits on a channel that are over, by cause: no spread, and therefore nothing that would take time."""
        figures = self._channels.get(channel)
        if figures is None or not figures.waits:
            return {}
        return {cause.value: Waited(waits.count, waits.total_s) for cause, waits in figures.waits.items()}

    @property
    def channels(self) -> Mapping[str, Figures]:
        """The channels that have figures, as they were counted: nothing is worked out."""
        return self._channels

    def snapshot(self) -> FlowControlMetrics:
        """Return all figures of this moment."""
        total = Figures()
        for figures in self._channels.values():
            total.add(figures)
        known: dict[Histogram, WaitStatistics] = {}

        def statistics_of(waits: Histogram) -> WaitStatistics:
            # What only one channel has waited for is the same over all of them: worked out once.
            return known.get(waits) or known.setdefault(waits, waits.statistics())

        channels = {channel: ChannelMetrics(**figures.metrics(statistics_of)) for channel, figures in self._channels.items()}
        return FlowControlMetrics(**total.metrics(statistics_of), channels=channels)

    def copy(self) -> MetricsRecorder:
        """Return a recorder that has counted the same and shares nothing with this one."""
        same = MetricsRecorder()
        same._channels = {channel: figures.copy() for channel, figures in self._channels.items()}
        return same

    def reset(self) -> None:
        """Begin anew: every figure is 0, and no channel is known."""
        self._channels = {}  # whoever is in the middle of a copy, as a signal handler may find it, goes on with the old

    def _opened(self, channel: str) -> Figures:
        """Return the figures of a channel that has none yet."""
        name = channel if len(self._channels) < MAX_CHANNELS else OTHER_CHANNELS
        return self._channels.setdefault(name, Figures())
