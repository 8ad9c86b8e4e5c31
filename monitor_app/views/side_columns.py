"""The columns beside the plots: their titles on the left, legend and values in one on the right."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRect
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from monitor_app.model.history import METRICS, Window
from monitor_app.model.units import NONE, format_count
from monitor_app.theme import Theme
from monitor_app.views.parts import put_text, sized

TITLES_WIDTH: Final = 66
READOUT_WIDTH: Final = 124
_TITLES: Final = (("Message", "credit", "messages"), ("Byte", "credit", "KiB"), ("Backlog", "", "messages"))
_MAX_LINE: Final = 15
_MIN_LINE: Final = 11
_SMALL_VALUE: Final = 10


class PlotTitles(QWidget):
    """What each plot shows and in which unit."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._tops: list[int] = []
        self.setFixedWidth(TITLES_WIDTH)

    def arrange(self, rects: list[QRect]) -> None:
        """Put the titles at the height of their plots."""
        self._tops = [rect.top() for rect in rects]
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's name and signature
        """Paint the titles."""
        painter = QPainter(self)
        colours = self._theme.colours
        painter.fillRect(self.rect(), QColor(colours.panel))
        painter.setFont(sized(self.font(), 10))
        for top, (first, second, unit) in zip(self._tops, _TITLES, strict=False):
            lines = [(text, colours.text) for text in (first, second) if text] + [(unit, colours.muted)]
            for place, (text, colour) in enumerate(lines):
                put_text(painter, QRect(6, top + 13 * place, TITLES_WIDTH - 6, 13), text, colour)
        painter.end()


class ReadOut(QWidget):
    """The values of all curves, now or under the crosshair, beside their plots."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._rects: list[QRect] = []
        self._values: list[list[tuple[str, float | None]]] = [[] for _ in METRICS]
        self._chosen = ""
        self.setFixedWidth(READOUT_WIDTH)
        self.setAccessibleName("Values of the curves")

    def arrange(self, rects: list[QRect]) -> None:
        """Put the blocks at the height of their plots."""
        self._rects = rects
        self.update()

    def choose(self, channel: str) -> None:
        """Underlay the lines of `channel`."""
        self._chosen = channel
        self.update()

    def show_values(self, window: Window, time_s: float) -> None:
        """Show what held at `time_s`."""
        self._values = [
            [(channel, window.value_at(metric, channel, time_s)) for channel in window.channels] for metric in range(len(METRICS))
        ]
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's name and signature
        """Paint one block beside each plot."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self._theme.colours.panel))
        for rect, values in zip(self._rects, self._values, strict=False):
            self._paint_block(painter, rect, values)
        painter.end()

    def _paint_block(self, painter: QPainter, rect: QRect, values: list[tuple[str, float | None]]) -> None:
        if not values:
            return
        height = max(_MIN_LINE, min(_MAX_LINE, rect.height() // len(values)))
        for place, (channel, value) in enumerate(values[: max(1, rect.height() // height)]):
            line = QRect(0, rect.top() + place * height, self.width(), height)
            chosen = channel == self._chosen
            if chosen:
                painter.fillRect(line, QColor(self._theme.colours.selected))
            painter.fillRect(8, line.center().y() - 3, 8, 8, self._theme.channel_colour(channel, place))
            painter.setFont(sized(self.font(), 10))
            put_text(painter, line.adjusted(20, 0, -44, 0), channel, self._theme.colours.text)
            painter.setFont(sized(self.font(), 10, bold=True))
            put_text(painter, line.adjusted(70, 0, -8, 0), _value_text(value), self._theme.colours.text, right=True)


def _value_text(value: float | None) -> str:
    if value is None:
        return NONE
    return f"{value:.1f}" if value < _SMALL_VALUE and value != int(value) else format_count(round(value))
