"""The columns beside the plots: their titles on the left, the curves' shapes and values on the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from PySide6.QtCore import QPointF, QRect
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from monitor_app.model.history import METRICS
from monitor_app.model.spacing import spread
from monitor_app.model.units import NONE, format_number, format_tick
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
_NUMBERS_WIDTH: Final = 48
_TICK_HEIGHT: Final = 11
Ticks = Sequence[Sequence[tuple[float, float]]]
"""For each of `METRICS` the values that are marked, and the share of the height that lies above them."""
_NAME_AT: Final = 19
_MARGIN: Final = 8
_MAX_LINE: Final = 15
_MIN_LINE: Final = 12
_BETWEEN: Final = 3
"""How far a block of values may reach into the space between two plots, where it needs it."""
_APART: Final = 10
_CURVE_END: Final = 3
"""How far apart the middles of two shapes are at least, and how long a line is drawn on from the end of a curve."""
Lines = Sequence[tuple[str, int, float | None]]
"""Channels, their places among all, and their values."""
Values = Sequence[Lines]
"""Lines for each of `METRICS`."""


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
            put_text(painter, place, format_tick(value), self._theme.colours.muted, right=True)


class EdgeShapes(QWidget):
    """The shape of each channel where its curve meets the right edge, so that no curve is known by its colour alone."""

    def __init__(self, theme: Theme, y_of: Callable[[int, float], int | None]) -> None:
        super().__init__()
        self._theme = theme
        self._y_of = y_of
        self._rects: list[QRect] = []
        self._chosen = ""
        self._places: list[tuple[str, int, int, float]] = []
        self.setFixedWidth(EDGE_WIDTH)

    def arrange(self, rects: list[QRect]) -> None:
        """Keep the shapes at the height of their plots."""
        self._rects = rects

    def choose(self, channel: str) -> None:
        """Show the shape of `channel` even where there is no room for all."""
        self._chosen = channel

    def show_values(self, values: Values) -> None:
        """Show where the curves end. Painted only when one of them has moved."""
        blocks = enumerate(zip(self._rects, values, strict=False))
        places = [shape for metric, (rect, lines) in blocks if not rect.isEmpty() for shape in self._shapes(metric, rect, lines)]
        if places != self._places:
            self._places = places
            self.update()

    def _shapes(self, metric: int, rect: QRect, lines: Lines) -> list[tuple[str, int, int, float]]:
        """Return channel, place, end of the curve and middle of the shape of those that there is room for, none over another."""
        ends = [
            (channel, place, y)
            for channel, place, value in lines
            if value is not None and (y := self._y_of(metric, value)) is not None
        ]
        half = EDGE_WIDTH / 2  # of what lies at the foot of the last plot half would be cut off
        low, high = max(rect.top() + 2.0, half), min(rect.bottom(), self.height() - half)
        shown, _ = fitting(ends, self._chosen, max(1, 1 + int((high - low) / _APART)))
        middles = spread([y for _, _, y in shown], _APART, low, high)
        return [(*end, round(middle)) for end, middle in zip(shown, middles, strict=True)]

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's name and signature
        """Paint the shapes, and of each curve a bit more: a shape that made room for another stands beside its end."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self._theme.colours.panel))
        for channel, place, y, middle in self._places:
            colour = self._theme.channel_colour(channel, place)
            painter.fillRect(0, min(max(y, 0), self.height() - 1), _CURVE_END, 1, colour)
            draw_shape(painter, channel, place, QPointF((EDGE_WIDTH + _CURVE_END) / 2, middle), colour)
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

    def _paint_block(self, painter: QPainter, rect: QRect, lines: Lines) -> None:
        if not lines or rect.isEmpty():
            return
        block = rect.adjusted(0, -_BETWEEN, 0, _BETWEEN) & self.rect()
        height = max(_MIN_LINE, min(_MAX_LINE, block.height() // len(lines)))
        shown, more = fitting(lines, self._chosen, max(1, block.height() // height))
        top = block.top() if height * (len(shown) + bool(more)) > rect.height() else rect.top()
        for row, (channel, _, _) in enumerate(shown):  # before all words, which reach into the next line
            if channel == self._chosen:
                painter.fillRect(0, top + row * height, self.width(), height, QColor(self._theme.colours.selected))
        for row, line in enumerate(shown):
            self._paint_line(painter, QRect(0, top + row * height, self.width(), height), *line)
        if more:
            painter.setFont(sized(self.font(), 10))
            line_of_more = QRect(_NAME_AT, top + len(shown) * height, self.width() - _NAME_AT - _MARGIN, height)
            put_text(painter, line_of_more, f"{more} more", self._theme.colours.muted, right=True)

    def _paint_line(self, painter: QPainter, line: QRect, channel: str, place: int, value: float | None) -> None:
        """Write a name and its value; the name has the room that the value leaves."""
        colours = self._theme.colours
        draw_shape(painter, channel, place, QPointF(10, line.center().y() + 1), self._theme.channel_colour(channel, place))
        painter.setFont(sized(self.font(), 10, bold=True))
        text = _value_text(value)
        taken = painter.fontMetrics().horizontalAdvance(text) + _MARGIN + _BETWEEN
        put_text(painter, line.adjusted(_NAME_AT, 0, -_MARGIN, 0), text, colours.text, right=True)
        painter.setFont(sized(self.font(), 10))
        put_name(painter, line.adjusted(_NAME_AT, 0, -taken, 0), channel, colours.text)


def _value_text(value: float | None) -> str:
    return NONE if value is None else format_number(value)


def _spoken(values: Values) -> str:
    blocks = []
    for (first, second, unit), lines in zip(_TITLES, values, strict=False):
        said = ", ".join(f"{channel} {_value_text(value)}" for channel, _, value in lines)
        name = f"{first} {second}".rstrip()
        blocks.append(f"{name} in {unit}: {said}")
    return ". ".join(blocks)
