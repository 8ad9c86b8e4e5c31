"""The plots under mouse and keys."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QHelpEvent, QImage, QWheelEvent
from PySide6.QtWidgets import QApplication, QLabel, QToolTip
from pytestqt.qtbot import QtBot
from support.states import CHANNELS, make_channel, make_connection, make_grant

from monitor_app import theme
from monitor_app.main_window import MainWindow
from monitor_app.model.export import Export, Format
from monitor_app.model.figures import rows_of, span_words
from monitor_app.model.source import Notice
from monitor_app.model.viewport import Mode
from monitor_app.model.visibility import fitting
from monitor_app.views.figures_view import FiguresView
from monitor_app.views.flow_bar import FlowBar
from monitor_app.views.side_columns import ReadOut
from monitor_app.views.time_strip import LEGEND_HEIGHT, TimeStrip

LEFT = Qt.MouseButton.LeftButton
SHIFT = Qt.KeyboardModifier.ShiftModifier
CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def lived(window: MainWindow, source: Any, clock: Any) -> MainWindow:
    """Return a window that has seen two minutes: credit falls from 100 to 40 and stays."""
    for second in range(120):
        source.change("USER", credits=max(40, 100 - second), sent_messages=min(60, second), granted=100)
        clock.time_s += 1.0
        window.ingest.tick()
    for _ in range(3):  # what is shown decides how much room there is, which decides what is shown
        window.refresh()
        QApplication.processEvents()
    return window


def at(window: MainWindow, share: float) -> QPoint:
    """Return the place in the first plot at a share of its width."""
    rect = window.flow._plots.rects()[0]
    return QPoint(rect.left() + round(share * rect.width()), rect.center().y())


def viewport(window: MainWindow) -> Any:
    """Return the widget that takes the mouse."""
    return window.flow._plots.canvas.viewport()


def drag(qtbot: QtBot, window: MainWindow, from_share: float, to_share: float, modifiers: Any = None) -> None:
    """Drag over the first plot."""
    held = modifiers or Qt.KeyboardModifier.NoModifier
    qtbot.mousePress(viewport(window), LEFT, held, at(window, from_share))
    for part in (0.5, 1.0):
        qtbot.mouseMove(viewport(window), at(window, from_share + part * (to_share - from_share)))
    qtbot.mouseRelease(viewport(window), LEFT, held, at(window, to_share))


def wheel(window: MainWindow, share: float, notches: int) -> None:
    """Turn the wheel over the first plot; positive is away from the hand."""
    place = QPointF(at(window, share))
    button, held, phase = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase
    event = QWheelEvent(place, place, QPoint(), QPoint(0, 120 * notches), button, held, phase, False)
    QApplication.sendEvent(viewport(window), event)


def bar_text(window: MainWindow) -> str:
    """Return what the title of the plots says."""
    bar = window.flow.findChild(FlowBar)
    assert bar is not None
    return " ".join(part.text() for part in bar.findChildren(QLabel))


def edges(window: MainWindow) -> tuple[float, float]:
    """Return the edges of what is shown, in seconds before now."""
    left_s, right_s = window.flow.picture.edges()
    now_s = window.ingest.clock.now_s()
    return left_s - now_s, right_s - now_s


def test_the_wheel_zooms_round_the_pointer_and_live_returns(qtbot: QtBot, lived: MainWindow, clock: Any) -> None:
    """What is under the pointer stays; following stops, the title says how far behind it is, and Live follows again."""
    wheel(lived, 0.5, 3)
    left_s, right_s = edges(lived)
    assert (left_s + right_s) / 2 == pytest.approx(-60.0, abs=1.0)
    assert right_s - left_s == pytest.approx(120 / 1.25**3)
    clock.time_s += 5.0
    lived.refresh()
    assert "LOOKING BACK" in bar_text(lived)
    assert edges(lived)[1] == pytest.approx(right_s - 5.0)
    assert not lived.flow.frozen
    qtbot.mouseClick(lived.flow._bar.live, LEFT)
    lived.refresh()
    assert lived.flow.picture.viewport.mode is Mode.LIVE
    assert "LIVE" in bar_text(lived)
    assert not lived.flow._bar.live.isVisible()


def test_the_buttons_of_the_view_look_as_what_they_do(qtbot: QtBot, lived: MainWindow) -> None:
    """Looking back, neither Live nor Freeze view is pressed, and each does what it says."""
    live, freeze = lived._bar.live, lived._bar.freeze
    assert (live.isChecked(), freeze.isChecked()) == (True, False)
    drag(qtbot, lived, 0.2, 0.7)
    assert lived.flow.picture.viewport.mode is Mode.BACK
    assert (live.isChecked(), freeze.isChecked()) == (False, False)
    qtbot.mouseClick(live, LEFT)
    assert lived.flow.picture.viewport.mode is Mode.LIVE
    assert (live.isChecked(), freeze.isChecked()) == (True, False)
    drag(qtbot, lived, 0.2, 0.7)
    qtbot.mouseClick(freeze, LEFT)
    assert lived.flow.frozen
    assert (live.isChecked(), freeze.isChecked()) == (False, True)


def test_figures_and_bars_say_which_span_they_are_of(lived: MainWindow) -> None:
    """The title of the figures turns with the wheel, not at the next text; a selected span is called so, and the bars' is not."""
    strip = lived.flow.findChild(TimeStrip)
    assert strip is not None
    assert (lived.figures.which.text(), strip.captions[0]) == ("visible span, 2 min 0 s", "visible span, 2 min 0 s")
    wheel(lived, 0.5, 3)
    assert lived.figures.which.text() == span_words(lived.flow.span_s)
    right_s = lived.flow.picture.edges()[1]
    lived.flow.picture.selection = (right_s - 12.0, right_s)
    lived.refresh()
    assert (lived.figures.which.text(), strip.captions[0]) == ("selected span, 12.0 s", span_words(lived.flow.span_s))


def test_percentages_say_of_how_much_they_are_where_less_than_the_span_was_seen(window: MainWindow, clock: Any) -> None:
    """Title and rows of the figures, legend and tips of the bars: a part of 20 s is told as such."""
    for _ in range(20):
        clock.time_s += 1.0
        window.ingest.tick()
    window.refresh()
    strip = window.flow.findChild(TimeStrip)
    assert strip is not None
    assert window.figures.which.text() == "visible span, 20.0 s of 2 min 0 s seen"
    assert strip.captions == ("visible span, 20.0 s of 2 min 0 s seen", "20.0 s seen")
    assert "USER: idle 100 %, of 20.0 s seen" in strip.accessibleDescription()
    assert dict(rows_of(window.flow.picture.figures()))["Seen"][0] == "20.0 s"


def test_the_wheel_at_the_right_edge_zooms_while_live(lived: MainWindow) -> None:
    """Zooming there goes on following, and no named span stays pressed for one that has no name."""
    wheel(lived, 1.0, 2)
    assert lived.flow.picture.viewport.mode is Mode.LIVE
    assert not any(made.isChecked() for made in lived._bar._spans.values())
    lived.show_span(30.0)
    assert lived._bar._spans[30.0].isChecked()
    assert sum(made.isChecked() for made in lived._bar._spans.values()) == 1


def test_a_drag_moves_in_time(qtbot: QtBot, lived: MainWindow) -> None:
    """Dragging to the right shows what was before; new data does not move the picture."""
    drag(qtbot, lived, 0.25, 0.75)
    assert edges(lived) == pytest.approx((-180.0, -60.0), abs=1.5)
    assert lived.flow.picture.viewport.mode is Mode.BACK


def test_keys_zoom_move_and_return(qtbot: QtBot, lived: MainWindow) -> None:
    """Plus and minus zoom, Page Up and Page Down move, Home goes to the beginning, End to now."""
    plots = lived.flow._plots
    qtbot.keyClick(plots, Qt.Key.Key_Plus)
    assert edges(lived) == pytest.approx((-80.0, 0.0))
    qtbot.keyClick(plots, Qt.Key.Key_PageUp)
    assert edges(lived) == pytest.approx((-120.0, -40.0))
    qtbot.keyClick(plots, Qt.Key.Key_PageDown)
    assert lived.flow.picture.viewport.mode is Mode.LIVE
    qtbot.keyClick(plots, Qt.Key.Key_Home)
    assert edges(lived)[0] == pytest.approx(-120.0, abs=6.0)
    qtbot.keyClick(plots, Qt.Key.Key_End)
    assert edges(lived)[1] == 0.0
    qtbot.keyClick(plots, Qt.Key.Key_Space)
    assert lived.flow.frozen, "the window's own keys go on to the window"


def test_freezing_looks_different_from_looking_back(qtbot: QtBot, lived: MainWindow, source: Any, clock: Any) -> None:
    """A frozen picture is the same again however much happens, and its title has another look than one that looks back."""
    lived.flow.freeze()
    lived.refresh()
    first = lived.flow.picture.frame()
    source.change("USER", credits=7)
    clock.time_s += 10.0
    lived.refresh()
    assert lived.flow.picture.frame() is first
    assert "VIEW FROZEN" in bar_text(lived)
    assert "10.0 s behind" in bar_text(lived)
    assert lived.flow._bar.property("role") == "frozen"
    lived.flow.follow()
    lived.flow._hands._on_panned(-0.5)
    lived.refresh()
    assert lived.flow._bar.property("role") == "back"


def test_the_crosshair_has_the_values_of_every_curve(qtbot: QtBot, lived: MainWindow) -> None:
    """Under the pointer each curve's value of that moment is read; without it those of now."""
    readout = lived.flow.findChild(ReadOut)
    assert readout is not None
    assert "USER 40" in readout.accessibleDescription()
    lived.ingest.visibility.folds_idle = False
    qtbot.mouseMove(viewport(lived), at(lived, 30 / 120))
    assert "USER 7" in readout.accessibleDescription()
    assert "AGENT 100" in readout.accessibleDescription()
    lived.refresh()
    assert lived.flow._plots.canvas.plots[0].cursor.isVisible()
    qtbot.keyClick(lived.flow._plots, Qt.Key.Key_Escape)
    assert "USER 40" in readout.accessibleDescription()


def test_arrows_step_the_crosshair_and_control_goes_from_mark_to_mark(
    qtbot: QtBot, lived: MainWindow, source: Any, clock: Any
) -> None:
    """The crosshair stops at marks and says what they are."""
    source.events.append(make_grant(clock.time_s - 50.0, 30))
    lived.refresh()
    plots = lived.flow._plots
    qtbot.keyClick(plots, Qt.Key.Key_Left)
    assert lived.flow._hands.crosshair._time_s == pytest.approx(clock.time_s - 1.2)
    assert not lived.flow._tip.isVisible()
    qtbot.keyClick(plots, Qt.Key.Key_Left, CTRL)
    assert lived.flow._hands.crosshair._time_s == clock.time_s - 50.0
    assert lived.flow._tip.isVisible()
    assert lived.flow._tip.text().endswith("USER grant\n+30 messages")
    qtbot.keyClick(plots, Qt.Key.Key_Left, CTRL)
    assert lived.flow._hands.crosshair._time_s == clock.time_s - 50.0, "there is none before"


def test_a_mark_under_the_pointer_says_what_it_is(qtbot: QtBot, lived: MainWindow, source: Any, clock: Any) -> None:
    """Hovering tells; a little beside it nothing does."""
    source.notices.append(_notice(clock.time_s - 60.0))
    lived.refresh()
    qtbot.mouseMove(viewport(lived), at(lived, 0.5))
    assert "USER our action\npause: done" in lived.flow._tip.text()
    assert lived.flow._tip.isVisible()
    qtbot.mouseMove(viewport(lived), at(lived, 0.6))
    assert not lived.flow._tip.isVisible()


def test_shift_and_drag_selects_a_span_for_the_figures(qtbot: QtBot, lived: MainWindow) -> None:
    """The figures are those of the span that was drawn; Escape brings back those of all that is visible."""
    drag(qtbot, lived, 0.5, 0.75, SHIFT)
    from_s, to_s = lived.flow.picture.selection or (0.0, 0.0)
    assert to_s - from_s == pytest.approx(30.0, abs=1.5)
    assert edges(lived) == (-120.0, 0.0), "selecting moves nothing"
    lived.refresh()
    figures = lived.findChild(FiguresView)
    assert figures is not None
    assert figures.which.text().startswith("selected span, ")
    assert cell(figures, "Msg credit, max") in {"40", "41"}
    assert lived.flow._plots.canvas.plots[0].selection.isVisible()
    qtbot.keyClick(lived.flow._plots, Qt.Key.Key_Escape)
    lived.refresh()
    assert figures.which.text() == "visible span, 2 min 0 s"
    assert cell(figures, "Msg credit, max") == "100"


def test_the_button_lets_the_next_drag_select(qtbot: QtBot, lived: MainWindow) -> None:
    """Who has no Shift presses Select span; after one drag the button is up again, and a drag moves."""
    qtbot.mouseClick(lived.flow._bar.select, LEFT)
    drag(qtbot, lived, 0.2, 0.4)
    assert lived.flow.picture.selection is not None
    assert not lived.flow._bar.select.isChecked()
    drag(qtbot, lived, 0.4, 0.6)
    assert lived.flow.picture.viewport.mode is Mode.BACK


def test_shift_and_arrows_select_by_keys(qtbot: QtBot, lived: MainWindow) -> None:
    """A span can be selected without a mouse."""
    for _ in range(10):
        qtbot.keyClick(lived.flow._plots, Qt.Key.Key_Left, SHIFT)
    from_s, to_s = lived.flow.picture.selection or (0.0, 0.0)
    assert to_s - from_s == pytest.approx(12.0, abs=0.1)


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


def test_zoom_and_folding_have_keys_of_the_window(qtbot: QtBot, lived: MainWindow) -> None:
    """Wherever the focus is: plus shows less, minus more, and the toolbar's button follows the menu."""
    qtbot.keyClick(lived.table, Qt.Key.Key_Plus)
    assert lived.flow.span_s == pytest.approx(80.0)
    qtbot.keyClick(lived.table, Qt.Key.Key_Minus)
    assert lived.flow.span_s == pytest.approx(120.0)
    lived.actions_.fold_idle.trigger()
    assert lived.flow._bar.fold.text() == "Fold idle"
    assert not lived.actions_.fold_idle.isChecked()
    lived.actions_.select_span.trigger()
    assert lived.flow._bar.select.isChecked()


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


def test_the_plots_can_be_written_as_png_and_csv(lived: MainWindow, tmp_path: Path) -> None:
    """The picture is as large as on the screen; the data has a line a column, with least and greatest values by unit."""
    lived.flow.export_png(tmp_path / "plots.png")
    image = QImage(str(tmp_path / "plots.png"))
    assert image.size() == lived.flow.size() * lived.flow.devicePixelRatio()
    table = lived.flow.picture.table()
    Export(table, tmp_path / "plots.csv", Format.CSV).run()
    with (tmp_path / "plots.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == table.count > 100
    assert set(rows[0]) >= {"time", "seconds", "column_s", "USER messages min", "USER KiB max", "USER backlog max"}
    assert [float(rows[place]["USER messages min"]) for place in (0, -1)] == [100.0, 40.0]
    assert all(float(row["USER messages min"]) <= float(row["USER messages max"]) for row in rows)
    with pytest.raises(OSError, match="nowhere"):
        lived.flow.export_png(tmp_path / "nowhere" / "plots.png")


def test_every_part_of_the_plots_has_a_name_for_who_cannot_see(lived: MainWindow) -> None:
    """Lanes, plots, values, times, figures and buttons are announced."""
    named = [lived.flow._lanes, lived.flow._plots, lived.flow._readout, lived.flow._times, lived.figures.table, lived.table]
    buttons = [lived.flow._bar.live, lived.flow._bar.select, lived.flow._bar.fold, *lived.table.switch.buttons.values()]
    for part in (*named, *buttons, lived.answer.look):
        assert part.accessibleName(), part


def cell(figures: FiguresView, name: str) -> str:
    """Return the first channel's figure of this name."""
    model = figures.table.model()
    row = next(row for row in range(model.rowCount()) if model.headerData(row, Qt.Orientation.Vertical, 0) == name)
    return str(model.index(row, 0).data())


def _notice(time_s: float) -> Notice:
    """Return what came of a pause."""
    return Notice(time_s=time_s, channel="USER", action="pause", result="done", ok=True)
