"""The plots: three gauges over one time axis. The only module that knows pyqtgraph.

The recipe, because the defaults cost ten times as much: the X range stays [-T, 0] and the data move under it; curves are
made once and fed with `setData(..., connect="all", skipFiniteCheck=True)`; pens are one pixel, opaque, not antialiased;
the points come decimated from the history; marks of one kind are one curve with `connect="pairs"`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRect, Qt, Signal, Slot
from PySide6.QtGui import QBrush, QColor, QResizeEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from monitor_app.model.history import Floats, Window
from monitor_app.model.lanes import MarkKind
from monitor_app.model.units import binary_ceiling, format_count, nice_ceiling, time_ticks
from monitor_app.theme import Theme
from monitor_app.views.signs import mark_colour

AXIS_WIDTH: Final = 40
_RIGHT_MARGIN: Final = 14
"""Room for the half of "now" that stands right of the edge."""
_HEADROOM: Final = 0.08
_MAX_GAPS: Final = 8
_GRANT_TICK: Final = 0.06
_EMPTY: Final = np.zeros(0)


@dataclass(frozen=True)
class Frame:
    """Everything that one frame of the plots shows. Times are absolute, on the monotonic clock."""

    now_s: float
    window: Window
    marks: Mapping[MarkKind, Sequence[float]]
    """Grants of the chosen channel; pauses and starvation of every channel."""
    gaps: Sequence[tuple[float, float]]


class _Plot:
    """One gauge: its curves, its marks, its scale."""

    def __init__(self, item: Any, ceiling: Callable[[float], float]) -> None:
        self.item = item
        self._ceiling = ceiling
        self.top = 0.0
        self.curves: dict[str, Any] = {}
        self.fill = pg.PlotCurveItem(pen=None, fillLevel=0.0)
        self.fill.setZValue(-20)
        self.marks = {kind: pg.PlotCurveItem() for kind in MarkKind}
        self.gaps = [pg.LinearRegionItem(movable=False, pen=pg.mkPen(None)) for _ in range(_MAX_GAPS)]
        self.cursor = pg.InfiniteLine(angle=90, movable=False)
        self._set_up()

    def _set_up(self) -> None:
        item = self.item
        item.setMenuEnabled(False)
        item.hideButtons()
        item.setMouseEnabled(x=True, y=False)
        item.disableAutoRange()
        for curve in (self.fill, *self.marks.values()):
            item.addItem(curve, ignoreBounds=True)
        for gap in self.gaps:
            gap.setZValue(-10)
            gap.setVisible(False)
            item.addItem(gap, ignoreBounds=True)
        self.cursor.setVisible(False)
        item.addItem(self.cursor, ignoreBounds=True)
        left = item.getAxis("left")
        left.setWidth(AXIS_WIDTH)
        left.setStyle(tickLength=0, hideOverlappingLabels=False)
        item.showGrid(x=True, y=True, alpha=1.0)

    def curve_of(self, channel: str, colour: QColor) -> Any:
        """Return the curve of `channel`, made when it is first asked for."""
        curve = self.curves.get(channel)
        if curve is None:
            curve = self.curves[channel] = pg.PlotCurveItem(pen=pg.mkPen(colour, width=1), antialias=False)
            self.item.addItem(curve, ignoreBounds=True)
        return curve

    def scale(self, value: float) -> None:
        """Let the axis reach `value`; it shrinks only when half of it has been empty, so that it does not twitch."""
        top = self._ceiling(value)
        if top > self.top or top < self.top * 0.6:
            self.top = top
            self.item.setYRange(-top * _HEADROOM / 2, top * (1 + _HEADROOM), padding=0)
            half = [top / 2] if top % 2 == 0 else []
            ticks = [(tick, format_count(int(tick))) for tick in (0.0, *half, top)]
            self.item.getAxis("left").setTicks([ticks])


class FlowPlots(QWidget):
    """The plots of `METRICS`, one above the other.

    Signals:
        moved_by_hand: The operator zoomed or dragged the time axis.
        cursor_moved: Seconds before the right edge under the pointer, negative; NaN when the pointer has left.
        arranged: The plots have other places than before.
    """

    moved_by_hand = Signal()
    cursor_moved = Signal(float)
    arranged = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._span_s = 120.0
        self._chosen = ""
        self._view = pg.GraphicsLayoutWidget()
        self._view.setFrameShape(self._view.Shape.NoFrame)
        self._view.ci.setContentsMargins(0, 0, _RIGHT_MARGIN, 0)
        self._view.ci.setSpacing(4)
        self._view.setAccessibleName("Plots of message credit, byte credit and backlog")
        self._view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._view)
        self._plots = [
            _Plot(self._view.addPlot(row=row, col=0), ceiling)
            for row, ceiling in enumerate((nice_ceiling, binary_ceiling, nice_ceiling))
        ]
        self._link_axes()
        self._view.scene().sigMouseMoved.connect(self._on_mouse_moved)
        self.dress()
        self.set_span(self._span_s)

    def _link_axes(self) -> None:
        for plot in self._plots[:-1]:
            plot.item.setXLink(self._plots[-1].item)
        self._plots[-1].item.getViewBox().sigXRangeChanged.connect(self._on_range_changed)
        for plot in self._plots:
            plot.item.getAxis("bottom").setStyle(showValues=False, tickLength=0)
            plot.item.getAxis("bottom").setHeight(1)
            plot.item.getViewBox().sigRangeChangedManually.connect(self._on_moved_by_hand)

    def dress(self) -> None:
        """Take the colours of the theme."""
        colours = self._theme.colours
        self._view.setBackground(colours.panel)
        for plot in self._plots:
            plot.item.getViewBox().setBackgroundColor(colours.field)
            for side in ("left", "bottom"):
                axis = plot.item.getAxis(side)
                axis.setPen(pg.mkPen(colours.grid))
                axis.setTextPen(pg.mkPen(colours.muted))
                axis.setTickFont(_axis_font(self))
            self._dress_chosen(plot)
            for gap in plot.gaps:
                gap.setBrush(QBrush(QColor(colours.muted), Qt.BrushStyle.BDiagPattern))
            plot.cursor.setPen(pg.mkPen(colours.text))
            for place, (channel, curve) in enumerate(plot.curves.items()):
                curve.setPen(pg.mkPen(self._theme.channel_colour(channel, place), width=1))

    def _mark_pen(self, kind: MarkKind) -> Any:
        dotted = {MarkKind.STARVATION: Qt.PenStyle.DotLine, MarkKind.REQUEST: Qt.PenStyle.DashLine}
        style = dotted.get(kind, Qt.PenStyle.SolidLine)
        return pg.mkPen(mark_colour(kind, self._theme.colours), width=1, style=style)

    def _dress_chosen(self, plot: _Plot) -> None:
        plot.fill.setBrush(pg.mkBrush(self._theme.fill_of(self._chosen)))
        for kind, curve in plot.marks.items():
            curve.setPen(self._mark_pen(kind))
        place = list(plot.curves).index(self._chosen) if self._chosen in plot.curves else 0
        plot.marks[MarkKind.GRANT].setPen(pg.mkPen(self._theme.channel_colour(self._chosen, place), width=1))

    def set_span(self, span_s: float) -> None:
        """Show the last `span_s` seconds."""
        self._span_s = span_s
        self.show_whole_span()

    def show_whole_span(self) -> None:
        """Undo what zooming and dragging did."""
        self._plots[-1].item.setXRange(-self._span_s, 0, padding=0)

    def choose(self, channel: str) -> None:
        """Fill below the curves of `channel`."""
        self._chosen = channel
        for plot in self._plots:
            self._dress_chosen(plot)

    def x_range(self) -> tuple[float, float]:
        """Return the seconds at the left and the right edge, relative to now."""
        left, right = self._plots[-1].item.getViewBox().viewRange()[0]
        return float(left), float(right)

    def rects(self) -> list[QRect]:
        """Return where the plots lie in this widget, without their axes."""
        return [self._view.mapFromScene(plot.item.getViewBox().sceneBoundingRect()).boundingRect() for plot in self._plots]

    def draw(self, frame: Frame) -> None:
        """Show a frame."""
        times_s = frame.window.times_s - frame.now_s
        marks = {kind: _pairs(times, frame.now_s) for kind, times in frame.marks.items()}
        for metric, plot in enumerate(self._plots):
            plot.scale(frame.window.top(metric))
            for place, channel in enumerate(frame.window.channels):
                curve = plot.curve_of(channel, self._theme.channel_colour(channel, place))
                values = frame.window.row(metric, channel)
                curve.setData(x=times_s, y=values, skipFiniteCheck=True, connect="all")
                if channel == self._chosen:
                    plot.fill.setData(x=times_s, y=values, skipFiniteCheck=True, connect="all")
            self._draw_marks(plot, marks)
            self._draw_gaps(plot, frame)

    def _draw_marks(self, plot: _Plot, marks: Mapping[MarkKind, Floats]) -> None:
        for kind, curve in plot.marks.items():
            x = marks.get(kind, _EMPTY)
            y = np.empty_like(x)
            high = plot.top * _GRANT_TICK if kind is MarkKind.GRANT else plot.top * (1 + _HEADROOM)
            y[0::2], y[1::2] = -plot.top * _HEADROOM / 2, high
            if len(x) or len(curve.xData if curve.xData is not None else _EMPTY):
                curve.setData(x=x, y=y, skipFiniteCheck=True, connect="pairs")

    def _draw_gaps(self, plot: _Plot, frame: Frame) -> None:
        shown = frame.gaps[-_MAX_GAPS:]
        for place, region in enumerate(plot.gaps):
            visible = place < len(shown)
            if visible:
                start_s, end_s = shown[place]
                region.setRegion((start_s - frame.now_s, end_s - frame.now_s))
            if region.isVisible() != visible:
                region.setVisible(visible)

    def set_cursor(self, x: float | None) -> None:
        """Put the crosshair at `x` seconds, or take it away."""
        for plot in self._plots:
            plot.cursor.setVisible(x is not None)
            if x is not None:
                plot.cursor.setValue(x)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Tell the neighbours that the plots moved."""
        super().resizeEvent(event)
        self.arranged.emit()

    def leaveEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Take the crosshair away."""
        super().leaveEvent(event)
        self.cursor_moved.emit(float("nan"))

    @Slot(object)
    def _on_mouse_moved(self, position: QPointF) -> None:
        for plot in self._plots:
            box = plot.item.getViewBox()
            if box.sceneBoundingRect().contains(position):
                self.cursor_moved.emit(float(box.mapSceneToView(position).x()))
                return
        self.cursor_moved.emit(float("nan"))

    @Slot(object)
    def _on_range_changed(self, *_range: object) -> None:
        """Put the grid where the time axis has its marks."""
        ticks = [(float(second), "") for second in time_ticks(*self.x_range())]
        for plot in self._plots:
            plot.item.getAxis("bottom").setTicks([ticks])

    @Slot(object)
    def _on_moved_by_hand(self, _mouse_enabled: object) -> None:
        self.moved_by_hand.emit()


def _axis_font(widget: QWidget) -> Any:
    font = widget.font()
    font.setPixelSize(10)
    return font


def _pairs(times: Sequence[float], now_s: float) -> Floats:
    return np.repeat(np.asarray(times, dtype=np.float64) - now_s, 2)
