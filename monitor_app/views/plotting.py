"""What the plots are drawn on. The only module that knows pyqtgraph; imported when plots are first shown, as it takes a while.

The recipe, because the defaults cost ten times as much: the X range stays [-T, 0] and the data move under it; curves are
made once and fed with `setData(..., connect="all", skipFiniteCheck=True)`; pens are one pixel, opaque, not antialiased;
the points come decimated from the history; marks of one kind are one curve with `connect="pairs"`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPen
from PySide6.QtWidgets import QGraphicsItem, QGraphicsRectItem

from monitor_app.model.history import METRICS, Floats
from monitor_app.model.marks import MarkKind
from monitor_app.model.picture import Frame
from monitor_app.model.spacing import thinned
from monitor_app.model.units import binary_ceiling, nice_ceiling, time_ticks
from monitor_app.theme import Theme
from monitor_app.views.fine_lines import draw_as_wide
from monitor_app.views.signs import mark_colour, mark_style

_HEADROOM: Final = 0.08
_MAX_GAPS: Final = 12
_RATE: Final = METRICS.index("rate")
"""A mean over seconds, which does not jump: one point a column shows it."""
_GRANT_TICK: Final = 0.06
_TICK_EVERY_PX: Final = 4
_EMPTY: Final = np.zeros(0)
_LOW_MARKS: Final = frozenset({MarkKind.GRANT})
"""Marks that come so often that they are ticks at the bottom and not lines."""


class _Curve(pg.PlotCurveItem):  # type: ignore[misc]  # pyqtgraph has no types
    """A curve that says it is as large as its plot: to find out how large it really is takes a pass over all of its points."""

    wide = 1
    """How many pixels of the screen its line is wide."""

    def boundingRect(self) -> QRectF:  # noqa: N802 - Qt's name
        """Return the ground of the plot, which clips what is drawn."""
        box = self.getViewBox()
        rect: QRectF = QRectF() if box is None else box.viewRect()
        return rect

    def paint(self, painter: QPainter, *others: object) -> None:
        """Draw it."""
        if self.wide == 1:
            super().paint(painter, *others)
        else:
            draw_as_wide(functools.partial(super().paint, painter, *others), painter, self.wide)


class _Plot:
    """One gauge: its curves, its marks, its scale."""

    def __init__(self, item: Any, ceiling: Callable[[float], float]) -> None:
        self.item = item
        self._ceiling = ceiling
        self._wide = 1
        self.top = 0.0
        self.ticks: tuple[float, ...] = ()
        self.curves: dict[str, Any] = {}
        self.fill = _Curve(pen=None, fillLevel=0.0)
        self.marks = {kind: _Curve() for kind in MarkKind}
        # A pair for each gap that is in sight, made when there is one: each takes as long as a curve, and few windows have any.
        self.gaps: list[tuple[Any, Any]] = []
        self.selection = _region(-15)
        # What the plot is painted on: below the grid, and that below the curves, of which one may lie on a line of it.
        # Behind the item as its axes are, or it would cover them.
        self.ground = QGraphicsRectItem(item)
        self.ground.setFlag(QGraphicsItem.GraphicsItemFlag.ItemNegativeZStacksBehindParent)
        self.ground.setZValue(-2)
        self.ground.setPen(QPen(Qt.PenStyle.NoPen))
        self.cursor = pg.InfiniteLine(angle=90, movable=False)
        self._set_up()

    def _set_up(self) -> None:
        item = self.item
        item.hideButtons()
        item.setMouseEnabled(x=False, y=False)
        item.disableAutoRange()
        self.fill.setZValue(-20)
        self.cursor.setZValue(20)
        self.cursor.setVisible(False)
        parts = (self.fill, *self.marks.values(), self.selection, self.cursor)
        for part in parts:
            item.addItem(part, ignoreBounds=True)
        for side in ("left", "bottom"):  # their numbers stand beside the plots, where none of them is cut
            item.getAxis(side).setStyle(showValues=False, tickLength=0)
            item.getAxis(side).setZValue(-1)
        item.getAxis("left").setWidth(1)
        item.getAxis("bottom").setHeight(1)
        item.showGrid(x=True, y=True, alpha=1.0)
        box = item.getViewBox()
        box.geometryChanged.connect(lambda: self.ground.setRect(box.geometry()))

    def fit(self, wide: int) -> None:
        """Let every line be so many pixels of the screen wide."""
        for line in (*self.curves.values(), *self.marks.values()):
            line.wide = wide
        self._wide = wide

    def curve_of(self, channel: str, colour: QColor) -> Any:
        """Return the curve of `channel`, made when it is first asked for."""
        curve = self.curves.get(channel)
        if curve is None:
            curve = self.curves[channel] = _Curve(pen=pg.mkPen(colour, width=1), antialias=False)
            curve.wide = self._wide
            self.item.addItem(curve, ignoreBounds=True)
        return curve

    def add_gap(self) -> None:
        """Make what covers one gap more."""
        self.gaps.append((_region(10), _region(11)))
        for part in self.gaps[-1]:
            self.item.addItem(part, ignoreBounds=True)

    def scale(self, value: float) -> None:
        """Let the axis reach `value`; it shrinks only when half of it has been empty, so that it does not twitch."""
        top = self._ceiling(value)
        if top > self.top or top < self.top * 0.6:
            self.top = top
            self.item.setYRange(-top * _HEADROOM / 2, top * (1 + _HEADROOM), padding=0)
            self.ticks = (0.0, top / 2, top) if top % 2 == 0 else (0.0, top)
            self.item.getAxis("left").setTicks([[(tick, "") for tick in self.ticks]])

    def share_of(self, value: float) -> float:
        """Return how far below the upper edge a value lies, as a share of the height."""
        return (self.top * (1 + _HEADROOM) - value) / (self.top * (1 + 1.5 * _HEADROOM)) if self.top else 1.0


class Canvas(pg.GraphicsLayoutWidget):  # type: ignore[misc]  # pyqtgraph has no types
    """The plots of `METRICS`, one above the other.

    Attributes:
        plots: One for each of `METRICS`.
    """

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._span_s = 0.0
        self._chosen = ""
        self._drawn_at = [QRect()] * len(METRICS)
        self._wide = 1
        self.setFrameShape(self.Shape.NoFrame)
        self.ci.setContentsMargins(0, 0, 0, 0)
        self.ci.setSpacing(4)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.viewport().setCursor(Qt.CursorShape.CrossCursor)
        self.plots = [
            _Plot(self.addPlot(row=row, col=0, enableMenu=False), ceiling)
            for row, ceiling in enumerate((nice_ceiling, binary_ceiling, nice_ceiling, nice_ceiling))
        ]
        self.dress()

    def dress(self) -> None:
        """Take the colours of the theme."""
        colours = self._theme.colours
        self.setBackground(colours.panel)
        for plot in self.plots:
            plot.ground.setBrush(QBrush(QColor(colours.field)))
            for side in ("left", "bottom"):
                axis = plot.item.getAxis(side)
                axis.setPen(pg.mkPen(colours.grid, width=self._wide))
            self._dress_chosen(plot)
            self._dress_gaps(plot)
            plot.selection.setBrush(QBrush(QColor(colours.selected)))
            plot.cursor.setPen(pg.mkPen(colours.text, width=self._wide))
            for place, (channel, curve) in enumerate(plot.curves.items()):
                curve.setPen(pg.mkPen(self._theme.channel_colour(channel, place), width=1))

    def _dress_gaps(self, plot: _Plot) -> None:
        for cover, hatch in plot.gaps:
            cover.setBrush(QBrush(QColor(self._theme.colours.field)))
            hatch.setBrush(QBrush(QColor(self._theme.colours.muted), Qt.BrushStyle.BDiagPattern))

    def _dress_chosen(self, plot: _Plot) -> None:
        plot.fill.setBrush(pg.mkBrush(self._theme.fill_of(self._chosen)))
        for kind, curve in plot.marks.items():
            curve.setPen(pg.mkPen(mark_colour(kind, self._theme.colours), width=1, style=mark_style(kind)))
        place = list(plot.curves).index(self._chosen) if self._chosen in plot.curves else 0
        plot.marks[MarkKind.GRANT].setPen(pg.mkPen(self._theme.channel_colour(self._chosen, place), width=1))

    def set_span(self, span_s: float) -> None:
        """Show `span_s` seconds up to the right edge, and put the grid where the time axis has its marks."""
        if span_s == self._span_s:
            return
        self._span_s = span_s
        ticks = [(float(second), "") for second in time_ticks(-span_s, 0.0)]
        for plot in self.plots:
            plot.item.setXRange(-span_s, 0, padding=0)
            plot.item.getAxis("bottom").setTicks([ticks])

    def choose(self, channel: str) -> None:
        """Fill below the curves of `channel`."""
        self._chosen = channel
        for plot in self.plots:
            self._dress_chosen(plot)

    def show_plots(self, metrics: Collection[int]) -> None:
        """Show the plots of these metrics; they share the height."""
        for metric, plot in enumerate(self.plots):
            plot.item.setVisible(metric in metrics)
        self.ci.layout.activate()

    def rects(self) -> list[QRect]:
        """Return where the plots lie in this widget; one that is not shown lies nowhere."""
        return [self._rect_of(plot) if plot.item.isVisible() else QRect() for plot in self.plots]

    def _rect_of(self, plot: _Plot) -> QRect:
        rect: QRect = self.mapFromScene(plot.item.getViewBox().sceneBoundingRect()).boundingRect()
        return rect

    def y_of(self, metric: int, value: float) -> int | None:
        """Return where a value lies in this widget, as it was drawn last; None where its plot is not shown."""
        rect = self._drawn_at[metric]
        return None if rect.isEmpty() else rect.top() + round(rect.height() * self.plots[metric].share_of(value))

    def ticks(self) -> list[list[tuple[float, float]]]:
        """Return the values at which each plot has a line, with the share of its height that lies above them."""
        return [[(tick, plot.share_of(tick)) for tick in plot.ticks] for plot in self.plots]

    def draw(self, frame: Frame) -> None:
        """Show a frame."""
        self._fit_screen()
        self._drawn_at = self.rects()
        times_s = frame.window.times_s - frame.right_s
        tick_s = _TICK_EVERY_PX * self._span_s / max(1, *(rect.width() for rect in self._drawn_at))
        marks = {kind: _pairs(times, frame.right_s, tick_s if kind in _LOW_MARKS else 0.0) for kind, times in frame.marks.items()}
        for metric in range(len(METRICS)):
            plot = self.plots[metric]
            if not plot.item.isVisible():
                continue
            plot.scale(frame.window.top(metric, frame.shown))
            self._draw_curves(plot, metric, frame, times_s)
            self._draw_marks(plot, marks)
            self._draw_regions(plot, frame)

    def _fit_screen(self) -> None:
        """Take in how fine the screen is, which another one may be that the window was moved to."""
        wide = max(1, round(self.devicePixelRatioF()))
        if wide != self._wide:
            self._wide = wide
            for plot in self.plots:
                plot.fit(wide)
            self.dress()

    def _draw_curves(self, plot: _Plot, metric: int, frame: Frame, times_s: Floats) -> None:
        for place, channel in enumerate(frame.window.channels):
            curve = plot.curve_of(channel, self._theme.channel_colour(channel, place))
            visible = channel in frame.shown
            if curve.isVisible() != visible:
                curve.setVisible(visible)
            height = int(channel == self._chosen)  # where several agree, the chosen one is what is seen
            if curve.zValue() != height:
                curve.setZValue(height)
            if visible:
                row = frame.window.row(metric, channel)
                x, y = (times_s[::2], _tops(row)) if metric == _RATE else (times_s, row)
                curve.setData(x=x, y=y, skipFiniteCheck=True, connect="all")
        filled = self._chosen in frame.shown and self._chosen in frame.window.channels
        if plot.fill.isVisible() != filled:
            plot.fill.setVisible(filled)
        if filled:
            tops = _tops(frame.window.row(metric, self._chosen))  # half the points, and a fill is the dearest of all to draw
            plot.fill.setData(x=times_s[::2], y=tops, skipFiniteCheck=True, connect="all")

    def _draw_marks(self, plot: _Plot, marks: Mapping[MarkKind, Floats]) -> None:
        for kind, curve in plot.marks.items():
            x = marks.get(kind, _EMPTY)
            y = np.empty_like(x)
            high = plot.top * _GRANT_TICK if kind in _LOW_MARKS else plot.top * (1 + _HEADROOM)
            y[0::2], y[1::2] = -plot.top * _HEADROOM / 2, high
            if len(x) or len(curve.xData if curve.xData is not None else _EMPTY):
                curve.setData(x=x, y=y, skipFiniteCheck=True, connect="pairs")

    def _draw_regions(self, plot: _Plot, frame: Frame) -> None:
        """Cover what was never measured: without a connection the line from the last value to the next would be a lie."""
        shown = list(frame.gaps)[-_MAX_GAPS:]
        if len(shown) > len(plot.gaps):
            for _ in shown[len(plot.gaps) :]:
                plot.add_gap()
            self._dress_gaps(plot)
        for parts, gap in itertools.zip_longest(plot.gaps, shown):
            for part in parts:
                _put_region(part, gap, frame.right_s)
        _put_region(plot.selection, frame.selection, frame.right_s)

    def set_cursor(self, x: float | None) -> None:
        """Put the crosshair at `x` seconds, or take it away."""
        for plot in self.plots:
            plot.cursor.setVisible(x is not None)
            if x is not None:
                plot.cursor.setValue(x)


def _region(height: int) -> Any:
    region = pg.LinearRegionItem(movable=False, pen=pg.mkPen(None))
    region.setZValue(height)
    region.setVisible(False)
    return region


def _put_region(region: Any, span: tuple[float, float] | None, right_s: float) -> None:
    if span is not None:
        region.setRegion((span[0] - right_s, span[1] - right_s))
    if region.isVisible() != (span is not None):
        region.setVisible(span is not None)


def _tops(row: Floats) -> Floats:
    tops: Floats = row.reshape(-1, 2).max(axis=1)
    return tops


def _pairs(times: Sequence[float], right_s: float, least_s: float) -> Floats:
    return np.repeat(thinned(times, least_s) - right_s, 2)
