"""Cancelling an attempt to connect: by button, by key, in the dialog; at once, in words, and without a thread left behind."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot
from support.turnstiles import until

from haip_sync.testing import DevServer
from monitor_app.colours import DARK
from monitor_app.main_window import MainWindow
from monitor_app.model.attempt import Attempt
from monitor_app.model.audit import Outcome
from monitor_app.model.client_source import ClientSource, open_client
from monitor_app.model.event_log import Tone
from monitor_app.model.ingest import Ingest
from monitor_app.theme import Mode, Theme
from monitor_app.views.connect_dialog import ConnectDialog

LEFT = Qt.MouseButton.LeftButton
SHIFT = Qt.KeyboardModifier.ShiftModifier
TITLE = "Connecting was cancelled"


@pytest.fixture
def mute() -> Iterator[str]:
    """Yield the address of a server that accepts whoever comes, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"ws://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def own(qtbot: QtBot) -> Iterator[MainWindow]:
    """Yield a window, with everything beating, that opens its own clients."""
    made = MainWindow(Ingest(ClientSource(factory=open_client, name="monitor")), Theme(Mode.DARK), "test")
    made.start()
    yield made
    made.close()
    made.deleteLater()


def connecting(window: MainWindow, address: str) -> None:
    """Begin an attempt that hangs, as the command line does."""
    window.ingest.commands.connect_to(address, None)
    window.refresh()
    assert window.ingest.source.connecting


def threads_of_attempts() -> list[str]:
    """Return the threads that an attempt, or its end, runs on."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("monitor")]


def is_cancelled(window: MainWindow) -> bool:
    """Return whether the window says so, and offers to try again."""
    return window.page.title.text() == TITLE and window.page.retry.isVisible() and window.actions_.retry.isEnabled()


def test_the_button_in_the_centre_cancels_an_attempt_that_hangs(qtbot: QtBot, own: MainWindow, mute: str) -> None:
    """The attempt is over with the click, log and audit trail say so, and its threads end long before its time would have."""
    assert not own.page.cancel.isVisible()
    connecting(own, mute)
    assert own.page.cancel.isVisible()
    qtbot.mouseClick(own.page.cancel, LEFT)
    assert is_cancelled(own)
    assert not own.page.cancel.isVisible()
    assert own.page.text.text() == f"{mute} had not answered yet."
    row = own.log.shown_rows[-1]
    assert (row.text.startswith(f"{TITLE}. {mute}"), row.tone) == (True, Tone.OURS)
    assert own.answer.title.text() == TITLE
    assert own.answer._frame._colours[:2] == (DARK.header, DARK.border), "nothing went wrong"
    (entry,) = own.ingest.audit.entries
    assert (entry.action, entry.outcome) == ("connect", Outcome.FAILED)
    until(lambda: not threads_of_attempts())


def test_a_key_cancels_an_attempt_and_another_can_follow(qtbot: QtBot, own: MainWindow, mute: str) -> None:
    """Shift+F5 does it while there is something to cancel; the next attempt has nothing of the one before."""
    assert not own.actions_.cancel_connect.isEnabled()
    assert own.actions_.cancel_connect.toolTip() == "No attempt to connect is under way."
    connecting(own, mute)
    assert own.actions_.cancel_connect.isEnabled()
    qtbot.keyClick(own, Qt.Key.Key_F5, SHIFT)
    assert is_cancelled(own)
    assert not own.actions_.cancel_connect.isEnabled()
    qtbot.keyClick(own, Qt.Key.Key_F5)
    assert own.ingest.source.connecting
    qtbot.keyClick(own, Qt.Key.Key_F5, SHIFT)
    assert is_cancelled(own)
    with DevServer(agent=False) as server:
        own.ingest.commands.connect_to(server.url, None)
        qtbot.waitUntil(lambda: own.ingest.connection is not None and own.ingest.connection.connected, timeout=15_000)
        assert own.ingest.source.failure is None


@pytest.mark.parametrize("way", ["button", "Esc"])
def test_the_dialog_cancels_the_attempt_first_and_closes_then(qtbot: QtBot, own: MainWindow, mute: str, way: str) -> None:
    """While it connects its Cancel stops that: the dialog says so and stays, to try again; the next Cancel closes it."""
    own.actions_.connect_to.trigger()
    dialog = own.findChild(ConnectDialog)
    assert dialog is not None

    def cancel() -> None:
        if way == "Esc":
            qtbot.keyClick(dialog, Qt.Key.Key_Escape)
        else:
            qtbot.mouseClick(dialog.cancel, LEFT)

    dialog.url.setText(mute)
    qtbot.mouseClick(dialog.connect_button, LEFT)
    assert (dialog.cancel.text(), dialog.connect_button.isEnabled()) == ("Cancel connecting", False)
    assert dialog.message.text().startswith("Connecting to")
    cancel()
    assert dialog.isVisible()
    assert dialog.message.text() == f"{TITLE}. {mute} had not answered yet."
    assert dialog.message.property("tone") == "", "nothing went wrong"
    assert (dialog.cancel.text(), dialog.connect_button.text()) == ("Cancel", "Try again")
    assert dialog.connect_button.isEnabled()
    cancel()
    assert not dialog.isVisible()
    until(lambda: not threads_of_attempts())


def test_a_window_closes_over_a_dialog_that_connects(own: MainWindow, mute: str) -> None:
    """Both are gone at once, and the attempt with them."""
    own.actions_.connect_to.trigger()
    dialog = own.findChild(ConnectDialog)
    assert dialog is not None
    dialog.url.setText(mute)
    dialog.connect_button.click()
    own.close()
    assert not dialog.isVisible()
    until(lambda: not threads_of_attempts())


def test_nothing_is_cancelled_without_an_attempt(window: MainWindow, source: Any) -> None:
    """Neither of a connection that stands nor of a client that is a script's."""
    window.dialogs.cancel_connect()
    source.connecting, source.can_reconnect = True, False
    window.refresh()
    window.dialogs.cancel_connect()
    assert not window.actions_.cancel_connect.isEnabled()
    assert window.page.cancel.isHidden()
    assert ("cancel_connect",) not in source.calls


def test_what_came_of_an_attempt_is_said_once() -> None:
    """Where the server answers just as it is cancelled, whoever comes first says what came of it."""
    attempt = Attempt(open_client("ws://127.0.0.1:9", None))
    assert [attempt.claim(), attempt.claim()] == [True, False]
    assert not attempt.is_over
    attempt.end()
    assert attempt.is_over
    attempt.client.close()
