"""The event log in the window."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QAbstractSlider, QApplication
from pytestqt.qtbot import QtBot
from support.states import make_grant

from haip_sync import WarningRaised
from monitor_app.colours import DARK
from monitor_app.main_window import MainWindow
from monitor_app.model import log_filter
from monitor_app.model.event_log import EventLog, LogRow, Tone
from monitor_app.model.source import Notice
from monitor_app.views.log_model import LogModel


def fill(window: MainWindow, source: Any, count: int) -> None:
    """Let warnings happen on two channels by turns."""
    for number in range(count):
        channel = ("USER", "AGENT")[number % 2]
        source.events.append(WarningRaised(time_s=1000.0, text=f"number {number}", channel=channel))
    window.refresh()


def texts(window: MainWindow) -> list[str]:
    """Return the sentences that are shown."""
    model = window.log.model()
    return [model.index(row, 3).data() for row in range(model.rowCount())]


def test_rows_can_be_filtered_by_channel_and_text(window: MainWindow, source: Any) -> None:
    """Both filters hold together, and the count says how many of how many are shown."""
    fill(window, source, 20)
    window.log.channel_filter.setCurrentText("AGENT")
    window.log.text_filter.setText("NUMBER 1")
    window.refresh()
    assert texts(window) == [f"number {number}" for number in (1, 11, 13, 15, 17, 19)]
    assert window.log.words == "6 of 20 rows"


def test_a_double_click_on_a_channel_filters_the_log(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """The second double click shows everything again."""
    fill(window, source, 4)
    window.table.channel_filtered.emit("USER")
    assert texts(window) == ["number 0", "number 2"]
    window.table.channel_filtered.emit("USER")
    assert len(texts(window)) == 4


def test_the_newest_row_stays_in_view_while_following(window: MainWindow, source: Any) -> None:
    """Scrolling back stops following; the button takes it up again."""
    fill(window, source, 100)
    bar = window.log.verticalScrollBar()
    assert bar.value() == bar.maximum()
    bar.triggerAction(QAbstractSlider.SliderAction.SliderToMinimum)
    assert not window.log.follow.isChecked()
    fill(window, source, 10)
    assert bar.value() == 0
    window.log.follow.setChecked(True)
    assert bar.value() == bar.maximum()


def test_what_is_loud_is_told_by_sign_colour_and_weight(window: MainWindow, source: Any) -> None:
    """A row of trouble has its sign, its colour and a bold word; time has milliseconds."""
    fill(window, source, 1)
    cell = window.log.model().index(0, 2)
    assert cell.data(Qt.ItemDataRole.ForegroundRole) == QColor(DARK.starved)
    assert cell.data(Qt.ItemDataRole.FontRole).bold()
    assert not cell.data(Qt.ItemDataRole.DecorationRole).isNull()
    assert cell.data(Qt.ItemDataRole.ToolTipRole) == "number 0"
    assert len(window.log.model().index(0, 0).data()) == len("14:33:08.104")


def test_the_times_of_a_scripts_rows_do_not_go_back(window: MainWindow, source: Any) -> None:
    """Rounds of a script's telling overlap by a millisecond, and the result of a command is known before what it did is told."""
    for round_ in ((1000.010, 1000.012), (1000.011, 1000.030)):
        source.events += [make_grant(time_s, 1) for time_s in round_]
        source.notices.append(Notice(time_s=round_[0] + 0.015, channel="USER", action="request", result="Sent.", ok=True))
        window.refresh()
    source.events.append(make_grant(1000.0295, 1))
    window.refresh()
    model = window.log.model()
    shown = [model.index(row, 0).data() for row in range(model.rowCount())]
    assert len(shown) == 7
    assert shown == sorted(shown)
    rows = [row for row in window.ingest.log.rows if row.kind == "FLOW_UPDATE"]
    assert [row.time_s for row in rows] == [1000.010, 1000.012, 1000.011, 1000.030, 1000.0295], "their own times are as they were"


def test_the_model_follows_a_log_that_drops_its_oldest(window: MainWindow, clock: Any) -> None:
    """Rows that left the log leave the table, however many came in between."""
    log = EventLog(max_rows=5)
    model = LogModel(log, clock, window._theme, window)
    for count in (3, 4, 50):
        for number in range(count):
            log.add(LogRow(1.0, None, "X", str(number), Tone.PLAIN))
        model.refresh()
        assert [model.index(row, 3).data() for row in range(model.rowCount())] == [row.text for row in log.rows]


def test_the_windows_keys_pass_through_the_table(qtbot: QtBot, window: MainWindow) -> None:
    """Space over the log freezes the picture; other keys move in the table."""
    qtbot.keyClick(window.log, Qt.Key.Key_Space)
    assert window.flow.frozen
    qtbot.keyClick(window.log, Qt.Key.Key_Down)


def test_in_a_flood_the_table_takes_rows_in_at_every_eighth_frame(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody reads hundreds of rows a frame; nothing is lost, and at the rate of text the table is up to date."""
    monkeypatch.setattr(log_filter, "BUDGET_S", float("inf"))  # how much goes into a frame is the machine's
    log, seen = window.ingest.log, []
    for _ in range(10):
        for number in range(400):
            log.add(LogRow(1.0, None, "X", str(number), Tone.PLAIN))
        window.log.advance()
        seen.append(len(window.log.shown_rows))
    assert seen == [400] * 8 + [3600] * 2
    window.log.refresh()
    assert len(window.log.shown_rows) == 4000


def chosen_text(window: MainWindow) -> str:
    """Return the sentence of the row that is selected, if it is in sight; empty otherwise."""
    rows = window.log.chosen_rows()
    if not rows or not window.log.viewport().rect().contains(
        window.log.visualRect(window.log.model().index(rows[0], 3)).center()
    ):
        return ""
    return texts(window)[rows[0]]


def test_filters_that_come_and_go_leave_the_chosen_row_in_sight(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """Also after a filter without a hit; nobody is told of the row anew, so that plots that follow by then are left alone."""
    fill(window, source, 100)
    window.log.choose_row(window.ingest.log.rows[61])
    told: list[object] = []
    window.log.row_chosen.connect(told.append)
    window.log.channel_filter.setCurrentText("AGENT")
    assert chosen_text(window) == "number 61"
    window.log.text_filter.setText("no row has this")
    assert texts(window) == []
    window.log.show_all()
    assert len(texts(window)) == 100
    assert chosen_text(window) == "number 61"
    assert told == []
    window.log.choose_row(window.ingest.log.rows[3])
    assert told == [window.ingest.log.rows[3]]


def test_while_following_every_filter_shows_its_newest_row(window: MainWindow, source: Any) -> None:
    """Follow is pressed, so the end is in sight at once, though nothing new happens."""
    fill(window, source, 100)
    bar = window.log.verticalScrollBar()
    for channel in ("AGENT", "All channels"):
        window.log.channel_filter.setCurrentText(channel)
        QApplication.processEvents()
        assert window.log.follow.isChecked()
        assert bar.maximum() > 0
        assert bar.value() == bar.maximum()
