"""How each channel spent the visible span: a bar cut by activity, with percentages, and the greatest wait named beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from PySide6.QtCore import QEvent, QPointF, QRect, QSize
from PySide6.QtGui import QColor, QHelpEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from monitor_app.model.activity import Activity
from monitor_app.model.figures import is_short, span_captions
from monitor_app.model.spacing import legend_that_fits
from monitor_app.model.units import format_duration, format_share
from monitor_app.theme import Theme
from monitor_app.views.activity_brushes import brush_of, colour_of_word, fill, is_hatched
from monitor_app.views.channel_shapes import draw_shape
from monitor_app.views.parts import as_tip, put_name, put_text, sized
from monitor_app.views.time_axis import TimeScale

ROW_HEIGHT: Final = 16
LEGEND_HEIGHT: Final = 18
_ORDER: Final = (
    Activity.SENDING,
    Activity.NO_MESSAGES,
    Activity.NO_BYTES,
    Activity.PAUSED_BY_US,
    Activity.PAUSED_BY_PEER,
    Activity.OFFLINE,
    Activity.SILENT,
    Activity.DETACHED,
    Activity.IDLE,
)
_RARE: Final = frozenset({Activity.OFFLINE, Activity.SILENT, Activity.DETACHED})
_HATCH_BESIDE: Final = 9
"""How much of a hatch is left at either side of its words at least: less is no hatch any more."""
_SEAM: Final = 2
"""Of a part that is wider than this, its last pixel parts it from the next one, whose colour may be like its own."""
_EDGE: Final = 8
_BOX: Final = 22
_GAP: Final = 14
"""In the legend: what is free at its ends, what a box takes beside its word, and what is free between two words at most."""
Shares = Mapping[str, Mapping[Activity, float]]


class TimeStrip(QWidget):
    """One bar a channel, and a legend of words and fills above.

    Attributes:
        captions: Which span the shares are of and how much of it was seen, in words; the fewest come last.
    """

    def __init__(self, theme: Theme, values_width: int) -> None:
        super().__init__()
        self._theme = theme
        self._values_width = values_width
        self._channels: Sequence[tuple[str, int]] = ()
        self._shares: Shares = {}
        self._seen: Mapping[str, float] = {}
        self._span_s = 0.0
        self.captions: Sequence[str] = ("",)
        self._chosen = ""
        self._more = 0
        self._left_px, self._width_px = 0, 1
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("How each channel spent the visible time")

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return room for the legend, every channel that is shown, and a line for those that are not."""
        return QSize(200, LEGEND_HEIGHT + ROW_HEIGHT * (len(self._channels) + bool(self._more)) + 4)

    def choose(self, channel: str) -> None:
        """Underlay the bar of `channel`."""
        self._chosen = channel
        self.update()

    def show_shares(
        self, channels: Sequence[tuple[str, int]], more: int, shares: Shares, seen: Mapping[str, float], scale: TimeScale
    ) -> None:
        """Show parts of the span of `scale` by channel, each with its place among all; the bars lie below the plots.

        `more`: how many channels have no room; `shares` has them too, for those who hear them. `seen`: by channel, of how many
        seconds the shares are.
        """
        grows = (len(channels), more > 0) != (len(self._channels), self._more > 0)
        self._channels, self._more, self._shares, self._seen = channels, more, shares, seen
        if grows:
            self.updateGeometry()
        self._span_s = scale.right_s - scale.left_s
        self.captions = span_captions(self._span_s, max(seen.values(), default=math.inf))
        self._left_px, self._width_px = scale.left_px, scale.width_px
        self.setAccessibleDescription("; ".join(self._told(name) for name in shares))
        self.update()

    def event(self, event: QEvent) -> bool:
        """Tell all shares of the bar that is pointed at: not every one has the room for its number."""
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip:
            row = (event.pos().y() - LEGEND_HEIGHT) // ROW_HEIGHT
            name = self._channels[row][0] if 0 <= row < len(self._channels) else ""
            QToolTip.showText(event.globalPos(), as_tip(self._told(name)) if name else "", self)
            return True
        return super().event(event)

    def _told(self, name: str) -> str:
        """Return how a channel spent the span, in words, and of how much of it that is known where that is less."""
        seen_s = self._seen.get(name, math.inf)
        of = f", of {format_duration(seen_s)} seen" if is_short(self._span_s, seen_s) else ""
        return f"{name}: {spoken(self._shares.get(name, {}))}{of}"

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's name and signature
        """Paint the legend and the bars."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self._theme.colours.panel))
        painter.setFont(sized(self.font(), 10))
        self._paint_legend(painter)
        for row, (channel, place) in enumerate(self._channels):
            line = QRect(0, LEGEND_HEIGHT + row * ROW_HEIGHT, self.width(), ROW_HEIGHT)
            self._paint_row(painter, line, channel, place)
        if self._more:
            top = LEGEND_HEIGHT + len(self._channels) * ROW_HEIGHT
            words = f"{self._more} more in the table"
            put_text(painter, QRect(20, top, self.width() - 24, ROW_HEIGHT), words, self._theme.colours.muted)
        painter.end()

    def _paint_legend(self, painter: QPainter) -> None:
        """Say which span the shares are of, and name the fills: of those that do not all fit the ones that are seen."""
        colours = self._theme.colours
        painter.fillRect(0, 0, self.width(), LEGEND_HEIGHT, QColor(colours.header))
        metrics = painter.fontMetrics()
        room = self.width() - 2 * _EDGE
        widths = {activity: metrics.horizontalAdvance(activity.value) + _BOX for activity in Activity}
        captions = {words: metrics.horizontalAdvance(words) + _GAP for words in self.captions}
        caption, named = legend_that_fits(legends_of(self._shares), widths, captions, room)
        put_text(painter, QRect(_EDGE, 0, captions[caption], LEGEND_HEIGHT), caption, colours.muted)
        spare = (room - captions[caption] - sum(widths[activity] for activity in named)) // max(1, len(named) - 1)
        left = _EDGE + captions[caption]
        for activity in named:
            box = QRect(left, 4, 12, 9)
            fill(painter, box, Activity.IDLE, colours, QColor())  # its frame is that of all
            if activity is not Activity.IDLE:
                fill(painter, box.adjusted(1, 1, -1, -1), activity, colours, QColor(colours.muted))
            put_text(painter, QRect(left + 16, 0, widths[activity], LEGEND_HEIGHT), activity.value, colours.text)
            left += widths[activity] + max(0, min(spare, _GAP))

    def _paint_row(self, painter: QPainter, line: QRect, channel: str, place: int) -> None:
        colours = self._theme.colours
        chosen = channel == self._chosen
        if chosen:
            painter.fillRect(line, QColor(colours.selected))
        colour = self._theme.channel_colour(channel, place)
        draw_shape(painter, channel, place, QPointF(11, line.center().y() + 0.5), colour)
        painter.setFont(sized(self.font(), 10, bold=chosen))
        put_name(painter, QRect(20, line.top(), self._left_px - 22, ROW_HEIGHT), channel, colours.text)
        shares = self._shares.get(channel, {})
        bar = QRect(self._left_px, line.top() + 2, self._width_px, ROW_HEIGHT - 4)
        painter.fillRect(bar, QColor(colours.field))
        self._paint_bar(painter, bar, shares, colour)
        worst = greatest_wait(shares)
        said = "no wait" if worst is None else f"{worst.value} {format_share(shares[worst])}"
        words = QRect(self.width() - self._values_width + 8, line.top(), self._values_width - 10, ROW_HEIGHT)
        painter.setFont(sized(self.font(), 10, bold=worst is not None))
        put_text(painter, words, said, colours.muted if worst is None else colour_of_word(worst, colours))

    def _paint_bar(self, painter: QPainter, bar: QRect, shares: Mapping[Activity, float], colour: QColor) -> None:
        colours = self._theme.colours
        painter.setFont(sized(self.font(), 10))
        at = 0.0
        for activity in _ORDER:
            share = shares.get(activity, 0.0)
            left, right = round(bar.width() * at), round(bar.width() * (at + share))
            at += share
            if right <= left:
                continue
            part = QRect(bar.left() + left, bar.top(), right - left, bar.height())
            fill(painter, part.adjusted(0, 0, -1, 0) if part.width() > _SEAM else part, activity, colours, colour)
            self._paint_percent(painter, part, activity, share, colour)

    def _paint_percent(self, painter: QPainter, part: QRect, activity: Activity, share: float, colour: QColor) -> None:
        """Write the share into its part where it fits, on a ground of its own where the part is hatched."""
        colours = self._theme.colours
        metrics = painter.fontMetrics()
        texts = (f"{activity.value} {format_share(share)}", format_share(share))
        hatched = is_hatched(activity)
        margin = 8 + (2 * _HATCH_BESIDE if hatched else 0)
        text = next((text for text in texts if metrics.horizontalAdvance(text) + margin <= part.width()), "")
        if not text:
            return
        ground = brush_of(activity, colours, colour).color()
        place = QRect(part.left() + 2, part.top(), metrics.horizontalAdvance(text) + 6, part.height())
        if hatched:  # in the middle, so that the hatch is seen to begin and to end where it does
            place.moveLeft(part.left() + (part.width() - place.width()) // 2)
            ground = QColor(colours.field)
            painter.fillRect(place, ground)
        ink = "#000000" if _is_light(ground) else "#FFFFFF"
        put_text(painter, place.adjusted(3, 0, 0, 0), text, ink)


def _is_light(colour: QColor) -> bool:
    """Return whether black is better to read on a ground than white."""
    return 0.299 * colour.redF() + 0.587 * colour.greenF() + 0.114 * colour.blueF() > 0.5  # noqa: PLR2004 - the middle of 0 to 1


def greatest_wait(shares: Mapping[Activity, float]) -> Activity | None:
    """Return the activity other than sending and idling that took most; None when nothing held the channel."""
    waits = {activity: share for activity, share in shares.items() if activity.stands and share > 0}
    return max(waits, key=lambda activity: waits[activity], default=None)


def legends_of(shares: Shares) -> tuple[list[Activity], list[Activity]]:
    """Return what the legend names: everything, of what is rare that which is seen; and, for want of room, what is seen."""
    seen = {activity for spent in shares.values() for activity, share in spent.items() if share}
    named = [activity for activity in _ORDER if activity not in _RARE or activity in seen]
    return named, [activity for activity in named if activity in seen]


def spoken(shares: Mapping[Activity, float]) -> str:
    """Return the shares as words, for those who hear them."""
    return ", ".join(f"{activity.value} {format_share(shares[activity])}" for activity in _ORDER if shares.get(activity))
