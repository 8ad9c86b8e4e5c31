"""Which stretch of time the plots show: following what happens, looking back, or standing still."""

from __future__ import annotations

from enum import Enum
from typing import Final

LEAST_SPAN_S: Final = 1.0
MOST_SPAN_S: Final = 7200.0
_CATCHES: Final = 0.02
"""A right edge that comes this close to now, as a share of the span, follows again."""


class Mode(Enum):
    """What the right edge does."""

    LIVE = "live"
    """It is always now."""
    BACK = "back"
    """It stays where a hand put it; everything goes on being drawn."""
    FROZEN = "frozen"
    """The picture was told to stand still."""


class Viewport:
    """A span and its right edge. Times are absolute, on the monotonic clock; "now" is always handed in.

    Attributes:
        span_s: How much time is shown.
        mode: What the right edge does.
    """

    def __init__(self, span_s: float = 120.0) -> None:
        self.span_s = span_s
        self.mode = Mode.LIVE
        self._right_s = 0.0

    def edges(self, now_s: float) -> tuple[float, float]:
        """Return the left and the right edge."""
        right_s = now_s if self.mode is Mode.LIVE else self._right_s
        return right_s - self.span_s, right_s

    def show_last(self, span_s: float) -> None:
        """Show the last `span_s` seconds and follow."""
        self.span_s = _clamp(span_s, LEAST_SPAN_S, MOST_SPAN_S)
        self.follow()

    def follow(self) -> None:
        """Follow what happens."""
        self.mode = Mode.LIVE

    def freeze(self, now_s: float) -> None:
        """Stand still where the picture is."""
        self._right_s = self.edges(now_s)[1]
        self.mode = Mode.FROZEN

    def zoom(self, factor: float, share: float, now_s: float) -> None:
        """Show `factor` times as much time; what is at `share` of the width (0: left, 1: right) stays where it is."""
        left_s, right_s = self.edges(now_s)
        fixed_s = left_s + (right_s - left_s) * share
        span_s = _clamp(self.span_s * factor, LEAST_SPAN_S, MOST_SPAN_S)
        self._put(fixed_s + span_s * (1 - share), span_s, now_s)

    def zoom_in_place(self, factor: float, now_s: float) -> None:
        """Zoom about the right edge while following, else about the middle."""
        self.zoom(factor, 1.0 if self.mode is Mode.LIVE else 0.5, now_s)

    def pan(self, by_s: float, now_s: float) -> None:
        """Move by `by_s` seconds, later for a positive number; never beyond now."""
        self._put(self.edges(now_s)[1] + by_s, self.span_s, now_s)

    def show(self, from_s: float, to_s: float, now_s: float) -> None:
        """Show what lies between two times."""
        span_s = _clamp(to_s - from_s, LEAST_SPAN_S, MOST_SPAN_S)
        self._put((from_s + to_s + span_s) / 2, span_s, now_s)

    def _put(self, right_s: float, span_s: float, now_s: float) -> None:
        self.span_s = span_s
        if self.mode is not Mode.FROZEN:
            self.mode = Mode.LIVE if right_s >= now_s - span_s * _CATCHES else Mode.BACK
        self._right_s = min(right_s, now_s)


def _clamp(value: float, least: float, most: float) -> float:
    return min(max(value, least), most)
