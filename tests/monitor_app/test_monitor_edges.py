"""What is painted at the edges of the plots, and on the lines of their grid, is whole."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QRect
from PySide6.QtGui import QColor
from pytestqt.qtbot import QtBot

from monitor_app.theme import DARK, Mode, Theme
from monitor_app.views.plotting import Canvas
from monitor_app.views.side_columns import EDGE_WIDTH, EdgeShapes

HEIGHT = 60


def painted(edges: EdgeShapes, y: int) -> int:
    """Return how many pixels of a shape are seen whose value lies at `y`."""
    edges.show_values([[("USER", 0, float(y))], [], [], []])
    image = edges.grab().toImage()
    ground = QColor(DARK.panel)
    return sum(image.pixelColor(x, row) != ground for x in range(EDGE_WIDTH) for row in range(HEIGHT))


def test_a_shape_at_the_top_or_the_foot_is_whole(qtbot: QtBot) -> None:
    """A curve that ends at zero in the last plot has as much of a shape as one that ends in the middle."""
    edges = EdgeShapes(Theme(Mode.DARK), lambda _metric, value: int(value))
    qtbot.addWidget(edges)
    edges.resize(EDGE_WIDTH, HEIGHT)
    edges.arrange([QRect(0, 0, EDGE_WIDTH, HEIGHT)])
    whole = painted(edges, HEIGHT // 2)
    assert whole > 0
    assert painted(edges, 0) == painted(edges, HEIGHT) == whole


@pytest.mark.parametrize("mode", [Mode.DARK, Mode.LIGHT])
def test_a_curve_on_a_line_of_the_grid_is_seen(qtbot: QtBot, mode: Mode) -> None:
    """A balance that stands still at a tick's value is drawn over the grid, which is drawn on the plot's own ground."""
    canvas = Canvas(Theme(mode))
    qtbot.addWidget(canvas)
    canvas.resize(400, 400)
    canvas.set_span(30.0)
    plot, colour = canvas.plots[0], QColor("#ff00ff")
    plot.scale(1.0)
    assert 1.0 in plot.ticks
    plot.curve_of("USER", colour).setData(np.array([-30.0, 0.0]), np.array([1.0, 1.0]))
    with qtbot.waitExposed(canvas):
        canvas.show()
    image, box = canvas.grab().toImage(), canvas.rects()[0]
    across = range(box.left() + 2, box.right() - 2)
    seen = [image.pixelColor(x, y) for y in range(box.top(), box.bottom()) for x in across]
    assert seen.count(colour) >= len(across)
    assert seen.count(QColor(canvas._theme.colours.field)) > len(seen) / 2
