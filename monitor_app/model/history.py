"""Gauges and counters over time, for an hour and more in bounded memory, decimated as they come in.

There are several levels, each a lattice of columns at absolute multiples of its width, of which each keeps the smallest and
the largest value that fell into it, in the order in which they came. Absolute, because columns counted from "now" would
re-cut the past at every frame and make the curve boil; at ingest, because then a frame costs the same however long the
program runs. The finest level has a column for each of twenty samples a second and reaches back two minutes, the coarsest has
one for six seconds and reaches back two hours. Together they take about 1.8 MB a channel (`BYTES_PER_CHANNEL`), whatever comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from haip_sync import ChannelState, ConnectionState
from monitor_app.model.channel_view import in_order
from monitor_app.model.rate import Counted, RateMeter
from monitor_app.model.units import KIB

Floats = NDArray[np.float64]

LEVELS: Final = ((0.05, 2_400), (0.2, 1_800), (0.5, 2_400), (1.0, 1_800), (3.0, 1_300), (6.0, 1_250))
"""Width of a column in seconds, and how many columns are kept at least."""
MOST_COLUMNS: Final = 600
"""Columns in a picture at most: about the width of the plots in pixels."""
SPANS_S: Final = (30.0, 120.0, 600.0, 3600.0)
"""The spans that can be chosen by name, in seconds."""
METRICS: Final = ("credits", "kibibytes", "backlog", "rate")
"""What is drawn of each channel: message credit, byte credit in KiB, backlog in messages, messages sent in a second."""
PLOT_NAMES: Final = ("Message credit", "Byte credit", "Backlog", "Send rate")
"""What the plots of `METRICS` are called where they are chosen."""
COUNTERS: Final = ("sent", "sent_kib", "granted", "granted_kib")
"""What is counted of each channel over all epochs: spent and granted, in messages and in KiB."""
ROWS: Final = METRICS + COUNTERS
MOST_CHANNELS: Final = 32
"""Channels that are recorded; later ones are in the table and not in the plots."""
_SLACK: Final = 1.25
_MAX_GAPS: Final = 200
BYTES_PER_CHANNEL: Final = sum(int(columns * _SLACK) for _, columns in LEVELS) * 2 * len(ROWS) * 8
"""What the history of a channel takes, in bytes."""


def gauges_of(channel: ChannelState) -> tuple[float, float, float]:
    """Return the values of `METRICS` that a channel's state holds: all but the rate."""
    return float(channel.credits), channel.byte_credits / KIB, float(channel.backlog)


def counters_of(channel: ChannelState) -> tuple[float, float, float, float]:
    """Return the values of `COUNTERS` for one channel, in this epoch."""
    return float(channel.sent_messages), channel.sent_bytes / KIB, float(channel.granted), channel.granted_bytes / KIB


@dataclass(frozen=True)
class Window:
    """The curves of one span, ready to draw. Times are absolute, on the monotonic clock."""

    times_s: Floats
    """Two a column, the lesser and the greater value in the order of their coming."""
    values: Floats
    """One row per channel and name in `ROWS`; `row` finds it."""
    channels: tuple[str, ...]
    width_s: float
    """The width of a column."""

    def row(self, metric: int, channel: str) -> Floats:
        """Return the values of one curve; `metric` counts in `ROWS`."""
        curve: Floats = self.values[self.channels.index(channel) * len(ROWS) + metric]
        return curve

    def value_at(self, metric: int, channel: str, time_s: float) -> float | None:
        """Return the value that held at `time_s`; None before the first."""
        place = int(np.searchsorted(self.times_s, time_s, side="right")) - 1
        return float(self.row(metric, channel)[place]) if place >= 0 else None

    def top(self, metric: int, channels: Sequence[str]) -> float:
        """Return the largest value of a metric over `channels`."""
        rows = [self.row(metric, channel) for channel in channels if channel in self.channels]
        return max((float(row.max()) for row in rows if row.size), default=0.0)

    def copy(self) -> Window:
        """Return a window that later samples cannot reach."""
        return Window(self.times_s.copy(), self.values.copy(), self.channels, self.width_s)


class Level:
    """Columns of one width; two points each, the lesser and the greater in the order of their coming.

    The buffers are longer than what is kept: points are appended until the end is reached, and the newest are then moved to
    the front in one stroke, so that a window is always one contiguous slice.
    """

    def __init__(self, width_s: float, columns: int) -> None:
        self.width_s = width_s
        self._capacity = 2 * columns
        length = 2 * int(columns * _SLACK)
        self._times_s = np.zeros(length)
        self._values = np.zeros((0, length))
        self._end = 0
        self._column: int | None = None
        self._low = np.zeros(0)
        self._high = np.zeros(0)
        self._rising = np.zeros(0, dtype=bool)

    @property
    def oldest_s(self) -> float:
        """Where the oldest column begins; infinity when there is none."""
        return float(self._times_s[0]) if self._end else float("inf")

    def grow(self, rows: int) -> None:
        """Make room for `rows` curves; what a new one was before it existed reads as 0."""
        missing = rows - len(self._values)
        self._values = np.vstack([self._values, np.zeros((missing, self._values.shape[1]))])
        self._low = np.concatenate([self._low, np.zeros(missing)])
        self._high = np.concatenate([self._high, np.zeros(missing)])
        self._rising = np.concatenate([self._rising, np.zeros(missing, dtype=bool)])

    def append(self, time_s: float, sample: Floats) -> None:
        """Take one sample of every curve."""
        column = int(time_s // self.width_s)
        if column != self._column:
            self._open(column, sample)
        else:
            self._rising = (sample > self._high) | (self._rising & (sample >= self._low))
            np.minimum(self._low, sample, out=self._low)
            np.maximum(self._high, sample, out=self._high)
        self._write()

    def _open(self, column: int, sample: Floats) -> None:
        if self._end + 2 > self._values.shape[1]:
            keep = slice(self._end - self._capacity, self._end)
            self._times_s[: self._capacity] = self._times_s[keep].copy()
            self._values[:, : self._capacity] = self._values[:, keep].copy()
            self._end = self._capacity
        self._column = column
        start_s = column * self.width_s
        self._times_s[self._end : self._end + 2] = start_s, start_s + self.width_s / 2
        self._end += 2
        self._low, self._high = sample.copy(), sample.copy()
        self._rising[:] = False

    def _write(self) -> None:
        self._values[:, self._end - 2] = np.where(self._rising, self._low, self._high)
        self._values[:, self._end - 1] = np.where(self._rising, self._high, self._low)

    def end(self, time_s: float, sample: Floats) -> None:
        """Take the last sample before a gap. The curves end with it: of what else its column held the farther value stays."""
        self.append(time_s, sample)
        self._values[:, self._end - 2] = np.where(self._high - sample > sample - self._low, self._high, self._low)
        self._values[:, self._end - 1] = sample

    def window(self, from_s: float, to_s: float, channels: tuple[str, ...]) -> Window:
        """Return what lies between, and a column more on each side so that curves reach the edges. The arrays are views."""
        times_s = self._times_s[: self._end]
        first = int(np.searchsorted(times_s, from_s))
        last = int(np.searchsorted(times_s, to_s, side="right"))
        part = slice(max(0, first - first % 2 - 2), min(self._end, last + last % 2 + 2))  # whole columns
        return Window(self._times_s[part], self._values[:, part], channels, self.width_s)


class History:
    """All gauges and counters of a connection, kept over reconnects.

    Attributes:
        channels: Names, in the order of their rows.
        gaps: Spans without a connection as (start, end) in seconds; end is None while it lasts.
    """

    def __init__(self, levels: Sequence[tuple[float, int]] = LEVELS) -> None:
        self.channels: tuple[str, ...] = ()
        self.gaps: deque[tuple[float, float | None]] = deque(maxlen=_MAX_GAPS)
        self._levels = [Level(width_s, columns) for width_s, columns in levels]
        self._latest = np.zeros(0)
        self._counted: dict[str, Counted] = {}
        self._meters: dict[str, RateMeter] = {}
        self._seen = False

    @property
    def oldest_s(self) -> float | None:
        """When the oldest sample was that is kept; None while there is none."""
        oldest_s = self._levels[-1].oldest_s
        return oldest_s if np.isfinite(oldest_s) else None

    def append(self, time_s: float, snapshot: ConnectionState) -> None:
        """Record a snapshot. Without a connection only the first one, with which the curves end, and the gap."""
        if not snapshot.connected:
            self._record_absence(time_s, snapshot)
            return
        self._end_gap(time_s)
        self._seen = True
        self._admit(snapshot)
        self._latest = self._sampled(time_s, snapshot)
        for level in self._levels:
            level.append(time_s, self._latest)

    def _record_absence(self, time_s: float, snapshot: ConnectionState) -> None:
        """End the curves with what is shown then; what becomes of it (a client that is offline goes on queuing) is newest."""
        if not self._seen:
            return
        self._latest = self._sampled(time_s, snapshot)
        if not self._is_in_gap:
            for level in self._levels:
                level.end(time_s, self._latest)
            self.gaps.append((time_s, None))

    def _sampled(self, time_s: float, snapshot: ConnectionState) -> Floats:
        return np.array([value for name in self.channels for value in self._sample(name, time_s, snapshot)])

    def _sample(self, name: str, time_s: float, snapshot: ConnectionState) -> tuple[float, ...]:
        state = snapshot.channels.get(name)
        if state is None:  # no client of ours takes a channel back, but a program elsewhere may say what it likes
            first = self.channels.index(name) * len(ROWS)
            return tuple(self._latest[first : first + len(ROWS)])
        counted = self._counted[name].add(counters_of(state), snapshot.epoch)
        meter = self._meters[name]
        meter.sample(time_s, counted[0], counted[1])
        return (*gauges_of(state), meter.rates[0], *counted)

    def window(self, from_s: float, to_s: float) -> Window:
        """Return the curves between two times, at the finest level that reaches as far and is not finer than a picture needs."""
        return self._level(from_s, (to_s - from_s) / MOST_COLUMNS).window(from_s, to_s, self.channels)

    def value_at(self, metric: int, channel: str, time_s: float) -> float | None:
        """Return the value that held at `time_s`, as finely as it is still known; None where nothing is: before all, in a gap."""
        if channel not in self.channels or self.is_gap(time_s):
            return None
        return self._level(time_s, 0.0).window(time_s, time_s, self.channels).value_at(metric, channel, time_s)

    def latest(self, metric: int, channel: str) -> float | None:
        """Return the newest value; None without one."""
        if channel not in self.channels:
            return None
        return float(self._latest[self.channels.index(channel) * len(ROWS) + metric])

    @property
    def newest(self) -> tuple[float, ...]:
        """The newest values of all curves; equal to those of before where nothing has changed."""
        return tuple(self._latest.tolist())

    def is_gap(self, time_s: float) -> bool:
        """Return whether there was no connection at `time_s`."""
        return any(start_s <= time_s and (end_s is None or time_s < end_s) for start_s, end_s in self.gaps)

    def gaps_between(self, from_s: float, to_s: float) -> list[tuple[float, float]]:
        """Return the spans without a connection, clipped to what is asked for."""
        clipped = [(max(start_s, from_s), to_s if end_s is None else min(end_s, to_s)) for start_s, end_s in self.gaps]
        return [(start_s, end_s) for start_s, end_s in clipped if end_s > start_s]

    def _level(self, from_s: float, width_s: float) -> Level:
        oldest_s = self._levels[-1].oldest_s
        for level in self._levels:
            reaches = level.oldest_s <= max(from_s, oldest_s + self._levels[-1].width_s)
            if level.width_s >= width_s and reaches:
                return level
        return self._levels[-1]

    @property
    def _is_in_gap(self) -> bool:
        return bool(self.gaps) and self.gaps[-1][1] is None

    def _end_gap(self, time_s: float) -> None:
        if self._is_in_gap:
            self.gaps[-1] = (self.gaps[-1][0], time_s)

    def _admit(self, snapshot: ConnectionState) -> None:
        new = [name for name in in_order(snapshot.channels) if name not in self._counted]
        new = new[: MOST_CHANNELS - len(self.channels)]
        if new:
            self.channels += tuple(new)
            self._counted.update((name, Counted(len(COUNTERS))) for name in new)
            self._meters.update((name, RateMeter()) for name in new)
            for level in self._levels:
                level.grow(len(self.channels) * len(ROWS))
