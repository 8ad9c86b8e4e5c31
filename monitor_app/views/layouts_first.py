"""What has other words than before is laid out before it is painted."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QCoreApplication, QEvent, QObject
from PySide6.QtWidgets import QWidget

_ROUNDS: Final = 3
"""What is laid out may ask those around it to follow, which a toolbar and a scroll area do in a round of their own."""


class LayoutsFirst(QObject):
    """Lays out what waits for it whenever a window is about to be painted.

    A timer that sets texts and the one that paints may be due together. Qt paints then before it lays out: for a frame, on a busy
    machine a long one, the new words would stand in the places of the old, and what has come or gone would have left a hole.
    """

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.watch(window)

    def watch(self, window: QWidget) -> None:
        """Watch over one more widget, for when it is a window of its own."""
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Lay out, and let the window paint."""
        if event.type() is QEvent.Type.UpdateRequest:
            for _ in range(_ROUNDS):
                QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest.value)
        return super().eventFilter(watched, event)
