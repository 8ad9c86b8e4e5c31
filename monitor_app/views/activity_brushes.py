"""How each activity is filled: by colour and by pattern, so that either tells it."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from PySide6.QtCore import QRect
from PySide6.QtGui import QBrush, QColor, QPainter, QPixmap

from monitor_app.colours import Colours
from monitor_app.model.activity import Activity

_TILE: Final = 6
_LINE: Final = 2
_TILE_OF_DOTS: Final = 8
_DOTS: Final = ((0, 0), (2, 4), (4, 0), (6, 4))
"""No column is without one: in a lane a time may be one pixel wide."""


def brush_of(activity: Activity, colours: Colours, channel: QColor) -> QBrush:
    """Return the fill of an activity on a channel of this colour."""
    ground = colours.field
    match activity:
        case Activity.NO_MESSAGES:
            return _hatch(colours.starved, ground, "/")
        case Activity.PAUSED_BY_PEER:
            return _hatch(colours.accent, ground, "\\")
        case Activity.OFFLINE:
            return _hatch(colours.muted, ground, "x")
        case Activity.SILENT:
            return _hatch(colours.muted, ground, "-")
        case Activity.DETACHED:
            return _hatch(colours.muted, ground, ".")
        case _:
            plain = {
                Activity.SENDING: channel,
                Activity.NO_BYTES: QColor(colours.starved),
                Activity.PAUSED_BY_US: QColor(colours.accent),
                Activity.IDLE: QColor(colours.inner),
            }
            return QBrush(plain[activity])


def fill(painter: QPainter, rect: QRect, activity: Activity, colours: Colours, channel: QColor) -> None:
    """Fill `rect` with an activity. Idling is quiet within, and has a frame, without which it could not be seen."""
    if activity is Activity.IDLE:
        painter.fillRect(rect, QColor(colours.disabled))
        rect = rect.adjusted(1, 1, -1, -1)
    if not rect.isEmpty():
        painter.fillRect(rect, brush_of(activity, colours, channel))


def is_hatched(activity: Activity) -> bool:
    """Return whether text on an activity needs a ground of its own."""
    return activity in {Activity.NO_MESSAGES, Activity.PAUSED_BY_PEER, Activity.OFFLINE, Activity.SILENT, Activity.DETACHED}


@lru_cache(maxsize=64)
def _hatch(colour: str, ground: str, way: str) -> QBrush:
    """Return a tile of lines: Qt's own patterns are too thin to be told apart at ten pixels."""
    side = _TILE_OF_DOTS if way == "." else _TILE
    tile = QPixmap(side, side)
    tile.fill(QColor(ground))
    painter = QPainter(tile)
    if way == "-":
        painter.fillRect(0, 0, _TILE, _LINE, QColor(colour))
    if way == ".":
        for x, y in _DOTS:
            painter.fillRect(x, y, _LINE, _LINE, QColor(colour))
    for row in range(_TILE):
        for step in range(_LINE):
            if way in "/x":
                painter.fillRect((step - row) % _TILE, row, 1, 1, QColor(colour))
            if way in "\\x":
                painter.fillRect((step + row) % _TILE, row, 1, 1, QColor(colour))
    painter.end()
    return QBrush(tile)


def colour_of_word(activity: Activity, colours: Colours) -> str:
    """Return the colour of an activity's word: that of the state and of its mark."""
    if activity in {Activity.NO_MESSAGES, Activity.NO_BYTES}:
        return colours.starved
    if activity is Activity.PAUSED_BY_PEER:
        return colours.text
    return colours.accent if activity is Activity.PAUSED_BY_US else colours.muted
