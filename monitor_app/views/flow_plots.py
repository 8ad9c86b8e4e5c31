"""The plots: four gauges over one time axis. What they are drawn on is made when they are first seen."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Collection
from typing import TYPE_CHECKING

from PySide6.QtCore import QRect, Qt, Signal
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from monitor_app.model.history import METRICS
from monitor_app.model.picture import Frame
from monitor_app.theme import Theme
from monitor_app.views.plot_hands import PlotHands

if TYPE_CHECKING:
    from monitor_app.views.plotting import Canvas


class FlowPlots(QWidget):
    """The plots of `METRICS`, one above the other. Before they are seen they lie nowhere and draw nothing.

    Attributes:
        hands: What mouse and keys do to them.

    Signals:
        arranged: The plots have other places than before.
    """

    arranged = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._span_s = 120.0
        self._chosen = ""
        self._shown: Collection[int] = range(len(METRICS))
        self.setAccessibleName("Plots of message credit, byte credit, backlog and send rate")
        self.setAccessibleDescription("Arrows step the crosshair, plus and minus zoom, Page Up and Page Down move, End follows.")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self.hands = PlotHands(self, self.area)

    @functools.cached_property
    def canvas(self) -> Canvas:
        """What they are drawn on; made, and its library imported, when it is first asked for."""
        made: Canvas = importlib.import_module("monitor_app.views.plotting").Canvas(self._theme)
        made.set_span(self._span_s)
        made.choose(self._chosen)
        made.show_plots(self._shown)
        self._column.addWidget(made)
        self.hands.watch(made.viewport())
        return made

    @property
    def is_made(self) -> bool:
        """Whether there is something to draw on."""
        return "canvas" in self.__dict__

    def dress(self) -> None:
        """Take the colours of the theme."""
        if self.is_made:
            self.canvas.dress()

    def set_span(self, span_s: float) -> None:
        """Show `span_s` seconds up to the right edge, and put the grid where the time axis has its marks."""
        self._span_s = span_s
        if self.is_made:
            self.canvas.set_span(span_s)

    def choose(self, channel: str) -> None:
        """Fill below the curves of `channel`."""
        self._chosen = channel
        if self.is_made:
            self.canvas.choose(channel)

    def show_plots(self, metrics: Collection[int]) -> None:
        """Show the plots of these metrics; they share the height."""
        self._shown = metrics
        if self.is_made:
            self.canvas.show_plots(metrics)
            self.arranged.emit()

    def rects(self) -> list[QRect]:
        """Return where the plots lie in this widget; one that is not shown lies nowhere."""
        return self.canvas.rects() if self.is_made else [QRect() for _ in METRICS]

    def area(self) -> QRect:
        """Return where all that are shown lie."""
        return functools.reduce(QRect.united, self.rects())

    def y_of(self, metric: int, value: float) -> int | None:
        """Return where a value lies in this widget, as it was drawn last; None where its plot is not shown."""
        return self.canvas.y_of(metric, value) if self.is_made else None

    def ticks(self) -> list[list[tuple[float, float]]]:
        """Return the values at which each plot has a line, with the share of its height that lies above them."""
        return self.canvas.ticks() if self.is_made else [[] for _ in METRICS]

    def draw(self, frame: Frame) -> None:
        """Show a frame."""
        self.canvas.draw(frame)

    def set_cursor(self, x: float | None) -> None:
        """Put the crosshair at `x` seconds, or take it away."""
        if self.is_made:
            self.canvas.set_cursor(x)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Make what is drawn on, now that it is seen."""
        super().showEvent(event)
        if self.canvas.isVisible():
            self.arranged.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Tell the neighbours that the plots moved."""
        super().resizeEvent(event)
        self.arranged.emit()
