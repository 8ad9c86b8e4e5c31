"""Queue, strategy, reading along, connecting and losing the server, by hand against a real development server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from haip_sync import HAIPClient, NotSentError, ReconnectPolicy
from haip_sync.testing import DevServer, Never, OnRequest
from monitor_app.main_window import MainWindow
from monitor_app.model.audit import Outcome
from monitor_app.model.client_source import ClientSource
from monitor_app.model.ingest import Ingest
from monitor_app.model.strategy_plan import KINDS
from monitor_app.settings import Settings
from monitor_app.theme import Mode, Theme
from monitor_app.views.clear_queue_dialog import ClearQueueDialog
from monitor_app.views.connect_dialog import ConnectDialog

LEFT = Qt.MouseButton.LeftButton
TIMEOUT_MS = 10_000
SECRET = "".join(("hunter2", "-s3cret"))


@pytest.fixture
def starved(qtbot: QtBot) -> Iterator[tuple[MainWindow, HAIPClient]]:
    """Yield a beating window on a script's client that may not send."""
    with DevServer(policy=Never(), initial_credits=0, agent=False) as server, HAIPClient(server.url) as client:
        window = MainWindow(Ingest(ClientSource(client)), Theme(Mode.DARK), "test")
        window.start()
        qtbot.waitUntil(window.actions_.pause.isEnabled, timeout=TIMEOUT_MS)
        yield window, client
        window.close()
        window.deleteLater()


def test_a_queue_is_cleared_by_hand_and_its_senders_are_told(qtbot: QtBot, starved: tuple[MainWindow, HAIPClient]) -> None:
    """The question counts what waits; after it the queue is empty, the trail says how many were lost and why."""
    window, client = starved
    pending = [client.enqueue_text_message("USER", f"text {number}") for number in range(4)]
    qtbot.waitUntil(window.control.queue.clear.isEnabled, timeout=TIMEOUT_MS)
    qtbot.mouseClick(window.control.queue.clear, LEFT)
    dialog = window.findChild(ClearQueueDialog)
    assert dialog is not None
    assert "Discard 4 messages" in dialog.discard.text()
    dialog.reason.setText("stale")
    qtbot.mouseClick(dialog.discard, LEFT)
    with pytest.raises(NotSentError, match="cleared"):
        pending[0].result(5.0)
    qtbot.waitUntil(lambda: window.ingest.audit.entries[-1].outcome is Outcome.DONE, timeout=TIMEOUT_MS)
    entry = window.ingest.audit.entries[-1]
    assert (entry.action, entry.reason) == ("clear queue", "stale")
    assert entry.result.startswith("4 messages taken back")
    qtbot.waitUntil(lambda: not window.control.queue.clear.isEnabled(), timeout=TIMEOUT_MS)
    assert client.queue_length("USER") == 0


def test_a_strategy_that_is_applied_lets_a_starved_channel_go_on(qtbot: QtBot) -> None:
    """A text waits for credit; the threshold strategy asks for it, and the text leaves."""
    with DevServer(policy=OnRequest(), initial_credits=0, agent=False) as server, HAIPClient(server.url) as client:
        window = MainWindow(Ingest(ClientSource(client)), Theme(Mode.LIGHT), "test")
        window.start()
        try:
            qtbot.waitUntil(window.actions_.pause.isEnabled, timeout=TIMEOUT_MS)
            qtbot.mouseClick(window.control.test_message.send, LEFT)
            qtbot.waitUntil(lambda: client.queue_length("USER") == 1, timeout=TIMEOUT_MS)
            group = window.control.strategy
            window.actions_.strategy.trigger()
            group.chooser.setCurrentIndex([kind.name for kind in KINDS].index("threshold"))
            qtbot.mouseClick(group.apply, LEFT)
            server.wait_for_session().wait_for(lambda seen: seen.text_count == 1, what="the text")
            qtbot.waitUntil(lambda: group.detail.text() == "threshold, every channel", timeout=TIMEOUT_MS)
            actions = {entry.action: entry.outcome for entry in window.ingest.audit.entries}
            qtbot.waitUntil(lambda: window.ingest.audit.entries[0].outcome is Outcome.DONE, timeout=TIMEOUT_MS)
            assert set(actions) == {"test message", "strategy"}
        finally:
            window.close()
            window.deleteLater()


def test_single_messages_can_be_read_along(qtbot: QtBot) -> None:
    """Switched on in the Log menu, what the agent answers is a row, and the inspector has its payload."""
    with DevServer(initial_credits=50) as server, HAIPClient(server.url, inbox="listeners") as client:
        window = MainWindow(Ingest(ClientSource(client)), Theme(Mode.DARK), "test")
        window.start()
        try:
            qtbot.waitUntil(window.actions_.pause.isEnabled, timeout=TIMEOUT_MS)
            window.actions_.messages.trigger()
            client.send_text_message("USER", "hello there", timeout=5.0)

            def received() -> list[int]:
                rows = window.log.shown_rows
                return [place for place, row in enumerate(rows) if isinstance(row.detail, dict) and "payload" in row.detail]

            qtbot.waitUntil(lambda: bool(received()), timeout=TIMEOUT_MS)
            assert any(row.text.startswith("sent ") for row in window.log.shown_rows)
            window.log.selectRow(received()[0])
            window.actions_.copy_row_json.trigger()
            assert json.loads(json.dumps(window.inspector._shown))["detail"]["payload"]
        finally:
            window.close()
            window.deleteLater()


def test_connecting_by_hand_refused_then_right_then_lost_and_back(qtbot: QtBot, tmp_path: Path) -> None:
    """A wrong token is told in the dialog, the right one connects; a loss disables the controls and F5 brings them back."""

    def open_once(url: str, token: str | None) -> HAIPClient:
        return HAIPClient(url, token=token, inbox="listeners", reconnect=ReconnectPolicy(enabled=False))

    settings = Settings(tmp_path / "monitor.ini")
    with DevServer(token=SECRET, policy=OnRequest(), agent=False) as server:
        window = MainWindow(Ingest(ClientSource(factory=open_once)), Theme(Mode.LIGHT), "test", settings)
        window.start()
        try:
            assert window.page.isVisible()
            qtbot.mouseClick(window.page.connect_button, LEFT)
            dialog = window.findChild(ConnectDialog)
            assert dialog is not None
            dialog.url.setText(server.url)
            dialog.name.setText("mine")
            dialog.token.setText("wrong")
            qtbot.keyClick(dialog.token, Qt.Key.Key_Return)
            qtbot.waitUntil(lambda: "refused the token" in dialog.message.text(), timeout=TIMEOUT_MS)
            assert settings.servers == ()
            dialog.token.setText(SECRET)
            with qtbot.waitSignal(dialog.accepted, timeout=TIMEOUT_MS):
                qtbot.mouseClick(dialog.connect_button, LEFT)
            qtbot.waitUntil(window.control.pause.pause.isEnabled, timeout=TIMEOUT_MS)
            assert [known.name for known in settings.servers] == ["mine"]
            server.drop(session=server.wait_for_session())
            qtbot.waitUntil(lambda: not window.control.pause.pause.isEnabled(), timeout=TIMEOUT_MS)
            assert window.control.pause.pause.toolTip() == "There is no connection."
            window.activateWindow()
            qtbot.waitUntil(window.isActiveWindow, timeout=TIMEOUT_MS)
            qtbot.keyClick(window, Qt.Key.Key_F5)
            qtbot.waitUntil(window.control.pause.pause.isEnabled, timeout=TIMEOUT_MS)
            outcomes = [entry.outcome for entry in window.ingest.audit.entries]
            assert outcomes == [Outcome.FAILED, Outcome.DONE, Outcome.DONE]
        finally:
            window.close()
            window.deleteLater()
    assert not any(SECRET.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
