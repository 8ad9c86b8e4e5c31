"""The menus: every command of the window by name, with the key that stands for it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Slot
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar

from monitor_app.model.history import SPANS_S
from monitor_app.theme import Mode, Theme

SPAN_NAMES = {30.0: "30 s", 120.0: "2 min", 600.0: "10 min", 3600.0: "1 h"}


class Actions(QObject):
    """The actions of a window, in their menus. Connect to `triggered` of each.

    Single letters and Space are shown here and handled by the window: as shortcuts they would take the keys away
    from buttons and tables that have the focus.

    Attributes:
        connect_to: Ask for an address.
        retry: Try again.
        quit: Close the window.
        live, freeze: Follow, or let the picture stand still.
        pause, resume, request: For the chosen channel.
        about: About this program.
        spans: By span in seconds.
        view_menu: For the docks to add their own entries to.
    """

    def __init__(self, bar: QMenuBar, theme: Theme) -> None:
        super().__init__(bar)
        self._theme = theme
        self.connect_to = self._action("&Connect…", "Ctrl+N")
        self.retry = self._action("&Try again", "F5")
        self.quit = self._action("&Quit", "Ctrl+Q")
        self.live = self._action("&Live\tL")
        self.freeze = self._action("&Freeze view\tSpace")
        self.pause = self._action("&Pause…\tP")
        self.resume = self._action("&Resume")
        self.request = self._action("Re&quest credit for the queue", "Ctrl+R")
        self.find = self._action("&Filter the log", "Ctrl+F")
        self.about = self._action("&About HAIP Monitor")
        self.spans = {span_s: self._action(SPAN_NAMES[span_s]) for span_s in SPANS_S}
        self._modes = {mode: self._action(mode.value.capitalize()) for mode in Mode}
        self._check_one(list(self.spans.values()), self.spans[120.0])
        self._check_one(list(self._modes.values()), self._modes[theme.mode])
        self.view_menu = self._fill(bar)
        for action in self._modes.values():
            action.triggered.connect(self._on_mode_chosen)

    def _action(self, text: str, keys: str = "") -> QAction:
        action = QAction(text, self)
        if keys:
            action.setShortcut(QKeySequence(keys))
        return action

    def _check_one(self, actions: list[QAction], checked: QAction) -> None:
        group = QActionGroup(self)
        for action in actions:
            action.setCheckable(True)
            group.addAction(action)
        checked.setChecked(True)

    def _fill(self, bar: QMenuBar) -> QMenu:
        file_menu = bar.addMenu("&File")
        file_menu.addActions([self.connect_to, self.retry])
        file_menu.addSeparator()
        file_menu.addAction(self.quit)
        view_menu = bar.addMenu("&View")
        view_menu.addMenu(_menu("&Theme", list(self._modes.values()), view_menu))
        view_menu.addMenu(_menu("&Span", list(self.spans.values()), view_menu))
        view_menu.addActions([self.live, self.freeze, self.find])
        view_menu.addSeparator()
        bar.addMenu("&Channel").addActions([self.pause, self.resume, self.request])
        bar.addMenu("&Help").addAction(self.about)
        return view_menu

    def bind(self, action: QAction, slot: Callable[[], object]) -> None:
        """Let `action` call `slot`, a bound method of an object that lives in the GUI thread."""
        action.triggered.connect(slot)

    @Slot()
    def _on_mode_chosen(self) -> None:
        chosen = next(mode for mode, action in self._modes.items() if action.isChecked())
        self._theme.choose(chosen)


def _menu(title: str, actions: list[QAction], parent: QMenu) -> QMenu:
    menu = QMenu(title, parent)
    menu.addActions(actions)
    return menu
