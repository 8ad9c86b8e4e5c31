"""The data of the plots as CSV: one line a column of the picture, with the least and the greatest value in it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import Final, TextIO

from monitor_app.model.clock import Clock
from monitor_app.model.history import METRICS, Window

_UNITS: Final = ("messages", "KiB", "backlog")


def write_csv(file: TextIO, window: Window, clock: Clock, channels: Sequence[str], from_s: float, to_s: float) -> int:
    """Write what lies between two times; return the number of lines. Open `file` with `newline=""`.

    The first line names the columns, `seconds` are on the monotonic clock, and a gap without a connection has no lines.
    """
    writer = csv.writer(file)
    names = [f"{channel} {unit} {end}" for channel in channels for unit in _UNITS for end in ("min", "max")]
    writer.writerow(["time", "seconds", "column_s", *names])
    rows = [window.row(metric, channel) for channel in channels for metric in range(len(METRICS))]
    lines = 0
    for place in range(0, len(window.times_s), 2):
        start_s = float(window.times_s[place])
        if from_s - window.width_s < start_s <= to_s:
            ends = [f"{end:.10g}" for row in rows for end in (row[place : place + 2].min(), row[place : place + 2].max())]
            time = clock.time_of_day(start_s, milliseconds=True)
            writer.writerow([time, f"{start_s:.3f}", f"{window.width_s:g}", *ends])
            lines += 1
    return lines
