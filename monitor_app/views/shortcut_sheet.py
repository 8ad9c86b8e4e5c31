"""Every command with its keys, to be searched; Return does the chosen one: at first the first that can be done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QEvent, QObject, Qt, Slot
from PySide6.QtGui import QAction, QKeyEvent, QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHeaderView,
    QLineEdit,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from monitor_app.views.empty_hint import EmptyHint
from monitor_app.views.parts import dress_fields, label, set_look

Listed = tuple[str, str, str, QAction]
_HEADINGS: Final = ("Menu", "Command", "Keys")
_MOVES: Final = frozenset({Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown})


class ShortcutSheet(QDialog):
    """The registry of commands as a table.

    Attributes:
        search: What to look for.
        table: The commands that have it.
        hint: What stands there when none has.
    """

    def __init__(self, commands: Sequence[Listed], parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Shortcuts")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(780, 566)  # a whole number of rows
        self._commands = list(commands)
        self._shown: list[QAction] = []
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search: a word of the command, or its keys")
        self.search.setAccessibleName("Search the commands")
        self.search.setClearButtonEnabled(True)
        self.table = QTableWidget(0, len(_HEADINGS))
        self._set_up_table()
        self.hint = EmptyHint(self.table)
        hint = label("Return does the chosen command. Single keys work while no field has the focus.", "small")
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 12, 12, 12)
        column.setSpacing(8)
        for part in (self.search, self.table, hint):
            column.addWidget(part)
        self.setPalette(parent.palette())
        dress_fields(self, parent.palette())
        self.search.installEventFilter(self)
        self.search.textChanged.connect(self._fill)
        self.search.returnPressed.connect(self._on_chosen)
        self.table.itemActivated.connect(self._on_chosen)
        self.table.itemSelectionChanged.connect(self._on_selected)
        self._fill()
        self.search.setFocus()

    def _set_up_table(self) -> None:
        table = self.table
        table.setAccessibleName("Commands and their keys")
        table.setHorizontalHeaderLabels(list(_HEADINGS))
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(22)
        table.setShowGrid(False)
        table.setTabKeyNavigation(False)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setColumnWidth(0, 80)
        table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        table.setColumnWidth(2, 130)
        table.horizontalHeader().setHighlightSections(False)
        table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Let the arrows move in the table while the search has the focus."""
        if watched is self.search and isinstance(event, QKeyEvent) and event.key() in _MOVES:
            if event.type() is QEvent.Type.KeyPress:
                self.table.event(event)
            return True
        return super().eventFilter(watched, event)

    @Slot()
    def _fill(self) -> None:
        words = self.search.text().casefold().split()
        found = [row for row in self._commands if all(word in " ".join(row[:3]).casefold() for word in words)]
        self.table.setRowCount(len(found))
        self._shown = [action for *_, action in found]
        for place, (*texts, action) in enumerate(found):
            if action.isChecked():
                texts[1] += " (on)"
            if not action.isEnabled():
                texts[1] += f": not now. {action.toolTip()}"
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                if not action.isEnabled():
                    item.setForeground(self.palette().color(QPalette.ColorGroup.Disabled, QPalette.ColorRole.Text))
                self.table.setItem(place, column, item)
        self.hint.tell("" if found else "No command has these words. Fewer of them find more.")
        if found:
            self.table.selectRow(next((place for place, action in enumerate(self._shown) if action.isEnabled()), 0))
        self._on_selected()  # the same row may be another command now

    @property
    def _chosen(self) -> QAction | None:
        """The chosen command."""
        rows = self.table.selectionModel().selectedRows()
        return self._shown[rows[0].row()] if rows else None

    @Slot()
    def _on_selected(self) -> None:
        """Let a command that cannot be done now keep its quiet colour: the sheet of styles has one for all that is chosen."""
        set_look(self.table, "" if self._chosen is None or self._chosen.isEnabled() else "quiet")

    @Slot()
    def _on_chosen(self) -> None:
        """Do the chosen command once the sheet is gone: it may open a dialog, or move the focus."""
        action = self._chosen
        if action is not None and action.isEnabled():
            self.accept()
            action.trigger()
