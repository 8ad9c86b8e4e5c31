"""The dialogs of a window that are open."""

from __future__ import annotations

from typing import TypeVar

from PySide6.QtWidgets import QDialog

from monitor_app.main_window import MainWindow

Made = TypeVar("Made", bound=QDialog)


def the(window: MainWindow, kind: type[Made]) -> Made:
    """Return the dialog of that kind that is open."""
    return next(dialog for dialog in window.findChildren(kind) if dialog.isVisible())
