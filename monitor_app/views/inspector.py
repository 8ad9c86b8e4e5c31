"""The inspector: one row of the log as a tree, down to the last member of its payload."""

from __future__ import annotations

from typing import Any, Final

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QGuiApplication, QKeyEvent
from PySide6.QtWidgets import QHeaderView, QTreeWidget, QTreeWidgetItem

from monitor_app.model.clock import Clock
from monitor_app.model.event_log import LogRow
from monitor_app.model.inspection import Node, as_text, plain_row, tree_of
from monitor_app.views.empty_hint import EmptyHint
from monitor_app.views.parts import as_tip, button, label

_EMPTY: Final = "Choose a row of the log: all that is known of it stands here."
_ARROWS: Final = frozenset({Qt.Key.Key_Up, Qt.Key.Key_Down})


class Inspector(QTreeWidget):
    """Shows a row.

    Attributes:
        detail: What is shown, in a few words, for the title bar of the dock.
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
        self.setUniformRowHeights(True)
        self.setIndentation(14)
        self.detail = label("", "muted")
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
            self.detail.setText("")
            self.hint.tell(_EMPTY)
            return
        self.hint.tell("")
        self._shown = plain_row(row, self._clock)
        self.detail.setText(f"{row.kind} {self._clock.time_of_day(row.time_s, milliseconds=True)}")
        for node in tree_of("row", self._shown).children:
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


def _item(node: Node) -> QTreeWidgetItem:
    item = QTreeWidgetItem([node.name, node.value])
    item.setToolTip(1, as_tip(node.value[:1000]))
    item.setTextAlignment(1, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    for child in node.children:
        item.addChild(_item(child))
    return item
