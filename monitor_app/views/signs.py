"""The signs of states and marks, each drawn once as a path in a square of twelve."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPainterPath, QPen, QPixmap

from monitor_app.colours import Colours
from monitor_app.model.event_log import Tone
from monitor_app.model.marks import MarkKind
from monitor_app.model.status import Status

SIZE: Final = 12


@dataclass(frozen=True, eq=False)
class Sign:
    """A sign: what is filled, what is drawn as a line, and what is cut out of the fill."""

    fill: QPainterPath
    line: QPainterPath
    cut: QPainterPath


_DASHES: Final = {
    MarkKind.STARVATION: Qt.PenStyle.DotLine,
    MarkKind.REQUEST: Qt.PenStyle.DashLine,
    MarkKind.ACTION: Qt.PenStyle.DashDotLine,
    MarkKind.ERROR: Qt.PenStyle.DotLine,
}


def _lines(*strokes: tuple[tuple[float, float], ...]) -> QPainterPath:
    path = QPainterPath()
    for stroke in strokes:
        path.moveTo(*stroke[0])
        for point in stroke[1:]:
            path.lineTo(*point)
    return path


def _polygon(*points: tuple[float, float]) -> QPainterPath:
    path = _lines(points)
    path.closeSubpath()
    return path


def _ring(radius: float) -> QPainterPath:
    path = QPainterPath()
    path.addEllipse(QPointF(6, 6), radius, radius)
    return path


def _struck_circle() -> QPainterPath:
    path = _ring(5)
    path.addPath(_lines(((2.6, 9.4), (9.4, 2.6))))
    return path


def _parted() -> QPainterPath:
    """Return a ring whose halves have been drawn apart."""
    path = QPainterPath()
    for left, angle in ((0.8, 105), (3.2, 285)):
        path.arcMoveTo(QRectF(left, 2, 8, 8), angle)
        path.arcTo(QRectF(left, 2, 8, 8), angle, 150)
    return path


def _three_dots() -> QPainterPath:
    path = QPainterPath()
    for x in (2.8, 5.3, 7.8):
        path.addRect(QRectF(x, 5.3, 1.4, 1.4))
    return path


def _square(inset: float) -> QPainterPath:
    path = QPainterPath()
    path.addRoundedRect(QRectF(inset, inset, SIZE - 2 * inset, SIZE - 2 * inset), 1.5, 1.5)
    return path


def _two_bars() -> QPainterPath:
    path = QPainterPath()
    path.addRect(QRectF(3.6, 3.2, 1.7, 5.6))
    path.addRect(QRectF(6.7, 3.2, 1.7, 5.6))
    return path


def _exclamation() -> QPainterPath:
    path = QPainterPath()
    path.addRect(QRectF(5.3, 2.9, 1.4, 3.9))
    path.addRect(QRectF(5.3, 7.7, 1.4, 1.4))
    return path


def _turn() -> QPainterPath:
    """Return most of a circle with a point at its end."""
    path = QPainterPath()
    path.arcMoveTo(QRectF(1.5, 1.5, 9, 9), 60)
    path.arcTo(QRectF(1.5, 1.5, 9, 9), 60, 290)
    path.addPath(_lines(((8.2, 0.6), (8.4, 2.6), (10.4, 2.0))))
    return path


def _sign(fill: QPainterPath | None = None, line: QPainterPath | None = None, cut: QPainterPath | None = None) -> Sign:
    return Sign(fill or QPainterPath(), line or QPainterPath(), cut or QPainterPath())


_DIAMOND: Final = _polygon((6, 0.2), (11.8, 6), (6, 11.8), (0.2, 6))
_STARVED: Final = _sign(fill=_DIAMOND, cut=_exclamation())
_PAUSED_BY_US: Final = _sign(fill=_square(0.5), cut=_two_bars())
_PAUSED_BY_PEER: Final = _sign(line=_square(1.2), fill=_two_bars())
_FLAG: Final = _sign(line=_lines(((2.5, 11.5), (2.5, 1))), fill=_polygon((2.5, 1), (10.5, 3.6), (2.5, 6.6)))
_TROUBLE: Final = _sign(fill=_ring(5.5), cut=_lines(((4, 4), (8, 8)), ((8, 4), (4, 8))))
_TURN: Final = _sign(line=_turn())
_CHECK: Final = _sign(line=_lines(((1.5, 6.5), (4.5, 9.5), (10.5, 2.5))))
_GRANT: Final = _sign(fill=_polygon((2, 3), (10, 3), (6, 10)))
_DOWN: Final = _sign(line=_lines(((6, 1.5), (6, 10.5)), ((2.8, 7.4), (6, 10.6), (9.2, 7.4))))
_UP: Final = _sign(line=_lines(((6, 10.5), (6, 1.5)), ((2.8, 4.6), (6, 1.4), (9.2, 4.6))))
_DOT: Final = _sign(fill=_ring(1.8))

STATUS_SIGNS: Final = {
    Status.FLOWING: _sign(line=_lines(((1.5, 2), (5.5, 6), (1.5, 10)), ((6.5, 2), (10.5, 6), (6.5, 10)))),
    Status.LOW: _sign(line=_polygon((1, 2), (11, 2), (6, 10.5)), fill=_polygon((3.6, 6.2), (8.4, 6.2), (6, 10.5))),
    Status.STARVED: _STARVED,
    Status.PAUSED_BY_US: _PAUSED_BY_US,
    Status.PAUSED_BY_PEER: _PAUSED_BY_PEER,
    Status.OFFLINE: _sign(line=_struck_circle()),
    Status.SILENT: _sign(line=_ring(5), fill=_three_dots()),
    Status.DETACHED: _sign(line=_parted()),
    Status.IDLE: _sign(line=_ring(4.4)),
}
MARK_SIGNS: Final = {
    MarkKind.GRANT: _GRANT,
    MarkKind.STARVATION: _STARVED,
    MarkKind.PAUSE_BY_US: _PAUSED_BY_US,
    MarkKind.PAUSE_BY_PEER: _PAUSED_BY_PEER,
    MarkKind.REQUEST: _UP,
    MarkKind.ACTION: _FLAG,
    MarkKind.RECONNECT: _TURN,
    MarkKind.ERROR: _TROUBLE,
}
TONE_SIGNS: Final = {
    Tone.RECEIVED: _DOWN,
    Tone.SENT: _UP,
    Tone.OURS: _FLAG,
    Tone.STARVED: _STARVED,
    Tone.PAUSE_BY_US: _PAUSED_BY_US,
    Tone.PAUSE_BY_PEER: _PAUSED_BY_PEER,
    Tone.GOOD: _CHECK,
    Tone.TROUBLE: _TROUBLE,
    Tone.PLAIN: _DOT,
}
LIVE: Final = _sign(line=_ring(5), fill=_ring(2.2))
FROZEN: Final = _sign(
    line=_lines(
        *(
            (
                (6 - 5.5 * math.cos(angle), 6 - 5.5 * math.sin(angle)),
                (6 + 5.5 * math.cos(angle), 6 + 5.5 * math.sin(angle)),
            )
            for angle in (math.pi / 2, math.pi / 6, -math.pi / 6)
        )
    )
)
BACK: Final = _sign(line=_lines(((10.5, 2), (6.5, 6), (10.5, 10)), ((5.5, 2), (1.5, 6), (5.5, 10))))
BUSY: Final = _sign(line=_polygon((2.5, 1), (9.5, 1), (2.5, 11), (9.5, 11)))
RESUME: Final = _sign(line=_polygon((3, 1.5), (10, 6), (3, 10.5)))
PAUSE: Final = _sign(fill=_two_bars())
TURN: Final = _TURN
STARVED: Final = _STARVED
LOCK: Final = _sign(
    line=_lines(((3.8, 5.5), (3.8, 3.6), (4.6, 2), (7.4, 2), (8.2, 3.6), (8.2, 5.5))),
    fill=_polygon((2.2, 5.5), (9.8, 5.5), (9.8, 11), (2.2, 11)),
)
UNLOCKED: Final = _sign(
    line=_lines(
        ((3.8, 5.5), (3.8, 3.2), (4.6, 1.6), (7.4, 1.6), (8.2, 3.2)), ((2.2, 5.5), (9.8, 5.5), (9.8, 11), (2.2, 11), (2.2, 5.5))
    )
)
CHECK: Final = _CHECK
TROUBLE: Final = _TROUBLE
OFFLINE: Final = STATUS_SIGNS[Status.OFFLINE]
SILENT: Final = STATUS_SIGNS[Status.SILENT]
DETACHED: Final = STATUS_SIGNS[Status.DETACHED]


def draw(painter: QPainter, sign: Sign, x: float, y: float, colour: QColor, ground: QColor) -> None:
    """Draw `sign` with its upper left corner at (x, y); `ground` shows in what is cut out."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(x, y)
    painter.fillPath(sign.fill, colour)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(colour, 1.5))
    painter.drawPath(sign.line)
    painter.setPen(QPen(ground, 1.2 if sign is _TROUBLE else 0.01))
    painter.drawPath(sign.cut)
    if sign is not _TROUBLE:
        painter.fillPath(sign.cut, ground)
    painter.restore()


def stamp(painter: QPainter, sign: Sign, x: float, y: float, colour: QColor, ground: QColor, size: float = SIZE) -> None:
    """Draw `sign` as `draw` does, at another size, from a picture that is made once: for what is drawn in every frame."""
    ratio = painter.device().devicePixelRatio()
    painter.drawPixmap(QPointF(x, y), _picture(sign, colour.rgba(), ground.rgba(), size, ratio))


@lru_cache(maxsize=512)
def _picture(sign: Sign, rgba: int, ground: int, size: float, ratio: float) -> QPixmap:
    picture = QPixmap(math.ceil(size * ratio), math.ceil(size * ratio))
    picture.setDevicePixelRatio(ratio)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.scale(size / SIZE, size / SIZE)
    draw(painter, sign, 0, 0, QColor.fromRgba(rgba), QColor.fromRgba(ground))
    painter.end()
    return picture


def status_colour(status: Status, colours: Colours) -> QColor:
    """Return the colour of a state's sign and word. FLOWING has none of its own: calm is the default."""
    return QColor(
        {
            Status.STARVED: colours.starved,
            Status.LOW: colours.low,
            Status.PAUSED_BY_US: colours.accent,
            Status.OFFLINE: colours.muted,
            Status.SILENT: colours.muted,
            Status.DETACHED: colours.muted,
            Status.IDLE: colours.muted,
        }.get(status, colours.text)
    )


def mark_style(kind: MarkKind) -> Qt.PenStyle:
    """Return how the line of a mark is drawn in the plots: solid where a state begins, broken for everything else."""
    return _DASHES.get(kind, Qt.PenStyle.SolidLine)


def mark_colour(kind: MarkKind, colours: Colours) -> QColor:
    """Return the colour of a mark. A grant has its channel's colour; this is the one in the legend."""
    return QColor(
        {
            MarkKind.GRANT: colours.muted,
            MarkKind.STARVATION: colours.starved,
            MarkKind.PAUSE_BY_US: colours.accent,
            MarkKind.PAUSE_BY_PEER: colours.text,
            MarkKind.REQUEST: colours.accent,
            MarkKind.ACTION: colours.accent,
            MarkKind.RECONNECT: colours.text,
            MarkKind.ERROR: colours.starved,
        }[kind]
    )


def tone_colour(tone: Tone, colours: Colours) -> QColor:
    """Return the colour of a log row's sign and kind."""
    return QColor(
        {
            Tone.OURS: colours.accent,
            Tone.PAUSE_BY_US: colours.accent,
            Tone.STARVED: colours.starved,
            Tone.TROUBLE: colours.starved,
            Tone.GOOD: colours.good,
        }.get(tone, colours.text)
    )


@lru_cache(maxsize=256)
def icon(sign: Sign, colour: str, ground: str, disabled: str = "") -> QIcon:
    """Return `sign` as an icon for buttons; drawn at twice its size, for fine screens, and once: texts ask at their rate.

    `disabled`: its colour on a button that is disabled; Qt's own guess is made for light windows.
    """
    made = QIcon(_twice(sign, colour, ground))
    if disabled:
        made.addPixmap(_twice(sign, disabled, ground), QIcon.Mode.Disabled)
    return made


def _twice(sign: Sign, colour: str, ground: str) -> QPixmap:
    pixmap = QPixmap(2 * SIZE, 2 * SIZE)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.scale(2, 2)
    draw(painter, sign, 0, 0, QColor(colour), QColor(ground))
    painter.end()
    return pixmap
