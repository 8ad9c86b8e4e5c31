"""The shape that stands for a channel beside its colour: wherever a colour says which channel it is, so does a shape."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPixmap

from monitor_app.model.channel_view import WELL_KNOWN

SIZE: Final = 9
_HALF: Final = SIZE / 2
_STAMP: Final = SIZE + 4


def _polygon(corners: int, turn: float = 0.0, inner: float = 1.0, radius: float = _HALF + 0.5) -> QPainterPath:
    """Return a regular polygon about (0, 0) with a corner on top; `inner` pulls every other corner in."""
    path = QPainterPath()
    for corner in range(corners):
        angle = 2 * math.pi * corner / corners - math.pi / 2 + turn
        reach = radius * (inner if corner % 2 else 1.0)
        point = QPointF(reach * math.cos(angle), reach * math.sin(angle))
        if corner:
            path.lineTo(point)
        else:
            path.moveTo(point)
    path.closeSubpath()
    return path


def _circle() -> QPainterPath:
    path = QPainterPath()
    path.addEllipse(QPointF(0, 0), _HALF, _HALF)
    return path


def _square() -> QPainterPath:
    path = QPainterPath()
    path.addRect(QRectF(-_HALF + 0.5, -_HALF + 0.5, SIZE - 1, SIZE - 1))
    return path


def _cross() -> QPainterPath:
    path = QPainterPath()
    path.addRect(QRectF(-1.5, -_HALF, 3, SIZE))
    path.addRect(QRectF(-_HALF, -1.5, SIZE, 3))
    return path.simplified()


SHAPES: Final = (
    _square(),
    _polygon(3),
    _circle(),
    _polygon(4, radius=_HALF + 1.0),
    _polygon(3, turn=math.pi),
    _cross(),
    _polygon(10, inner=0.45, radius=_HALF + 1.0),
)


def draw_shape(painter: QPainter, channel: str, place: int, centre: QPointF, colour: QColor) -> None:
    """Draw the shape of a channel; `place` decides for channels that HAIP does not name, as it does for colours."""
    known = WELL_KNOWN.index(channel) if channel in WELL_KNOWN else place
    ratio = painter.device().devicePixelRatio()
    stamp = _stamp(known % len(SHAPES), colour.rgba(), ratio)
    painter.drawPixmap(QPointF(centre.x() - _STAMP / 2, centre.y() - _STAMP / 2), stamp)


@lru_cache(maxsize=256)
def _stamp(number: int, rgba: int, ratio: float) -> QPixmap:
    """Return a shape as a picture: paths are dear to fill, and the same few are drawn in every frame."""
    picture = QPixmap(round(_STAMP * ratio), round(_STAMP * ratio))
    picture.setDevicePixelRatio(ratio)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(_STAMP / 2, _STAMP / 2)
    painter.fillPath(SHAPES[number], QColor.fromRgba(rgba))
    painter.end()
    return picture
