"""The columns beside the plots: their titles on the left, the curves' shapes and values on the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from PySide6.QtCore import QPointF, QRect
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from monitor_app.model.history import METRICS
from monitor_app.model.units import NONE, format_count, format_number
from monitor_app.model.visibility import fitting
from monitor_app.theme import Theme
from monitor_app.views.channel_shapes import draw_shape
from monitor_app.views.parts import put_name, put_text, sized

TITLES_WIDTH: Final = 106
EDGE_WIDTH: Final = 14
READOUT_WIDTH: Final = 124
_TITLES: Final = (
    ("Message", "credit", "messages"),
    ("Byte", "credit", "KiB"),
    ("Backlog", "", "messages"),
    ("Send", "rate", "msg/s"),
)
_NUMBERS_WIDTH: Final = 44
_TICK_HEIGHT: Final = 11
Ticks = Sequence[Sequence[tuple[float, float]]]
"""For each of `METRICS` the values that are marked, and the share of the height that lies above them."""
_MAX_LINE: Final = 15
_MIN_LINE: Final = 11
Values = Sequence[Sequence[tuple[str, int, float | None]]]
"""For each of `METRICS` the channels, their places among all, and their values."""


class PlotTitles(QWidget):
    """What each plot shows and in which unit, and the numbers of its axis."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._rects: list[QRect] = []
        self._ticks: Ticks = [[] for _ in METRICS]
        self.setFixedWidth(TITLES_WIDTH)

    def arrange(self, rects: list[QRect]) -> None:
        """Put the titles at the height of their plots."""
        self._rects = rects
        self.update()

    def show_ticks(self, ticks: Ticks) -> None:
        """Show the numbers of the axes. Painted only when one of them is another."""
        if ticks != self._ticks:
            self._ticks = ticks
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's name and signature
        """Paint the titles."""
        painter = QPainter(self)
        colours = self._theme.colours
        painter.fillRect(self.rect(), QColor(colours.panel))
        painter.setFont(sized(self.font(), 10))
        for rect, title, ticks in zip(self._rects, _TITLES, self._ticks, strict=False):
            if not rect.isEmpty():
                self._paint_title(painter, rect, title)
                self._paint_ticks(painter, rect, ticks)
        painter.end()

    def _paint_title(self, painter: QPainter, rect: QRect, title: tuple[str, str, str]) -> None:
        *words, unit = title
        lines = [(text, self._theme.colours.text) for text in words if text] + [(unit, self._theme.colours.muted)]
        for place, (text, colour) in enumerate(lines):
            put_text(painter, QRect(6, rect.top() + 13 * place, TITLES_WIDTH - _NUMBERS_WIDTH - 6, 13), text, colour)

    def _paint_ticks(self, painter: QPainter, rect: QRect, ticks: Sequence[tuple[float, float]]) -> None:
        """Write the numbers beside their lines; those at the ends stay within the plot's height, apart from the next plot's."""
        for value, share in ticks:
            top = rect.top() + round(rect.height() * share) - _TICK_HEIGHT // 2
            top = max(rect.top(), min(top, rect.bottom() - _TICK_HEIGHT + 1))
            place = QRect(TITLES_WIDTH - _NUMBERS_WIDTH, top, _NUMBERS_WIDTH - 4, _TICK_HEIGHT)
            put_text(painter, place, format_count(round(value)), self._theme.colours.muted, right=True)


class EdgeShapes(QWidget):
    """The shape of each channel where its curve meets the right edge, so that no curve is known by its colour alone."""

    def __init__(self, theme: Theme, y_of: Callable[[int, float], int | None]) -> None:
        super().__init__()
        self._theme = theme
        self._y_of = y_of
        self._places: list[tuple[int, str, int]] = []
        self.setFixedWidth(EDGE_WIDTH)

    def show_values(self, values: Values) -> None:
        """Show where the curves end. Painted only when one of them has moved."""
        places = [
            (y, channel, place)
            for metric, lines in enumerate(values)
            for channel, place, value in lines
            if value is not None and (y := self._y_of(metric, value)) is not None
        ]
        if places != self._places:
            self._places = places
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's name and signature
        """Paint the shapes."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self._theme.colours.panel))
        half = EDGE_WIDTH / 2
        for y, channel, place in self._places:
            inside_y = min(max(y, half), self.height() - half)  # of what lies at the foot of the last plot half would be cut off
            draw_shape(painter, channel, place, QPointF(half, inside_y), self._theme.channel_colour(channel, place))
        painter.end()


class ReadOut(QWidget):
    """The values of all curves, now or under the crosshair, beside their plots."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._rects: list[QRect] = []
        self._values: Values = [[] for _ in METRICS]
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

    def show_values(self, values: Values) -> None:
        """Show values."""
        self._values = values
        self.setAccessibleDescription(_spoken(values))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's name and signature
        """Paint one block beside each plot."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self._theme.colours.panel))
        for rect, lines in zip(self._rects, self._values, strict=False):
            self._paint_block(painter, rect, lines)
        painter.end()

    def _paint_block(self, painter: QPainter, rect: QRect, lines: Sequence[tuple[str, int, float | None]]) -> None:
        if not lines or rect.isEmpty():
            return
        height = max(_MIN_LINE, min(_MAX_LINE, rect.height() // len(lines)))
        shown, more = fitting(lines, self._chosen, max(1, rect.height() // height))
        for row, (channel, _, _) in enumerate(shown):  # before all words, which reach into the next line
            if channel == self._chosen:
                ground = QColor(self._theme.colours.selected)
                painter.fillRect(0, rect.top() + row * height, self.width(), height, ground)
        for row, (channel, place, value) in enumerate(shown):
            line = QRect(0, rect.top() + row * height, self.width(), height)
            draw_shape(painter, channel, place, QPointF(10, line.center().y() + 1), self._theme.channel_colour(channel, place))
            painter.setFont(sized(self.font(), 10))
            put_name(painter, line.adjusted(19, 0, -44, 0), channel, self._theme.colours.text)
            painter.setFont(sized(self.font(), 10, bold=True))
            put_text(painter, line.adjusted(70, 0, -8, 0), _value_text(value), self._theme.colours.text, right=True)
        if more:
            painter.setFont(sized(self.font(), 10))
            line = QRect(19, rect.top() + len(shown) * height, self.width() - 27, height)
            put_text(painter, line, f"{more} more", self._theme.colours.muted, right=True)


def _value_text(value: float | None) -> str:
    return NONE if value is None else format_number(value)


def _spoken(values: Values) -> str:
    blocks = []
    for (first, second, unit), lines in zip(_TITLES, values, strict=False):
        said = ", ".join(f"{channel} {_value_text(value)}" for channel, _, value in lines)
        blocks.append(f"{first} {second} in {unit}: {said}")
    return ". ".join(blocks)
