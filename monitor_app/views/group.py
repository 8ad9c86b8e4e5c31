"""What the groups of the control dock are made of."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from monitor_app.views.parts import FIELD_HEIGHT, ElidedLabel, as_tip


class Group(QFrame):
    """A titled group that folds.

    Attributes:
        fold: The title; a click or Space on it folds and unfolds.
        detail: Words on the right of the title; they stay in sight when the group is folded.
        rows: The layout below the title.
    """

    def __init__(self, title: str, *, folded: bool = False) -> None:
        super().__init__()
        self.setProperty("role", "group")
        self.detail = ElidedLabel("", "small")
        self.detail.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.fold = QToolButton()
        self.fold.setText(title)
        self.fold.setCheckable(True)
        self.fold.setProperty("look", "fold")
        self.fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.fold.setAccessibleName(f"{title}: fold or unfold")
        head = QHBoxLayout()
        head.addWidget(self.fold)
        head.addWidget(self.detail, 1)
        self._body = QWidget()
        self.rows = QVBoxLayout(self._body)
        self.rows.setContentsMargins(0, 0, 0, 0)
        self.rows.setSpacing(6)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 6, 10, 8)
        column.setSpacing(6)
        column.addLayout(head)
        column.addWidget(self._body)
        self.fold.toggled.connect(self._on_folded)
        self.fold.setChecked(not folded)
        self._on_folded(self.fold.isChecked())

    @Slot(bool)
    def _on_folded(self, is_open: bool) -> None:
        self._body.setVisible(is_open)
        self.fold.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)


def allow(widget: QWidget, why_not: str) -> None:
    """Enable a control, or disable it and say why in its tooltip."""
    widget.setDisabled(bool(why_not))
    widget.setToolTip(as_tip(why_not))


def allow_field(field: QWidget, why_not: str) -> None:
    """Enable a field, or disable it and say why; one that is typed in keeps the focus, else the next keys were commands."""
    edit = field.lineEdit() if isinstance(field, QAbstractSpinBox) else field
    is_typed_in = isinstance(edit, QLineEdit) and field.hasFocus() and edit.isModified()
    allow(field, "" if is_typed_in else why_not)


def spin_box(maximum: int, suffix: str, name: str, value: int) -> QSpinBox:
    """Return a field for a whole number from 0, with its unit."""
    made = QSpinBox()
    made.setRange(0, maximum)
    made.setSuffix(suffix)
    made.setValue(value)
    made.setAccessibleName(name)
    made.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
    made.setMinimumWidth(64)
    made.setFixedHeight(FIELD_HEIGHT)
    return made
