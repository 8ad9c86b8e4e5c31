"""The habits of a window: keys, layout, themes, accessibility, connecting, diagnostics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from PySide6.QtCore import QByteArray, Qt
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence, QPalette
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QFileDialog,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from haip_sync import WarningRaised
from monitor_app.actions import MENUS, SPECS, span_name
from monitor_app.main_window import MainWindow
from monitor_app.model.ingest import Ingest
from monitor_app.model.source import Failure
from monitor_app.settings import Settings
from monitor_app.theme import Mode, Theme
from monitor_app.views.clear_queue_dialog import ClearQueueDialog
from monitor_app.views.connect_dialog import ConnectDialog
from monitor_app.views.shortcut_sheet import ShortcutSheet
from monitor_app.views.text_dialog import TextDialog

LEFT = Qt.MouseButton.LeftButton
CTRL = Qt.KeyboardModifier.ControlModifier
Made = TypeVar("Made", bound=QDialog)
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


def the(window: MainWindow, kind: type[Made]) -> Made:
    """Return the dialog of that kind that is open."""
    return next(dialog for dialog in window.findChildren(kind) if dialog.isVisible())


# ---- Keys


def test_every_command_has_keys_and_no_two_share_them(window: MainWindow) -> None:
    """The registry is complete: whatever a menu holds can be done by keys."""
    listed = window.actions_.listed()
    assert {name for *_, name in listed} >= {getattr(window.actions_, spec.name) for spec in SPECS}
    without = [text for _, text, keys, _ in listed if not keys]
    assert without == []
    shared = [keys for keys, count in Counter(keys for *_, keys, _ in listed).items() if count > 1]
    assert shared == []


def test_no_menu_has_the_same_mnemonic_twice(window: MainWindow) -> None:
    """Alt and a letter choose one entry, in the bar and in each menu."""
    titles = [title[title.index("&") + 1].casefold() for title in MENUS]
    assert len(set(titles)) == len(titles)
    for menu in MENUS:
        letters = [spec.text[spec.text.index("&") + 1].casefold() for spec in SPECS if spec.menu == menu]
        assert len(set(letters)) == len(letters), menu


def test_a_command_that_is_not_there_is_an_error(window: MainWindow) -> None:
    """A name with a typing error does not pass silently."""
    with pytest.raises(AttributeError, match="there is no command 'puase'"):
        _ = window.actions_.puase


def test_spans_are_called_as_people_call_them() -> None:
    """Seconds, minutes, hours."""
    assert [span_name(span_s) for span_s in (30.0, 120.0, 3600.0)] == ["30 s", "2 min", "1 h"]


def triggers(window: MainWindow, names: list[str]) -> dict[str, int]:
    """Count how often commands are triggered from now on, instead of doing them."""
    counted = dict.fromkeys(names, 0)
    for name in names:
        action: QAction = getattr(window.actions_, name)
        action.triggered.disconnect()
        action.setEnabled(True)

        def count(_checked: bool = False, name: str = name) -> None:
            counted[name] += 1

        action.triggered.connect(count)
    return counted


def test_each_key_does_its_command(qtbot: QtBot, window: MainWindow) -> None:
    """Every shortcut and every single key of the registry, pressed in the window, triggers what it stands for."""
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    counted = triggers(window, [spec.name for spec in SPECS])
    window.flow.setFocus()
    for spec in SPECS:
        combination = QKeySequence(spec.keys)[0]
        qtbot.keyClick(window, combination.key(), combination.keyboardModifiers())
    assert counted == {spec.name: 1 for spec in SPECS}


def test_a_question_mark_opens_the_sheet_and_words_find_commands(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """Search narrows, arrows move, Return does; what cannot be done now says why."""
    source.can_reconnect = False
    window.refresh()
    qtbot.keyClicks(window, "?")
    sheet = the(window, ShortcutSheet)
    assert sheet.table.rowCount() == len(window.actions_.listed())
    qtbot.keyClicks(sheet.search, "connect")
    refused = sheet.table.item(0, 1).text()
    assert "belongs to a script" in refused
    assert sheet.table.fontMetrics().horizontalAdvance(refused) < sheet.table.columnWidth(1)
    qtbot.keyClick(sheet.search, Qt.Key.Key_Return)
    assert sheet.isVisible()
    sheet.search.clear()
    qtbot.keyClicks(sheet.search, "docks")
    texts = [sheet.table.item(row, 1).text() for row in range(sheet.table.rowCount())]
    assert texts == [f"Docks: {name} (on)" for name in ("Channels", "Figures", "Control", "Event log", "Inspector")]
    qtbot.keyClick(sheet.search, Qt.Key.Key_Down)
    qtbot.keyClick(sheet.search, Qt.Key.Key_Return)
    assert not sheet.isVisible()
    assert not window.docks.by_name["figures"].isVisible()
    window.actions_.shortcuts.trigger()
    sheet = the(window, ShortcutSheet)
    qtbot.keyClicks(sheet.search, "no such command")
    qtbot.keyClick(sheet.search, Qt.Key.Key_Return)
    sheet.reject()


def test_the_sheet_begins_at_the_first_command_that_can_be_done(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """Return on what was found does something, where anything that was found can be done; else it says why not."""
    source.can_reconnect = False
    window.refresh()
    window.actions_.shortcuts.trigger()
    sheet = the(window, ShortcutSheet)

    def chosen() -> str:
        return sheet.table.item(sheet.table.currentRow(), 1).text()

    QApplication.processEvents()
    assert sheet.table.viewport().height() % sheet.table.rowHeight(0) <= 2, "no row is cut off"
    assert not window.actions_.connect_to.isEnabled(), "the first of all cannot be done"
    assert chosen() == "Attach to a script…"
    qtbot.keyClicks(sheet.search, "connecting")
    assert chosen().startswith("Cancel connecting: not now. ")
    sheet.search.clear()
    qtbot.keyClicks(sheet.search, "channel")
    qtbot.keyClicks(sheet.search, " r")
    qtbot.keyClick(sheet.search, Qt.Key.Key_Down)
    assert sheet.table.currentRow() > 0, "the arrows go on from there"


def test_single_letters_are_not_lost_in_tables(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """A table would look for a row that begins with the letter; here every table leaves it to the window."""
    source.change("USER", paused_by_us=True)
    window.refresh()
    for part in (window.table, window.figures.table, window.log, window.log_panel.audit, window.inspector):
        qtbot.keyClick(part, Qt.Key.Key_R)
    assert source.calls == [("resume", "USER")] * 5
    qtbot.keyClick(window.inspector, Qt.Key.Key_Down)
    assert window.table.chosen == "USER"


def test_f6_goes_round_all_parts(qtbot: QtBot, window: MainWindow) -> None:
    """Forward and back, without a mouse, and a closed dock is left out."""
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    window.table.setFocus()
    seen: list[QWidget | None] = []
    for _ in range(6):
        window.actions_.next_part.trigger()
        seen.append(window.focusWidget())
    parts = [window.flow, window.figures, window.control, window.log, window.inspector, window.table]
    for focus, part in zip(seen, parts, strict=True):
        assert focus is not None
        assert focus is part or part.isAncestorOf(focus)
    window.docks.by_name["inspector"].close()
    window.actions_.last_part.trigger()
    assert window.focusWidget() is window.log


def test_tab_goes_from_channels_to_plots_to_control_to_log(qtbot: QtBot, window: MainWindow) -> None:
    """However the docks lie, and through Control from top to bottom."""
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    window.table.setFocus()
    walked: list[QWidget] = []
    while (focus := QApplication.focusWidget()) is not None and focus not in walked:
        walked.append(focus)
        qtbot.keyClick(focus, Qt.Key.Key_Tab)
    control = window.control
    wanted = [
        window.table,
        window.flow._plots,
        control.chooser,
        control.request.send,
        control.pause.reason,
        control.test_message.text,
    ]
    wanted += [window.log_panel.events_tab, window.log, window.inspector]
    assert [walked.index(widget) for widget in wanted] == sorted(walked.index(widget) for widget in wanted)


def test_tab_reaches_every_control_and_the_focus_can_be_seen(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """Going on with Tab alone, every enabled control that is in sight comes up once before the first comes again."""
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    window.table.setFocus()
    seen: set[QWidget] = set()
    for _ in range(200):
        focus = QApplication.focusWidget()
        assert focus is not None
        seen.add(focus)
        qtbot.keyClick(focus, Qt.Key.Key_Tab)
    wanted = [
        widget
        for kind in (QAbstractButton, QLineEdit, QComboBox, QAbstractSpinBox)
        for widget in window.findChildren(kind)
        if widget.isVisible() and widget.isEnabled() and widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and not isinstance(widget.parent(), QAbstractSpinBox)
    ]  # fmt: skip
    missed = [widget.accessibleName() for widget in wanted if widget not in seen]
    assert missed == []
    button = window.control.request.send
    window.table.setFocus()
    before = button.grab().toImage()
    button.setFocus()
    assert button.grab().toImage() != before


# ---- Accessibility


def nameless(root: QWidget) -> list[str]:
    """Return the controls within `root` that a screen reader could not name."""
    kinds = (QAbstractButton, QLineEdit, QComboBox, QAbstractSpinBox, QAbstractItemView, QPlainTextEdit, QProgressBar)
    found = []
    for kind in kinds:
        for widget in root.findChildren(kind):
            inner = widget.objectName().startswith("qt_") or isinstance(widget.parent(), (QAbstractSpinBox, QComboBox, QLineEdit))
            header = "Header" in type(widget).__name__
            private = type(widget).__module__.startswith("PySide6") and isinstance(widget.parentWidget(), QComboBox)
            popup = widget.window() is not root.window() and not isinstance(widget.window(), QDialog)
            if not (inner or header or private or popup) and not widget.accessibleName():
                text = widget.text() if isinstance(widget, QAbstractButton) else ""
                if not text:
                    found.append(f"{type(widget).__name__} in {type(widget.parent()).__name__}")
    return found


def test_every_control_of_the_window_has_a_name(window: MainWindow, source: Any) -> None:
    """All widgets are walked, in every state that brings more of them."""
    window.control.strategy.fold.setChecked(True)
    for place in range(window.control.strategy.chooser.count()):
        window.control.strategy.chooser.setCurrentIndex(place)
        assert nameless(window) == []
    source.lose()
    window.refresh()
    assert nameless(window) == []


def test_every_control_of_every_dialog_has_a_name(window: MainWindow, source: Any) -> None:
    """Connect, export, shortcuts, diagnostics, clear the queue."""
    source.change("USER", queued=1, backlog=1)
    window.refresh()
    for name in ("connect_to", "export", "shortcuts", "diagnostics", "clear_queue"):
        getattr(window.actions_, name).trigger()
        dialog = next(made for made in window.findChildren(QDialog) if made.isVisible())
        assert nameless(dialog) == [], name
        fields = [field for kind in (QLineEdit, QComboBox) for field in dialog.findChildren(kind) if field.isVisible()]
        assert all(field.grab().toImage().pixelColor(field.width() - 24, 6).lightness() < 90 for field in fields), name
        dialog.reject()
        QApplication.sendPostedEvents(None, 52)


def test_buttons_without_words_have_a_name_and_a_tooltip(window: MainWindow) -> None:
    """The two small buttons of a dock say what they do."""
    small = [made for made in window.findChildren(QToolButton) if made.text() in {"❐", "✕"}]
    assert len(small) == 2 * len(window.docks.by_name)
    assert all(made.accessibleName() and made.toolTip() for made in small)


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
