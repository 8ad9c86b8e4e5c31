"""The keys of a window: each command has one, no two share it, and all parts are reached without a mouse."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QAbstractButton, QAbstractSpinBox, QApplication, QComboBox, QLineEdit, QWidget
from pytestqt.qtbot import QtBot
from support.open_dialogs import the

from monitor_app.actions import MENUS, SPECS, span_name
from monitor_app.main_window import MainWindow
from monitor_app.views.shortcut_sheet import ShortcutSheet


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
