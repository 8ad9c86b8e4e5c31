"""A hand that clicks while the window is busy, and times how long it takes until each click is answered."""

from __future__ import annotations

import time

from PySide6.QtCore import QEvent, QObject, QPointF, Qt, Slot
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication, QWidget

from monitor_app.main_window import MainWindow
from monitor_app.model.audit import Outcome


class Hand(QObject):
    """Pauses and resumes the chosen channel in turn, with its buttons in Control: the next click comes soon after the answer.

    Clicks wait among the window's other events, as a person's do. Answered means that the audit trail knows what came of it.

    Attributes:
        delays_s: From each click to its answer.
    """

    _REST_FRAMES = 3
    _MISSED_S = 2.0

    def __init__(self, window: MainWindow) -> None:
        super().__init__()
        self.delays_s: list[float] = []
        self._window = window
        self._clicked_s: float | None = None
        self._known = self._rest = 0
        window._pulse.frame.connect(self._on_frame)

    def stop(self) -> None:
        """Click no more."""
        self._window._pulse.frame.disconnect(self._on_frame)

    @Slot()
    def _on_frame(self) -> None:
        entries = self._window.ingest.audit.entries
        if self._clicked_s is not None:
            waited_s = time.perf_counter() - self._clicked_s
            if len(entries) > self._known and entries[-1].outcome is not Outcome.WAITING:
                self.delays_s.append(waited_s)
            elif len(entries) > self._known or waited_s < self._MISSED_S:
                return  # else the button was disabled before the click came to it
            self._clicked_s, self._rest = None, self._REST_FRAMES
        self._rest -= 1
        group = self._window.control.pause
        button = next((button for button in (group.pause, group.resume) if button.isEnabled()), None)
        if self._rest <= 0 and button is not None:
            self._clicked_s, self._known = time.perf_counter(), len(entries)
            _post_click(button)


def _post_click(widget: QWidget) -> None:
    where = QPointF(widget.rect().center())
    left, none, plain = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
    for kind, held in ((QEvent.Type.MouseButtonPress, left), (QEvent.Type.MouseButtonRelease, none)):
        event = QMouseEvent(kind, where, QPointF(widget.mapToGlobal(where.toPoint())), left, held, plain)
        QApplication.postEvent(widget, event)
