"""Where the crosshair stands: where the pointer is, or at the moment to which keys have brought it."""

from __future__ import annotations

from typing import Final

STEPS: Final = 100
"""Steps across the plots."""


class Crosshair:
    """A place, as a share of the width, or a moment. Edges are absolute times, on the monotonic clock."""

    def __init__(self) -> None:
        self._share: float | None = None
        self._time_s: float | None = None
        self._anchor_s: float | None = None

    @property
    def is_put(self) -> bool:
        """Whether it stands anywhere, to be seen or not."""
        return self._share is not None or self._time_s is not None

    def point(self, share: float | None) -> None:
        """Stand where the pointer is, or nowhere."""
        self._share, self._time_s, self._anchor_s = share, None, None

    def put(self, time_s: float) -> None:
        """Stand at a moment, and stay there while time goes on."""
        self._share, self._time_s = None, time_s

    def share(self, left_s: float, right_s: float) -> float | None:
        """Return where it stands between two edges; None where it is not to be seen."""
        if self._time_s is None:
            return self._share
        share = (self._time_s - left_s) / (right_s - left_s)
        return share if 0.0 <= share <= 1.0 else None

    def time_s(self, left_s: float, right_s: float) -> float:
        """Return the moment at which it stands; without one that of the right edge."""
        if self._time_s is not None:
            return self._time_s
        return left_s + (1.0 if self._share is None else self._share) * (right_s - left_s)

    def step(self, way: int, left_s: float, right_s: float, *, extends: bool) -> tuple[float, float] | None:
        """Go one step on (1) or back (-1); return the span that is selected so, from where the first step that extends began."""
        at_s = self.time_s(left_s, right_s)
        new_s = min(right_s, max(left_s, at_s + way * (right_s - left_s) / STEPS))
        self.put(new_s)
        if not extends:
            self._anchor_s = None
            return None
        self._anchor_s = at_s if self._anchor_s is None else self._anchor_s
        return min(self._anchor_s, new_s), max(self._anchor_s, new_s)
