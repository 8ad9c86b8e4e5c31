"""The signs of the chooser of files, drawn like all others: in the place of Qt's own, whose colours are for no theme of ours."""

from __future__ import annotations

from typing import Final

from PySide6.QtGui import QPainterPath

from monitor_app.views.signs import Sign

Point = tuple[float, float]


def _path(*strokes: tuple[Point, ...]) -> QPainterPath:
    path = QPainterPath()
    for first, *others in strokes:
        path.moveTo(*first)
        for point in others:
            path.lineTo(*point)
    return path


def _lines(*strokes: tuple[Point, ...]) -> Sign:
    return Sign(QPainterPath(), _path(*strokes), QPainterPath())


_TAB: Final = ((1.0, 2.5), (4.8, 2.5), (6.0, 4.0), (11.0, 4.0), (11.0, 10.5), (1.0, 10.5), (1.0, 2.5))
_ROWS: Final = (2.5, 6.0, 9.5)

FOLDER: Final = Sign(_path(_TAB), QPainterPath(), QPainterPath())
FILE: Final = _lines(((2.5, 1.0), (7.0, 1.0), (9.5, 3.5), (9.5, 11.0), (2.5, 11.0), (2.5, 1.0)))
NEW_FOLDER: Final = _lines(_TAB, ((6.0, 5.3), (6.0, 9.3)), ((4.0, 7.3), (8.0, 7.3)))
LEFT: Final = _lines(((8.0, 1.5), (3.5, 6.0), (8.0, 10.5)))
RIGHT: Final = _lines(((4.0, 1.5), (8.5, 6.0), (4.0, 10.5)))
UP: Final = _lines(((6.0, 10.5), (6.0, 1.8)), ((2.5, 5.3), (6.0, 1.8), (9.5, 5.3)))
ROWS: Final = _lines(*(((1.0, y), (11.0, y)) for y in _ROWS))
COLUMNS: Final = _lines(*(((1.0, y), (6.5, y)) for y in _ROWS), *(((8.5, y), (11.0, y)) for y in _ROWS))
