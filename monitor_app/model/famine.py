"""How long a channel had to live on one grant when it last stood still for want of credit.

Where grants come unevenly their mean says little: a channel that was granted something every third of a second starves all the
same when nothing comes for eight. What happened lately may happen again, so each such stop is remembered for a multiple of the
time that it took. A channel that never stands still has none, however its grants come.
"""

from __future__ import annotations

from collections import deque
from typing import Final

LEAST_STOP_S: Final = 0.5
"""Shorter stops are the normal breathing of a busy channel."""
REMEMBERED: Final = 4.0
"""For so many times its length a famine is remembered after its end."""
_MOST: Final = 8


class Famines:
    """The famines of one credit: from the last grant before a stop to the end of the stop. Times are those of `Trend`."""

    def __init__(self) -> None:
        self._stop_s = 0.0
        self._began_s: float | None = None
        self._over: deque[tuple[float, float]] = deque(maxlen=_MOST)

    def update(self, now_s: float, granted_s: float, *, lacks: bool) -> None:
        """Take whether somebody waits for this credit at `now_s`; the last grant came at `granted_s`."""
        if lacks and self._began_s is None:
            self._stop_s, self._began_s = now_s, granted_s
        elif not lacks and self._began_s is not None:
            if now_s - self._stop_s >= LEAST_STOP_S:
                self._over.append((now_s, now_s - self._began_s))
            self._began_s = None

    def longest_s(self, now_s: float) -> float:
        """Return how long the longest lasted that is remembered; 0.0 for none."""
        return max((lasted_s for end_s, lasted_s in self._over if now_s - end_s <= REMEMBERED * lasted_s), default=0.0)
