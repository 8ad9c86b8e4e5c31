"""What is seen in a picture of a widget: where its words begin and end, and how far colours stand apart."""

from __future__ import annotations

from PySide6.QtCore import QRect
from PySide6.QtGui import QColor, QImage


def contrast(one: QColor, other: QColor) -> float:
    """Return the contrast ratio of two colours as WCAG defines it, from 1 to 21."""
    lights = sorted((_luminance(one), _luminance(other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _luminance(colour: QColor) -> float:
    parts = (colour.redF(), colour.greenF(), colour.blueF())
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def ink(image: QImage, rect: QRect, least: float = 1.8) -> QRect:
    """Return the smallest rectangle within `rect` around everything that stands out from the colour that is most of it."""
    area = rect & image.rect()
    pixels = {
        (x, y): image.pixel(x, y) for y in range(area.top(), area.bottom() + 1) for x in range(area.left(), area.right() + 1)
    }
    colours = list(pixels.values())
    counts = {colour: colours.count(colour) for colour in set(colours)}
    ground = QColor(max(counts, key=lambda colour: counts[colour]))
    inks = {colour for colour in counts if contrast(QColor(colour), ground) >= least}
    found = [place for place, colour in pixels.items() if colour in inks]
    if not found:
        return QRect()
    left, right = min(x for x, _ in found), max(x for x, _ in found)
    top, bottom = min(y for _, y in found), max(y for _, y in found)
    return QRect(left, top, right - left + 1, bottom - top + 1)
