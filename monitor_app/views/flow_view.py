"""The centre: lanes and plots over one time axis, live or standing still."""

from __future__ import annotations

import math
from typing import Final

from PySide6.QtCore import QPoint, QSize, Signal, Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout

from monitor_app.model.history import Window
from monitor_app.model.ingest import Ingest
from monitor_app.model.lanes import MarkKind
from monitor_app.model.status import Status
from monitor_app.model.units import MINUS
from monitor_app.theme import Theme
from monitor_app.views import signs
from monitor_app.views.lane_strip import LaneStrip
from monitor_app.views.parts import TitleBar, label, set_role
from monitor_app.views.plotting import FlowPlots, Frame
from monitor_app.views.side_columns import READOUT_WIDTH, PlotTitles, ReadOut
from monitor_app.views.time_axis import TimeAxis, TimeScale

_MARKED: Final = (MarkKind.STARVATION, MarkKind.PAUSE_BY_US, MarkKind.PAUSE_BY_PEER)
"""Marks shown for every channel; grants and requests only for the chosen one, else the plots would drown in them."""


class FlowView(QFrame):
    """Lanes, plots and read-out of one source.

    Attributes:
        frozen: Whether the picture stands still.
        span_s: The span that is shown.

    Signals:
        frozen_changed: The picture stands still (true) or follows again (false).
    """

    frozen_changed = Signal(bool)

    def __init__(self, ingest: Ingest, theme: Theme) -> None:
        super().__init__()
        self.frozen = False
        self.span_s = 120.0
        self._ingest = ingest
        self._theme = theme
        self._chosen = ""
        self._cursor_s: float | None = None
        self._still: Frame | None = None
        self.setProperty("role", "panel")
        self._lanes = LaneStrip(ingest, theme, READOUT_WIDTH)
        self._titles = PlotTitles(theme)
        self._plots = FlowPlots(theme)
        self._readout = ReadOut(theme)
        self._axis = TimeAxis(ingest.clock, theme, READOUT_WIDTH)
        self._bar, self._live_sign, self._live_text = self._make_bar()
        self._lay_out()
        self._plots.moved_by_hand.connect(self._on_moved_by_hand)
        self._plots.cursor_moved.connect(self._on_cursor_moved)
        self._plots.arranged.connect(self._on_arranged)
        theme.changed.connect(self._on_theme_changed)

    def _make_bar(self) -> tuple[TitleBar, QLabel, QLabel]:
        bar = TitleBar("Flow", "header")
        bar.detail.setText("send window")
        sign, text = QLabel(), label("", "title")
        bar.row.addWidget(sign)
        bar.row.addWidget(text)
        return bar, sign, text

    def _lay_out(self) -> None:
        columns = QHBoxLayout()
        columns.setSpacing(0)
        for widget, stretch in ((self._titles, 0), (self._plots, 1), (self._readout, 0)):
            columns.addWidget(widget, stretch)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(1, 1, 1, 1)
        layout.setSpacing(0)
        layout.addWidget(self._bar)
        layout.addWidget(self._lanes)
        layout.addLayout(columns, 1)
        layout.addWidget(self._axis)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return what the plots need to be readable."""
        return QSize(560, 420)

    def choose(self, channel: str) -> None:
        """Bring out one channel."""
        self._chosen = channel
        for part in (self._lanes, self._plots, self._readout):
            part.choose(channel)

    def set_span(self, span_s: float) -> None:
        """Show the last `span_s` seconds, live."""
        self.span_s = span_s
        self._plots.set_span(span_s)
        self.follow()

    def freeze(self) -> None:
        """Let the picture stand still; everything goes on being recorded and nothing changes on the wire."""
        if not self.frozen:
            live = self._frame()
            self._still = Frame(live.now_s, live.window.copy(), live.marks, live.gaps)
            self.frozen = True
            self.frozen_changed.emit(self.frozen)

    def follow(self) -> None:
        """Show the whole span up to now."""
        self._plots.show_whole_span()
        self._still = None
        if self.frozen:
            self.frozen = False
            self.frozen_changed.emit(self.frozen)

    def draw(self) -> None:
        """Draw one frame. Called at the rate of curves."""
        frame = self._still or self._frame()
        self._plots.draw(frame)
        scale = self._scale(frame.now_s)
        self._lanes.draw_frame(scale)
        self._axis.draw_frame(scale, self._cursor_s, self._when())

    def refresh(self) -> None:
        """Show the values. Called at the rate of text."""
        frame = self._still or self._frame()
        self._on_arranged()
        at_s = 0.0 if self._cursor_s is None else self._cursor_s
        self._readout.show_values(frame.window, frame.now_s + at_s)
        self._show_liveness(frame.now_s)

    def _when(self) -> str:
        if self._cursor_s is not None:
            return f"values at {MINUS}{abs(self._cursor_s):.1f} s"
        if self.frozen:
            return "values as frozen"
        connection = self._ingest.connection
        return "values now" if connection is not None and connection.connected else "last known values"

    def _frame(self) -> Frame:
        now_s = self._ingest.clock.now_s()
        from_s = now_s - self.span_s
        window = self._ingest.history.window(self.span_s, now_s)
        return Frame(now_s, window, self._marks(window, from_s), self._gaps(now_s))

    def _marks(self, window: Window, from_s: float) -> dict[MarkKind, list[float]]:
        lanes = self._ingest.lanes
        marks = {
            kind: [time_s for channel in window.channels for time_s in lanes.marks_since(kind, channel, from_s)]
            for kind in _MARKED
        }
        for kind in (MarkKind.GRANT, MarkKind.REQUEST):
            marks[kind] = lanes.marks_since(kind, self._chosen, from_s)
        return marks

    def _gaps(self, now_s: float) -> list[tuple[float, float]]:
        gaps = self._ingest.history.gaps
        return [
            (max(start_s, now_s - self.span_s), now_s if end_s is None else end_s)
            for start_s, end_s in gaps
            if end_s is None or end_s > now_s - self.span_s
        ]

    def _scale(self, now_s: float) -> TimeScale:
        left_s, right_s = self._plots.x_range()
        rect = self._plots.rects()[-1]
        left_px = self._plots.mapTo(self, QPoint(rect.left(), 0)).x() - self._lanes.x()
        return TimeScale(now_s, left_s, right_s, left_px, rect.width())

    def _show_liveness(self, frame_s: float) -> None:
        colours = self._theme.colours
        clock = self._ingest.clock
        if self.frozen:
            sign, colour = signs.FROZEN, colours.text
            behind_s = clock.now_s() - frame_s
            text = f"VIEW FROZEN at {clock.time_of_day(frame_s)}, {behind_s:.1f} s behind"
        elif self._ingest.connection is not None and self._ingest.connection.connected:
            sign, colour = signs.LIVE, colours.good
            text = f"LIVE, {clock.time_of_day(frame_s)}"
        else:
            sign, colour = signs.STATUS_SIGNS[Status.OFFLINE], colours.muted
            text = "OFFLINE, last known values"
        self._live_sign.setPixmap(signs.icon(sign, colour, colours.header).pixmap(signs.SIZE, signs.SIZE))
        self._live_text.setText(text)
        set_role(self._bar, "frozen" if self.frozen else "header")

    @Slot()
    def _on_moved_by_hand(self) -> None:
        self.freeze()

    @Slot(float)
    def _on_cursor_moved(self, x: float) -> None:
        self._cursor_s = None if math.isnan(x) else x
        self._plots.set_cursor(self._cursor_s)
        self.refresh()

    @Slot()
    def _on_arranged(self) -> None:
        rects = self._plots.rects()
        self._titles.arrange(rects)
        self._readout.arrange(rects)

    @Slot()
    def _on_theme_changed(self) -> None:
        self._plots.dress()
        self.update()
