"""The words beside the crosshair: what the marks are that it stands on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QRect, Qt
from PySide6.QtWidgets import QLabel, QWidget

from monitor_app.model.clock import Clock
from monitor_app.model.marks import Mark

_MOST_TOLD: Final = 2
"""Marks that are told of at once."""
_GAP: Final = 8


class MarkTip(QLabel):
    """A small label over the plots."""

    def __init__(self, plots: QWidget, clock: Clock) -> None:
        super().__init__(plots)
        self._clock = clock
        self.setObjectName("mark-tip")
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAccessibleName("What the mark under the crosshair is")
        self.hide()

    def tell(self, marks: Sequence[Mark], x: int, rect: QRect) -> None:
        """Tell of `marks` beside `x`, within `rect`; of none: go away."""
        self.setVisible(bool(marks))
        if not marks:
            return
        lines = [line for mark in marks[:_MOST_TOLD] for line in self._told(mark)]
        if len(marks) > _MOST_TOLD:
            lines.append(f"and {len(marks) - _MOST_TOLD} more here")
        room = rect.width() - 2 * _GAP
        self.setText("\n".join(self.fontMetrics().elidedText(line, Qt.TextElideMode.ElideRight, room) for line in lines))
        self.setAccessibleDescription("; ".join(lines))
        self.adjustSize()
        left = x + _GAP if x + _GAP + self.width() <= rect.right() else x - _GAP - self.width()
        self.move(max(rect.left(), left), rect.top() + 4)
        self.raise_()

    def _told(self, mark: Mark) -> list[str]:
        """Return what a mark is, and the words about it on a line of their own."""
        what, _, words = mark.text.partition(": ")
        when = self._clock.time_of_day(mark.time_s, milliseconds=True)
        return [f"{when}  {what}", words] if words else [f"{when}  {what}"]
