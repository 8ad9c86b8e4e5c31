"""The docks of the window: where they lie, how wide they are, and how the keys go from one to the next."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QMainWindow, QWidget

from monitor_app.settings import Settings
from monitor_app.views.layouts_first import LayoutsFirst
from monitor_app.views.parts import Dock

_WIDE: Final = 1400
_STATE_VERSION: Final = 1
"""Grows when docks or toolbars come or go, so that a layout of an older version is not forced upon them."""
_DOCKS: Final = {
    "channels": ("Channels", Qt.DockWidgetArea.LeftDockWidgetArea, "F2"),
    "figures": ("Figures", Qt.DockWidgetArea.LeftDockWidgetArea, "F8"),
    "control": ("Control", Qt.DockWidgetArea.RightDockWidgetArea, "F3"),
    "log": ("Event log", Qt.DockWidgetArea.BottomDockWidgetArea, "F4"),
    "inspector": ("Inspector", Qt.DockWidgetArea.BottomDockWidgetArea, "F7"),
}
"""By name: title, place and key."""


class Docks:
    """The docks by name: channels, figures, control, log, inspector; `parts` are what is in them, in this order.

    `order` is the way that the keys go from part to part, the centre included.

    Attributes:
        by_name: The docks.
    """

    def __init__(self, window: QMainWindow, parts: Sequence[QWidget], order: list[QWidget]) -> None:
        self._window = window
        self._order = order
        self.by_name = {name: Dock(_DOCKS[name][0], part, window) for name, part in zip(_DOCKS, parts, strict=True)}
        layouts = LayoutsFirst(window)
        window.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        for name, dock in self.by_name.items():
            dock.toggleViewAction().setShortcut(_DOCKS[name][2])
            window.addAction(dock.toggleViewAction())
            layouts.watch(dock)
        self._put_in_place()

    def _put_in_place(self) -> None:
        for name, dock in self.by_name.items():
            dock.setFloating(False)
            self._window.addDockWidget(_DOCKS[name][1], dock)
            dock.show()
        self._window.splitDockWidget(self.by_name["log"], self.by_name["inspector"], Qt.Orientation.Horizontal)

    def share_out_space(self) -> None:
        """Give each dock the room that it was drawn for."""
        wide = self._window.width() >= _WIDE
        docks, sideways = self.by_name, Qt.Orientation.Horizontal
        self._window.resizeDocks([docks["channels"], docks["control"]], [440, 296] if wide else [440, 280], sideways)
        rest = max(400, self._window.width() - (296 if wide else 280))
        self._window.resizeDocks([docks["log"], docks["inspector"]], [rest * 7 // 10, rest * 3 // 10], sideways)
        self._window.resizeDocks([docks["log"]], [184 if wide else 152], Qt.Orientation.Vertical)
        self._window.resizeDocks([docks["channels"], docks["figures"]], [360, 210 if wide else 140], Qt.Orientation.Vertical)

    def reset(self) -> None:
        """Put every dock where it was on the first day."""
        self._put_in_place()
        self.share_out_space()

    def keep(self, settings: Settings) -> None:
        """Remember where everything lies."""
        settings.keep_layout(self._window.saveGeometry(), self._window.saveState(_STATE_VERSION))

    def restore(self, settings: Settings) -> bool:
        """Lay everything where it lay; return False, and change nothing, where that is not known or cannot be read."""
        geometry, state = settings.layout
        if state.isEmpty():
            return False
        if not geometry.isEmpty():
            self._window.restoreGeometry(geometry)
        return self._window.restoreState(state, _STATE_VERSION)

    def go_on(self) -> None:
        """Move the focus to the next part that can be seen."""
        self._step(1)

    def go_back(self) -> None:
        """Move the focus to the part before."""
        self._step(-1)

    def _step(self, by: int) -> None:
        shown = [part for part in self._order if part.isVisible()]
        focus = QApplication.focusWidget()
        here = next((place for place, part in enumerate(shown) if focus is part or (focus and part.isAncestorOf(focus))), -by)
        if shown:
            _first_field(shown[(here + by) % len(shown)]).setFocus(Qt.FocusReason.ShortcutFocusReason)


def _first_field(part: QWidget) -> QWidget:
    """Return `part`, if it takes the focus, or else the first enabled widget within it that does."""
    if part.focusPolicy() & Qt.FocusPolicy.TabFocus:
        return part
    within = (widget for widget in part.findChildren(QWidget) if widget.isVisibleTo(part) and widget.isEnabled())
    return next((widget for widget in within if widget.focusPolicy() & Qt.FocusPolicy.TabFocus), part)


def order_tabs(*parts: QWidget) -> None:
    """Let Tab go through `parts` in this order, and through each in the order in which it was made, however the docks lie."""
    chain = [widget for part in parts for widget in (part, *part.findChildren(QWidget)) if _takes_tab(widget)]
    for before, after in pairwise(chain):
        QWidget.setTabOrder(before, after)


def _takes_tab(widget: QWidget) -> bool:
    """Return whether Tab stops at a widget: not at the inner field of another one, nor in the list that drops from it."""
    stops = bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus)
    return stops and widget.focusProxy() is None and widget.window().windowType() is not Qt.WindowType.Popup
