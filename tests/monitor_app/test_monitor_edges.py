"""What is painted at the edges of the plots, and on the lines of their grid, is whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QRect
from PySide6.QtGui import QColor, QImage
from pytestqt.qtbot import QtBot
from support.still_clock import StillClock

from monitor_app.colours import DARK
from monitor_app.model.channel_view import WELL_KNOWN
from monitor_app.model.ingest import Ingest
from monitor_app.model.marks import MarkKind
from monitor_app.theme import Mode, Theme
from monitor_app.views.lane_strip import LaneStrip
from monitor_app.views.plotting import Canvas
from monitor_app.views.side_columns import EDGE_WIDTH, EdgeShapes
from monitor_app.views.time_axis import TimeScale

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


def shapes_of(qtbot: QtBot, values: list[float], chosen: str = "") -> list[int]:
    """Return how many pixels have the colour of each channel, whose curves end at these values."""
    edges = EdgeShapes(Theme(Mode.DARK), lambda _metric, value: int(value))
    qtbot.addWidget(edges)
    edges.resize(EDGE_WIDTH, HEIGHT)
    edges.arrange([QRect(0, 0, EDGE_WIDTH, HEIGHT)])
    edges.choose(chosen)
    edges.show_values([[(channel, place, value) for place, (channel, value) in enumerate(zip(WELL_KNOWN, values, strict=False))]])
    image = edges.grab().toImage()
    pixels = [image.pixelColor(x, y).name().upper() for x in range(3, EDGE_WIDTH) for y in range(HEIGHT)]  # without the lines
    return [pixels.count(colour) for colour in DARK.channels]


def test_the_shapes_of_curves_that_end_together_are_all_seen(qtbot: QtBot) -> None:
    """Five at one height have as many pixels each as five that end far apart, at the top, in the middle and at the foot."""
    apart = shapes_of(qtbot, [5.0, 17.0, 29.0, 41.0, 53.0])
    assert min(apart) > 15
    for height in (0.0, 30.0, 60.0):
        assert shapes_of(qtbot, [height] * 5) == apart


def test_without_room_for_all_shapes_that_of_the_chosen_channel_is_seen(qtbot: QtBot) -> None:
    """A plot that is half as high has room for some of them."""
    edges = EdgeShapes(Theme(Mode.DARK), lambda _metric, value: int(value))
    qtbot.addWidget(edges)
    edges.resize(EDGE_WIDTH, HEIGHT)
    edges.arrange([QRect(0, 0, EDGE_WIDTH, HEIGHT // 2)])
    edges.choose(WELL_KNOWN[4])
    edges.show_values([[(channel, place, 9.0) for place, channel in enumerate(WELL_KNOWN)]])
    image = edges.grab().toImage()
    seen = {image.pixelColor(x, y).name().upper() for x in range(4, EDGE_WIDTH) for y in range(HEIGHT)}
    assert [colour in seen for colour in DARK.channels] == [True, False, False, False, True]


def lane_of(qtbot: QtBot, source: Any, *ago_s: float) -> QImage:
    """Return a lane of 30 seconds in which the peer paused so long ago, once or several times."""
    clock = StillClock()
    ingest = Ingest(source, clock)
    ingest.tick()
    clock.time_s += 60.0
    for before_s in ago_s:
        ingest.marks.add(MarkKind.ERROR, "USER", clock.time_s - before_s)
    lanes = LaneStrip(ingest, Theme(Mode.DARK), 50)
    qtbot.addWidget(lanes)
    lanes.resize(450, 20)
    lanes.draw_frame(TimeScale(clock.time_s, -30.0, 0.0, 100, 300), [("USER", 0)], 0, ())
    return lanes.grab().toImage().copy(100, 0, 300, 20)


def test_signs_at_the_edges_of_a_lane_are_whole_and_do_not_lie_on_each_other(qtbot: QtBot, source: Any) -> None:
    """A sign at an edge has as many pixels as one elsewhere, and so have two of which one has no room beside the other."""
    ink = QColor(DARK.starved)

    def inked(*ago_s: float) -> int:
        image = lane_of(qtbot, source, *ago_s)
        return sum(image.pixelColor(x, y) == ink for x in range(image.width()) for y in range(image.height()))

    alone = inked(10.0)
    assert alone > 30
    assert inked(0.0) == inked(1.2) == inked(1.2, 0.1) == inked(29.9) == alone
    assert inked(1.9, 0.1) == 2 * alone


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
