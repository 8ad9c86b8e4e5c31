"""Two buttons that choose which way credit is shown: what the peer grants us, or what we grant the peer."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QToolButton, QWidget

from monitor_app.views.channel_cells import Side

_TIPS = {Side.SEND: "What the peer grants us", Side.RECEIVE: "What we grant the peer"}


class SideSwitch(QWidget):
    """Send or receive.

    Signals:
        chosen: The operator chose a side.
    """

    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._group = QButtonGroup(self)
        self.buttons = {side: self._button(side) for side in Side}
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        for made in self.buttons.values():
            row.addWidget(made)
        self.show_side(Side.SEND)
        self._group.buttonClicked.connect(self._on_clicked)

    def _button(self, side: Side) -> QToolButton:
        made = QToolButton()
        made.setText(side.value)
        made.setToolTip(_TIPS[side])
        made.setAccessibleName(f"{side.value}: {_TIPS[side]}")
        made.setCheckable(True)
        made.setFixedHeight(20)
        made.setProperty("look", "small")
        made.setProperty("join", "left" if side is Side.SEND else "right")
        self._group.addButton(made)
        return made

    def show_side(self, side: Side) -> None:
        """Show which side is chosen."""
        self.buttons[side].setChecked(True)

    @Slot()
    def _on_clicked(self) -> None:
        self.chosen.emit(next(side for side, made in self.buttons.items() if made.isChecked()))
