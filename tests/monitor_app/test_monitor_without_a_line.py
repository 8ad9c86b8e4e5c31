"""A window whose source has no connection: none yet, none any more, or one that is being tried."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot
from support.still_clock import StillClock
from support.window_texts import status_texts

from monitor_app.main_window import MainWindow
from monitor_app.model.ingest import Ingest
from monitor_app.model.source import Failure
from monitor_app.model.units import NONE
from monitor_app.theme import Mode, Theme
from monitor_app.views.connect_dialog import ConnectDialog

LEFT = Qt.MouseButton.LeftButton


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


def group_texts(group: QWidget) -> str:
    """Return what the labels of a group say."""
    return " | ".join(label.text() for label in group.findChildren(QLabel))
