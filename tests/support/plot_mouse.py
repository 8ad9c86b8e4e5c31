"""A hand on the plots."""

from __future__ import annotations

from PySide6.QtCore import QPoint

from monitor_app.main_window import MainWindow


def at(window: MainWindow, share: float) -> QPoint:
    """Return the place in the first plot at a share of its width."""
    rect = window.flow._plots.rects()[0]
    return QPoint(rect.left() + round(share * rect.width()), rect.center().y())
