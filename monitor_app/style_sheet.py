"""The style sheet of a window, made of a theme's colours. Of two rules that fit a widget as closely the later one holds."""

from __future__ import annotations

from monitor_app.colours import Colours


def style_sheet(c: Colours) -> str:
    """Return the style sheet of a window. Set on the window and not on the application, which may be a script's."""
    return "".join(("\n", _windows(c), _words(c), _buttons(c), _grounds(c), _tables(c), _edges(c)))


def _windows(c: Colours) -> str:
    """Return the rules for windows, menus and tool bars."""
    return f"""\
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
"""


def _words(c: Colours) -> str:
    """Return the rules for words, by the tone that they are said in."""
    return f"""\
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
"""


def _buttons(c: Colours) -> str:
    """Return the rules for buttons and fields of one line."""
    return f"""\
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
"""


def _grounds(c: Colours) -> str:
    """Return the rules for lists that drop down, and the grounds that others lie on."""
    return f"""\
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
"""


def _tables(c: Colours) -> str:
    """Return the rules for tables, and fields of many lines."""
    return f"""\
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
"""


def _edges(c: Colours) -> str:
    """Return the rules for what stands at the edges: the status bar, scroll bars, hints."""
    return f"""\
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
