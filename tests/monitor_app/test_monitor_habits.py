"""The habits of a window: layout, themes, connecting, diagnostics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QByteArray, Qt
from PySide6.QtGui import QGuiApplication, QPalette
from PySide6.QtWidgets import QAbstractButton, QApplication, QFileDialog, QLineEdit, QToolButton
from pytestqt.qtbot import QtBot
from support.open_dialogs import the

from haip_sync import WarningRaised
from monitor_app.main_window import MainWindow
from monitor_app.model.ingest import Ingest
from monitor_app.model.source import Failure
from monitor_app.settings import Settings
from monitor_app.theme import Mode, Theme
from monitor_app.views.clear_queue_dialog import ClearQueueDialog
from monitor_app.views.connect_dialog import ConnectDialog
from monitor_app.views.text_dialog import TextDialog

LEFT = Qt.MouseButton.LeftButton

CTRL = Qt.KeyboardModifier.ControlModifier

SECRET = "hunter2-s3cret"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings of their own."""
    return Settings(tmp_path / "monitor.ini")


@pytest.fixture
def opened(qtbot: QtBot, source: Any, clock: Any, settings: Settings) -> Iterator[Callable[[], MainWindow]]:
    """Yield a maker of windows that remember, as on one day after another."""
    made: list[MainWindow] = []

    def open_window() -> MainWindow:
        window = MainWindow(Ingest(source, clock), Theme(settings.theme), "test", settings)
        made.append(window)
        window.start()
        QApplication.processEvents()
        window.refresh()
        return window

    yield open_window
    for window in made:
        window.close()
        window.deleteLater()


# ---- Layout, theme


def test_a_layout_comes_back_and_can_be_reset(opened: Callable[[], MainWindow], settings: Settings) -> None:
    """A closed dock is closed tomorrow too, until Reset layout brings everything back to its place."""
    first = opened()
    first.docks.by_name["inspector"].close()
    first.docks.by_name["channels"].setFloating(True)
    QApplication.processEvents()
    first.close()
    second = opened()
    assert not second.docks.by_name["inspector"].isVisible()
    assert second.docks.by_name["channels"].isFloating()
    second.actions_.reset_layout.trigger()
    QApplication.processEvents()
    assert all(dock.isVisible() and not dock.isFloating() for dock in second.docks.by_name.values())
    second.close()
    third = opened()
    assert all(dock.isVisible() for dock in third.docks.by_name.values())


def test_a_layout_that_makes_no_sense_is_the_default_one(opened: Callable[[], MainWindow], settings: Settings) -> None:
    """Bytes that are no layout change nothing: every dock is where it was drawn."""
    settings.keep_layout(QByteArray(b"no geometry"), QByteArray(b"no state"))
    window = opened()
    assert all(dock.isVisible() and dock.width() > 100 for dock in window.docks.by_name.values())
    assert window.width() == 1440


def test_the_theme_comes_back(opened: Callable[[], MainWindow], settings: Settings) -> None:
    """Chosen live, by menu or keys; the next window has it."""
    first = opened()
    first.actions_.modes[Mode.DARK].trigger()
    assert first._theme.colours.dark
    first.close()
    assert settings.theme is Mode.DARK
    second = opened()
    assert second._theme.colours.dark
    assert second.actions_.modes[Mode.DARK].isChecked()


def test_fields_that_come_later_have_the_colours_of_the_theme(window: MainWindow) -> None:
    """The numbers of a strategy are made when it is chosen, and are dark in the dark theme all the same."""
    window.control.strategy.fold.setChecked(True)
    window.control.strategy.chooser.setCurrentIndex(1)
    QApplication.processEvents()
    for field in window.control.strategy.fields.values():
        assert field.grab().toImage().pixelColor(field.width() - 8, 6).lightness() < 80


@pytest.mark.parametrize("mode", [Mode.DARK, Mode.LIGHT])
def test_the_arrows_of_a_file_chooser_have_the_colour_of_its_words(qtbot: QtBot, window: MainWindow, mode: Mode) -> None:
    """Back, forward and up: the style would draw them black on a dark ground."""
    del qtbot
    window.actions_.modes[mode].trigger()
    window.actions_.save_plots.trigger()
    chooser = the(window, QFileDialog)
    words = window.palette().color(QPalette.ColorRole.ButtonText)
    for name in ("backButton", "forwardButton", "toParentButton"):
        image = chooser.findChild(QToolButton, name).icon().pixmap(32, 32).toImage()
        spots = ((x, y) for x in range(image.width()) for y in range(image.height()))
        solid = {image.pixelColor(x, y).rgb() for x, y in spots if image.pixelColor(x, y).alpha() == 255}
        assert solid == {words.rgb()}
    chooser.close()


@pytest.mark.parametrize("mode", [Mode.DARK, Mode.LIGHT])
def test_what_drops_from_a_field_can_be_read_in_either_theme(qtbot: QtBot, window: MainWindow, mode: Mode) -> None:
    """The words of a list that has dropped stand out from its ground."""
    window.actions_.modes[mode].trigger()
    for chooser in (window.log.channel_filter, window.control.chooser, window.control.strategy.chooser):
        chooser.view().ensurePolished()
        palette = chooser.view().palette()
        words, ground = palette.color(QPalette.ColorRole.Text), palette.color(QPalette.ColorRole.Base)
        assert abs(words.lightness() - ground.lightness()) > 120, chooser.accessibleName()


# ---- Connecting


def test_a_wrong_address_is_told_before_anything_is_tried(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """The sentence says how to write it, on a line of its own, and the dialog stays."""
    qtbot.keyClick(window, Qt.Key.Key_N, CTRL)
    dialog = the(window, ConnectDialog)
    dialog.url.setText("http://somewhere")
    qtbot.mouseClick(dialog.connect_button, LEFT)
    assert "does not begin with ws:// or wss://" in dialog.message.text()
    widths = [dialog.message.fontMetrics().horizontalAdvance(line) for line in dialog.message.text().splitlines()]
    assert max(widths) < dialog.message.width(), "an address is broken in two"
    assert source.calls == []
    dialog.url.setText("ws://somewhere")
    assert dialog.message.text() == ""
    dialog.reject()


def test_a_failure_is_said_in_the_dialog_and_can_be_tried_again(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """Connecting, refused, another token, connected: all in one place, with the token as dots."""
    source.lose()
    window.refresh()
    window.actions_.connect_to.trigger()
    dialog = the(window, ConnectDialog)
    assert dialog.token.echoMode() is QLineEdit.EchoMode.Password
    qtbot.mouseClick(dialog.connect_button, LEFT)
    source.connecting, source.failure = True, None
    window.refresh()
    assert dialog.message.text() == "Connecting to ws://fake:1…"
    assert not dialog.connect_button.isEnabled()
    source.connecting, source.failure = False, Failure(title="The server refused the token", text="Give another one.")
    window.refresh()
    assert dialog.message.text() == "The server refused the token. Give another one."
    assert dialog.connect_button.text() == "Try again"
    dialog.token.setText(SECRET)
    qtbot.keyClick(dialog.token, Qt.Key.Key_Return)
    assert source.calls[-1] == ("connect_to", "ws://fake:1", SECRET)
    source.failure = None
    source.state = type(source)().state
    window.refresh()
    assert not dialog.isVisible()


def test_servers_are_remembered_by_name_and_their_tokens_are_not(
    qtbot: QtBot, opened: Callable[[], MainWindow], source: Any, settings: Settings
) -> None:
    """Once the connection stands name and address are kept; the whole folder of settings has no secret in it."""
    window = opened()
    window.actions_.connect_to.trigger()
    dialog = the(window, ConnectDialog)
    dialog.url.setText(f"wss://me:{SECRET}@prod:1/haip?token={SECRET}")
    dialog.name.setText("prod")
    dialog.token.setText(SECRET)
    qtbot.mouseClick(dialog.connect_button, LEFT)
    window.refresh()
    window.close()
    assert [server.title for server in settings.servers] == ["prod (wss://prod:1/haip)"]
    kept = [path for path in settings.path.parent.rglob("*") if path.is_file()]
    assert kept
    assert not any(SECRET.encode() in path.read_bytes() for path in kept)
    again = opened()
    again.actions_.connect_to.trigger()
    dialog = the(again, ConnectDialog)
    dialog.servers.setCurrentIndex(1)
    dialog.servers.activated.emit(1)
    assert (dialog.url.text(), dialog.name.text(), dialog.token.text()) == ("wss://prod:1/haip", "prod", "")
    qtbot.mouseClick(dialog.forget, LEFT)
    assert settings.servers == ()
    assert not dialog.servers.isEnabled()
    dialog.reject()


def test_the_empty_page_says_what_to_do_and_offers_known_servers(
    qtbot: QtBot, opened: Callable[[], MainWindow], source: Any, settings: Settings
) -> None:
    """Before the first connection: what to press, and the servers of yesterday one click away."""
    settings.remember_server("ws://prod:1", "prod")
    source.state, source.failure = None, None
    window = opened()
    assert window.page.isVisible()
    assert window.page.title.text() == "Nothing to watch yet"
    assert "Ctrl+N" in window.page.text.text()
    known = next(made for made in window.page.findChildren(QAbstractButton) if "prod" in made.text())
    qtbot.mouseClick(known, LEFT)
    dialog = the(window, ConnectDialog)
    assert dialog.url.text() == "ws://prod:1"
    dialog.reject()


# ---- Diagnostics


def test_diagnostics_can_be_pasted_and_hold_no_secret(
    qtbot: QtBot, opened: Callable[[], MainWindow], source: Any, tmp_path: Path
) -> None:
    """Versions, platform, Qt, screen, source, counters and recent warnings; never the token that was used."""
    (tmp_path / "monitor.ini").write_text("somebody else's")
    window = opened()
    window.ingest.commands.connect_to(f"ws://u:{SECRET}@h/?t={SECRET}", SECRET)
    source.dropped = 1234
    source.events.append(WarningRaised(time_s=1000.0, text="a stall", channel="USER"))
    window.refresh()
    window.actions_.diagnostics.trigger()
    dialog = the(window, TextDialog)
    qtbot.mouseClick(dialog.copy, LEFT)
    text = QGuiApplication.clipboard().text()
    assert dialog.copy.text() == "Copied"
    for words in ("haip-sync:", "PySide6-Essentials:", "platform:", "Qt:", "screens:", "kind: FakeSource", "1 234", "a stall"):
        assert words in text
    assert "frames:" in text
    assert SECRET not in text
    dialog.reject()


def test_settings_that_were_put_aside_are_in_the_diagnostics(qtbot: QtBot, source: Any, clock: Any, tmp_path: Path) -> None:
    """What happened to a damaged file is told where a bug report will have it."""
    path = tmp_path / "monitor.ini"
    path.write_text("somebody else's")
    window = MainWindow(Ingest(source, clock), Theme(Mode.DARK), "test", Settings(path))
    window.show()
    window.actions_.diagnostics.trigger()
    dialog = the(window, TextDialog)
    assert "monitor.ini.unreadable" in dialog.text.toPlainText()
    dialog.reject()
    window.close()
    window.deleteLater()


def test_a_window_with_an_open_question_closes(window: MainWindow, source: Any) -> None:
    """Closing the window with a dialog above it leaves nothing on the screen."""
    source.change("USER", queued=1, backlog=1)
    window.refresh()
    window.actions_.clear_queue.trigger()
    assert the(window, ClearQueueDialog)
    window.close()
    assert not [widget for widget in QApplication.topLevelWidgets() if widget.isVisible()]
