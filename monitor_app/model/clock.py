"""The two times of the window: monotonic seconds for everything that is reckoned, the time of day for everything that is read."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime


class Clock:
    """Monotonic seconds and their time of day; tests put their own in its place."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic, wall_s: Callable[[], float] = time.time) -> None:
        self.now_s = now_s
        self._offset_s = wall_s() - now_s()

    def time_of_day(self, time_s: float, *, milliseconds: bool = False) -> str:
        """Return a monotonic time as local time of day: 14:33:08, or 14:33:08.104."""
        moment = datetime.fromtimestamp(time_s + self._offset_s).astimezone()
        return moment.strftime("%H:%M:%S") + (f".{moment.microsecond // 1000:03d}" if milliseconds else "")

    def iso(self, time_s: float) -> str:
        """Return a monotonic time as date, local time of day and offset, for files: 2026-11-26T14:33:08.104+01:00."""
        return datetime.fromtimestamp(time_s + self._offset_s).astimezone().isoformat(timespec="milliseconds")
