"""What the hands on the plots mean: which stretch of time is shown, where the crosshair stands, what is selected."""

from __future__ import annotations

import math
from collections.abc import Callable

from PySide6.QtCore import QObject, Signal, Slot

from monitor_app.model.crosshair import Crosshair
from monitor_app.model.event_log import LogRow
from monitor_app.model.ingest import Ingest
from monitor_app.model.picture import Picture
from monitor_app.model.viewport import Viewport
from monitor_app.views.plot_hands import PlotHands


class FlowHands(QObject):
    """Changes a picture as the hands say.

    Attributes:
        crosshair: Where it stands.

    Signals:
        mode_changed: The picture follows, stands still or looks back, other than before.
        span_changed: Another span is shown than the one that was chosen by name; its seconds.
        moved: The crosshair stands elsewhere.
        selected: A span is selected, or nothing any more.
    """

    mode_changed = Signal()
    span_changed = Signal(float)
    moved = Signal()
    selected = Signal()

    def __init__(self, ingest: Ingest, picture: Picture, hands: PlotHands) -> None:
        super().__init__(hands)
        self.crosshair = Crosshair()
        self._ingest = ingest
        self._picture = picture
        for signal, slot in (
            (hands.zoomed, self._on_zoomed),
            (hands.zoomed_in_place, self._on_zoomed_in_place),
            (hands.panned, self._on_panned),
            (hands.pointed, self._on_pointed),
            (hands.selected, self._on_selected),
            (hands.cleared, self.clear),
            (hands.all_wanted, self.follow),
            (hands.oldest_wanted, self._on_oldest_wanted),
            (hands.stepped, self._on_stepped),
            (hands.mark_wanted, self._on_mark_wanted),
        ):
            signal.connect(slot)
        hands.holds = self._holds

    @property
    def _viewport(self) -> Viewport:
        return self._picture.viewport

    @property
    def _now_s(self) -> float:
        return self._ingest.clock.now_s()

    def _holds(self) -> bool:
        """Return whether there is something to clear."""
        return self._picture.selection is not None or self.crosshair.is_put

    def set_span(self, span_s: float) -> None:
        """Show the last `span_s` seconds, live."""
        self._change(lambda: self._viewport.show_last(span_s))

    def freeze(self) -> None:
        """Let the picture stand still."""
        self._change(lambda: self._viewport.freeze(self._now_s))

    @Slot()
    def follow(self) -> None:
        """Follow what happens."""
        self._change(self._viewport.follow)

    @Slot()
    def clear(self) -> None:
        """Take the selection and the crosshair away."""
        self._picture.selection = None
        self._point(None)
        self.selected.emit()

    def show_row(self, row: LogRow) -> None:
        """Put the crosshair on the moment of a row of the log; look back to it if it is out of sight."""
        left_s, right_s = self._picture.edges()
        if not left_s <= row.time_s <= right_s:
            half_s = self._viewport.span_s / 2
            self._change(lambda: self._viewport.show(row.time_s - half_s, row.time_s + half_s, self._now_s))
        self.crosshair.put(row.time_s)
        self.moved.emit()

    def _change(self, change: Callable[[], None]) -> None:
        """Change what the viewport shows, and tell what that means for the controls."""
        viewport = self._viewport
        before, span_s = viewport.mode, viewport.span_s
        change()
        if viewport.mode is not before:
            self.mode_changed.emit()
        if viewport.span_s != span_s:
            self.span_changed.emit(viewport.span_s)

    def _point(self, share: float | None) -> None:
        self.crosshair.point(share)
        self.moved.emit()

    @Slot(float, float)
    def _on_zoomed(self, factor: float, share: float) -> None:
        self._change(lambda: self._viewport.zoom(factor, share, self._now_s))

    @Slot(float)
    def _on_zoomed_in_place(self, factor: float) -> None:
        self._change(lambda: self._viewport.zoom_in_place(factor, self._now_s))

    @Slot(float)
    def _on_panned(self, share: float) -> None:
        self._change(lambda: self._viewport.pan(share * self._viewport.span_s, self._now_s))

    @Slot()
    def _on_oldest_wanted(self) -> None:
        oldest_s = self._ingest.history.oldest_s
        if oldest_s is not None:
            self._change(lambda: self._viewport.show(oldest_s, oldest_s + self._viewport.span_s, self._now_s))

    @Slot(float)
    def _on_pointed(self, share: float) -> None:
        inside = not math.isnan(share) and 0.0 <= share <= 1.0
        self._point(share if inside else None)

    @Slot(float, float, bool)
    def _on_selected(self, first: float, second: float, done: bool) -> None:
        edges = sorted(self._picture.time_at(min(1.0, max(0.0, share))) for share in (first, second))
        self._picture.selection = (edges[0], edges[1])
        if done:
            self.selected.emit()

    @Slot(int, bool)
    def _on_stepped(self, way: int, extends: bool) -> None:
        """Step the crosshair; with Shift, select from where it stood."""
        selected = self.crosshair.step(way, *self._picture.edges(), extends=extends)
        self._picture.selection = selected or self._picture.selection
        self.moved.emit()

    @Slot(int)
    def _on_mark_wanted(self, way: int) -> None:
        mark = self._picture.next_mark(self.crosshair.time_s(*self._picture.edges()), way)
        if mark is not None:
            self.crosshair.put(mark.time_s)
            self.moved.emit()
