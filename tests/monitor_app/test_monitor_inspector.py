"""The inspector of the chosen row: its sentence whole, nothing cut off, and actions like events."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QFontMetrics, QHelpEvent
from PySide6.QtWidgets import QApplication, QToolTip
from pytestqt.qtbot import QtBot

from haip_sync import ChannelPaused, Reconnecting, WarningRaised
from monitor_app.main_window import MainWindow
from monitor_app.model.audit import AuditTrail
from monitor_app.model.source import Notice
from monitor_app.views.audit_view import AuditModel
from monitor_app.views.inspector import Inspector
from monitor_app.views.parts import TitleBar
from monitor_app.views.row_table import ROW_HEIGHT, RowTable

LEFT = Qt.MouseButton.LeftButton
LONG = "the server closed the connection because its certificate has run out, and nobody has renewed it since"


@pytest.fixture
def told(window: MainWindow, source: Any) -> MainWindow:
    """Return the window at its smallest, with a pause and an attempt in its log."""
    window.resize(1280, 800)
    source.events.append(ChannelPaused(time_s=1000.0, channel="AUDIO_OUT", by="us", peer_told=True, reason="new voice"))
    source.events.append(Reconnecting(time_s=1000.5, attempt=2, delay_s=0.8, next_try_s=1001.3, reason=LONG))
    window.refresh()
    return window


def choose(window: MainWindow, place: int) -> Inspector:
    """Choose a row of the log and let the inspector be laid out."""
    window.log.choose_row(window.ingest.log.rows[place])
    QApplication.processEvents()
    return window.inspector


@pytest.mark.parametrize("place", [0, 1])
def test_no_row_is_cut_off_at_the_lower_edge(told: MainWindow, place: int) -> None:
    """Every item has a whole number of the log's rows, and the viewport has room for a whole number of them."""
    inspector = choose(told, place)
    shown = [inspector.visualItemRect(inspector.topLevelItem(number)) for number in range(inspector.topLevelItemCount())]
    assert {rect.height() % ROW_HEIGHT for rect in shown} == {0}
    assert inspector.viewport().height() % ROW_HEIGHT <= 1


def test_the_sentence_is_whole_in_the_inspector(told: MainWindow) -> None:
    """However long it is: it goes over several lines, from edge to edge, and its item is as high as they are."""
    inspector = choose(told, 1)
    sentence = inspector.topLevelItem(0)
    assert sentence.text(0).startswith(LONG)
    rect = inspector.visualItemRect(sentence)
    metrics = QFontMetrics(inspector.font())
    needed = metrics.boundingRect(0, 0, rect.width() - 8, 1000, int(Qt.TextFlag.TextWordWrap), sentence.text(0))
    assert metrics.height() < needed.height() <= rect.height()


def test_type_channel_and_time_have_room(told: MainWindow) -> None:
    """At 1280x800 neither they nor the title of the dock end in an ellipsis; the time is the log's."""
    inspector = choose(told, 0)
    values = {inspector.topLevelItem(number).text(0): inspector.topLevelItem(number).text(1) for number in range(1, 4)}
    assert values == {"type": "PAUSE_CHANNEL", "channel": "AUDIO_OUT", "time": told.log.model().index(0, 0).data()}
    metrics = QFontMetrics(inspector.font())
    assert max(metrics.horizontalAdvance(text) for text in values.values()) + 8 <= inspector.columnWidth(1)
    bar = told.docks.by_name["inspector"].bar
    assert isinstance(bar, TitleBar)
    assert not bar.detail.text()


def test_a_wider_inspector_needs_fewer_rows(told: MainWindow) -> None:
    """The heights follow the width."""
    inspector = choose(told, 1)
    before = inspector.visualItemRect(inspector.topLevelItem(0)).height()
    dock = told.docks.by_name["inspector"]
    dock.setFloating(True)
    dock.resize(700, 200)
    QApplication.processEvents()
    QApplication.processEvents()
    assert inspector.visualItemRect(inspector.topLevelItem(0)).height() < before


def test_an_action_is_inspected_like_an_event(qtbot: QtBot, told: MainWindow, source: Any) -> None:
    """A click on a row of the audit trail shows all of it: its line ends in an ellipsis where the cell does."""
    told.ingest.commands.request("USER", 5, 0)
    source.notices.append(Notice(time_s=1000.0, channel="USER", action="request", result=LONG, ok=False))
    told.refresh()
    told.log_panel.show_audit()
    audit = told.log_panel.audit
    qtbot.mouseClick(audit.viewport(), LEFT, pos=audit.visualRect(audit.model().index(0, 1)).center())
    inspector = told.inspector
    assert LONG in inspector.topLevelItem(0).text(0)
    found = inspector.findItems("result", Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchRecursive, 0)
    assert [item.text(1) for item in found] == [LONG]


@pytest.fixture(params=["events", "audit"])
def long_rows(window: MainWindow, source: Any, request: pytest.FixtureRequest) -> RowTable:
    """Return one of the two tables, at the smallest window, with three rows of which none has room for its last cell."""
    window.resize(1280, 800)
    for number in range(3):
        if request.param == "events":
            source.events.append(WarningRaised(time_s=1000.0 + number, text=f"{number}: {LONG}", channel="USER"))
            continue
        window.ingest.commands.request("USER", number + 1, 0)
        source.notices.append(Notice(time_s=1000.0, channel="USER", action="request", result=f"{number}: {LONG}", ok=False))
        window.refresh()
    (window.log_panel.show_audit if request.param == "audit" else window.log_panel.show_events)()
    window.refresh()
    QApplication.processEvents()
    table: RowTable = window.log_panel.currentWidget()
    model = table.model()
    last = model.index(1, model.columnCount() - 1)
    assert table.fontMetrics().horizontalAdvance(last.data()) > table.visualRect(last).width()
    return table


def inspected(table: RowTable) -> str:
    """Return the sentence that the inspector of the table's window shows, and the rest of what it has."""
    inspector = table.window().inspector
    items = [inspector.topLevelItem(number) for number in range(inspector.topLevelItemCount())]
    return " ".join(item.text(0) for item in items[:1])


def test_a_long_result_can_be_read_whole_by_mouse(qtbot: QtBot, long_rows: RowTable) -> None:
    """In both tables: the tip of the cell has it, and a click on the row puts it into the inspector."""
    model = long_rows.model()
    place = long_rows.visualRect(model.index(1, model.columnCount() - 1)).center()
    viewport = long_rows.viewport()
    QApplication.sendEvent(viewport, QHelpEvent(QEvent.Type.ToolTip, place, viewport.mapToGlobal(place)))
    assert f"1: {LONG}" in QToolTip.text()
    QToolTip.hideText()
    qtbot.mouseClick(viewport, LEFT, pos=place)
    assert f"1: {LONG}" in inspected(long_rows)


def test_a_long_result_can_be_read_whole_by_keys(qtbot: QtBot, long_rows: RowTable) -> None:
    """In both tables: the arrows put each row into the inspector, whose own rows the keys reach as well."""
    long_rows.setFocus()
    qtbot.keyClick(long_rows, Qt.Key.Key_Home, Qt.KeyboardModifier.ControlModifier)
    for number in range(3):
        assert f"{number}: {LONG}" in inspected(long_rows)
        qtbot.keyClick(long_rows, Qt.Key.Key_Down)


def test_who_reads_a_row_stays_on_it_when_another_comes(qtbot: QtBot, long_rows: RowTable, source: Any) -> None:
    """In both tables: a new action, or the result of one, takes nobody from the row that is inspected."""
    window = long_rows.window()
    qtbot.keyClick(long_rows, Qt.Key.Key_Home, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(long_rows, Qt.Key.Key_Down)
    window.ingest.commands.pause("USER", "another action")
    source.notices.append(Notice(time_s=1001.0, channel="USER", action="pause", result="Paused.", ok=True))
    window.refresh()
    assert long_rows.currentIndex().row() == 1
    assert long_rows.chosen_rows() == [1]
    assert f"1: {LONG}" in inspected(long_rows)
    qtbot.keyClick(long_rows, Qt.Key.Key_Down)
    assert f"2: {LONG}" in inspected(long_rows)


def test_what_came_of_an_action_is_told_where_it_is_inspected(window: MainWindow, source: Any) -> None:
    """An action that waits for its result is chosen: the result comes into the inspector as well."""
    window.ingest.commands.pause("USER", "drill")
    window.log_panel.show_audit()
    window.refresh()
    table = window.log_panel.audit
    table.selectRow(0)
    assert inspected(table).endswith("pause on USER (“drill”): no answer yet")
    source.notices.append(Notice(time_s=1001.0, channel="USER", action="pause", result="USER is paused.", ok=True))
    window.refresh()
    assert inspected(table).endswith("pause on USER (“drill”): USER is paused.")


def test_the_audit_table_follows_a_trail_that_drops_its_oldest(window: MainWindow) -> None:
    """However many came and went between two looks, its rows are those of the trail."""
    trail = AuditTrail(window.ingest.clock, max_entries=3)
    model = AuditModel(trail, window.ingest.clock, window._theme, window)
    for burst in (2, 1, 2, 7, 0, 1):
        for number in range(burst):
            entry = trail.begin("pause", "USER", details=f"{burst}.{number}")
            if number % 2:
                trail.refuse(entry, "No.")
        model.refresh()
        assert model.entries == trail.entries
        assert model.rowCount() == len(trail.entries)
