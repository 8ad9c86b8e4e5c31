"""Shapes at the right edge of the plots: those at the ends are whole."""

from __future__ import annotations

from PySide6.QtGui import QColor
from pytestqt.qtbot import QtBot

from monitor_app.theme import DARK, Mode, Theme
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
    whole = painted(edges, HEIGHT // 2)
    assert whole > 0
    assert painted(edges, 0) == painted(edges, HEIGHT) == whole
