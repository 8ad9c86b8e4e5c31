"""The colours of the window, dark and light, and the style sheet made of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtGui import QColor, QGuiApplication, QPalette

from monitor_app.model.channel_view import WELL_KNOWN


@dataclass(frozen=True, kw_only=True)
class Colours:
    """The tokens of one theme. A channel's colour names its curve and nothing else; vermilion says that somebody waits."""

    dark: bool
    window: str
    panel: str
    header: str
    field: str
    button: str
    border: str
    inner: str
    grid: str
    text: str
    muted: str
    disabled: str
    selected: str
    accent: str
    accent_fill: str
    accent_ground: str
    on_accent: str
    starved: str
    starved_ground: str
    low: str
    low_ground: str
    good: str
    fill: str
    channels: tuple[str, ...]


DARK: Final = Colours(
    dark=True,
    window="#14161A",
    panel="#1D2026",
    header="#23272F",
    field="#15181D",
    button="#2B3038",
    border="#3A414C",
    inner="#2C323B",
    grid="#272C34",
    text="#E6E8EB",
    muted="#A3AAB5",
    disabled="#8A929E",
    selected="#2B3557",
    accent="#9DAAFF",
    accent_fill="#4F5FD0",
    accent_ground="#2A3052",
    on_accent="#FFFFFF",
    starved="#FF8A5C",
    starved_ground="#3A2620",
    low="#F0E442",
    low_ground="#36331A",
    good="#14CF8C",
    fill="#2A2B33",
    channels=("#3F9BE8", "#CC8400", "#7E8791", "#F0B9D9", "#14CF8C"),
)
LIGHT: Final = Colours(
    dark=False,
    window="#DFE2E7",
    panel="#FFFFFF",
    header="#EDEFF2",
    field="#FFFFFF",
    button="#F4F5F7",
    border="#B4BBC5",
    inner="#DDE1E6",
    grid="#ECEEF1",
    text="#1B1F24",
    muted="#555D68",
    disabled="#666E7A",
    selected="#DCE1FA",
    accent="#3F4DBF",
    accent_fill="#3F4DBF",
    accent_ground="#E3E6FA",
    on_accent="#FFFFFF",
    starved="#B33A00",
    starved_ground="#FCEBE3",
    low="#755C00",
    low_ground="#FBF4D0",
    good="#06704F",
    fill="#F0F1F4",
    channels=("#0A78D0", "#8F5200", "#3A4048", "#B4308C", "#06704F"),
)
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


def style_sheet(c: Colours) -> str:
    """Return the style sheet of a window. Set on the window and not on the application, which may be a script's."""
    return f"""
QWidget {{ font-size: 12px; }}
QLabel, QPushButton, QToolButton, QMenuBar, QMenu, QLineEdit, QTreeView, QTableView, QCheckBox {{ color: {c.text}; }}
QMainWindow, QDialog {{ background: {c.window}; }}
QMainWindow::separator {{ background: {c.window}; width: 5px; height: 5px; }}
QMenuBar {{ background: {c.header}; padding: 2px 8px; border-bottom: 1px solid {c.border}; }}
QMenuBar::item {{ background: transparent; padding: 4px 9px; }}
QMenuBar::item:selected, QMenu::item:selected {{ background: {c.selected}; }}
QMenu {{ background: {c.panel}; border: 1px solid {c.border}; padding: 4px; }}
QMenu::item {{ padding: 4px 24px 4px 24px; }}
QMenu::item:disabled {{ color: {c.disabled}; }}
QMenu::separator {{ background: {c.inner}; height: 1px; margin: 4px 8px; }}
QToolBar {{ background: {c.window}; border: none; padding: 4px 6px; spacing: 6px; }}
QToolBar::separator {{ background: {c.border}; width: 1px; margin: 4px 6px; }}
QLabel, QCheckBox {{ background: transparent; }}
QLabel[tone="muted"] {{ color: {c.muted}; }}
QLabel[tone="small"] {{ color: {c.muted}; font-size: 11px; }}
QLabel[tone="title"] {{ font-weight: bold; }}
QLabel[tone="page"] {{ font-size: 16px; font-weight: bold; }}
QLabel[tone="bad"] {{ color: {c.starved}; font-size: 11px; }}
QLabel[tone="hint"] {{ font-size: 11px; }}
QLabel[tone="trouble"] {{ color: {c.starved}; }}
QLabel[tone="why-not"] {{ color: {c.low}; background: {c.low_ground}; padding: 6px 10px; font-weight: bold; }}
QLabel[tone="by-choice"] {{ color: {c.muted}; background: {c.header}; padding: 6px 10px; }}
QPushButton, QToolButton, QLineEdit {{
  min-height: 22px; border: 1px solid {c.border}; border-radius: 3px; background: {c.button}; padding: 0 8px; }}
QLineEdit {{ background: {c.field}; padding: 0 6px; selection-background-color: {c.accent_fill};
  selection-color: {c.on_accent}; placeholder-text-color: {c.muted}; }}
QPushButton[look="preset"] {{ padding: 0 2px; font-size: 11px; }}
QSpinBox QLineEdit, QDoubleSpinBox QLineEdit {{ border: none; min-height: 0; padding: 0; background: transparent; }}
QPushButton:hover, QToolButton:hover {{ border-color: {c.muted}; }}
QPushButton:focus, QToolButton:focus, QLineEdit:focus {{ border-color: {c.accent}; }}
QPushButton:pressed, QToolButton:pressed {{ background: {c.selected}; }}
QLineEdit:disabled {{ placeholder-text-color: {c.disabled}; }}
QPushButton:disabled, QToolButton:disabled, QLineEdit:disabled {{ color: {c.disabled};
  border-color: {c.inner}; background: {c.panel}; }}
QToolButton:checked, QPushButton:checked {{ background: {c.accent_ground}; border-color: {c.accent};
  font-weight: bold; }}
QToolButton:checked:disabled {{ background: {c.panel}; border-color: {c.border}; }}
QPushButton[look="main"] {{ background: {c.accent_fill}; border-color: {c.accent_fill}; color: {c.on_accent};
  font-weight: bold; }}
QPushButton[look="main"]:focus {{ border-color: {c.text}; }}
QPushButton[look="main"]:disabled {{ background: {c.panel}; border-color: {c.inner}; color: {c.disabled}; }}
QToolBar QToolButton:disabled, QToolBar QToolButton:checked:disabled, QDialog QPushButton:disabled,
QDialog QPushButton[look="main"]:disabled {{ background: {c.header}; border-color: {c.border}; }}
QPushButton[look="ours"] {{ background: {c.accent_ground}; border-color: {c.accent}; color: {c.accent};
  font-weight: bold; }}
QPushButton[look="ours"]:disabled {{ background: {c.panel}; border-color: {c.inner}; color: {c.disabled};
  font-weight: normal; }}
QToolButton[look="small"] {{ min-height: 16px; padding: 0 6px; font-size: 11px; }}
QPushButton[look="danger"] {{ border-color: {c.starved}; color: {c.starved}; }}
QPushButton[look="danger"]:focus {{ border-width: 2px; }}
QPushButton[look="danger"]:disabled {{ border-color: {c.inner}; color: {c.disabled}; }}
QPushButton:default {{ border: 2px solid {c.accent}; padding: 0 7px; }}
QToolButton[look="fold"] {{ border-color: transparent; background: transparent; padding: 0 4px 0 0; min-height: 18px;
  font-weight: bold; }}
QToolButton[look="fold"]:hover, QToolButton[look="fold"]:focus {{ border-color: {c.accent}; }}
QToolButton[look="bare"] {{ border-color: transparent; background: transparent; padding: 0; min-height: 18px; }}
QToolButton[look="bare"]:hover, QToolButton[look="bare"]:focus {{ border-color: {c.muted}; }}
QToolButton[look="drop"] {{ padding-right: 20px; }}
QToolButton::menu-indicator {{ subcontrol-origin: padding; subcontrol-position: center right; right: 5px; }}
QToolButton[join="left"] {{ border-top-right-radius: 0; border-bottom-right-radius: 0; }}
QToolButton[join="middle"] {{ border-radius: 0; margin-left: -1px; }}
QToolButton[join="right"] {{ border-top-left-radius: 0; border-bottom-left-radius: 0; margin-left: -1px; }}
QComboBox QAbstractItemView {{ background: {c.panel}; color: {c.text}; border: 1px solid {c.border};
  selection-background-color: {c.selected}; selection-color: {c.text}; }}
QFileDialog QListView {{ background: {c.panel}; color: {c.text}; border: 1px solid {c.border};
  selection-background-color: {c.selected}; selection-color: {c.text}; }}
QFrame[role="panel"] {{ background: {c.panel}; border: 1px solid {c.border}; }}
QFrame[role="plain"] {{ background: {c.panel}; border: none; }}
QFrame[role="group"] {{ background: {c.panel}; border: none; border-top: 1px solid {c.inner}; }}
QFrame[role="header"] {{ background: {c.header}; border: none; border-bottom: 1px solid {c.inner}; }}
QFrame[role="frozen"] {{ background: {c.button}; border: none; border-bottom: 2px solid {c.muted}; }}
QFrame[role="back"] {{ background: {c.accent_ground}; border: none; border-bottom: 2px solid {c.accent}; }}
QLabel#mark-tip {{ background: {c.header}; color: {c.text}; border: 1px solid {c.muted}; padding: 2px 5px; font-size: 11px; }}
QFrame[role="dock-title"] {{ background: {c.header}; border: 1px solid {c.border}; }}
QScrollArea, QScrollArea > QWidget > QWidget {{ background: {c.panel}; border: none; }}
QTreeView, QTableView {{ background: {c.panel}; alternate-background-color: {c.header}; border: 1px solid {c.border};
  border-top: none; outline: none; font-size: 11px; selection-background-color: {c.selected};
  selection-color: {c.text}; gridline-color: {c.inner}; }}
QTableView[look="quiet"] {{ selection-color: {c.disabled}; }}
QTreeView:focus, QTableView:focus {{ border-color: {c.accent}; }}
QProgressBar {{ border: 1px solid {c.border}; border-radius: 3px; background: {c.field}; color: {c.text}; min-height: 18px;
  text-align: center; }}
QProgressBar::chunk {{ background: {c.accent_fill}; }}
QPlainTextEdit {{ background: {c.field}; color: {c.text}; border: 1px solid {c.border}; font-size: 11px;
  selection-background-color: {c.accent_fill}; selection-color: {c.on_accent}; }}
QPlainTextEdit:focus {{ border-color: {c.accent}; }}
QHeaderView {{ background: {c.panel}; }}
QHeaderView::section {{ background: {c.panel}; color: {c.muted}; font-size: 11px; border: none;
  border-bottom: 1px solid {c.inner}; border-right: 1px solid {c.inner}; padding: 3px; }}
QTreeView#channels QHeaderView::section:first {{ padding-left: 25px; }}
QTableView QTableCornerButton::section {{ background: {c.panel}; border: none; border-bottom: 1px solid {c.inner};
  border-right: 1px solid {c.inner}; }}
QDialog QTreeView, QDialog QTableView {{ border-top: 1px solid {c.border}; }}
QDialog QTableView::item {{ padding: 0 5px; }}
QDialog QTableView QHeaderView::section {{ padding: 3px 8px; }}
QDialog QTreeView:focus, QDialog QTableView:focus {{ border-top-color: {c.accent}; }}
QLineEdit QToolButton, QLineEdit QToolButton:hover, QLineEdit QToolButton:pressed {{ min-height: 0; border: none; padding: 0;
  background: transparent; }}
QStatusBar {{ background: {c.header}; border-top: 1px solid {c.border}; }}
QStatusBar::item {{ border: none; }}
QStatusBar QLabel {{ padding: 0 4px; }}
QStatusBar QLabel[tone="cell"] {{ border-left: 1px solid {c.border}; padding: 0 8px; }}
QScrollBar:vertical {{ background: {c.panel}; width: 9px; margin: 0; }}
QScrollBar:horizontal {{ background: {c.panel}; height: 9px; margin: 0; }}
QScrollBar::handle {{ background: {c.border}; border-radius: 3px; min-height: 24px; min-width: 24px; margin: 1px; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QToolTip {{ background: {c.header}; color: {c.text}; border: 1px solid {c.border}; }}
"""
