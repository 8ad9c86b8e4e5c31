"""The ways between the parts: from a mark to its row and back, from the sentence to its evidence, from the plots to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication, QFileDialog, QMessageBox
from pytestqt.qtbot import QtBot
from support.states import make_grant

from haip_sync import ChannelPaused, WarningRaised
from monitor_app.main_window import MainWindow
from monitor_app.model.export import Export, Format, Table
from monitor_app.model.viewport import Mode
from monitor_app.views.export_dialog import ExportDialog

LEFT = Qt.MouseButton.LeftButton
CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


def grant(source: Any, time_s: float, channel: str = "USER") -> None:
    """Let the peer grant."""
    source.events.append(make_grant(time_s, 5, channel=channel))


@pytest.fixture
def told(window: MainWindow, source: Any, clock: Any) -> MainWindow:
    """Return a window that has heard of a pause at 1,030 s among warnings every second, and stands at 1,060 s."""
    source.change("USER", sent_messages=5)
    for second in range(60):
        clock.time_s += 1.0
        source.events.append(WarningRaised(time_s=clock.time_s, text=f"number {second}", channel="AGENT"))
        if clock.time_s == 1030.0:
            source.events.append(ChannelPaused(time_s=1030.0, channel="USER", by="peer", peer_told=True, reason="codec"))
        window.ingest.tick()
    for _ in range(3):
        window.refresh()
        QApplication.processEvents()
    return window


def chosen_text(window: MainWindow) -> str:
    """Return what the chosen row of the log says."""
    places = window.log.chosen_rows()
    return window.log.shown_rows[places[0]].text if places else ""


def click_at(qtbot: QtBot, window: MainWindow, time_s: float) -> None:
    """Click into the plots at a moment."""
    rect = window.flow._plots.rects()[0]
    left_s, right_s = window.flow.picture.edges()
    x = rect.left() + round((time_s - left_s) / (right_s - left_s) * rect.width())
    qtbot.mouseClick(window.flow._plots.canvas.viewport(), LEFT, pos=QPoint(x, rect.center().y()))


def test_a_click_on_a_mark_chooses_its_row(qtbot: QtBot, told: MainWindow) -> None:
    """Filters that hide the row go away; the inspector shows it; following stops, so that it stays under the eye."""
    told.log.channel_filter.setCurrentText("AGENT")
    click_at(qtbot, told, 1030.0)
    told.refresh()
    assert chosen_text(told) == "paused by the peer: “codec”"
    assert told.log.channel_filter.currentText() == "All channels"
    assert not told.log.follow.isChecked()
    told.inspector.copy_row()
    assert '"reason": "codec"' in QApplication.clipboard().text()


def test_a_click_beside_every_mark_chooses_nothing(qtbot: QtBot, told: MainWindow) -> None:
    """A drag does not either."""
    click_at(qtbot, told, 1010.0)
    told.refresh()
    assert chosen_text(told) == ""
    assert told.log.follow.isChecked()


def test_a_row_puts_the_crosshair_on_its_moment(told: MainWindow, clock: Any) -> None:
    """While it is in sight the plots go on; for an older one they look back."""
    told.log.selectRow(29)
    row = told.log.shown_rows[29]
    assert told.flow._hands.crosshair.time_s(*told.flow.picture.edges()) == row.time_s
    assert told.flow.picture.viewport.mode is Mode.LIVE
    clock.time_s += 1000.0
    told.refresh()
    told.log.selectRow(30)
    left_s, right_s = told.flow.picture.edges()
    assert left_s <= told.log.shown_rows[30].time_s <= right_s
    assert told.flow.picture.viewport.mode is Mode.BACK


def test_evidence_filters_the_log_to_what_stands_behind_the_sentence(
    qtbot: QtBot, window: MainWindow, source: Any, clock: Any
) -> None:
    """Rows of other channels and from before the last grant are left out, the heading says so, and Esc shows all again."""
    grant(source, 1000.0, "AUDIO_IN")
    window.refresh()
    clock.time_s = 1100.0
    grant(source, 1100.0, "AUDIO_IN")
    grant(source, 1100.0, "USER")
    source.change("AUDIO_IN", backlog=3, waiting=3, waiting_for="bytes", byte_credits=0, oldest_wait=5.0)
    window.refresh()
    clock.time_s = 1110.0
    source.change("AUDIO_IN", oldest_wait=15.0)
    window.refresh()
    assert "AUDIO_IN" in window.answer.title.text()
    qtbot.keyClick(window, Qt.Key.Key_F9)
    qtbot.mouseClick(window.answer.proof, LEFT)
    window.refresh()
    rows = window.log.shown_rows
    assert {row.channel for row in rows} == {"AUDIO_IN"}
    assert [row.kind for row in rows] == ["FLOW_UPDATE", "STARVED"]
    assert "Esc shows all" in window.log.words
    qtbot.keyClick(window.answer.proof, Qt.Key.Key_Escape)
    window.refresh()
    assert len(window.log.shown_rows) == len(window.ingest.log.rows)
    assert window.log.channel_filter.currentText() == "All channels"


def test_esc_in_the_plots_is_the_logs_once_they_hold_nothing(qtbot: QtBot, told: MainWindow) -> None:
    """A window begins with the focus in the plots: Esc clears what is selected there, and shows all rows where nothing is."""
    told.log.text_filter.setText("number 7")
    told.flow.picture.selection = (1010.0, 1020.0)
    told.refresh()
    few = len(told.log.shown_rows)
    qtbot.keyClick(told.flow._plots, Qt.Key.Key_Escape)
    told.refresh()
    assert told.flow.picture.selection is None
    assert len(told.log.shown_rows) == few
    qtbot.keyClick(told.flow._plots, Qt.Key.Key_Escape)
    told.refresh()
    assert len(told.log.shown_rows) == len(told.ingest.log.rows) > few


def test_the_plots_are_saved_as_a_picture_by_a_command(qtbot: QtBot, told: MainWindow, tmp_path: Path) -> None:
    """Ctrl+S asks for a name; a place that cannot be written is told in words and leaves nothing."""
    for name, works in (("plots.png", True), ("nowhere/plots.png", False)):
        qtbot.keyClick(told, Qt.Key.Key_S, CTRL)
        chooser = told.findChild(QFileDialog)
        assert chooser is not None
        chooser.fileSelected.emit(str(tmp_path / name))
        chooser.close()
        chooser.deleteLater()
        QApplication.sendPostedEvents(chooser, 52)
        boxes = [box for box in told.findChildren(QMessageBox) if box.isVisible()]
        assert len(boxes) == (0 if works else 1)
        for box in boxes:
            assert "nowhere" in box.text() and "could not be written" in box.text()  # noqa: PT018 - one sentence
            box.close()
    assert QImage(str(tmp_path / "plots.png")).width() >= told.flow.width()
    assert [path.name for path in tmp_path.iterdir()] == ["plots.png"]


def test_the_data_of_the_plots_is_exported_by_a_command(qtbot: QtBot, told: MainWindow, tmp_path: Path) -> None:
    """Ctrl+Shift+E offers the visible span; what is shown afterwards does not change what is written."""
    qtbot.keyClick(told, Qt.Key.Key_E, CTRL | SHIFT)
    dialog = next(made for made in told.findChildren(ExportDialog) if made.isVisible())
    assert dialog.scope.currentText() == "The visible span"
    dialog.path.setText(str(tmp_path / "plots.csv"))
    with qtbot.waitSignal(dialog.exported, timeout=5000):
        qtbot.mouseClick(dialog.start, LEFT)
    lines = (tmp_path / "plots.csv").read_text().splitlines()
    assert lines[0].startswith("time,seconds,column_s,USER messages min,USER messages max,USER KiB min")
    assert len(lines) > 50
    dialog.reject()


def test_no_cell_of_a_csv_file_is_a_formula(tmp_path: Path) -> None:
    """What a peer wrote is text to a spreadsheet; numbers stay numbers, and JSON lines keep what was there."""
    records = [{"a": "=1+1", "b": -5}, {"a": "@SUM(A1)", "b": 2.5}, {"a": "+1", "b": None}, {"a": "plain - text", "b": 0}]
    Export(Table(("a", "b"), records, 4), tmp_path / "x.csv", Format.CSV).run()
    assert (tmp_path / "x.csv").read_text().splitlines() == ["a,b", "'=1+1,-5", "'@SUM(A1),2.5", "'+1,", "plain - text,0"]
    Export(Table(("a", "b"), records, 4), tmp_path / "x.jsonl", Format.JSON_LINES).run()
    assert '"=1+1"' in (tmp_path / "x.jsonl").read_text()
