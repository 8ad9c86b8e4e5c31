"""What follows from an act of the hand is seen with the next picture: no control waits for a text, no word for its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot

from monitor_app.colours import LIGHT
from monitor_app.main_window import MainWindow
from monitor_app.theme import Mode
from monitor_app.views.channel_cells import Side
from monitor_app.views.connect_dialog import ConnectDialog

ACTS: dict[str, Callable[[MainWindow], object]] = {
    "another channel": lambda window: window.table.choose("AGENT"),
    "freeze": lambda window: window.actions_.freeze.trigger(),
    "look back": lambda window: window.flow._plots.hands.panned.emit(-0.4),
    "another span": lambda window: window.actions_.choose_span(600.0),
    "live again": lambda window: (window.flow.freeze(), window._bar.live.click()),
    "freeze by button": lambda window: window._bar.freeze.click(),
    "zoom": lambda window: window.flow.zoom_in(),
    "select by button": lambda window: window.flow.tools[0].click(),
    "select by key": lambda window: window.actions_.select_span.trigger(),
    "select a span": lambda window: window.flow._plots.hands.selected.emit(0.3, 0.7, True),
    "fold": lambda window: window.actions_.fold_idle.trigger(),
    "fold by button": lambda window: window.flow.tools[1].click(),
    "alone": lambda window: window.table.show_alone("USER"),
    "hide": lambda window: window.actions_.hide_channel.trigger(),
    "receiving side": lambda window: window.table.switch.buttons[Side.RECEIVE].click(),
    "other side": lambda window: window.actions_.other_side.trigger(),
    "read-only": lambda window: window.actions_.read_only.trigger(),
    "audit by button": lambda window: window.log_panel.audit_tab.click(),
    "messages": lambda window: window.actions_.messages.trigger(),
    "audit": lambda window: window.actions_.show_audit.trigger(),
    "strategy": lambda window: window.actions_.strategy.trigger(),
    "hide a plot": lambda window: window.actions_.plots[0].trigger(),
    "only this channel": lambda window: window.actions_.only_channel.trigger(),
    "theme": lambda window: window.actions_.modes[Mode.LIGHT].trigger(),
}


def paint(window: MainWindow) -> None:
    """Have the window painted, as a timer of Qt's does, before anything else that waits."""
    QApplication.sendEvent(window, QEvent(QEvent.Type.UpdateRequest))


def looks(window: MainWindow) -> dict[int, tuple[object, ...]]:
    """Return what every button, label and command says, whether it can be used, and where it lies."""
    found: dict[int, tuple[object, ...]] = {}
    for part in window.findChildren(QWidget):
        if isinstance(part, QAbstractButton | QLabel):
            place = part.geometry().getRect() if part.isVisible() else None
            checked = isinstance(part, QAbstractButton) and part.isChecked()
            found[id(part)] = (part.text(), part.isEnabled(), part.isVisible(), checked, part.toolTip(), place)
    for action in window.findChildren(QAction):
        found[id(action)] = (action.text(), action.isEnabled(), action.isChecked(), action.toolTip())
    return found


def settle(window: MainWindow) -> None:
    """Let a text go by, and everything be laid out."""
    for _ in range(2):
        window.refresh()
        QApplication.processEvents()


@pytest.mark.parametrize("act", ACTS)
def test_the_next_text_changes_nothing_that_an_act_did_not(window: MainWindow, source: Any, act: str) -> None:
    """Words, places, ticks and what is disabled are as they stay, when the window is painted for the first time after it."""
    source.change("AGENT", paused_by_us=True)
    window.table.choose("USER")
    settle(window)
    ACTS[act](window)
    paint(window)
    seen = looks(window)
    settle(window)
    later = looks(window)
    assert [(seen.get(part), now) for part, now in later.items() if seen.get(part) != now] == []


def test_new_words_stand_in_their_own_places(window: MainWindow, source: Any) -> None:
    """A state that changes with the time of texts is laid out before it is painted: no button in the place of the one before."""
    settle(window)
    source.change("USER", credits=0, backlog=3, waiting_for="messages", missing=1, oldest_wait=3.0, queued=3, queued_bytes=9)
    window.refresh()
    paint(window)
    seen = looks(window)
    QApplication.processEvents()
    assert looks(window) == seen
    source.lose()
    window.refresh()
    paint(window)
    seen = looks(window)
    QApplication.processEvents()
    assert looks(window) == seen


def test_a_key_acts_on_the_channel_that_was_just_chosen(qtbot: QtBot, window: MainWindow, source: Any) -> None:
    """Down and R, without a moment between: the channel that we paused is resumed."""
    source.change("AGENT", paused_by_us=True)
    window.table.choose("USER")
    settle(window)
    qtbot.keyClick(window, Qt.Key.Key_Down)
    qtbot.keyClick(window, Qt.Key.Key_R)
    assert ("resume", "AGENT") in source.calls


def test_a_script_that_is_left_is_shown_so_at_once(window: MainWindow, source: Any) -> None:
    """The command takes in what came of it: the table says the same as the sentence on top."""
    source.can_detach = True
    settle(window)

    def leave() -> None:
        source.lose()
        source.silent_s, source.can_detach, source.can_attach_again = 0.0, False, True

    source.detach = leave
    window.actions_.detach.trigger()
    assert window.table.model().index(0, 0).data() == "USER DETACHED"
    assert (window.actions_.detach.isEnabled(), window.actions_.attach_again.isEnabled()) == (False, True)


def test_a_dialog_has_the_colours_of_the_theme_that_was_just_chosen(window: MainWindow) -> None:
    """What is typed can be read in it: its fields are those of the new theme, not of the one before."""
    window.actions_.modes[Mode.LIGHT].trigger()
    window.actions_.connect_to.trigger()
    dialog = window.findChild(ConnectDialog)
    assert dialog is not None
    palette = dialog.servers.palette()
    active = palette.ColorGroup.Active
    assert palette.color(active, palette.ColorRole.ButtonText).name().upper() == LIGHT.text
    assert palette.color(active, palette.ColorRole.Base).name().upper() == LIGHT.field
    dialog.close()
