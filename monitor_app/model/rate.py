"""How fast a channel spends: messages and bytes in a second, over the last few."""

from __future__ import annotations

from collections import deque
from typing import Final

RATE_SPAN_S: Final = 3.0
_STEP_S: Final = 0.25


class RateMeter:
    """Follows two counters. Times are monotonic seconds; counters only grow, or begin anew after `clear`."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float, float]] = deque()

    def clear(self) -> None:
        """Forget what was counted: the counters begin anew."""
        self._samples.clear()

    def sample(self, time_s: float, messages: float, byte_count: float) -> None:
        """Take what the counters say; more often than four times a second is passed over."""
        if self._samples and time_s - self._samples[-1][0] < _STEP_S:
            return
        self._samples.append((time_s, messages, byte_count))
        while time_s - self._samples[0][0] > RATE_SPAN_S:
            self._samples.popleft()

    @property
    def rates(self) -> tuple[float, float]:
        """Messages and bytes in a second; 0 until there are two samples, because a rate lies between them."""
        if not self._samples:
            return 0.0, 0.0
        first, last = self._samples[0], self._samples[-1]
        span_s = last[0] - first[0]
        if not span_s:
            return 0.0, 0.0
        return max(0.0, (last[1] - first[1]) / span_s), max(0.0, (last[2] - first[2]) / span_s)


class Counted:
    """`count` counters that begin anew in every epoch, made to go on."""

    def __init__(self, count: int) -> None:
        self._epoch: int | None = None
        self._before = (0.0,) * count
        self._last = self._before

    def add(self, counters: tuple[float, ...], epoch: int) -> tuple[float, ...]:
        """Return the counters over all epochs."""
        if self._epoch not in {None, epoch}:
            self._before = tuple(before + last for before, last in zip(self._before, self._last, strict=True))
        self._epoch, self._last = epoch, counters
        return tuple(before + now for before, now in zip(self._before, counters, strict=True))
