"""A hand on the plots."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from monitor_app.main_window import MainWindow


def at(window: MainWindow, share: float) -> QPoint:
    """Return the place in the first plot at a share of its width."""
    rect = window.flow._plots.rects()[0]
    return QPoint(rect.left() + round(share * rect.width()), rect.center().y())


def viewport(window: MainWindow) -> Any:
    """Return the widget that takes the mouse."""
    return window.flow._plots.canvas.viewport()


def drag(qtbot: QtBot, window: MainWindow, from_share: float, to_share: float, modifiers: Any = None) -> None:
    """Drag over the first plot."""
    held = modifiers or Qt.KeyboardModifier.NoModifier
    qtbot.mousePress(viewport(window), Qt.MouseButton.LeftButton, held, at(window, from_share))
    for part in (0.5, 1.0):
        qtbot.mouseMove(viewport(window), at(window, from_share + part * (to_share - from_share)))
    qtbot.mouseRelease(viewport(window), Qt.MouseButton.LeftButton, held, at(window, to_share))


def wheel(window: MainWindow, share: float, notches: int) -> None:
    """Turn the wheel over the first plot; positive is away from the hand."""
    place = QPointF(at(window, share))
    button, held, phase = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase
    event = QWheelEvent(place, place, QPoint(), QPoint(0, 120 * notches), button, held, phase, False)
    QApplication.sendEvent(viewport(window), event)
