"""What the operator does with a channel: pausing, resuming, asking for credit, sending, by mouse and by key."""

from __future__ import annotations

from typing import Any

import msgspec
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot
from support.states import make_grant

from monitor_app.main_window import MainWindow
from monitor_app.model.source import Notice

LEFT = Qt.MouseButton.LeftButton


def test_a_click_on_pause_pauses_the_chosen_channel_with_its_reason(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """The button names the channel; the reason goes along and the field is empty again."""
    window.table.choose("AUDIO_IN")
    window.control.pause.reason.setText("codec restart")
    assert "AUDIO_IN" in window.control.pause.pause.text()
    qtbot.mouseClick(window.control.pause.pause, LEFT)
    assert source.calls == [("pause", "AUDIO_IN", "codec restart")]
    assert window.control.pause.reason.text() == ""


def test_a_pause_without_a_reason_has_none(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """An empty field is no reason; Return in the field pauses as the button does."""
    qtbot.keyClick(window.control.pause.reason, Qt.Key.Key_Return)
    assert source.calls == [("pause", "USER", None)]


def test_only_what_is_paused_by_us_can_be_resumed(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """Pause and Resume are never enabled at the same time."""
    assert not window.control.pause.resume.isEnabled()
    source.change("USER", paused_by_us=True)
    window.refresh()
    assert not window.control.pause.pause.isEnabled()
    qtbot.mouseClick(window.control.pause.resume, LEFT)
    assert source.calls == [("resume", "USER")]


def test_request_sends_what_the_fields_say(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """Messages go as they are and KiB as bytes."""
    window.control.request.messages.setValue(7)
    window.control.request.kibibytes.setValue(3)
    qtbot.mouseClick(window.control.request.send, LEFT)
    assert source.calls == [("request", "USER", 7, 3072)]


def test_presets_fill_the_fields(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """Presets add, take what waits, or fill up to the caps; nothing is sent by them."""
    source.change("USER", credits=40, byte_credits=512 * 1024 - 1, backlog=1, waiting_for="bytes", missing=1500)
    window.refresh()
    group = window.control.request
    presets = {made.text(): made for made in group.findChildren(type(group.send))}
    qtbot.mouseClick(presets["+10"], LEFT)
    qtbot.mouseClick(presets["+64 KiB"], LEFT)
    assert (group.messages.value(), group.kibibytes.value()) == (20, 64)
    qtbot.mouseClick(presets["Queue"], LEFT)
    assert (group.messages.value(), group.kibibytes.value()) == (0, 2)
    qtbot.mouseClick(presets["To cap"], LEFT)
    assert (group.messages.value(), group.kibibytes.value()) == (60, 1)
    assert source.calls == []


def test_the_answer_offers_the_one_useful_thing(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """For a starved channel the button requests what waits; for our pause it resumes."""
    answer = window.control.answer
    assert not answer.action.isVisible()
    source.change("USER", credits=0, backlog=4, waiting_for="messages", missing=3)
    window.refresh()
    assert answer.action.text() == "Request 4 messages"
    qtbot.mouseClick(answer.action, LEFT)
    source.change("USER", paused_by_us=True)
    window.refresh()
    qtbot.mouseClick(answer.action, LEFT)
    assert source.calls == [("request", "USER", 4, 0), ("resume", "USER")]


def test_the_answer_points_to_a_channel_that_is_worse_off(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """While a calm channel is chosen, a starved one is one click away."""
    source.change("AUDIO_IN", backlog=1, waiting_for="bytes", missing=10)
    window.refresh()
    assert window.control.answer.other.text() == "Show AUDIO_IN: STARVED"
    qtbot.mouseClick(window.control.answer.other, LEFT)
    assert window.table.chosen == "AUDIO_IN"
    assert window.control.chooser.currentText() == "AUDIO_IN"


def test_a_refused_request_is_said_beside_the_fields(window: MainWindow, source: Any) -> None:
    """The client's own words stand under the fields and in the log, in the colour of trouble."""
    source.notices.append(Notice(time_s=1000.0, channel="USER", action="request", result="must be positive", ok=False))
    window.refresh()
    said = [part for part in window.control.request.findChildren(QLabel) if "must be positive" in part.text()]
    assert said
    assert said[0].property("tone") == "bad"
    assert window.ingest.log.rows[-1].text == "must be positive"


def test_a_request_says_whether_a_grant_came_since(window: MainWindow, source: Any, clock: Any) -> None:
    """What came of a request is told beside the fields."""
    source.notices.append(Notice(time_s=clock.time_s, channel="USER", action="request", result="it was asked.", ok=True))
    window.refresh()
    assert any("it was asked; no grant yet." in part.text() for part in window.control.request.findChildren(QLabel))
    clock.time_s += 1.0
    source.events.append(make_grant(clock.time_s, 1))
    window.refresh()
    assert any("a grant came since" in part.text() for part in window.control.request.findChildren(QLabel))


def test_a_test_message_is_sent_and_waits_in_line(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """The group says which number in the line the text would be; an empty text is not sent."""
    source.change("USER", backlog=31, waiting_for="messages", missing=1)
    window.refresh()
    group = window.control.test_message
    assert group.detail.text() == "waits as number 32"
    group.text.setText("hello")
    qtbot.mouseClick(group.send, LEFT)
    group.text.clear()
    qtbot.keyClick(group.text, Qt.Key.Key_Return)
    assert source.calls == [("send", "USER", "hello")]


def test_p_goes_to_the_reason_and_ctrl_f_to_the_filter(qtbot: QtBot, window: MainWindow) -> None:
    """Two keys bring the hands where they are needed."""
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(window.table, Qt.Key.Key_P)
    assert window.control.pause.reason.hasFocus()
    qtbot.keyClick(window, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert window.log.text_filter.hasFocus()


def test_ctrl_r_requests_what_the_queue_needs(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """With somebody waiting it asks for what is missing, else for what the fields say."""
    source.change("USER", credits=0, backlog=2, waiting_for="messages", missing=2)
    window.refresh()
    qtbot.keyClick(window, Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier)
    source.change("USER", credits=9, backlog=0, waiting_for=None, missing=0)
    window.refresh()
    qtbot.keyClick(window, Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier)
    assert source.calls == [("request", "USER", 2, 0), ("request", "USER", 10, 0)]


def test_the_queue_counts_who_waits_beside_it(window: MainWindow, source: Any) -> None:
    """One sender or several, the sentence is one."""
    for waiting, words in ((1, "and 1 sender waits; clearing leaves it"), (3, "and 3 senders wait; clearing leaves them")):
        source.change("USER", backlog=waiting, waiting=waiting, waiting_for="messages", missing=1)
        window.refresh()
        assert window.control.queue._waiting.text() == words
    source.lose()
    window.refresh()
    assert window.control.queue._waiting.text() == "and 3 senders waited"
    assert window.control.test_message.detail.text() == ""


def test_without_a_connection_no_test_message_leaves_at_once(window: MainWindow, source: Any) -> None:
    """While the client connects, or comes back, nothing is promised."""
    assert window.control.test_message.detail.text() == "leaves at once"
    source.state = msgspec.structs.replace(source.state, connected=False, phase="offline")
    window.refresh()
    assert window.control.test_message.detail.text() == ""
