"""The inspector of the chosen row: its sentence whole, nothing cut off, and actions like events."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from haip_sync import ChannelPaused, Reconnecting
from monitor_app.main_window import MainWindow
from monitor_app.model.source import Notice
from monitor_app.views.inspector import Inspector
from monitor_app.views.parts import TitleBar
from monitor_app.views.row_table import ROW_HEIGHT

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
