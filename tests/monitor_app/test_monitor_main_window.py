"""The window on a source that does as it is told."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QMessageBox
from pytestqt.qtbot import QtBot
from support.window_texts import status_texts

from haip_sync import ChannelPaused
from monitor_app.colours import DARK, LIGHT
from monitor_app.main_window import MainWindow
from monitor_app.theme import Mode


def test_space_freezes_and_l_follows(qtbot: QtBot, window: MainWindow, clock: Any) -> None:
    """The picture stands still while everything goes on, and says how far behind it is."""
    qtbot.keyClick(window.table, Qt.Key.Key_Space)
    assert window.flow.frozen
    clock.time_s += 18.4
    window.refresh()
    assert any("VIEW FROZEN" in part.text() and "18.4 s behind" in part.text() for part in window.flow.findChildren(QLabel))
    qtbot.keyClick(window.table, Qt.Key.Key_L)
    assert not window.flow.frozen
    qtbot.keyClick(window, Qt.Key.Key_Space)
    qtbot.keyClick(window, Qt.Key.Key_Space)
    assert not window.flow.frozen


def test_single_letters_belong_to_the_field_that_has_the_focus(qtbot: QtBot, window: MainWindow) -> None:
    """Typing a reason or a filter does nothing to the window."""
    for field in (window.control.pause.reason, window.log.text_filter):
        field.setFocus()
        qtbot.keyClicks(field, "l p ")
        assert field.text() == "l p "
        assert not window.flow.frozen


def test_arrows_move_in_the_channels(qtbot: QtBot, window: MainWindow) -> None:
    """Down and up choose the next and the last channel everywhere, and stop at the ends."""
    qtbot.keyClick(window.table, Qt.Key.Key_Down)
    assert window.table.chosen == "AGENT"
    qtbot.keyClick(window, Qt.Key.Key_Down)
    assert window.control.chooser.currentText() == "SYSTEM"
    for _ in range(4):
        qtbot.keyClick(window.table, Qt.Key.Key_Up)
    assert window.table.chosen == "USER"


def test_the_span_can_be_chosen_in_bar_and_menu(window: MainWindow) -> None:
    """Toolbar and menu agree about the span."""
    window.actions_.spans[30.0].trigger()
    assert window.flow.span_s == 30.0
    window.show_span(600.0)
    assert window.actions_.spans[600.0].isChecked()
    window.refresh()


@pytest.mark.parametrize(("mode", "colours"), [(Mode.LIGHT, LIGHT), (Mode.DARK, DARK)])
def test_the_theme_can_be_chosen(window: MainWindow, mode: Mode, colours: object) -> None:
    """Both themes dress every part without a word of Qt's."""
    window.actions_.modes[Mode.SYSTEM].trigger()
    window.actions_.modes[mode].trigger()
    window.refresh()
    assert window._theme.colours is colours
    assert not window.grab().isNull()


def test_fields_have_the_colours_of_the_theme(window: MainWindow) -> None:
    """Spin boxes and choosers are dark in the dark theme; a style sheet alone would leave them light."""
    for field in (window.control.request.messages, window.control.chooser, window.log.channel_filter):
        pixel = field.grab().toImage().pixelColor(field.width() - 24, 6)
        assert pixel.lightness() < 80


def test_about_says_what_this_is(window: MainWindow) -> None:
    """About opens a box that does not stop the window."""
    window.actions_.about.trigger()
    box = window.findChild(QMessageBox)
    assert box is not None
    assert "HAIP Monitor" in box.text()
    box.close()


def test_the_status_bar_has_connection_session_and_health(window: MainWindow, source: Any) -> None:
    """Address, dialect, session, round trip, frames, lag and losses are always in sight."""
    source.dropped = 1234
    window.refresh()
    texts = status_texts(window)
    for words in ("Connected", "ws://fake:1", "dialect message", "6f1c…e2a9 epoch 1", "RTT 42.0 ms", "fps", "lag"):
        assert words in texts
    assert "dropped 1 234" in texts


def test_the_picture_has_every_state_and_mark(window: MainWindow, source: Any, clock: Any) -> None:
    """A frame with runs, marks, a gap and a crosshair is drawn without a word of Qt's."""
    source.events.append(ChannelPaused(time_s=clock.time_s, channel="USER", by="us", peer_told=True))
    source.events.append(ChannelPaused(time_s=clock.time_s, channel="AGENT", by="peer", peer_told=True))
    source.change("USER", paused_by_us=True)
    source.change("AGENT", paused_by_peer=True)
    source.change("AUDIO_IN", backlog=1, waiting_for="bytes", missing=10, credits=3)
    source.change("AUDIO_OUT", sent_messages=1, credits=1)
    for _ in range(40):
        clock.time_s += 0.1
        window.refresh()
    connection = source.state
    source.lose()
    clock.time_s += 1.0
    window.refresh()
    source.state, source.failure = connection, None
    clock.time_s += 1.0
    window.refresh()
    window.flow._plots.hands.pointed.emit(0.9)
    window.refresh()
    image = window.grab().toImage()
    assert not image.isNull()
    colours = {image.pixelColor(x, y).name() for x in range(0, image.width(), 3) for y in range(0, image.height(), 3)}
    assert DARK.starved.lower() in colours
    assert DARK.accent.lower() in colours
    assert len(window.ingest.history.gaps) == 1


def test_closing_ends_the_source_and_the_timers(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """The window beats while it is open; closed, it is gone from the screen and its source has ended."""
    window.start()
    with qtbot.waitSignal(window._pulse.frame, timeout=2000):
        pass
    with qtbot.waitSignal(window.closed, timeout=2000):
        window.close()
    assert source.calls == [("close",)]
    assert not window.isVisible()


def test_docks_can_be_closed_and_brought_back(window: MainWindow) -> None:
    """A closed dock comes back by its entry in the View menu; P brings the control dock back."""
    dock = window.docks.by_name["control"]
    dock.close()
    assert not dock.isVisible()
    window.actions_.pause.trigger()
    assert dock.isVisible()


def test_a_sentence_that_is_too_long_says_all_of_it_when_pointed_at(window: MainWindow, source: Any) -> None:
    """On top one line has room: where it ends in an ellipsis, the tooltip has the rest; a short one needs none."""
    reason = "The line dropped, and this is why: " + "one thing led to another; " * 20
    source.lose(reason)
    window.refresh()
    window.answer.evidence.grab()
    assert window.answer.evidence.text() == window.answer.evidence.toolTip()
    assert reason.strip(" ;") in window.answer.evidence.toolTip()
    window.answer.title.grab()
    assert window.answer.title.toolTip() == ""


def test_no_title_lies_over_what_is_in_its_dock(window: MainWindow) -> None:
    """Whatever stands in the title: it would hide the upper part of headings, and the upper line of what has the focus."""
    assert len(window.docks.by_name) > 1
    for dock in window.docks.by_name.values():
        assert dock.widget().geometry().top() > dock.bar.geometry().bottom()
