"""Single keys: a letter without Ctrl or Alt belongs to the field that has the focus, and is a command everywhere else."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QEvent, QObject
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QWidget

from monitor_app.actions import Actions


class SingleKeys(QObject):
    """Does the commands of single keys that nothing with the focus wanted.

    `tables` would look for a row that begins with a letter: they are not asked.
    """

    def __init__(self, window: QWidget, tables: Iterable[QWidget], actions: Actions) -> None:
        super().__init__(window)
        self._window = window
        self._actions = actions
        for widget in (window, *tables):
            widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Take a key that stands for a command."""
        if not isinstance(event, QKeyEvent) or event.type() is not QEvent.Type.KeyPress:
            return False
        if watched is not self._window and not event.text():
            return False
        action = self._actions.of_key(event)
        if action is not None:
            action.trigger()
        return action is not None
