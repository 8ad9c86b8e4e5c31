"""The theme of a window: what the operator chose, the colours that are shown, and the palette made of them."""

from __future__ import annotations

from enum import Enum
from typing import Final

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtGui import QColor, QGuiApplication, QPalette

from monitor_app.colours import DARK, LIGHT, Colours
from monitor_app.model.channel_view import WELL_KNOWN

_OUTLINE_DARKER: Final = 140
"""By how many percent the Fusion style draws outlines darker than the window."""


class Mode(Enum):
    """What the operator chose under View, Theme."""

    SYSTEM = "system"
    DARK = "dark"
    LIGHT = "light"


class Theme(QObject):
    """The theme of one window.

    Attributes:
        mode: What was chosen.
        colours: What is shown.

    Signals:
        changed: The colours are others than before.
    """

    changed = Signal()

    def __init__(self, mode: Mode = Mode.SYSTEM, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.mode = mode
        self.colours = self._wanted()
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._on_scheme_changed)

    def choose(self, mode: Mode) -> None:
        """Show the theme that `mode` stands for."""
        self.mode = mode
        self._apply()

    def channel_colour(self, channel: str, place: int) -> QColor:
        """Return the colour of a channel; `place` decides for channels that HAIP does not name."""
        known = WELL_KNOWN.index(channel) if channel in WELL_KNOWN else place
        return QColor(self.colours.channels[known % len(self.colours.channels)])

    def fill_of(self, channel: str) -> QColor:
        """Return the ground below the curve of the chosen channel: its colour, faint and opaque."""
        if channel not in WELL_KNOWN:
            return QColor(self.colours.fill)
        ground, colour = QColor(self.colours.field), self.channel_colour(channel, 0)
        return _mixed(ground, colour, 0.18 if self.colours.dark else 0.12)

    def palette(self) -> QPalette:
        """Return the palette for everything that the style sheet does not reach."""
        colours = self.colours
        palette = QPalette(QColor(colours.button), QColor(colours.window))
        role = QPalette.ColorRole
        for which, colour in (
            (role.WindowText, colours.text),
            (role.Text, colours.text),
            (role.ButtonText, colours.text),
            (role.Base, colours.field),
            (role.AlternateBase, colours.panel),
            (role.Highlight, colours.selected),
            (role.HighlightedText, colours.text),
            (role.PlaceholderText, colours.muted),
            (role.ToolTipBase, colours.header),
            (role.ToolTipText, colours.text),
        ):
            palette.setColor(which, QColor(colour))
        for which in (role.WindowText, role.Text, role.ButtonText, role.HighlightedText, role.PlaceholderText):
            palette.setColor(QPalette.ColorGroup.Disabled, which, QColor(colours.disabled))
        for which in (role.Base, role.Button):  # a field that takes nothing lies flat
            palette.setColor(QPalette.ColorGroup.Disabled, which, QColor(colours.panel))
        palette.setColor(QPalette.ColorGroup.Disabled, role.Window, _outline_of_disabled(colours))
        return palette

    @Slot()
    def _on_scheme_changed(self) -> None:
        self._apply()

    def _apply(self) -> None:
        colours = self._wanted()
        if colours is not self.colours:
            self.colours = colours
            self.changed.emit()

    def _wanted(self) -> Colours:
        if self.mode is Mode.SYSTEM:
            return DARK if QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark else LIGHT
        return DARK if self.mode is Mode.DARK else LIGHT


def _outline_of_disabled(colours: Colours) -> QColor:
    """Return of which colour the style makes the outline of a field that takes nothing: faint, as that of a button beside it is.

    It draws the window's darker; on a light ground no colour made darker is faint enough, but white that lets most of it through.
    """
    if colours.dark:
        return QColor(colours.panel)
    white, ground, outline = QColor(Qt.GlobalColor.white), QColor(colours.panel), QColor(colours.inner)
    darkest = white.darker(_OUTLINE_DARKER).lightnessF()
    white.setAlphaF((ground.lightnessF() - outline.lightnessF()) / (ground.lightnessF() - darkest))
    return white


def _mixed(ground: QColor, colour: QColor, share: float) -> QColor:
    """Return an opaque mixture: a translucent brush would cost a blend of every pixel in every frame."""
    return QColor(
        round(ground.red() + (colour.red() - ground.red()) * share),
        round(ground.green() + (colour.green() - ground.green()) * share),
        round(ground.blue() + (colour.blue() - ground.blue()) * share),
    )
