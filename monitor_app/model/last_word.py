"""How long what came of a command stands beside the fields that it was given with."""

from __future__ import annotations

from typing import Final

from monitor_app.model.clock import Clock
from monitor_app.model.source import Notice

RESTS_S: Final = 10.0
"""For so long a refusal stands, if nobody touches the fields before: long enough to be read, too short to be taken for news."""


class LastWord:
    """Whether a refusal has been there long enough. What went well stays, and the log and the audit trail keep both."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._touched_s = float("-inf")

    def touch(self) -> None:
        """Note that the operator changes what was refused: what was said of it is of something else from now on."""
        self._touched_s = self._clock.now_s()

    def is_over(self, notice: Notice) -> bool:
        """Return whether `notice` is to be told no longer."""
        if notice.ok:
            return False
        return notice.time_s < self._touched_s or self._clock.now_s() - notice.time_s >= RESTS_S
