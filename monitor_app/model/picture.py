"""What the plots show, put together from everything that is known: curves, marks, gaps, values and shares of the visible span."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from monitor_app.model.activity import Activity
from monitor_app.model.export import Table
from monitor_app.model.figures import SpanFigures, figures_of
from monitor_app.model.history import METRICS, Window
from monitor_app.model.ingest import Ingest
from monitor_app.model.marks import Mark, MarkKind
from monitor_app.model.plot_table import plot_table
from monitor_app.model.viewport import Mode, Viewport

_OF_CHOSEN: Final = frozenset({MarkKind.GRANT, MarkKind.REQUEST})
"""Marks that are shown of the chosen channel only, else the plots would drown in them."""


@dataclass(frozen=True)
class Frame:
    """Everything that one frame of the plots shows. Times are absolute, on the monotonic clock."""

    left_s: float
    right_s: float
    window: Window
    shown: Sequence[str]
    """The channels whose curves are drawn."""
    folded: Sequence[str]
    """Channels on which nothing happens, and which are therefore left out."""
    marks: Mapping[MarkKind, Sequence[float]]
    gaps: Sequence[tuple[float, float]]
    selection: tuple[float, float] | None

    @property
    def placed(self) -> list[tuple[str, int]]:
        """The channels that are shown, each with its place among all: that decides colour and shape."""
        places = {channel: place for place, channel in enumerate(self.window.channels)}
        return [(channel, places[channel]) for channel in self.shown]


class Picture:
    """The plots of one connection, without anything that draws.

    Attributes:
        viewport: Which stretch of time is shown.
        selection: A span whose figures are wanted, as absolute times; None: those of all that is visible.
        chosen: The channel that is brought out.
    """

    def __init__(self, ingest: Ingest) -> None:
        self.viewport = Viewport()
        self.selection: tuple[float, float] | None = None
        self.chosen = ""
        self._ingest = ingest
        self._still: tuple[object, Frame] | None = None

    def edges(self) -> tuple[float, float]:
        """Return the left and the right edge."""
        return self.viewport.edges(self._ingest.clock.now_s())

    def time_at(self, share: float) -> float:
        """Return the time at a share of the width."""
        left_s, right_s = self.edges()
        return left_s + share * (right_s - left_s)

    def frame(self) -> Frame:
        """Return what is to be drawn now. While the view is frozen it is the same again until a hand changes what is seen."""
        left_s, right_s = self.edges()
        shown, folded = self._ingest.shown(self.chosen, left_s)
        if self.viewport.mode is not Mode.FROZEN:
            self._still = None
            return self._frame(left_s, right_s, shown, folded)
        key = (left_s, right_s, shown, folded, self.chosen, self.selection)
        if self._still is None or self._still[0] != key:
            self._still = key, self._frame(left_s, right_s, shown, folded, copy=True)
        return self._still[1]

    def _frame(self, left_s: float, right_s: float, shown: list[str], folded: list[str], *, copy: bool = False) -> Frame:
        window = self._ingest.history.window(left_s, right_s)
        return Frame(
            left_s=left_s,
            right_s=right_s,
            window=window.copy() if copy else window,
            shown=shown,
            folded=folded,
            marks={kind: [mark.time_s for mark in self._marks(kind, shown, left_s, right_s)] for kind in MarkKind},
            gaps=self._ingest.history.gaps_between(left_s, right_s),
            selection=self.selection,
        )

    def _marks(self, kind: MarkKind, shown: Sequence[str], left_s: float, right_s: float) -> list[Mark]:
        channels = [channel for channel in shown if kind not in _OF_CHOSEN or channel == self.chosen]
        return self._ingest.marks.of_channels(kind, channels, left_s, right_s)

    def marks(self) -> list[Mark]:
        """Return every mark that is shown, oldest first."""
        left_s, right_s = self.edges()
        shown, _ = self._ingest.shown(self.chosen, left_s)
        found = [mark for kind in MarkKind for mark in self._marks(kind, shown, left_s, right_s)]
        return sorted(found, key=lambda mark: mark.time_s)

    def marks_near(self, time_s: float, within_s: float) -> list[Mark]:
        """Return the marks that lie close to a time, the closest first."""
        near = [mark for mark in self.marks() if abs(mark.time_s - time_s) <= within_s]
        return sorted(near, key=lambda mark: abs(mark.time_s - time_s))

    def next_mark(self, time_s: float, way: int) -> Mark | None:
        """Return the next mark after (way 1) or before (-1) a time; None when there is none."""
        marks = self.marks() if way > 0 else self.marks()[::-1]
        return next((mark for mark in marks if (mark.time_s - time_s) * way > 1e-6), None)  # noqa: PLR2004 - a microsecond

    def values(self, frame: Frame, time_s: float | None) -> list[list[tuple[str, int, float | None]]]:
        """Return for each of `METRICS` the channels with their places and what held at `time_s`; None: the newest values."""
        history = self._ingest.history
        return [
            [
                (name, place, history.latest(metric, name) if time_s is None else history.value_at(metric, name, time_s))
                for name, place in frame.placed
            ]
            for metric in range(len(METRICS))
        ]

    def shares(self, frame: Frame) -> dict[str, dict[Activity, float]]:
        """Return how each channel spent the visible time, as far as it is known: parts that add up to 1."""
        shares: dict[str, dict[Activity, float]] = {}
        for name in frame.shown:
            tracker = self._ingest.tracker(name)
            seconds = {} if tracker is None else tracker.activity.runs.seconds(frame.left_s, frame.right_s)
            known_s = sum(seconds.values())
            shares[name] = {activity: spent_s / known_s for activity, spent_s in seconds.items()} if known_s else {}
        return shares

    def seen(self, from_s: float, to_s: float) -> dict[str, float]:
        """Return by channel that is shown of how many seconds between two times something is known."""
        shown, _ = self._ingest.shown(self.chosen, self.edges()[0])
        trackers = {name: self._ingest.tracker(name) for name in shown}
        return {name: 0.0 if one is None else one.activity.runs.seen_s(from_s, to_s) for name, one in trackers.items()}

    def figures(self) -> list[SpanFigures]:
        """Return the figures of the selected span, or of all that is visible."""
        from_s, to_s = self.selection or self.edges()
        shown, _ = self._ingest.shown(self.chosen, self.edges()[0])
        trackers = [tracker for name in shown if (tracker := self._ingest.tracker(name)) is not None]
        return [figures_of(tracker, self._ingest.history, from_s, to_s) for tracker in trackers]

    def table(self) -> Table:
        """Return the data of the selected span, or of all that is visible, as it is now."""
        from_s, to_s = self.selection or self.edges()
        shown, _ = self._ingest.shown(self.chosen, self.edges()[0])
        return plot_table(self._ingest.history.window(from_s, to_s).copy(), self._ingest.clock, shown, from_s, to_s)
