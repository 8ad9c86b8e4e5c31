"""The centre: lanes, plots and the strip of times over one time axis, live, looking back or standing still."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Final

from PySide6.QtCore import QPoint, QSize, Qt, Signal, Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QToolButton, QVBoxLayout

from monitor_app.model.crosshair import Crosshair
from monitor_app.model.ingest import Ingest
from monitor_app.model.outage import outage_of
from monitor_app.model.picture import Frame, Picture
from monitor_app.model.status import Status
from monitor_app.model.units import MINUS, format_duration
from monitor_app.model.viewport import Mode
from monitor_app.theme import Theme
from monitor_app.views import signs
from monitor_app.views.flow_bar import FlowBar
from monitor_app.views.lane_strip import LaneStrip
from monitor_app.views.mark_tip import MarkTip
from monitor_app.views.plotting import FlowPlots
from monitor_app.views.side_columns import EDGE_WIDTH, READOUT_WIDTH, EdgeShapes, PlotTitles, ReadOut
from monitor_app.views.time_axis import TimeAxis, TimeScale
from monitor_app.views.time_strip import TimeStrip

_NEAR_PX: Final = 5


class FlowView(QFrame):
    """Lanes, plots, read-out and times of one source.

    Attributes:
        picture: What is shown.

    Signals:
        frozen_changed: The picture was told to stand still (true), or no longer is (false).
        span_changed: Another span is shown than the one that was chosen by name; its seconds.
    """

    frozen_changed = Signal(bool)
    span_changed = Signal(float)

    def __init__(self, ingest: Ingest, theme: Theme) -> None:
        super().__init__()
        self.picture = Picture(ingest)
        self._ingest = ingest
        self._theme = theme
        self._crosshair = Crosshair()
        self.setProperty("role", "panel")
        self._bar = FlowBar(theme)
        self._lanes = LaneStrip(ingest, theme, READOUT_WIDTH + EDGE_WIDTH)
        self._titles = PlotTitles(theme)
        self._plots = FlowPlots(theme)
        self._edge = EdgeShapes(theme, self._plots.y_of)
        self._readout = ReadOut(theme)
        self._axis = TimeAxis(ingest.clock, theme, READOUT_WIDTH)
        self._times = TimeStrip(theme, READOUT_WIDTH + EDGE_WIDTH)
        self._tip = MarkTip(self._plots, ingest.clock)
        self._lay_out()
        self._connect_hands()
        self._plots.arranged.connect(self._on_arranged)
        self._bar.live_wanted.connect(self.follow)
        self._bar.select_toggled.connect(self._on_select_toggled)
        self._bar.fold_toggled.connect(self._on_fold_toggled)
        theme.changed.connect(self._on_theme_changed)

    def _lay_out(self) -> None:
        columns = QHBoxLayout()
        columns.setSpacing(0)
        for widget, stretch in ((self._titles, 0), (self._plots, 1), (self._edge, 0), (self._readout, 0)):
            columns.addWidget(widget, stretch)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(1, 1, 1, 1)
        layout.setSpacing(0)
        layout.addWidget(self._bar)
        layout.addWidget(self._lanes)
        layout.addLayout(columns, 1)
        layout.addWidget(self._axis)
        layout.addWidget(self._times)

    def _connect_hands(self) -> None:
        hands = self._plots.hands
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

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return what the plots need to be readable."""
        return QSize(560, 420)

    @property
    def tools(self) -> tuple[QToolButton, ...]:
        """The buttons of the plots for which their own title has no room."""
        return self._bar.select, self._bar.fold

    @property
    def frozen(self) -> bool:
        """Whether the picture was told to stand still."""
        return self.picture.viewport.mode is Mode.FROZEN

    @property
    def span_s(self) -> float:
        """The span that is shown, in seconds."""
        return self.picture.viewport.span_s

    def choose(self, channel: str) -> None:
        """Bring out one channel."""
        self.picture.chosen = channel
        for part in (self._lanes, self._plots, self._readout, self._times):
            part.choose(channel)

    def set_span(self, span_s: float) -> None:
        """Show the last `span_s` seconds, live."""
        self._change(lambda: self.picture.viewport.show_last(span_s))

    def freeze(self) -> None:
        """Let the picture stand still; everything goes on being recorded and nothing changes on the wire."""
        self._change(lambda: self.picture.viewport.freeze(self._now_s()))

    def follow(self) -> None:
        """Follow what happens."""
        self._change(self.picture.viewport.follow)

    def clear(self) -> None:
        """Take the selection and the crosshair away."""
        self.picture.selection = None
        self._point(None)
        self._bar.show_selecting(on=False)
        self._plots.hands.selects = False

    def export_png(self, path: Path) -> None:
        """Write lanes, plots and times as they are seen, as PNG. Raises `OSError` where that cannot be written."""
        self.refresh()
        self.draw()
        if not self.grab().save(str(path), "PNG"):
            raise OSError(f"{path} could not be written")

    def export_csv(self, path: Path) -> int:
        """Write the data of the selected or visible span as CSV; return the number of lines. Raises `OSError`."""
        with path.open("w", newline="", encoding="utf-8") as file:
            return self.picture.write_csv(file)

    def draw(self) -> None:
        """Draw one frame. Called at the rate of curves."""
        frame = self.picture.frame()
        self._plots.set_span(frame.right_s - frame.left_s)
        self._plots.draw(frame)
        self._edge.show_values(self.picture.values(frame, self._edge_time_s(frame)))
        scale = self._scale(frame)
        self._lanes.draw_frame(scale, frame.placed, frame.folded)
        cursor = self._crosshair.share(frame.left_s, frame.right_s)
        x = None if cursor is None else (cursor - 1) * self.span_s
        self._plots.set_cursor(x)
        self._axis.draw_frame(scale, x, self._when(x), live=self.picture.viewport.mode is Mode.LIVE)

    def refresh(self) -> None:
        """Show the values. Called at the rate of text."""
        frame = self.picture.frame()
        self._on_arranged()
        self._show_values(frame)
        scale = self._scale(frame)
        self._times.show_shares(frame.placed, self.picture.shares(frame), scale.left_px, scale.width_px)
        self._show_liveness(frame)
        self._bar.show_folding(len(frame.folded), folds=self._ingest.visibility.folds_idle)

    def _now_s(self) -> float:
        return self._ingest.clock.now_s()

    def _edge_time_s(self, frame: Frame) -> float | None:
        """Return the time of the values at the right edge; None for the newest."""
        return None if self.picture.viewport.mode is Mode.LIVE else frame.right_s

    def _when(self, x: float | None) -> str:
        if x is not None:
            return f"values at {MINUS}{abs(x):.1f} s" if self.picture.viewport.mode is Mode.LIVE else "values at crosshair"
        if self.picture.viewport.mode is not Mode.LIVE:
            return "values as frozen" if self.frozen else "values at right edge"
        return "values now" if self._is_connected() else "last known values"

    def _is_connected(self) -> bool:
        connection = self._ingest.connection
        return connection is not None and connection.connected

    def _scale(self, frame: Frame) -> TimeScale:
        rect = self._plots.rects()[-1]
        left_px = self._plots.mapTo(self, QPoint(rect.left(), 0)).x() - self._lanes.x()
        return TimeScale(frame.right_s, frame.left_s - frame.right_s, 0.0, left_px, rect.width())

    def _show_values(self, frame: Frame) -> None:
        """Show what holds under the crosshair. Called for every move of a hand as well, so it does no more than that."""
        cursor = self._crosshair.share(frame.left_s, frame.right_s)
        at_s = self._edge_time_s(frame) if cursor is None else frame.left_s + cursor * (frame.right_s - frame.left_s)
        self._readout.show_values(self.picture.values(frame, at_s))
        self._show_tip(frame, cursor)

    def _show_tip(self, frame: Frame, cursor: float | None) -> None:
        """Say what the mark is on which the crosshair stands."""
        rect = self._plots.rects()[0]
        if cursor is None:
            self._tip.hide()
            return
        span_s = frame.right_s - frame.left_s
        near = self.picture.marks_near(frame.left_s + cursor * span_s, _NEAR_PX * span_s / max(1, rect.width()))
        self._tip.tell(near, rect.left() + round(cursor * rect.width()), rect)

    def _show_liveness(self, frame: Frame) -> None:
        clock, colours = self._ingest.clock, self._theme.colours
        behind = format_duration(max(0.0, self._now_s() - frame.right_s))
        match self.picture.viewport.mode:
            case Mode.FROZEN:
                text = f"VIEW FROZEN at {clock.time_of_day(frame.right_s)}, {behind} behind"
                self._bar.show_mode(Mode.FROZEN, signs.FROZEN, colours.text, text)
            case Mode.BACK:
                text = f"LOOKING BACK, {behind} behind"
                self._bar.show_mode(Mode.BACK, signs.BACK, colours.accent, text)
            case Mode.LIVE if self._is_connected():
                self._bar.show_mode(Mode.LIVE, signs.LIVE, colours.good, f"LIVE, {clock.time_of_day(frame.right_s)}")
            case Mode.LIVE:
                outage = outage_of(self._ingest.connection, self._now_s())
                text = "OFFLINE, last known values" if outage is None else f"OFFLINE. {outage.short}"
                self._bar.show_mode(Mode.LIVE, signs.STATUS_SIGNS[Status.OFFLINE], colours.muted, text)

    def _change(self, change: Callable[[], None]) -> None:
        """Change what the viewport shows, and tell what that means for the controls."""
        was_frozen, span_s = self.frozen, self.span_s
        change()
        if self.frozen is not was_frozen:
            self.frozen_changed.emit(self.frozen)
        if self.span_s != span_s:
            self.span_changed.emit(self.span_s)

    @Slot(float, float)
    def _on_zoomed(self, factor: float, share: float) -> None:
        self._change(lambda: self.picture.viewport.zoom(factor, share, self._now_s()))

    @Slot(float)
    def _on_zoomed_in_place(self, factor: float) -> None:
        self._change(lambda: self.picture.viewport.zoom_in_place(factor, self._now_s()))

    @Slot(float)
    def _on_panned(self, share: float) -> None:
        self._change(lambda: self.picture.viewport.pan(share * self.span_s, self._now_s()))

    @Slot()
    def _on_oldest_wanted(self) -> None:
        oldest_s = self._ingest.history.oldest_s
        if oldest_s is not None:
            self._change(lambda: self.picture.viewport.show(oldest_s, oldest_s + self.span_s, self._now_s()))

    @Slot(float)
    def _on_pointed(self, share: float) -> None:
        inside = not math.isnan(share) and 0.0 <= share <= 1.0
        self._point(share if inside else None)

    def _point(self, share: float | None) -> None:
        self._crosshair.point(share)
        self._show_values(self.picture.frame())

    @Slot(float, float, bool)
    def _on_selected(self, first: float, second: float, done: bool) -> None:
        edges = sorted(self.picture.time_at(min(1.0, max(0.0, share))) for share in (first, second))
        self.picture.selection = (edges[0], edges[1])
        if done:
            self._plots.hands.selects = False
            self._bar.show_selecting(on=False)

    @Slot(int, bool)
    def _on_stepped(self, way: int, extends: bool) -> None:
        """Step the crosshair; with Shift, select from where it stood."""
        selected = self._crosshair.step(way, *self.picture.edges(), extends=extends)
        self.picture.selection = selected or self.picture.selection
        self._show_values(self.picture.frame())

    @Slot(int)
    def _on_mark_wanted(self, way: int) -> None:
        mark = self.picture.next_mark(self._crosshair.time_s(*self.picture.edges()), way)
        if mark is not None:
            self._crosshair.put(mark.time_s)
            self._show_values(self.picture.frame())

    @Slot(bool)
    def _on_select_toggled(self, on: bool) -> None:
        self._plots.hands.selects = on
        if on:
            self._plots.setFocus(Qt.FocusReason.OtherFocusReason)

    @Slot(bool)
    def _on_fold_toggled(self, folds: bool) -> None:
        self._ingest.visibility.folds_idle = folds
        self.refresh()

    @Slot()
    def _on_arranged(self) -> None:
        rects = self._plots.rects()
        self._titles.arrange(rects)
        self._readout.arrange(rects)

    @Slot()
    def _on_theme_changed(self) -> None:
        self._plots.dress()
        self._lanes.update()
        self._axis.update()
        self.update()
