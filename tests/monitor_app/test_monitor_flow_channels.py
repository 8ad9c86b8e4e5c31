"""Which channels the plots and the strip below them show, and in which order, where there is more than room."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QColor, QHelpEvent
from PySide6.QtWidgets import QApplication, QToolTip
from pytestqt.qtbot import QtBot
from support.states import CHANNELS, make_channel, make_connection

from monitor_app import theme
from monitor_app.main_window import MainWindow
from monitor_app.model.visibility import fitting
from monitor_app.views.time_strip import LEGEND_HEIGHT, TimeStrip

LEFT = Qt.MouseButton.LeftButton


def test_a_hidden_channel_is_not_drawn_and_one_can_be_shown_alone(qtbot: QtBot, lived: MainWindow) -> None:
    """A click on the swatch hides, with Alt it singles out; H and S do the same for the chosen channel."""
    curves = lived.flow._plots.canvas.plots[0].curves
    rect = lived.table.visualRect(lived.table.model().index(0, 0))
    swatch = QPoint(rect.left() + 12, rect.top() + 12)
    qtbot.mouseClick(lived.table.viewport(), LEFT, pos=swatch)
    lived.refresh()
    assert not curves["USER"].isVisible()
    qtbot.mouseClick(lived.table.viewport(), LEFT, pos=swatch)
    qtbot.mouseClick(lived.table.viewport(), LEFT, Qt.KeyboardModifier.AltModifier, swatch)
    lived.refresh()
    assert [name for name, curve in curves.items() if curve.isVisible()] == ["USER"]
    qtbot.keyClick(lived.table, Qt.Key.Key_S)
    qtbot.keyClick(lived.table, Qt.Key.Key_H)
    lived.refresh()
    assert not curves["USER"].isVisible()


def test_the_curve_of_the_chosen_channel_lies_on_top(lived: MainWindow) -> None:
    """Where several channels have the same balance, the one that is looked at is seen, whichever was made first."""
    for chosen in ("USER", "AGENT", "USER"):
        lived.table.choose(chosen)
        lived.refresh()
        for plot in lived.flow._plots.canvas.plots:
            assert max(plot.curves, key=lambda name, plot=plot: plot.curves[name].zValue()) == chosen
            assert [curve.zValue() for curve in plot.curves.values()].count(1.0) == 1
            plot.add_gap()
            assert all(part.zValue() > 1.0 for part in plot.gaps[-1]), "what was never measured stays covered"


def test_idle_channels_are_folded_away(qtbot: QtBot, lived: MainWindow) -> None:
    """Only what is used or chosen is drawn; the title says how many are folded, and its button brings them back."""
    bar = lived.flow._bar
    assert bar.fold.text() == "4 idle folded"
    assert [name for name, _ in lived.flow.picture.frame().placed] == ["USER"]
    lived.table.choose("AGENT")
    assert [name for name, _ in lived.flow.picture.frame().placed] == ["USER", "AGENT"]
    qtbot.mouseClick(bar.fold, LEFT)
    assert len(lived.flow.picture.frame().shown) == 5
    assert bar.fold.text() == "Fold idle"


def test_a_channel_that_has_come_to_rest_is_folded_once_it_is_out_of_sight(lived: MainWindow, source: Any, clock: Any) -> None:
    """As long as something of it is visible, and for a minute at least, it stays; what comes in brings it back at once."""
    lived.table.choose("AGENT")

    def shown() -> list[str]:
        return list(lived.flow.picture.frame().shown)

    source.change("USER", sent_messages=61, granted=101)
    lived.ingest.tick()
    assert shown() == ["USER", "AGENT"]
    lived.show_span(30.0)
    for _ in range(50):
        clock.time_s += 1.0
        lived.ingest.tick()
    assert shown() == ["USER", "AGENT"], "out of sight, but not for a minute"
    for _ in range(20):
        clock.time_s += 1.0
        lived.ingest.tick()
    assert shown() == ["AGENT"]
    source.change("USER", received_messages=1)
    lived.ingest.tick()
    assert shown() == ["USER", "AGENT"]


@pytest.mark.parametrize(("room", "kept", "more"), [(5, "abcde", 0), (4, "abc", 2), (3, "ae", 3), (1, "e", 4)])
def test_where_there_is_no_room_for_all_the_chosen_one_is_kept(room: int, kept: str, more: int) -> None:
    """What is left out is counted, and a line is kept to say so."""
    lines = [(name, place) for place, name in enumerate("abcde")]
    chosen = "e" if "e" in kept else "b"
    assert fitting(lines, chosen, room) == ([line for line in lines if line[0] in kept], more)


def test_more_channels_than_there_is_room_for_push_nothing_out(window: MainWindow, source: Any, clock: Any) -> None:
    """With twenty busy channels the window keeps its size and the plots half of the height; who is chosen has a lane."""
    names = [f"WORKER_{number}" for number in range(20)]
    for sent in range(3):
        busy = make_channel(sent_messages=sent)
        source.state = make_connection(channels={**dict.fromkeys(CHANNELS, make_channel()), **dict.fromkeys(names, busy)})
        clock.time_s += 1.0
        window.refresh()
    window.table.choose("WORKER_19")
    for _ in range(3):
        window.refresh()
        QApplication.processEvents()
    assert (window.width(), window.height()) == (1280, 800)
    assert window.docks.by_name["log"].geometry().bottom() < 800 - window.statusBar().height()
    plots, flow = window.flow._plots.area(), window.flow.height()
    assert plots.height() > 0.35 * flow
    assert [name for name, _ in window.flow._lanes._channels][-1] == "WORKER_19"
    assert window.flow._lanes._more == window.flow._times._more == 20 - len(window.flow._lanes._channels) > 10
    assert "WORKER_5: " in window.flow._times.accessibleDescription(), "who cannot see hears of all"


def test_the_strip_tells_how_the_visible_time_was_spent(lived: MainWindow, source: Any, clock: Any) -> None:
    """Percentages are those of the visible span and change with it."""
    source.change("USER", paused_by_us=True)
    lived.ingest.tick()
    for _ in range(60):
        clock.time_s += 1.0
        lived.ingest.tick()
    lived.refresh()
    strip = lived.flow.findChild(TimeStrip)
    assert strip is not None
    assert "USER: " in strip.accessibleDescription()
    assert "paused by us 50 %" in strip.accessibleDescription()
    lived.show_span(30.0)
    lived.refresh()
    assert "USER: paused by us 100 %" in strip.accessibleDescription()


def test_a_bar_that_is_pointed_at_tells_all_its_shares(qtbot: QtBot, lived: MainWindow) -> None:
    """A share that is too narrow for its number is told by the tip of its bar; beside the bars there is none."""
    strip = lived.flow.findChild(TimeStrip)
    assert strip is not None
    for y, words in ((LEGEND_HEIGHT + 5, "USER: "), (3, "")):
        place = QPoint(200, y)
        QApplication.sendEvent(strip, QHelpEvent(QEvent.Type.ToolTip, place, strip.mapToGlobal(place)))
        qtbot.waitUntil(lambda words=words: QToolTip.text().startswith(words) and bool(QToolTip.text()) == bool(words))
    assert "%" in strip.accessibleDescription()


def test_every_time_without_a_connection_is_hatched_and_only_that(lived: MainWindow, source: Any, clock: Any) -> None:
    """One gap, two, and none any more once they are out of sight; what covers them has the theme's colours."""

    def hatched() -> list[bool]:
        """Return of which tenths of the visible span there is anything hatched in the first plot."""
        lived.refresh()
        image, rect = lived.flow._plots.canvas.grab().toImage(), lived.flow._plots.rects()[0]
        muted = QColor(lived.flow._theme.colours.muted)
        columns = [
            any(image.pixelColor(x, y) == muted for y in range(rect.top() + 2, rect.bottom() - 1))
            for x in range(rect.left(), rect.left() + rect.width() // 10 * 10)
        ]
        tenth = len(columns) // 10
        return [sum(columns[at : at + tenth]) > tenth // 2 for at in range(0, tenth * 10, tenth)]

    lived.show_span(30.0)
    assert not any(hatched())
    stands = source.state
    for second in range(24):
        if second % 12 == 0:
            source.lose()
        elif second % 12 == 6:
            source.state, source.failure = stands, None
        lived.ingest.tick()
        clock.time_s += 1.0
    assert hatched() == [at in (2, 3, 6, 7) for at in range(10)]
    lived.actions_.modes[theme.Mode.LIGHT].trigger()
    assert hatched() == [at in (2, 3, 6, 7) for at in range(10)]
    clock.time_s += 31.0
    assert not any(hatched())
