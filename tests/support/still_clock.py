"""A clock of the monitor's that is set by hand, so that an hour passes at once."""

from __future__ import annotations

from monitor_app.model.clock import Clock


class StillClock(Clock):
    """Moves only when `time_s` is set."""

    def __init__(self, start_s: float = 1000.0) -> None:
        self.time_s = start_s
        super().__init__(self._read, lambda: 1_700_000_000.0 + start_s)

    def _read(self) -> float:
        return self.time_s
