"""How fast events come: whether to wake who delivers them for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_MANY: Final = 32
_FAST_PER_S: Final = 10_000
"""So many events, at more than so many a second: then they gather."""


class Pace:
    """How fast events come. The dispatch thread's own.

    To wake a thread costs who puts an event nearly as much as to send a message, and both then want the interpreter. So while
    events come thick and fast they gather for a few milliseconds, and are delivered together; what comes now and then, or in
    answer to a listener, is delivered at once.

    Attributes:
        delivered: How many since the pace was last taken.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.delivered = 0
        self._since_s = 0.0
        self._was_fast = False

    def is_fast(self) -> bool:
        """Return whether to let events gather; asked whenever none is left."""
        if self._was_fast or self.delivered >= _MANY:
            now_s = self._clock()
            self._was_fast = self.delivered > (now_s - self._since_s) * _FAST_PER_S
            self.delivered, self._since_s = 0, now_s
        return self._was_fast
