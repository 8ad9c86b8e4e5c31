"""Lines on a fine screen, whose pixels are less than those of the window."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtGui import QPainter, QTransform


def draw_as_wide(draw: Callable[[], object], painter: QPainter, wide: int) -> None:
    """Draw lines of one pixel of the screen so that they are `wide` of them: again, each time beside and below themselves.

    A pen of two pixels would triple the frame, since Qt fills outlines then.
    """
    draw()
    for beside in range(1, wide):
        before, shift = painter.transform(), beside / wide
        painter.setTransform(before * QTransform.fromTranslate(shift, shift))
        draw()
        painter.setTransform(before)
