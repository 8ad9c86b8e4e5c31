"""The time axis below the plots, and where a moment lies on the screen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from monitor_app.model.clock import Clock
from monitor_app.model.units import MINUS, format_moment, time_ticks
from monitor_app.theme import Theme
from monitor_app.views.parts import put_text, sized

HEIGHT: Final = 20
_GAP: Final = 6
_GAP_OF_CLOCK: Final = 14
"""Times of the day are long and alike: they stand further apart than seconds before now."""
_TAG_WIDTH: Final = 118


@dataclass(frozen=True)
class TimeScale:
    """Where a moment lies on the screen."""

    now_s: float
    """What the axis calls now."""
    left_s: float
    """The left edge, relative to now."""
    right_s: float
    left_px: int
    width_px: int

    def is_within_half_a_pixel(self, other: TimeScale) -> bool:
        """Return whether nothing would be seen to move from the one to the other."""
        if replace(self, now_s=other.now_s) != other:
            return False
        return abs(self.now_s - other.now_s) < (self.right_s - self.left_s) / max(1, self.width_px) / 2

    def x_of(self, time_s: float) -> float:
        """Return the place of an absolute time."""
        share = (time_s - self.now_s - self.left_s) / (self.right_s - self.left_s)
        return self.left_px + share * self.width_px


class TimeAxis(QWidget):
    """Marks the seconds before now, the moment under the crosshair, and says which moment the values are of."""

    def __init__(self, clock: Clock, theme: Theme, values_width: int) -> None:
        super().__init__()
        self._clock = clock
        self._theme = theme
        self._values_width = values_width
        self._scale = TimeScale(0.0, -1.0, 0.0, 0, 1)
        self._cursor_s: float | None = None
        self._when = ""
        self._live = True
        self.setFixedHeight(HEIGHT)

    def draw_frame(self, scale: TimeScale, cursor_s: float | None, when: str, *, live: bool) -> None:
        """Show `scale`; `cursor_s` is where the crosshair is, relative to the right edge, and `when` what the values are of.

        Times are relative to now while `live`, else of the day.
        """
        shown = (scale, cursor_s, when, live)
        if shown != (self._scale, self._cursor_s, self._when, self._live):
            self._scale, self._cursor_s, self._when, self._live = shown
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's name and signature
        """Paint labels, the crosshair's tag over them, and the words on the right."""
        painter = QPainter(self)
        colours = self._theme.colours
        painter.fillRect(self.rect(), QColor(colours.panel))
        painter.setFont(sized(self.font(), 10))
        scale = self._scale
        if self._live:
            left_time = self._clock.time_of_day(scale.now_s + scale.left_s)
            put_text(painter, QRect(6, 0, scale.left_px - 40, HEIGHT), left_time, colours.muted)
        words = QRect(self.width() - self._values_width + 8, 0, self._values_width - 10, HEIGHT)
        tag = QRect() if self._cursor_s is None else self._tag_rect(self._cursor_s)
        self._paint_moments(painter, tag, words.left())
        if self._cursor_s is not None:
            self._paint_tag(painter, tag, self._cursor_s)
        painter.fillRect(words, QColor(colours.panel))
        put_text(painter, words, self._when, colours.muted)
        painter.end()

    def _paint_moments(self, painter: QPainter, tag: QRect, words_left: int) -> None:
        """Write beside as many marks as there is room for when they are, the latest first."""
        scale, free_to = self._scale, self.width()
        for second in reversed(time_ticks(scale.left_s, scale.right_s)):
            moment = format_moment(second) if self._live else self._clock.time_of_day(scale.now_s + second)
            width = painter.fontMetrics().horizontalAdvance(moment) + (_GAP if self._live else _GAP_OF_CLOCK)
            label = QRect(round(scale.x_of(scale.now_s + second)) - width // 2, 0, width, HEIGHT)
            if not self._live:
                label.moveRight(min(label.right(), words_left - 6))
            if not label.intersects(tag) and label.right() <= free_to:
                free_to = label.left()
                painter.setPen(QColor(self._theme.colours.muted))
                painter.drawText(label, Qt.AlignmentFlag.AlignCenter, moment)

    def _tag_rect(self, cursor_s: float) -> QRect:
        """Return the place of the crosshair's tag: below it, and within the plots."""
        scale = self._scale
        x = round(scale.x_of(scale.now_s + cursor_s))
        left = max(scale.left_px, min(x - _TAG_WIDTH // 2, scale.left_px + scale.width_px - _TAG_WIDTH))
        return QRect(left, 1, _TAG_WIDTH, HEIGHT - 3)

    def _paint_tag(self, painter: QPainter, tag: QRect, cursor_s: float) -> None:
        colours = self._theme.colours
        painter.fillRect(tag, QColor(colours.text))
        painter.setPen(QColor(colours.panel))
        text = self._clock.time_of_day(self._scale.now_s + cursor_s, milliseconds=not self._live)
        text = f"{text}  {MINUS}{abs(cursor_s):.1f} s" if self._live else text
        painter.drawText(tag, Qt.AlignmentFlag.AlignCenter, text)
