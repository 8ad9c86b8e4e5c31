"""Fills of activities and bars of credit stand out from what lies under them, and no label hides one."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import QRect
from PySide6.QtGui import QColor, QImage, QPainter
from pytestqt.qtbot import QtBot
from support.ink import contrast

from monitor_app.colours import DARK, LIGHT, Colours
from monitor_app.main_window import MainWindow
from monitor_app.model.activity import ACTIVITIES, Activity
from monitor_app.model.channel_view import WELL_KNOWN
from monitor_app.model.marks import MarkKind
from monitor_app.theme import Mode, Theme
from monitor_app.views.activity_brushes import brush_of, colour_of_word, fill, is_hatched
from monitor_app.views.channel_cells import Column
from monitor_app.views.signs import mark_colour
from monitor_app.views.time_axis import TimeScale
from monitor_app.views.time_strip import LEGEND_HEIGHT, ROW_HEIGHT, TimeStrip

SEEN = 3.0
READ = 4.5
LEFT, WIDTH = 100, 300
THEMES = [Mode.DARK, Mode.LIGHT]


def row_of(image: QImage, y: int, left: int, right: int) -> list[QColor]:
    """Return the pixels of a line, from left to right."""
    return [image.pixelColor(x, y) for x in range(left, right)]


def strip_of(qtbot: QtBot, mode: Mode, shares: dict[Activity, float], channel: str, *, chosen: bool) -> QImage:
    """Return a strip with one bar as it is seen."""
    strip = TimeStrip(Theme(mode), 100)
    qtbot.addWidget(strip)
    strip.resize(LEFT + WIDTH + 100, LEGEND_HEIGHT + ROW_HEIGHT)
    strip.choose(channel if chosen else "")
    place = WELL_KNOWN.index(channel)
    strip.show_shares([(channel, place)], 0, {channel: shares}, {channel: 30.0}, TimeScale(0.0, -30.0, 0.0, LEFT, WIDTH))
    return strip.grab().toImage()


@pytest.mark.parametrize("mode", THEMES)
@pytest.mark.parametrize("chosen", [False, True])
@pytest.mark.parametrize("activity", ACTIVITIES)
def test_every_fill_stands_out_from_its_row(qtbot: QtBot, mode: Mode, chosen: bool, activity: Activity) -> None:
    """Whatever a channel does: at the upper edge of its bar, in its middle and at its ends there is what is at least 3 to 1."""
    colours = Theme(mode).colours
    ground = QColor(colours.selected if chosen else colours.panel)
    for channel in WELL_KNOWN if activity is Activity.SENDING else WELL_KNOWN[:1]:
        image = strip_of(qtbot, mode, {activity: 1.0}, channel, chosen=chosen)
        top = LEGEND_HEIGHT + 2
        assert image.pixelColor(LEFT - 2, top) == ground
        for left, right in ((LEFT, LEFT + 6), (LEFT + WIDTH - 7, LEFT + WIDTH)):
            seen = [pixel for y in range(top, top + ROW_HEIGHT - 4) for pixel in row_of(image, y, left, right)]
            assert max(contrast(pixel, ground) for pixel in seen) >= SEEN, (activity, channel)


@pytest.mark.usefixtures("qapp")  # pixmaps need one
@pytest.mark.parametrize("colours", [DARK, LIGHT])
@pytest.mark.parametrize("activity", ACTIVITIES)
def test_a_fill_of_one_pixel_is_seen(colours: Colours, activity: Activity) -> None:
    """In a lane a time may be one pixel wide, and idling is one pixel high: somewhere in its height it stands out."""
    height = 1 if activity is Activity.IDLE else 10
    image = QImage(40, 16, QImage.Format.Format_RGB32)
    for ground in (colours.panel, colours.selected):
        for x in range(12):  # wherever the pattern begins
            image.fill(QColor(ground))
            painter = QPainter(image)
            fill(painter, QRect(x, 4, 1, height), activity, colours, QColor(colours.channels[2]))
            painter.end()
            seen = max(contrast(image.pixelColor(x, y), QColor(ground)) for y in range(4, 4 + height))
            assert seen >= SEEN


@pytest.mark.usefixtures("qapp")  # pixmaps need one
@pytest.mark.parametrize("colours", [DARK, LIGHT])
def test_what_a_hatch_is_made_of_stands_out_from_its_ground(colours: Colours) -> None:
    """The lines of every pattern have at least 3 to 1 against what is between them, and there are enough of them."""
    for activity in ACTIVITIES:
        if is_hatched(activity):
            tile = brush_of(activity, colours, QColor()).textureImage()
            pixels = [tile.pixelColor(x, y) for x in range(tile.width()) for y in range(tile.height())]
            lines = [pixel for pixel in pixels if contrast(pixel, QColor(colours.field)) >= SEEN]
            assert {pixel.name() for pixel in pixels} == {lines[0].name(), QColor(colours.field).name()}
            assert 0.2 <= len(lines) / len(pixels) <= 0.7, activity


@pytest.mark.parametrize("colours", [DARK, LIGHT])
def test_each_pause_is_written_in_the_colour_of_its_mark(colours: Colours) -> None:
    """Ours has the accent, the peer's has not; and every word can be read on its row, chosen or not."""
    assert QColor(colour_of_word(Activity.PAUSED_BY_US, colours)) == mark_colour(MarkKind.PAUSE_BY_US, colours)
    assert QColor(colour_of_word(Activity.PAUSED_BY_PEER, colours)) == mark_colour(MarkKind.PAUSE_BY_PEER, colours)
    assert colour_of_word(Activity.PAUSED_BY_PEER, colours) != colour_of_word(Activity.PAUSED_BY_US, colours)
    for activity in ACTIVITIES:
        for ground in (colours.panel, colours.selected):
            assert contrast(QColor(colour_of_word(activity, colours)), QColor(ground)) >= READ


@pytest.mark.parametrize("mode", THEMES)
@pytest.mark.parametrize("share", [0.02, 0.06, 0.09, 0.12, 0.2, 0.31, 0.6])
def test_no_label_hides_a_share(qtbot: QtBot, mode: Mode, share: float) -> None:
    """A hatch is seen to begin and to end where it does: a label in it lies in its middle, or there is none."""
    colours = Theme(mode).colours
    shares = {Activity.SENDING: 1.0 - share, Activity.PAUSED_BY_PEER: share}
    image = strip_of(qtbot, mode, shares, "AGENT", chosen=False)
    right = LEFT + WIDTH
    left = right - round(WIDTH * share)
    parts = ((left, min(left + 6, right)), (max(left, right - 7), right))
    for first, last in parts:
        pixels = [pixel for y in range(LEGEND_HEIGHT + 2, LEGEND_HEIGHT + 14) for pixel in row_of(image, y, first, last)]
        assert pixels.count(QColor(colours.accent)) >= len(pixels) / 5


@pytest.mark.parametrize("mode", THEMES)
def test_the_bars_of_credit_are_seen_on_every_row(window: MainWindow, source: Any, mode: Mode) -> None:
    """Empty or full, of the chosen channel or not: frame, fill and the line of what is low stand out from what they lie on."""
    window.actions_.modes[mode].trigger()
    for balance in (0, 100):
        for channel in WELL_KNOWN:
            source.change(channel, credits=balance, max_credits=100, peak_credits=100)
        window.refresh()
        colours = window._theme.colours
        image = window.table.viewport().grab().toImage()
        for row, channel in enumerate(WELL_KNOWN):
            ground = QColor(colours.selected if channel == window.table.chosen else colours.panel)
            cell = window.table.visualRect(window.table.model().index(row, Column.MESSAGES))
            frame_y = cell.top() + 5 + 17 + 4
            across = row_of(image, frame_y, cell.left() + 14, cell.right() - 5)
            assert min(contrast(pixel, ground) for pixel in across) >= SEEN
            middle = row_of(image, frame_y + 3, cell.left() + 13, cell.right() - 5)
            line = middle.index(QColor(colours.text))
            assert all(contrast(middle[line], middle[line + step]) >= SEEN for step in (-1, 1))
            if balance:
                assert contrast(middle[-3], ground) >= SEEN
