"""Gauges over time, decimated as they come in.

Every span has a level of its own: a lattice of columns at absolute multiples of its width, of which each keeps the
smallest and the largest value that fell into it, in the order in which they came. Absolute, because columns counted from
"now" would re-cut the past at every frame and make the curve boil; at ingest, because then a frame costs the same however
long the program runs.
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
from monitor_app.model.units import KIB

Floats = NDArray[np.float64]

COLUMNS: Final = 750
"""Columns in a span: about the width of the plots in pixels."""
SPANS_S: Final = (30.0, 120.0, 600.0)
"""The spans that can be shown, in seconds."""
METRICS: Final = ("credits", "kibibytes", "backlog")
"""What is recorded of each channel: message credit, byte credit in KiB, backlog in messages."""
_MAX_GAPS: Final = 50


def gauges_of(channel: ChannelState) -> tuple[float, float, float]:
    """Return the values of `METRICS` for one channel."""
    return float(channel.credits), channel.byte_credits / KIB, float(channel.backlog)


@dataclass(frozen=True)
class Window:
    """The curves of one span, ready to draw. Times are absolute, on the monotonic clock."""

    times_s: Floats
    values: Floats
    """One row per metric and channel; `row` finds it."""
    channels: tuple[str, ...]

    def row(self, metric: int, channel: str) -> Floats:
        """Return the values of one curve."""
        curve: Floats = self.values[self.channels.index(channel) * len(METRICS) + metric]
        return curve

    def value_at(self, metric: int, channel: str, time_s: float) -> float | None:
        """Return the value that held at `time_s`; None before the first."""
        place = int(np.searchsorted(self.times_s, time_s, side="right")) - 1
        return float(self.row(metric, channel)[place]) if place >= 0 else None

    def top(self, metric: int) -> float:
        """Return the largest value of a metric over all channels."""
        rows = self.values[metric :: len(METRICS)]
        return float(rows.max()) if rows.size else 0.0

    def copy(self) -> Window:
        """Return a window that later samples cannot reach."""
        return Window(self.times_s.copy(), self.values.copy(), self.channels)


class Level:
    """The columns of one span; two points each, the lesser and the greater in the order of their coming.

    The buffers are twice as long as the span needs: points are appended until the end is reached and then moved to the front
    in one stroke, so that a window is always one contiguous slice.
    """

    def __init__(self, span_s: float) -> None:
        self.width_s = span_s / COLUMNS
        self._capacity = 2 * (COLUMNS + 2)
        self._times_s = np.zeros(2 * self._capacity)
        self._values = np.zeros((0, 2 * self._capacity))
        self._end = 0
        self._column: int | None = None
        self._low = np.zeros(0)
        self._high = np.zeros(0)
        self._rising = np.zeros(0, dtype=bool)

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

    def window(self, from_s: float, channels: tuple[str, ...]) -> Window:
        """Return everything since `from_s`, and one column more so that the curve reaches the edge. The arrays are views."""
        first = int(np.searchsorted(self._times_s[: self._end], from_s))
        part = slice(max(0, first - 2), self._end)
        return Window(self._times_s[part], self._values[:, part], channels)


class History:
    """All gauges of a connection.

    Attributes:
        channels: Names, in the order of their rows.
        gaps: Spans without a connection as (start, end) in seconds; end is None while it lasts.
    """

    def __init__(self, spans_s: Sequence[float] = SPANS_S) -> None:
        self.channels: tuple[str, ...] = ()
        self.gaps: deque[tuple[float, float | None]] = deque(maxlen=_MAX_GAPS)
        self._levels = {span_s: Level(span_s) for span_s in spans_s}
        self._seen = False

    def append(self, time_s: float, snapshot: ConnectionState) -> None:
        """Record a snapshot. What is shown without a connection is old, so nothing is recorded then but the gap."""
        if not snapshot.connected:
            self._begin_gap(time_s)
            return
        self._end_gap(time_s)
        self._seen = True
        self._admit(snapshot)
        sample = np.array([value for name in self.channels for value in gauges_of(snapshot.channels[name])])
        for level in self._levels.values():
            level.append(time_s, sample)

    def window(self, span_s: float, now_s: float) -> Window:
        """Return the curves of the last `span_s` seconds, one of the spans given at construction."""
        return self._levels[span_s].window(now_s - span_s, self.channels)

    def _begin_gap(self, time_s: float) -> None:
        if self._seen and (not self.gaps or self.gaps[-1][1] is not None):
            self.gaps.append((time_s, None))

    def _end_gap(self, time_s: float) -> None:
        if self.gaps and self.gaps[-1][1] is None:
            self.gaps[-1] = (self.gaps[-1][0], time_s)

    def _admit(self, snapshot: ConnectionState) -> None:
        new = tuple(name for name in in_order(snapshot.channels) if name not in self.channels)
        if new:
            self.channels += new
            for level in self._levels.values():
                level.grow(len(self.channels) * len(METRICS))
