"""A frame whose ground and left edge tell a state. Painted: a style sheet would dress everything within anew at each change."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QMargins
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame

_EDGE_PX: Final = 4


class Ground(QFrame):
    """A ground with a bar at its left, and a thin border round it where it is given a colour for one."""

    def __init__(self) -> None:
        super().__init__()
        self._colours = ("", "", "")

    def beside_edge(self, margins: QMargins) -> QMargins:
        """Return the margins of a layout within, counted from the edge."""
        return margins + QMargins(_EDGE_PX, 0, 0, 0)

    def show_colours(self, ground: str, edge: str, border: str = "") -> None:
        """Show a state by its colours."""
        if (ground, edge, border) != self._colours:
            self._colours = ground, edge, border
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's name and signature
        """Paint ground, border and edge."""
        ground, edge, border = self._colours
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(ground))
        if border:
            painter.setPen(QColor(border))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.fillRect(0, 0, _EDGE_PX, self.height(), QColor(edge))
        painter.end()
