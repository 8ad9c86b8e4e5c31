"""The look and the habits that the tables of the log have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from monitor_app.views import signs

ROW_HEIGHT: Final = 20


class RowTable(QTableView):
    """A table of rows of one height, which are chosen and copied whole."""

    def __init__(self, name: str, widths: Sequence[int]) -> None:
        super().__init__()
        self._widths = widths
        self.setAccessibleName(name)
        self.setShowGrid(False)
        self.setIconSize(QSize(signs.SIZE, signs.SIZE))
        self.setWordWrap(False)
        self.setAlternatingRowColors(True)
        self.setTabKeyNavigation(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)

    def arrange_columns(self) -> None:
        """Give the columns their widths; the last takes the rest. Call once there is a model."""
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setStretchLastSection(True)
        for column, width in enumerate(self._widths):
            header.resizeSection(column, width)

    def chosen_rows(self) -> list[int]:
        """Return the numbers of the rows that are selected, from the top."""
        return sorted(index.row() for index in self.selectionModel().selectedRows())

    def copy_rows(self) -> int:
        """Put the selected rows into the clipboard, cells apart by tabs; return how many."""
        rows = self.chosen_rows()
        model = self.model()
        columns = range(model.columnCount())
        lines = ["\t".join(str(model.index(row, column).data() or "") for column in columns) for row in rows]
        if lines:
            QGuiApplication.clipboard().setText("\n".join(lines))
        return len(lines)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Copy whole rows, and not the one cell that Qt would take."""
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy_rows()
        else:
            super().keyPressEvent(event)
