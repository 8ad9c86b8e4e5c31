"""Rows of text as Qt's item model: what the log and the audit trail have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from monitor_app.views.parts import as_tip

# As numbers, which is how Qt asks for them, dozens of times a row.
_DISPLAY: Final = int(Qt.ItemDataRole.DisplayRole)
_TOOL_TIP: Final = int(Qt.ItemDataRole.ToolTipRole)
TEXT_ALIGNMENT: Final = int(Qt.ItemDataRole.TextAlignmentRole)
LEFT: Final = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_Index = QModelIndex | QPersistentModelIndex


class RowModel(QAbstractTableModel):
    """Asks whoever derives from it for texts. The heading of the last column has the room to say how many rows there are."""

    def __init__(self, headings: Sequence[str], parent: QObject) -> None:
        super().__init__(parent)
        self._headings = headings
        self._count_words = ""

    @abstractmethod
    def count(self) -> int:
        """Return the number of rows."""

    @abstractmethod
    def text_at(self, row: int, column: int) -> str:
        """Return what stands in a cell."""

    def tip_at(self, row: int, column: int) -> str:
        """Return what a cell says when it is pointed at."""
        return self.text_at(row, column)

    def dress(self, row: int, column: int, role: int) -> Any:  # noqa: ARG002 - for whoever derives
        """Return sign, colour or weight of a cell; None for those of the table."""
        return None

    def say_count(self, words: str) -> None:
        """Show `words` in the heading of the last column."""
        if words != self._count_words:
            self._count_words = words
            last = len(self._headings) - 1
            self.headerDataChanged.emit(Qt.Orientation.Horizontal, last, last)

    def redraw(self) -> None:
        """Show all rows anew, in the colours of another theme."""
        if self.count():
            self.dataChanged.emit(self.index(0, 0), self.index(self.count() - 1, len(self._headings) - 1))

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's name and signature
        """Return the number of rows."""
        return 0 if parent.isValid() else self.count()

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's name and signature
        """Return the number of columns."""
        return 0 if parent.isValid() else len(self._headings)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:  # noqa: N802 - Qt's name
        """Return the heading of a column."""
        if orientation is Qt.Orientation.Horizontal and role == _DISPLAY:
            is_last = section == len(self._headings) - 1
            return f"{self._headings[section]}   ({self._count_words})" if is_last else self._headings[section]
        return LEFT if role == TEXT_ALIGNMENT else None

    def data(self, index: _Index, role: int = 0) -> Any:
        """Return text, tip, sign, colour and weight of a cell."""
        if role == _DISPLAY:
            return self.text_at(index.row(), index.column())
        if role == _TOOL_TIP:
            return as_tip(self.tip_at(index.row(), index.column()))
        return self.dress(index.row(), index.column(), role)
