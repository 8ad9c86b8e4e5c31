"""The chooser of a file to save to, in the window's colours where the desktop has none of its own."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPalette
from PySide6.QtWidgets import QFileDialog, QHeaderView, QToolButton, QWidget

from monitor_app.views.parts import dress_fields

_ARROWS: Final = ("backButton", "forwardButton", "toParentButton")
"""Qt's names of the buttons whose signs its style draws black, whatever the palette is."""
_SIZE: Final = 32


def chooser_to_save(parent: QWidget, title: str, path: str, kinds: str, palette: QPalette) -> QFileDialog:
    """Return a chooser that is yet to be opened, and goes with its window; `kinds` is Qt's filter, empty for all files."""
    chooser = QFileDialog(parent, title, path, kinds)
    chooser.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    chooser.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dress_fields(chooser, palette)
    for header in chooser.findChildren(QHeaderView):  # whose arrow the style draws in the ink of its palette
        header.setPalette(palette)
    for name in _ARROWS:
        arrow = chooser.findChild(QToolButton, name)
        if isinstance(arrow, QToolButton):
            arrow.setIcon(_in_colour(arrow.icon(), palette.color(QPalette.ColorRole.ButtonText)))
    return chooser


def _in_colour(icon: QIcon, colour: QColor) -> QIcon:
    """Return the shape of `icon` in one colour."""
    pixmap = icon.pixmap(_SIZE, _SIZE)
    painter = QPainter(pixmap)
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceIn)
    painter.fillRect(pixmap.rect(), colour)
    painter.end()
    return QIcon(pixmap)
