"""The inspector: one row of the log as a tree, down to the last member of its payload."""

from __future__ import annotations

from typing import Any, Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Slot
from PySide6.QtGui import QGuiApplication, QKeyEvent
from PySide6.QtWidgets import QHeaderView, QStyledItemDelegate, QStyleOptionViewItem, QTreeWidget, QTreeWidgetItem

from monitor_app.model.clock import Clock
from monitor_app.model.event_log import LogRow
from monitor_app.model.inspection import Node, as_text, plain_row, shown_row, tree_of
from monitor_app.views.empty_hint import EmptyHint
from monitor_app.views.parts import as_tip, button
from monitor_app.views.row_table import ROW_HEIGHT

_EMPTY: Final = "Choose a row of the log: all that is known of it stands here."
_ARROWS: Final = frozenset({Qt.Key.Key_Up, Qt.Key.Key_Down})
_WRAPPED: Final = int(Qt.TextFlag.TextWordWrap)
_BESIDE: Final = 8
"""Pixels beside a text that are not the text's."""
_MOST_ROWS: Final = 4
"""So many rows a text may be high; what is longer is in its tooltip."""


class Inspector(QTreeWidget):
    """Shows a row: its sentence, whole, and below it what stands behind it.

    Attributes:
        copy: Copies the row as JSON, for the title bar of the dock.
        hint: What stands there before a row is chosen.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._shown: dict[str, Any] = {}
        self.setAccessibleName("Inspector of the chosen row")
        self.setHeaderLabels(["Member", "Value"])
        self.header().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self.header().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWordWrap(True)
        self.setItemDelegate(_InRows(self))
        self.header().sectionResized.connect(self.scheduleDelayedItemsLayout)
        self.setIndentation(14)
        self.hint = EmptyHint(self)
        self.copy = button("Copy", "Copy the chosen row as JSON")
        self.copy.setToolTip("Copy the whole row as JSON")
        self.copy.clicked.connect(self.copy_row)
        self.show_row(None)

    @Slot(object)
    def show_row(self, row: LogRow | None) -> None:
        """Show `row`; None for none."""
        self.clear()
        self.copy.setEnabled(row is not None)
        if row is None:
            self._shown = {}
            self.hint.tell(_EMPTY)
            return
        self.hint.tell("")
        self._shown = plain_row(row, self._clock)
        sentence = QTreeWidgetItem([row.text])
        sentence.setToolTip(0, as_tip(row.text))
        self.addTopLevelItem(sentence)
        sentence.setFirstColumnSpanned(True)
        for node in tree_of("row", shown_row(row, self._clock)).children:
            self.addTopLevelItem(_item(node))
        self.expandToDepth(1)

    @Slot()
    def copy_row(self) -> None:
        """Put the row into the clipboard as JSON."""
        if self._shown:
            QGuiApplication.clipboard().setText(as_text(self._shown))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Keep the arrows, though there be no row to go to: the window would take them and choose another channel."""
        super().keyPressEvent(event)
        if event.key() in _ARROWS:
            event.accept()


class _InRows(QStyledItemDelegate):
    """Gives every item a whole number of rows, as many as its text needs: none is cut off at the lower edge beside the log."""

    def __init__(self, tree: QTreeWidget) -> None:
        super().__init__(tree)
        self._tree = tree

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:  # noqa: N802 - Qt's name
        """Return the width that Qt would have, and the height of those rows."""
        size = super().sizeHint(option, index)
        text = str(index.data(Qt.ItemDataRole.DisplayRole) or "")
        is_whole_width = index.column() == 0 and self._tree.isFirstColumnSpanned(index.row(), index.parent())
        if index.column() == 0 and not is_whole_width:
            return QSize(size.width(), ROW_HEIGHT)
        room = self._tree.viewport().width() - self._tree.indentation() if is_whole_width else self._tree.columnWidth(1)
        needed = option.fontMetrics.boundingRect(QRect(0, 0, max(1, room - _BESIDE), 1 << 16), _WRAPPED, text).height()
        rows = min(_MOST_ROWS, max(1, -(-needed // ROW_HEIGHT)))
        return QSize(0 if is_whole_width else size.width(), rows * ROW_HEIGHT)


def _item(node: Node) -> QTreeWidgetItem:
    item = QTreeWidgetItem([node.name, node.value])
    item.setToolTip(1, as_tip(node.value[:1000]))
    item.setTextAlignment(1, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    for child in node.children:
        item.addChild(_item(child))
    return item
