"""What a window says, to be read by a test."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel

from monitor_app.main_window import MainWindow
from monitor_app.views.status_line import StatusLine


def status_texts(window: MainWindow) -> str:
    """Return everything that the status bar says."""
    bar = window.findChild(StatusLine)
    assert bar is not None
    return " ".join(part.text() for part in bar.findChildren(QLabel))
