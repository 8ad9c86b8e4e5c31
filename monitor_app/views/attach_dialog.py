"""Lists the scripts that let themselves be watched, and attaches to the chosen client of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from monitor_app.model.program_rows import ProgramRow
from monitor_app.views.parts import as_tip, button, label, wrapping_label

_HEADINGS: Final = ("Script", "Pid", "Since", "Client", "State", "Worst channel", "Steering")
_SHORT: Final = (1, 2, 4, 6)
"""Columns whose words are short."""
_EMPTY: Final = (
    "No script can be seen. Start one with HAIP_SYNC_MONITOR=1 in its environment, or HAIP_SYNC_MONITOR=steer to steer it "
    "from here; it shows up within a second."
)


class AttachDialog(QDialog):
    """The running scripts.

    Attributes:
        table: One row for each client.
        why: More about the chosen row; without rows, what to do.
        passed_over: Where nobody looked, and why; hidden where that is nowhere.
        attach: Opens a window on the chosen client.

    Signals:
        attach_wanted: Open a window on this `ProgramRow`.
    """

    attach_wanted = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Attach to a script")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(900, 340)
        self._rows: list[ProgramRow] = []
        self.table = QTableWidget(0, len(_HEADINGS))
        self.why = wrapping_label()
        self.passed_over = wrapping_label("muted")
        self.attach = button("&Attach", "Open a window on the chosen client", look="main")
        self._cancel = button("Cancel", "Cancel")
        self._set_up_table()
        self._lay_out()
        self.attach.setDefault(True)
        self.attach.clicked.connect(self._on_attach)
        self._cancel.clicked.connect(self.reject)
        self.table.itemActivated.connect(self._on_attach)
        self.table.itemSelectionChanged.connect(self._show_choice)
        self.show_rows([])
        self.show_passed_over([])

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.attach)
        buttons.addWidget(self._cancel)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 12)
        column.setSpacing(8)
        column.addWidget(label("Scripts running as you", "title"))
        column.addWidget(self.table, 1)
        column.addWidget(self.why)
        column.addWidget(self.passed_over)
        column.addLayout(buttons)

    def _set_up_table(self) -> None:
        table = self.table
        table.setAccessibleName("Scripts and their clients")
        table.setHorizontalHeaderLabels(list(_HEADINGS))
        table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        table.horizontalHeader().setHighlightSections(False)
        table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        for column in _SHORT:  # so that the others have room for what they say
            table.horizontalHeader().setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(22)
        table.setShowGrid(False)
        table.setTabKeyNavigation(False)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)

    @property
    def chosen(self) -> ProgramRow | None:
        """The chosen row."""
        rows = self.table.selectionModel().selectedRows()
        return self._rows[rows[0].row()] if rows else None

    def show_rows(self, rows: Sequence[ProgramRow]) -> None:
        """Show what runs now; the same client stays chosen, or else the first is."""
        before = self.chosen
        if list(rows) != self._rows or not rows:
            self._rows = list(rows)
            self.table.setRowCount(len(rows))
            for place, row in enumerate(rows):
                for column, text in enumerate(row.cells):
                    item = QTableWidgetItem(text)
                    item.setToolTip(as_tip(row.why or text))
                    self.table.setItem(place, column, item)
        self.table.selectRow(self._place_of(before))
        self._show_choice()

    def show_passed_over(self, reasons: Sequence[str]) -> None:
        """Show why places where scripts could be were not looked into."""
        self.passed_over.setText(f"Not looked into: {'; '.join(reasons)}")
        self.passed_over.setVisible(bool(reasons))

    def _place_of(self, before: ProgramRow | None) -> int:
        if before is None:
            return 0
        key = (before.info.path, before.client)
        return next((place for place, row in enumerate(self._rows) if (row.info.path, row.client) == key), 0)

    @Slot()
    def _show_choice(self) -> None:
        chosen = self.chosen
        self.why.setText(_EMPTY if not self._rows else "" if chosen is None else chosen.why)
        self.attach.setEnabled(chosen is not None and chosen.can_attach)

    @Slot()
    def _on_attach(self) -> None:
        chosen = self.chosen
        if chosen is not None and chosen.can_attach:
            self.attach_wanted.emit(chosen)
            self.accept()
