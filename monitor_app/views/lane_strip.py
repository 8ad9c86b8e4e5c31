"""The lanes: what state each channel was in and when, on the time axis of the plots below."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from monitor_app.model.ingest import Ingest
from monitor_app.model.lanes import MarkKind, Run
from monitor_app.model.status import Status
from monitor_app.theme import Theme
from monitor_app.views.parts import put_text, sized
from monitor_app.views.signs import MARK_SIGNS, SIZE, draw, mark_colour
from monitor_app.views.time_axis import TimeScale

LANE_HEIGHT: Final = 16
_GRANT_EVERY_PX: Final = 6
_SIGN_EVERY_PX: Final = 14
_SIGNS: Final = (MarkKind.STARVATION, MarkKind.PAUSE_BY_US, MarkKind.PAUSE_BY_PEER, MarkKind.REQUEST)


class LaneStrip(QWidget):
    """One lane per channel with state runs and marks, names on the left, the legend of marks on the right."""

    def __init__(self, ingest: Ingest, theme: Theme, legend_width: int) -> None:
        super().__init__()
        self._ingest = ingest
        self._theme = theme
        self._legend_width = legend_width
        self._chosen = ""
        self._scale = TimeScale(0.0, -1.0, 0.0, 0, 1)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("State of each channel over time")

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return room for every channel, and for the legend's five lines."""
        lanes = max(len(MarkKind), len(self._ingest.history.channels))
        return QSize(200, lanes * LANE_HEIGHT + 4)

    def choose(self, channel: str) -> None:
        """Underlay the lane of `channel`."""
        self._chosen = channel
        self.update()

    def draw_frame(self, scale: TimeScale) -> None:
        """Show the lanes on `scale`."""
        if self.height() != self.sizeHint().height():
            self.updateGeometry()
        self._scale = scale
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's name and signature
        """Paint names, lanes, marks and the legend."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self._theme.colours.panel))
        for place, channel in enumerate(self._ingest.history.channels):
            lane = QRect(0, place * LANE_HEIGHT + 2, self.width() - self._legend_width, LANE_HEIGHT)
            self._paint_name(painter, lane, channel, place)
            painter.save()
            painter.setClipRect(self._scale.left_px, lane.top(), self._scale.width_px + 1, lane.height())
            self._paint_lane(painter, lane, channel, place)
            painter.restore()
        self._paint_legend(painter)
        painter.end()

    def _paint_name(self, painter: QPainter, lane: QRect, channel: str, place: int) -> None:
        chosen = channel == self._chosen
        if chosen:
            painter.fillRect(lane, QColor(self._theme.colours.selected))
        painter.fillRect(6, lane.top() + 4, 8, 8, self._theme.channel_colour(channel, place))
        painter.setFont(sized(self.font(), 10, bold=chosen))
        put_text(painter, QRect(18, lane.top(), self._scale.left_px - 20, lane.height()), channel, self._theme.colours.text)

    def _paint_lane(self, painter: QPainter, lane: QRect, channel: str, place: int) -> None:
        from_s = self._scale.now_s + self._scale.left_s
        colour = self._theme.channel_colour(channel, place)
        for run in self._ingest.lanes.runs_since(channel, from_s):
            self._paint_run(painter, lane, run, colour)
        self._paint_grants(painter, lane, channel, colour, from_s)
        self._paint_signs(painter, lane, channel, from_s)

    def _paint_run(self, painter: QPainter, lane: QRect, run: Run, colour: QColor) -> None:
        colours = self._theme.colours
        left = self._scale.x_of(run.start_s)
        width = max(1.0, self._scale.x_of(run.end_s) - left)
        tall = QRect(int(left), lane.top() + 4, max(1, round(width)), LANE_HEIGHT - 7)
        thin = QRect(int(left), lane.bottom() - 4, max(1, round(width)), 2)
        match run.status:
            case Status.FLOWING | Status.LOW:
                painter.fillRect(thin, colour)
            case Status.STARVED:
                painter.fillRect(tall, QColor(colours.starved))
            case Status.PAUSED_BY_US:
                painter.fillRect(tall, QColor(colours.accent))
            case Status.PAUSED_BY_PEER:
                painter.fillRect(tall, QBrush(QColor(colours.text), Qt.BrushStyle.BDiagPattern))
            case Status.OFFLINE:
                painter.fillRect(tall, QBrush(QColor(colours.muted), Qt.BrushStyle.DiagCrossPattern))
            case Status.IDLE:
                painter.fillRect(thin.adjusted(0, 1, 0, 0), QColor(colours.border))

    def _paint_grants(self, painter: QPainter, lane: QRect, channel: str, colour: QColor, from_s: float) -> None:
        last_px = float("-inf")
        ground = QColor(self._theme.colours.panel)
        for time_s in self._ingest.lanes.marks_since(MarkKind.GRANT, channel, from_s):
            x = self._scale.x_of(time_s)
            if x - last_px >= _GRANT_EVERY_PX:
                last_px = x
                painter.save()
                painter.translate(x - SIZE * 0.35, lane.top() + 2)
                painter.scale(0.7, 0.7)
                draw(painter, MARK_SIGNS[MarkKind.GRANT], 0, 0, colour, ground)
                painter.restore()

    def _paint_signs(self, painter: QPainter, lane: QRect, channel: str, from_s: float) -> None:
        colours = self._theme.colours
        ground = QColor(colours.selected if channel == self._chosen else colours.panel)
        signs = [(time_s, kind) for kind in _SIGNS for time_s in self._ingest.lanes.marks_since(kind, channel, from_s)]
        last_px = float("-inf")
        for time_s, kind in sorted(signs, key=lambda sign: sign[0]):
            x = self._scale.x_of(time_s)
            if x - last_px < _SIGN_EVERY_PX:
                continue
            last_px = x
            painter.fillRect(int(x - SIZE / 2 - 1), lane.top() + 1, SIZE + 2, SIZE + 2, ground)
            draw(painter, MARK_SIGNS[kind], int(x - SIZE / 2), lane.top() + 2, mark_colour(kind, colours), ground)

    def _paint_legend(self, painter: QPainter) -> None:
        colours = self._theme.colours
        left = self.width() - self._legend_width + 8
        painter.setFont(sized(self.font(), 10))
        for place, kind in enumerate(MarkKind):
            top = place * LANE_HEIGHT + 2
            draw(painter, MARK_SIGNS[kind], left, top + 2, mark_colour(kind, colours), QColor(colours.panel))
            text = QRect(left + 18, top, self._legend_width - 28, LANE_HEIGHT)
            put_text(painter, text, kind.value, colours.muted)
