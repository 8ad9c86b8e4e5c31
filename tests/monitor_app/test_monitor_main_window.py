"""The window on a source that does as it is told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLabel, QMessageBox, QWidget
from pytestqt.qtbot import QtBot
from support.states import make_grant
from support.still_clock import StillClock

from haip_sync import ChannelPaused
from monitor_app.colours import DARK, LIGHT
from monitor_app.main_window import MainWindow
from monitor_app.model.ingest import Ingest
from monitor_app.model.source import Failure, Notice
from monitor_app.model.units import NONE
from monitor_app.theme import Mode, Theme
from monitor_app.views.connect_dialog import ConnectDialog
from monitor_app.views.status_line import StatusLine

LEFT = Qt.MouseButton.LeftButton


def status_texts(window: MainWindow) -> str:
    """Return everything that the status bar says."""
    bar = window.findChild(StatusLine)
    assert bar is not None
    return " ".join(part.text() for part in bar.findChildren(QLabel))


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


def test_a_loss_greys_and_keeps_what_was_there(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """The banner says what happened; values stay, every row says OFFLINE, and the controls rest."""
    source.change("USER", credits=42)
    window.refresh()
    source.lose("The line dropped.")
    window.refresh()
    assert window.banner.isVisible()
    assert window.banner.text.text() == "The line dropped."
    model = window.table.model()
    texts = [model.index(row, 0).data() for row in range(5)]
    assert all(text.endswith("OFFLINE") for text in texts)
    assert model.index(0, 1).data() == "42 / 100"
    assert not window.control.pause.pause.isEnabled()
    assert not window.control.request.send.isEnabled()
    assert "Not connected" in status_texts(window)
    qtbot.mouseClick(window.banner.retry, LEFT)
    assert source.calls == [("reconnect",)]


def test_no_span_can_be_selected_in_a_window_that_opens_empty(qtbot: QtBot, source: Any, clock: StillClock) -> None:
    """Neither by the button nor by the command, from the first frame on; a connection brings both."""
    connection, source.state = source.state, None
    made = MainWindow(Ingest(source, clock), Theme(Mode.DARK), "test")
    qtbot.addWidget(made)
    select, command = made.flow.tools[0], made.actions_.select_span
    assert (select.isEnabled(), command.isEnabled()) == (False, False)
    source.state = connection
    made.refresh()
    assert (select.isEnabled(), command.isEnabled()) == (True, True)


def test_a_connection_that_never_came_about_fills_the_centre(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """Before the first connection a page says why there is none; F5 tries again, and a connection brings the plots."""
    assert window.flow.isVisible()
    connection, source.state = source.state, None
    window.centralWidget().reset()
    window.ingest.reset()
    window.refresh()
    assert window.page.title.text() == "Nothing to watch yet"
    select, command = window.flow.tools[0], window.actions_.select_span
    assert not select.isEnabled()
    assert not command.isEnabled()
    assert select.toolTip() == command.toolTip() == "There are no plots yet. They show as soon as there is a connection."
    source.failure = Failure(title="The server refused the token", text="Give another one.")
    window.refresh()
    assert window.page.isVisible()
    assert window.page.title.text() == "The server refused the token"
    assert window.page.retry.isVisible()
    qtbot.keyClick(window, Qt.Key.Key_F5)
    assert source.calls == [("reconnect",)]
    source.state, source.failure = connection, None
    window.refresh()
    assert window.flow.isVisible()
    assert select.isEnabled()
    assert command.isEnabled()
    assert not window.banner.isVisible()


def test_while_connecting_the_page_says_so(window: MainWindow, source: Any) -> None:
    """An attempt under way is named with its address, in the page and in the status bar."""
    source.connecting = True
    window.refresh()
    assert window.page.title.text() == "Connecting to ws://fake:1"
    assert not window.page.connect_button.isVisible()
    assert "Connecting" in status_texts(window)


def test_no_attempt_pushes_the_docks_out_of_the_window(qtbot: QtBot, clock: Any, source: Any) -> None:
    """Refused, tried again, refused, cancelled: the buttons of the page take turns, and at 1280x800 all parts stay in sight."""
    source.state = None
    window = MainWindow(Ingest(source, clock), Theme(Mode.DARK), "test")
    qtbot.addWidget(window)
    window.resize(1280, 800)
    window.start()
    failure = Failure(title="The server cannot be reached", text="Connection refused. Check that it runs.")
    for failed, connecting in ((None, False), (failure, False), (None, True), (failure, False), (failure, True), (None, False)):
        source.failure, source.connecting = failed, connecting
        window.refresh()
        QApplication.processEvents()
        control = window.docks.by_name["control"].geometry()
        assert window.centralWidget().geometry().right() < control.left() < control.right() < window.width() == 1280


def test_a_script_owns_its_client(window: MainWindow, source: Any) -> None:
    """Where the monitor does not open clients itself it does not offer to."""
    source.can_reconnect = False
    source.lose()
    window.refresh()
    assert not window.banner.retry.isVisible()
    assert not window.actions_.connect_to.isEnabled()
    assert not window.control.answer.action.isVisible()


def test_connect_asks_for_an_address_and_a_token(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """The dialog's answer goes to the source; a new address begins with empty plots."""
    window.actions_.connect_to.trigger()
    dialog = window.findChild(ConnectDialog)
    assert dialog is not None
    assert dialog.url.text() == "ws://fake:1"
    dialog.url.setText("ws://other:2 ")
    dialog.token.setText("secret")

    def move(url: str, token: str | None) -> None:
        source.calls.append((url, token))
        source.address = url

    source.connect_to = move
    qtbot.mouseClick(dialog.connect_button, LEFT)
    assert source.calls == [("ws://other:2", "secret")]
    assert window.ingest.history.channels == ()
    assert dialog.isVisible()
    window.refresh()
    assert not dialog.isVisible()


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


def test_no_session_is_told_before_the_first_handshake(window: MainWindow, source: Any) -> None:
    """A connection that never came about has no session and no epoch 0."""
    source.state = msgspec.structs.replace(source.state, connected=False, epoch=0)
    window.refresh()
    assert f"session {NONE}" in status_texts(window)
    assert "epoch" not in status_texts(window)


def test_who_waited_in_a_connection_that_is_over_is_told_in_the_past(window: MainWindow, source: Any) -> None:
    """The row says waits while the client tries again, and waited as soon as it does not."""
    source.change("USER", backlog=1, waiting_for="offline")
    model = window.table.model()
    source.state = msgspec.structs.replace(source.state, connected=False, phase="offline")
    window.refresh()
    assert "No connection. 1 message waits," in model.index(0, 0, model.index(0, 0)).data()
    source.lose()
    window.refresh()
    assert "No connection. 1 message waited," in model.index(0, 0, model.index(0, 0)).data()


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


@pytest.mark.parametrize("left", [False, True], ids=["silent", "detached"])
def test_who_waited_in_a_script_that_is_not_heard_is_told_in_the_past(window: MainWindow, source: Any, left: bool) -> None:
    """Nobody knows whether they still do; and no test message is given a place in a line that cannot be reached."""
    source.change("USER", backlog=1, waiting=1, waiting_for="messages", missing=1, oldest_wait=1.0)
    window.refresh()
    assert "1 sender waits; clearing leaves it" in group_texts(window.control.queue)
    assert window.control.test_message.detail.text() == "waits as number 2"
    source.silent_s, source.can_attach_again, source.can_reconnect = 2.0, left, False
    source.state = msgspec.structs.replace(source.state, connected=False)
    source.failure = Failure(title="Detached" if left else "The script has stopped answering", text="It is not heard.")
    window.refresh()
    assert "and 1 sender waited" in group_texts(window.control.queue)
    assert window.control.test_message.detail.text() == ""


def test_without_a_connection_no_test_message_leaves_at_once(window: MainWindow, source: Any) -> None:
    """While the client connects, or comes back, nothing is promised."""
    assert window.control.test_message.detail.text() == "leaves at once"
    source.state = msgspec.structs.replace(source.state, connected=False, phase="offline")
    window.refresh()
    assert window.control.test_message.detail.text() == ""


def group_texts(group: QWidget) -> str:
    """Return what the labels of a group say."""
    return " | ".join(label.text() for label in group.findChildren(QLabel))
