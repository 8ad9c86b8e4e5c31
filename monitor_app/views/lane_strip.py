"""The lanes: what each channel did and when, on the time axis of the plots below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QPointF, QRect, QSize
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from monitor_app.model.activity import Activity
from monitor_app.model.ingest import Ingest
from monitor_app.model.marks import MarkKind
from monitor_app.model.spacing import away_from, thinned, with_room
from monitor_app.model.visibility import words_of_hidden
from monitor_app.theme import Theme
from monitor_app.views.activity_brushes import fill
from monitor_app.views.channel_shapes import draw_shape
from monitor_app.views.parts import put_name, put_text, sized
from monitor_app.views.signs import MARK_SIGNS, SIZE, mark_colour, stamp
from monitor_app.views.time_axis import TimeScale

LANE_HEIGHT: Final = 16
_GRANT_EVERY_PX: Final = 8
_SIGN_EVERY_PX: Final = 14
_SIGN_BESIDE_PX: Final = 10
"""How far apart the middles of two grants, of two signs, and of a grant and a sign are at least."""
_FOOT: Final = 2
"""How much of every activity is left under a sign: one that is shorter than the sign is wide is seen there."""
_SIGNS: Final = tuple(kind for kind in MarkKind if kind is not MarkKind.GRANT)
_GRANT_SIZE: Final = 8.4
_GRANT_HALO: Final = 13.0
_LEGEND_SIZE: Final = 9.6
_LEGEND_LINE: Final = (11, 16)


class LaneStrip(QWidget):
    """One lane per channel with its activity and marks, names on the left, the legend of marks on the right."""

    def __init__(self, ingest: Ingest, theme: Theme, legend_width: int) -> None:
        super().__init__()
        self._ingest = ingest
        self._theme = theme
        self._legend_width = legend_width
        self._chosen = ""
        self._channels: Sequence[tuple[str, int]] = ()
        self._folded: Sequence[str] = ()
        self._more = 0
        self._scale = TimeScale(0.0, -1.0, 0.0, 0, 1)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Activity of each channel over time")

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return room for every channel that is shown, and a line for those that are not."""
        lanes = len(self._channels) + bool(self._folded or self._more)
        return QSize(200, max(lanes * LANE_HEIGHT, len(MarkKind) * _LEGEND_LINE[0]) + 4)

    def choose(self, channel: str) -> None:
        """Underlay the lane of `channel`."""
        self._chosen = channel
        self.update()

    def draw_frame(self, scale: TimeScale, channels: Sequence[tuple[str, int]], more: int, folded: Sequence[str]) -> None:
        """Show the lanes of `channels`, each with its place among all, on `scale`, and that `more` have no room.

        Painted only when something moved a pixel.
        """
        same = (channels, more, folded) == (self._channels, self._more, self._folded)
        if same and scale.is_within_half_a_pixel(self._scale):
            return
        self._channels, self._more, self._folded, self._scale = channels, more, folded, scale
        if self.height() != self.sizeHint().height():
            self.updateGeometry()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's name and signature
        """Paint names, lanes, marks and the legend."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self._theme.colours.panel))
        for row, (channel, place) in enumerate(self._channels):
            lane = QRect(0, row * LANE_HEIGHT + 2, self.width() - self._legend_width, LANE_HEIGHT)
            self._paint_name(painter, lane, channel, place)
            painter.save()
            painter.setClipRect(self._scale.left_px, lane.top(), self._scale.width_px + 1, lane.height())
            self._paint_lane(painter, lane, channel, place)
            painter.restore()
        self._paint_folded(painter)
        self._paint_legend(painter)
        painter.end()

    def _paint_name(self, painter: QPainter, lane: QRect, channel: str, place: int) -> None:
        chosen = channel == self._chosen
        if chosen:
            painter.fillRect(lane, QColor(self._theme.colours.selected))
        draw_shape(painter, channel, place, QPointF(11, lane.center().y() + 0.5), self._theme.channel_colour(channel, place))
        painter.setFont(sized(self.font(), 10, bold=chosen))
        put_name(painter, QRect(20, lane.top(), self._scale.left_px - 22, lane.height()), channel, self._theme.colours.text)

    def _paint_folded(self, painter: QPainter) -> None:
        """Say which channels have no lane, as fully as there is room for."""
        painter.setFont(sized(self.font(), 10))
        line = QRect(20, len(self._channels) * LANE_HEIGHT + 2, self.width() - self._legend_width - 24, LANE_HEIGHT)
        choice, metrics = words_of_hidden(self._more, self._folded), painter.fontMetrics()
        words = next((words for words in choice if metrics.horizontalAdvance(words) <= line.width()), choice[-1])
        put_text(painter, line, words, self._theme.colours.muted)

    def _paint_lane(self, painter: QPainter, lane: QRect, channel: str, place: int) -> None:
        tracker = self._ingest.tracker(channel)
        if tracker is None:
            return
        scale = self._scale
        colours, colour = self._theme.colours, self._theme.channel_colour(channel, place)
        from_s, to_s = scale.now_s + scale.left_s, scale.now_s + scale.right_s
        for first, end, activity in tracker.activity.runs.columns(from_s, to_s, max(1, scale.width_px)):
            left = scale.left_px + first
            tall = activity.stands
            height = LANE_HEIGHT - 6 if tall else (_FOOT if activity is Activity.SENDING else 1)
            top = lane.top() + 4 if tall else lane.bottom() - 3
            fill(painter, QRect(left, top, end - first, height), activity, colours, colour)
        signs = self._paint_signs(painter, lane, channel, from_s, to_s)
        self._paint_grants(painter, lane, channel, colour, signs)

    def _paint_grants(self, painter: QPainter, lane: QRect, channel: str, colour: QColor, signs: Sequence[float]) -> None:
        """Paint grants where there is room between `signs`, the middles of what is painted already."""
        scale = self._scale
        ground = self._ground(channel)
        marks = self._ingest.marks.between(MarkKind.GRANT, channel, scale.now_s + scale.left_s, scale.now_s + scale.right_s)
        least_s = _GRANT_EVERY_PX * (scale.right_s - scale.left_s) / max(1, scale.width_px)
        times_s = thinned([mark.time_s for mark in marks], least_s).tolist()
        middles = [self._whole(scale.x_of(time_s), _GRANT_SIZE) for time_s in times_s]
        for middle in away_from(middles, signs, _SIGN_BESIDE_PX):
            for size, ink in ((_GRANT_HALO, ground), (_GRANT_SIZE, colour)):  # so that it is seen on any activity
                top = lane.top() + 2 + (_GRANT_SIZE - size) / 2
                stamp(painter, MARK_SIGNS[MarkKind.GRANT], middle - size / 2, top, ink, ground, size)

    def _paint_signs(self, painter: QPainter, lane: QRect, channel: str, from_s: float, to_s: float) -> list[float]:
        """Paint the signs of marks, as many as there is room for, and return where their middles are."""
        colours, ground = self._theme.colours, self._ground(channel)
        marks = [mark for kind in _SIGNS for mark in self._ingest.marks.of_channels(kind, (channel,), from_s, to_s)]
        marks.sort(key=lambda mark: mark.time_s)
        middles = [self._whole(self._scale.x_of(mark.time_s), SIZE) for mark in marks]
        kept = with_room(middles, _SIGN_EVERY_PX)
        for number in kept:
            left, kind = int(middles[number] - SIZE / 2), marks[number].kind
            painter.fillRect(left - 1, lane.top(), SIZE + 2, SIZE, ground)
            stamp(painter, MARK_SIGNS[kind], left, lane.top(), mark_colour(kind, colours), ground)
        return [middles[number] for number in kept]

    def _ground(self, channel: str) -> QColor:
        """Return what the lane of a channel is painted on."""
        colours = self._theme.colours
        return QColor(colours.selected if channel == self._chosen else colours.panel)

    def _whole(self, x: float, size: float) -> float:
        """Return where the middle of a sign of `size` is that is to be at `x`: at the edges it stays whole."""
        left, width = self._scale.left_px, self._scale.width_px
        return max(left + size / 2, min(x, left + width + 1 - size / 2))

    def _paint_legend(self, painter: QPainter) -> None:
        """Name the kinds of marks, as many to a line as there is height for."""
        colours = self._theme.colours
        left = self.width() - self._legend_width + 8
        least, most = _LEGEND_LINE
        height = min(most, max(least, (self.height() - 4) // len(MarkKind)))
        painter.setFont(sized(self.font(), min(10, height - 2)))
        for row, kind in enumerate(MarkKind):
            top = row * height + 2
            place = top + (height - _LEGEND_SIZE) / 2
            stamp(painter, MARK_SIGNS[kind], left, place, mark_colour(kind, colours), QColor(colours.panel), _LEGEND_SIZE)
            put_text(painter, QRect(left + 16, top, self._legend_width - 26, height), kind.value, colours.muted)
