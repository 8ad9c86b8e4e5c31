"""What mouse and keys do to the plots: zoom, move, point, select. What it means is for whoever listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QEvent, QObject, QPointF, QRect, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QWidget

_STEP: Final = 120
"""One notch of a wheel, in the eighths of a degree that Qt counts."""
_ZOOM: Final = 1.25
_KEY_ZOOM: Final = 1.5
_KEY_PAN: Final = 0.5
_LEAST_DRAG_PX: Final = 3

Key = Qt.Key
_CTRL: Final = Qt.KeyboardModifier.ControlModifier
_SHIFT: Final = Qt.KeyboardModifier.ShiftModifier


class PlotHands(QObject):
    """Reads mouse and keys. Places are shares of the width of the plots: 0 at the left edge, 1 at the right one.

    Attributes:
        selects: Whether the next drag selects without Shift.
        holds: Whether something is selected or pointed at: only then Esc is ours, and not the window's.

    Signals:
        zoomed: Show so many times as much, with this place where it is.
        zoomed_in_place: Show so many times as much.
        panned: Move by this share of the span; later for a positive one.
        pointed: The pointer is at this place; NaN when it has left.
        selected: From one place to another: the span while it is drawn; `done` says that it is.
        clicked: The button was pressed and released at this place.
        cleared: Nothing is selected or pointed at any more.
        all_wanted: Show the whole span, up to now.
        oldest_wanted: Show the beginning.
        stepped: The crosshair goes one step on (1) or back (-1), and takes the selection along (extends).
        mark_wanted: The crosshair goes to the next mark (1) or the one before (-1).
    """

    zoomed = Signal(float, float)
    zoomed_in_place = Signal(float)
    panned = Signal(float)
    pointed = Signal(float)
    selected = Signal(float, float, bool)
    clicked = Signal(float)
    cleared = Signal()
    all_wanted = Signal()
    oldest_wanted = Signal()
    stepped = Signal(int, bool)
    mark_wanted = Signal(int)

    def __init__(self, plots: QWidget, area: Callable[[], QRect]) -> None:
        super().__init__(plots)
        self.selects = False
        self.holds: Callable[[], bool] = lambda: True
        self._plots = plots
        self._area = area
        self._from: QPointF | None = None
        self._last: QPointF | None = None
        self._selecting = False
        plots.installEventFilter(self)

    def watch(self, viewport: QWidget) -> None:
        """Read the mouse over what the plots are drawn on as well."""
        viewport.setMouseTracking(True)
        viewport.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802, ARG002 - Qt's name and signature
        """Take mouse and keys; what is nobody's here goes on."""
        match event:
            case QWheelEvent():
                self._wheel(event)
            case QKeyEvent() if event.type() is QEvent.Type.KeyPress:
                return self._key(event)
            case QMouseEvent():
                return self._mouse(event)
            case _ if event.type() is QEvent.Type.Leave:
                self.pointed.emit(float("nan"))
                return False
            case _:
                return False
        return True

    def zoom(self, way: int) -> None:
        """Show more time (1) or less (-1)."""
        self.zoomed_in_place.emit(_KEY_ZOOM**way)

    def _share(self, x: float) -> float:
        rect = self._area()
        return (x - rect.left()) / max(1, rect.width())

    def _wheel(self, event: QWheelEvent) -> None:
        turned = event.angleDelta()
        if abs(turned.x()) > abs(turned.y()):
            self.panned.emit(-turned.x() / _STEP * 0.1)
        elif turned.y():
            share = min(1.0, max(0.0, self._share(event.position().x())))
            self.zoomed.emit(_ZOOM ** (-turned.y() / _STEP), share)

    def _mouse(self, event: QMouseEvent) -> bool:
        match event.type():
            case QEvent.Type.MouseButtonPress if event.button() is Qt.MouseButton.LeftButton:
                self._plots.setFocus(Qt.FocusReason.MouseFocusReason)
                self._from = self._last = event.position()
                self._selecting = self.selects or bool(event.modifiers() & _SHIFT)
            case QEvent.Type.MouseMove:
                self._move(event)
            case QEvent.Type.MouseButtonRelease:
                self._release(event)
            case QEvent.Type.MouseButtonDblClick:
                self._from = None
                self.all_wanted.emit()
            case _:
                return event.type() is QEvent.Type.MouseButtonPress
        return True

    def _move(self, event: QMouseEvent) -> None:
        position = event.position()
        self.pointed.emit(self._share(position.x()) if self._is_inside(position) else float("nan"))
        if self._from is None or self._last is None:
            return
        if self._selecting:
            self.selected.emit(self._share(self._from.x()), self._share(position.x()), False)  # noqa: FBT003 - a signal's value
        elif self._drags(position):
            self.panned.emit(self._share(self._last.x()) - self._share(position.x()))
            self._last = position

    def _release(self, event: QMouseEvent) -> None:
        if self._from is not None and self._selecting:
            here = event.position().x()
            if abs(here - self._from.x()) >= _LEAST_DRAG_PX:
                self.selected.emit(self._share(self._from.x()), self._share(here), True)  # noqa: FBT003 - a signal's value
            else:
                self.cleared.emit()
        elif self._from is not None and self._last is self._from:
            self.clicked.emit(self._share(self._from.x()))
        self._from = self._last = None

    def _drags(self, position: QPointF) -> bool:
        """Return whether the button moves the plots, and does not only tremble."""
        return self._from is not None and (abs(position.x() - self._from.x()) >= _LEAST_DRAG_PX or self._last is not self._from)

    def _is_inside(self, position: QPointF) -> bool:
        return self._area().contains(position.toPoint())

    def _key(self, event: QKeyEvent) -> bool:
        key = Key(event.key())
        modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if key in {Key.Key_Left, Key.Key_Right}:
            self._arrow(1 if key == Key.Key_Right else -1, modifiers)
            return True
        if modifiers & ~_SHIFT:
            return False
        match key:
            case Key.Key_Plus | Key.Key_Equal | Key.Key_Minus:
                self.zoom(1 if key == Key.Key_Minus else -1)
            case Key.Key_PageUp | Key.Key_PageDown:
                self.panned.emit(_KEY_PAN if key == Key.Key_PageDown else -_KEY_PAN)
            case Key.Key_Home:
                self.oldest_wanted.emit()
            case Key.Key_End:
                self.all_wanted.emit()
            case Key.Key_Escape if self.holds():
                self.cleared.emit()
            case _:
                return False
        return True

    def _arrow(self, way: int, modifiers: Qt.KeyboardModifier) -> None:
        if modifiers & _CTRL:
            self.mark_wanted.emit(way)
        else:
            self.stepped.emit(way, bool(modifiers & _SHIFT))
