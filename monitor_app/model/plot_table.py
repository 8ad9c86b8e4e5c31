"""The data of the plots as a table: one line a column of the picture, with the least and the greatest value in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from monitor_app.model.clock import Clock
from monitor_app.model.export import Record, Table
from monitor_app.model.history import METRICS, Floats, Window

_UNITS: Final = ("messages", "KiB", "backlog", "sent/s")


def plot_table(window: Window, clock: Clock, channels: Sequence[str], from_s: float, to_s: float) -> Table:
    """Return what lies between two times. `window` must not change while the table is written: it may have to be a copy.

    `seconds` are on the monotonic clock, `column_s` says how long a column is, and a gap without a connection has no lines.
    """
    names = [f"{channel} {unit} {end}" for channel in channels for unit in _UNITS for end in ("min", "max")]
    rows = [window.row(metric, channel) for channel in channels for metric in range(len(METRICS))]
    inside = [
        place for place in range(0, len(window.times_s), 2) if from_s - window.width_s < float(window.times_s[place]) <= to_s
    ]
    return Table(("time", "seconds", "column_s", *names), _records(window, clock, names, rows, inside), len(inside))


def _records(
    window: Window, clock: Clock, names: Sequence[str], rows: Sequence[Floats], places: Sequence[int]
) -> Iterator[Record]:
    for place in places:
        start_s = float(window.times_s[place])
        ends = [float(f"{end:.10g}") for row in rows for end in (row[place : place + 2].min(), row[place : place + 2].max())]
        time = {"time": clock.iso(start_s), "seconds": round(start_s, 3), "column_s": window.width_s}
        yield {**time, **dict(zip(names, ends, strict=True))}
