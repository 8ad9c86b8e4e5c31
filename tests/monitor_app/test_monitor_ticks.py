"""The ticks of commands that toggle: in menus and in the sheet of keys they agree with the toolbar and with what is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QToolButton
from pytestqt.qtbot import QtBot

from monitor_app.main_window import MainWindow
from monitor_app.model.source import Notice
from monitor_app.views.shortcut_sheet import ShortcutSheet

LEFT = Qt.MouseButton.LeftButton


def ticked(window: MainWindow, *names: str) -> list[bool]:
    """Return whether commands are ticked; each can be."""
    actions = [getattr(window.actions_, name) for name in names]
    assert all(action.isCheckable() for action in actions)
    return [action.isChecked() for action in actions]


def test_live_and_freeze_are_ticked_as_the_picture_is(qtbot: QtBot, window: MainWindow) -> None:
    """By menu, key, toolbar and mouse; looking back neither is, and to follow again while following changes nothing."""
    assert ticked(window, "live", "freeze") == [True, False]
    window.actions_.live.trigger()
    assert ticked(window, "live", "freeze") == [True, False]
    qtbot.keyClick(window.table, Qt.Key.Key_Space)
    assert ticked(window, "live", "freeze") == [False, True]
    qtbot.mouseClick(window._bar.live, LEFT)
    assert ticked(window, "live", "freeze") == [True, False]
    window.flow._plots.hands.panned.emit(-0.4)
    assert ticked(window, "live", "freeze") == [False, False]
    window.actions_.freeze.trigger()
    assert ticked(window, "live", "freeze") == [False, True]
    window.actions_.freeze.trigger()
    assert ticked(window, "live", "freeze") == [True, False]


def test_pages_sides_and_channels_are_ticked_as_they_are_shown(qtbot: QtBot, window: MainWindow) -> None:
    """The page of the log, the side of the table, and of the chosen channel whether it is hidden or alone."""
    assert ticked(window, "show_events", "show_audit", "other_side", "hide_channel", "solo_channel") == [True, *[False] * 4]
    qtbot.mouseClick(window.log_panel.audit_tab, LEFT)
    assert ticked(window, "show_events", "show_audit") == [False, True]
    window.actions_.show_audit.trigger()
    assert ticked(window, "show_events", "show_audit") == [False, True]
    qtbot.keyClick(window.table, Qt.Key.Key_Right)
    assert ticked(window, "other_side") == [True]
    window.actions_.other_side.trigger()
    assert ticked(window, "other_side") == [False]
    qtbot.keyClick(window.table, Qt.Key.Key_H)
    assert ticked(window, "hide_channel", "solo_channel") == [True, False]
    window.table.choose("AGENT")
    assert ticked(window, "hide_channel", "solo_channel") == [False, False]
    qtbot.keyClick(window.table, Qt.Key.Key_S)
    assert ticked(window, "hide_channel", "solo_channel") == [False, True]


def test_a_span_without_a_name_leaves_none_ticked(qtbot: QtBot, window: MainWindow) -> None:
    """The menu says the same as the toolbar, and a click on the span that is shown leaves it."""
    spans: Mapping[float, Any] = window.actions_.spans
    assert [span_s for span_s, action in spans.items() if action.isChecked()] == [120.0]
    spans[120.0].trigger()
    assert [span_s for span_s, action in spans.items() if action.isChecked()] == [120.0]
    qtbot.keyClick(window.table, Qt.Key.Key_Plus)
    assert not any(action.isChecked() for action in spans.values())
    spans[120.0].trigger()
    assert (window.flow.span_s, spans[120.0].isChecked()) == (120.0, True)


def test_to_select_a_span_can_be_left_by_the_key_that_began_it(qtbot: QtBot, window: MainWindow) -> None:
    """The command toggles as its button does."""
    button: QToolButton = window.flow.tools[0]
    window.actions_.select_span.setEnabled(True)
    window.actions_.select_span.trigger()
    assert (button.isChecked(), *ticked(window, "select_span")) == (True, True)
    window.actions_.select_span.trigger()
    assert (button.isChecked(), *ticked(window, "select_span")) == (False, False)
    button.setEnabled(True)
    qtbot.mouseClick(button, LEFT)
    assert ticked(window, "select_span") == [True]


def test_single_messages_are_ticked_only_where_they_are_logged(window: MainWindow, source: Any) -> None:
    """A script gives none away: its refusal is in the log, and no tick says otherwise."""
    window.actions_.messages.trigger()
    assert ticked(window, "messages") == [True]
    window.actions_.messages.trigger()
    refused = Notice(time_s=1000.0, channel=None, action="messages", result="They never leave the script.", ok=False)

    def refuse(*, wanted: bool) -> bool:
        source.notices.append(refused)
        return False

    source.watch_messages = refuse
    window.actions_.messages.trigger()
    assert ticked(window, "messages") == [False]


@pytest.mark.parametrize(("name", "words"), [("channels", "Docks: Channels"), ("log", "Docks: Event log")])
def test_docks_are_ticked_while_they_are_there(window: MainWindow, name: str, words: str) -> None:
    """In the menu and in the sheet of keys, whoever closed or opened them."""
    dock = window.docks.by_name[name]
    assert dock.toggleViewAction().isChecked()
    assert f"{words} (on)" in commands(window)
    dock.close()
    assert not dock.toggleViewAction().isChecked()
    assert words in commands(window)


def test_the_sheet_of_keys_says_what_is_on(window: MainWindow) -> None:
    """What toggles has its state beside its words there too."""
    found = commands(window)
    assert {"Live (on)", "Freeze view", "Span: 2 min (on)", "Span: 30 s", "Events (on)", "Follow the newest row (on)"} <= set(
        found
    )


def commands(window: MainWindow) -> list[str]:
    """Return what the sheet of keys lists."""
    window.actions_.shortcuts.trigger()
    sheet = next(made for made in window.findChildren(ShortcutSheet) if made.isVisible())
    texts = [sheet.table.item(row, 1).text() for row in range(sheet.table.rowCount())]
    sheet.reject()
    return texts
