"""Whether a frame of the plots would look other than the one before: most do not, and to draw them costs as much."""

from __future__ import annotations

from typing import Final

from monitor_app.model.ingest import Ingest
from monitor_app.model.picture import Frame

ANYWAY_S: Final = 0.25
"""After so long a frame is new even where nothing seems to have changed."""


class FrameLooks:
    """Remembers how the last frame looked: between two pixels nothing moves that did not change."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest
        self._last: tuple[object, ...] = ()

    def are_new(self, frame: Frame, width_px: float, *others: object) -> bool:
        """Return whether `frame` looks new on so many pixels; `others`: what else the picture differs by."""
        looks = (*self._of(frame, max(1.0, width_px)), *others)
        is_new, self._last = looks != self._last, looks
        return is_new

    def _of(self, frame: Frame, width_px: float) -> tuple[object, ...]:
        span_s = frame.right_s - frame.left_s
        place = (span_s, frame.right_s * width_px // span_s, self._ingest.clock.now_s() // ANYWAY_S)
        trackers = (self._ingest.tracker(name) for name in frame.shown)
        runs = [tracker.activity.runs.last.start_s for tracker in trackers if tracker is not None]
        parts = (frame.shown, frame.folded, frame.marks, len(frame.gaps), frame.selection, runs)
        return (*place, *parts, self._ingest.history.newest)
