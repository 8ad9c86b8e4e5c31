"""Lines on a fine screen, whose pixels are less than those of the window."""

from __future__ import annotations

from typing import Any

from PySide6.QtGui import QPainter, QTransform


class FineLines:
    """Lines of one pixel of the window, also where that is several of the screen.

    They are drawn again beside and below themselves: a pen of two pixels would triple the frame, since Qt then fills outlines.
    """

    wide = 1
    """How many pixels of the screen one of the window is."""

    def paint(self, painter: QPainter, *others: Any) -> None:
        """Draw the item, and on a fine screen as often again as its lines are to be wide."""
        super().paint(painter, *others)  # type: ignore[misc]  # of the item that this is mixed into
        for beside in range(1, self.wide):
            before, shift = painter.transform(), beside / self.wide
            painter.setTransform(before * QTransform.fromTranslate(shift, shift))
            super().paint(painter, *others)  # type: ignore[misc]
            painter.setTransform(before)
