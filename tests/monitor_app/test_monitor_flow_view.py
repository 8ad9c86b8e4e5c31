"""The plots under mouse and keys."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot
from support.plot_mouse import at, drag, viewport, wheel
from support.states import make_grant

from monitor_app.main_window import MainWindow
from monitor_app.model.export import Export, Format
from monitor_app.model.figures import rows_of, span_words
from monitor_app.model.source import Notice
from monitor_app.model.viewport import Mode
from monitor_app.views.figures_view import FiguresView
from monitor_app.views.flow_bar import FlowBar
from monitor_app.views.side_columns import ReadOut
from monitor_app.views.time_strip import TimeStrip

LEFT = Qt.MouseButton.LeftButton

SHIFT = Qt.KeyboardModifier.ShiftModifier

CTRL = Qt.KeyboardModifier.ControlModifier


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
