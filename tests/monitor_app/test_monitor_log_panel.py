"""The log by hand: filters, follow, inspector, clipboard, export."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from haip_sync import ChannelPaused, Message, WarningRaised
from monitor_app.main_window import MainWindow
from monitor_app.model.event_log import MAX_ROWS, LogRow, Tone
from monitor_app.views.export_dialog import ExportDialog

LEFT = Qt.MouseButton.LeftButton


def warn(window: MainWindow, source: Any, count: int, channel: str = "USER") -> None:
    """Let warnings happen."""
    for number in range(count):
        source.events.append(WarningRaised(time_s=1000.0, text=f"number {number}", channel=channel))
    window.refresh()


def open_export(window: MainWindow, path: Path) -> ExportDialog:
    """Open the export and enter a path."""
    window.log_panel.export.click()
    dialog = next(made for made in window.findChildren(ExportDialog) if made.isVisible())
    dialog.path.setText(str(path))
    return dialog


def heading(window: MainWindow) -> str:
    """Return the heading of the last column, where the count stands."""
    return str(window.log.model().headerData(3, Qt.Orientation.Horizontal, Qt.ItemDataRole.DisplayRole))


def test_rows_can_be_filtered_by_type(window: MainWindow, source: Any) -> None:
    """The chooser offers the types that occurred; the filter keeps following."""
    warn(window, source, 40)
    source.events.append(ChannelPaused(time_s=1.0, channel="USER", by="peer", peer_told=True))
    window.refresh()
    chooser = window.log.kind_filter
    assert {chooser.itemText(place) for place in range(chooser.count())} == {"All types", "WARNING", "PAUSE_CHANNEL"}
    chooser.setCurrentText("WARNING")
    warn(window, source, 1)
    assert len(window.log.shown_rows) == 41
    assert heading(window) == "What   (41 of 42 rows)"
    bar = window.log.verticalScrollBar()
    assert bar.value() == bar.maximum()


def test_a_hundred_thousand_rows_are_held_and_the_overflow_is_marked(window: MainWindow, source: Any) -> None:
    """The ring is full, the count says what is gone, the newest is in view, and a filter finds its needles."""
    log = window.ingest.log
    for number in range(MAX_ROWS + 1234):
        log.add(LogRow(1.0, "USER", "X", "needle" if number % 20_000 == 19_999 else "hay", Tone.PLAIN))
    while window.log._model.behind:
        window.refresh()
    window.refresh()
    assert heading(window) == "What   (100 000 rows, 1 234 older rows dropped)"
    assert window.log.rowAt(window.log.viewport().height() - 1) in {MAX_ROWS - 1, -1}
    window.log.text_filter.setText("needle")
    while window.log._model.behind:
        assert "filtering" in window.log.words
        window.refresh()
    assert [row.text for row in window.log.shown_rows] == ["needle"] * 5


def test_what_somebody_reads_stays_under_the_eye_when_old_rows_go(window: MainWindow, source: Any) -> None:
    """With Follow off, rows that leave the ring do not move the ones that are looked at."""
    log = window.ingest.log
    log._max_rows = 200
    warn(window, source, 200)
    window.log.follow.setChecked(False)
    bar = window.log.verticalScrollBar()
    bar.setValue(100)
    at_top = window.log.shown_rows[window.log.rowAt(0)]
    warn(window, source, 30, "AGENT")
    assert window.log.shown_rows[window.log.rowAt(0)] is at_top


def test_keys_back_stop_following_and_end_follows_again(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """Whoever goes up wants to read; menu and button agree."""
    warn(window, source, 50)
    window.log.selectRow(49)
    qtbot.keyClick(window.log, Qt.Key.Key_Up)
    assert not window.log.follow.isChecked()
    assert not window.actions_.follow.isChecked()
    qtbot.keyClick(window.log, Qt.Key.Key_End)
    assert window.actions_.follow.isChecked()
    window.actions_.follow.trigger()
    assert not window.log.follow.isChecked()


def test_the_inspector_shows_the_message_down_to_its_leaves(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """A click on a row opens it; what is cut says so; Copy is the row as JSON."""
    assert not window.inspector.copy.isEnabled()
    payload = {"text": "z" * 5000, "list": [1, 2]}
    source.events.append(
        Message(time_s=1.0, channel="USER", type="TEXT_MESSAGE_PART", payload=payload, id="i", session="s", seq="7")
    )
    window.refresh()
    cell = window.log.model().index(0, 3)
    qtbot.mouseClick(window.log.viewport(), LEFT, pos=window.log.visualRect(cell).center())
    found = window.inspector.findItems("", Qt.MatchFlag.MatchContains | Qt.MatchFlag.MatchRecursive, 0)
    values = {item.text(0): item.text(1) for item in found}
    assert values["type"] == "TEXT_MESSAGE_PART"
    assert values["seq"] == "7"
    assert values["text"].endswith("… 3 000 more bytes")
    assert values["list"] == "2 items"
    qtbot.mouseClick(window.inspector.copy, LEFT)
    assert json.loads(QApplication.clipboard().text())["detail"]["payload"]["list"] == [1, 2]


def test_single_messages_are_asked_for_only_while_they_are_wanted(window: MainWindow, source: Any) -> None:
    """The switch in the Log menu goes to the source."""
    window.actions_.messages.trigger()
    window.actions_.messages.trigger()
    assert source.calls == [("watch_messages", True), ("watch_messages", False)]


def test_rows_can_be_copied(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """Ctrl+C and the menu put the selected rows into the clipboard, cells apart by tabs."""
    warn(window, source, 3)
    window.log.selectAll()
    qtbot.keyClick(window.log, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    lines = QApplication.clipboard().text().splitlines()
    assert [line.split("\t")[1:] for line in lines] == [["USER", "WARNING", f"number {number}"] for number in range(3)]
    qtbot.mouseClick(window.log.viewport(), LEFT, pos=window.log.visualRect(window.log.model().index(1, 3)).center())
    window.actions_.copy_rows.trigger()
    assert QApplication.clipboard().text().endswith("number 1")


def test_what_is_shown_or_everything_can_be_exported(qtbot: QtBot, window: MainWindow, source: Any, tmp_path: Path) -> None:
    """With a filter the rows that are shown come first in the choice; the format changes the ending of the name."""
    warn(window, source, 3)
    warn(window, source, 2, "AGENT")
    window.log.channel_filter.setCurrentText("AGENT")
    dialog = open_export(window, tmp_path / "log.csv")
    dialog.format.setCurrentText("JSON lines, with every detail")
    assert dialog.path.text().endswith("log.jsonl")
    with qtbot.waitSignal(dialog.exported, timeout=5000):
        qtbot.mouseClick(dialog.start, LEFT)
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["channel"] for line in lines] == ["AGENT", "AGENT"]
    assert json.loads(lines[0])["detail"]["event"] == "WarningRaised"
    assert "2 rows are in" in dialog.message.text()
    dialog.scope.setCurrentText("All rows")
    qtbot.mouseClick(dialog.start, LEFT)  # which asks: the file is there
    with qtbot.waitSignal(dialog.exported, timeout=5000):
        qtbot.mouseClick(dialog.start, LEFT)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 5
    dialog.reject()


def test_an_export_that_fails_says_why_and_can_be_tried_elsewhere(
    qtbot: QtBot, window: MainWindow, source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is not there, a folder for a file, no name, a disk that is full: the dialog stays, with a sentence."""
    warn(window, source, 3)
    dialog = open_export(window, tmp_path / "gone" / "log.csv")
    for text, words in (
        ("", "name of a file"),
        (str(tmp_path), "is a folder"),
        (str(tmp_path / "gone" / "x"), "There is no folder"),
    ):
        dialog.path.setText(text)
        qtbot.mouseClick(dialog.start, LEFT)
        assert words in dialog.message.text()
        assert dialog.message.property("tone") == "bad"
        assert dialog.start.isEnabled()
    dialog.path.setText(str(tmp_path / "log.csv"))
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", _full)
        qtbot.mouseClick(dialog.start, LEFT)
        qtbot.waitUntil(lambda: "the disk is full" in dialog.message.text(), timeout=5000)
    assert os.listdir(tmp_path) == []
    assert dialog.focusWidget() is dialog.path, "where Return tries again, and does not give up"
    with qtbot.waitSignal(dialog.exported, timeout=5000):
        qtbot.keyClick(dialog.path, Qt.Key.Key_Return)
    assert os.listdir(tmp_path) == ["log.csv"]
    dialog.reject()


def test_a_long_export_shows_how_far_it_is_and_leaves_nothing_when_it_is_given_up(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    """The window lives while it is written; Cancel removes what was begun."""
    for number in range(20_000):
        window.ingest.log.add(LogRow(1.0, None, "X", str(number), Tone.PLAIN))
    dialog = open_export(window, tmp_path / "log.csv")
    qtbot.mouseClick(dialog.start, LEFT)
    qtbot.waitUntil(lambda: dialog.progress.value() > 0, timeout=5000)
    assert dialog.progress.maximum() == 20_000
    assert not dialog.start.isEnabled()
    dialog.reject()
    assert os.listdir(tmp_path) == []


def _full(_handle: int) -> None:
    raise OSError(28, "No space left on device")


def test_the_inspector_says_what_to_do_until_a_row_is_chosen(window: MainWindow) -> None:
    """The hint is there without a row, gone with one, and back when none is chosen any more."""
    inspector = window.inspector
    assert "Choose a row of the log" in inspector.hint.text
    assert inspector.topLevelItemCount() == 0
    window.ingest.log.add(LogRow(1.0, None, "X", "words", Tone.PLAIN))
    inspector.show_row(window.ingest.log.rows[-1])
    assert not inspector.hint.text
    assert inspector.topLevelItemCount() > 0
    inspector.show_row(None)
    assert inspector.hint.text


def test_a_file_that_is_there_is_replaced_only_when_asked_twice(
    qtbot: QtBot, window: MainWindow, source: Any, tmp_path: Path
) -> None:
    """The first press says that it is there; the second replaces it, and another name begins anew."""
    warn(window, source, 2)
    old, other = tmp_path / "old.csv", tmp_path / "other.csv"
    for path in (old, other):
        path.write_text("old")
    dialog = open_export(window, old)
    dialog.start.click()
    assert dialog.message.text() == f"{old} is there already. Export once more to replace it."
    dialog.path.setText(str(other))
    dialog.start.click()
    assert str(other) in dialog.message.text()
    assert (old.read_text(), other.read_text()) == ("old", "old")
    dialog.start.click()
    qtbot.waitUntil(lambda: "rows are in" in dialog.message.text())
    assert other.read_text() != "old"
    assert old.read_text() == "old"
    dialog.start.click()
    assert "is there already" in dialog.message.text()
    dialog.close()


def test_the_switch_of_the_pages_stays_where_it_is(qtbot: QtBot, window: MainWindow) -> None:
    """A hand that goes to the audit trail and back finds Events, Audit and Export where they were."""
    panel = window.log_panel
    parts = (panel.events_tab, panel.audit_tab, panel.export)

    def places() -> list[QPoint]:
        QApplication.processEvents()
        return [part.mapTo(window, QPoint(0, 0)) for part in parts]

    before = places()
    qtbot.mouseClick(panel.audit_tab, LEFT)
    assert panel.currentWidget() is panel.audit
    assert places() == before
    assert not window.log.text_filter.isVisible()
    qtbot.mouseClick(panel.events_tab, LEFT)
    assert places() == before
