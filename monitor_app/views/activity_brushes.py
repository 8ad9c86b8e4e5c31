"""How each activity is filled: by colour and by pattern, so that either tells it."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from PySide6.QtGui import QBrush, QColor, QPainter, QPixmap

from monitor_app.model.activity import Activity
from monitor_app.theme import Colours

_TILE: Final = 6
_LINE: Final = 2


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
            return _hatch(colours.border, ground, ".")
        case _:
            plain = {
                Activity.SENDING: channel,
                Activity.NO_BYTES: QColor(colours.starved),
                Activity.PAUSED_BY_US: QColor(colours.accent),
                Activity.IDLE: QColor(colours.inner),
            }
            return QBrush(plain[activity])


def is_hatched(activity: Activity) -> bool:
    """Return whether text on an activity needs a ground of its own."""
    return activity in {Activity.NO_MESSAGES, Activity.PAUSED_BY_PEER, Activity.OFFLINE, Activity.SILENT, Activity.DETACHED}


@lru_cache(maxsize=64)
def _hatch(colour: str, ground: str, way: str) -> QBrush:
    """Return a tile of lines: Qt's own patterns are too thin to be told apart at ten pixels."""
    tile = QPixmap(_TILE, _TILE)
    tile.fill(QColor(ground))
    painter = QPainter(tile)
    if way == "-":
        painter.fillRect(0, 0, _TILE, _LINE, QColor(colour))
    if way == ".":
        painter.fillRect(0, 0, _LINE, _LINE, QColor(colour))
    for row in range(_TILE):
        for step in range(_LINE):
            if way in "/x":
                painter.fillRect((step - row) % _TILE, row, 1, 1, QColor(colour))
            if way in "\\x":
                painter.fillRect((step + row) % _TILE, row, 1, 1, QColor(colour))
    painter.end()
    return QBrush(tile)


def colour_of_word(activity: Activity, colours: Colours) -> str:
    """Return the colour of an activity's word."""
    if activity in {Activity.NO_MESSAGES, Activity.NO_BYTES}:
        return colours.starved
    return colours.accent if activity in {Activity.PAUSED_BY_US, Activity.PAUSED_BY_PEER} else colours.muted
