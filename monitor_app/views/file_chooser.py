"""The chooser of a file to save to, in the window's colours where the desktop has none of its own."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QSize, Qt
from PySide6.QtGui import QIcon, QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFileDialog,
    QFileSystemModel,
    QHeaderView,
    QPushButton,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolButton,
    QWidget,
)

from monitor_app.views import file_signs, signs
from monitor_app.views.parts import dress_fields
from monitor_app.views.signs import Sign

_BUTTONS: Final = {
    "backButton": file_signs.LEFT,
    "forwardButton": file_signs.RIGHT,
    "toParentButton": file_signs.UP,
    "newFolderButton": file_signs.NEW_FOLDER,
    "listModeButton": file_signs.ROWS,
    "detailModeButton": file_signs.COLUMNS,
}
"""Qt's names of the buttons, and our signs for them."""
_LISTS: Final = ("listView", "treeView", "sidebar")


def chooser_to_save(parent: QWidget, title: str, path: str, kinds: str, palette: QPalette) -> QFileDialog:
    """Return a chooser that is yet to be opened, and goes with its window; `kinds` is Qt's filter, empty for all files.

    The desktop's own chooser has no parts, and stays as the desktop has it.
    """
    chooser = QFileDialog(parent, title, path, kinds)
    chooser.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    chooser.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dress_fields(chooser, palette)
    for header in chooser.findChildren(QHeaderView):  # whose arrow the style draws in the ink of its palette
        header.setPalette(palette)
    for name, sign in _BUTTONS.items():
        tool = chooser.findChild(QToolButton, name)
        if isinstance(tool, QToolButton):
            tool.setIcon(_icon(sign, palette, QPalette.ColorRole.ButtonText))
            tool.setIconSize(QSize(signs.SIZE, signs.SIZE))
    for button in chooser.findChildren(QPushButton):
        button.setIcon(QIcon())
    _dress_lists(chooser, palette)
    return chooser


def _dress_lists(chooser: QFileDialog, palette: QPalette) -> None:
    """Give folders and files our signs. By a delegate: a provider of icons would be asked on a thread of Qt's."""
    for name in _LISTS:
        view = chooser.findChild(QAbstractItemView, name)
        if isinstance(view, QAbstractItemView):
            view.setItemDelegate(_OurSigns(view, palette))
            view.setIconSize(QSize(signs.SIZE, signs.SIZE))
    where = chooser.findChild(QComboBox, "lookInCombo")
    if isinstance(where, QComboBox):  # which paints its own sign of the folder that it names
        where.setIconSize(QSize(0, 0))


class _OurSigns(QStyledItemDelegate):
    """Draws the signs of the window beside the names; what is no file is a folder."""

    def __init__(self, view: QAbstractItemView, palette: QPalette) -> None:
        super().__init__(view)
        self._folder = _icon(file_signs.FOLDER, palette, QPalette.ColorRole.PlaceholderText)
        self._file = _icon(file_signs.FILE, palette, QPalette.ColorRole.PlaceholderText)

    def initStyleOption(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> None:  # noqa: N802 - Qt's name
        """Put our sign in the place of Qt's."""
        super().initStyleOption(option, index)
        if not option.icon.isNull():
            model = index.model()
            is_file = isinstance(model, QFileSystemModel) and not model.isDir(index)
            option.icon = self._file if is_file else self._folder


def _icon(sign: Sign, palette: QPalette, role: QPalette.ColorRole) -> QIcon:
    off = palette.color(QPalette.ColorGroup.Disabled, QPalette.ColorRole.ButtonText).name()
    return signs.icon(sign, palette.color(role).name(), palette.color(QPalette.ColorRole.Base).name(), off)
