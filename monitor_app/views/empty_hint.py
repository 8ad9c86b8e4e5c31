"""What stands in a table that has no rows: why, and what to do."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QAbstractItemView

from monitor_app.views.parts import wrapping_label

_MARGIN = 10


class EmptyHint(QObject):
    """Words over the empty ground of a table; who cannot see them hears them as the table's description."""

    def __init__(self, table: QAbstractItemView) -> None:
        super().__init__(table)
        self._table = table
        self._description = table.accessibleDescription()
        self._label = wrapping_label("muted")
        self._label.setParent(table.viewport())
        self._label.setContentsMargins(_MARGIN, _MARGIN, _MARGIN, _MARGIN)
        self._label.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self._label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._label.hide()
        table.viewport().installEventFilter(self)

    @property
    def text(self) -> str:
        """What stands there; empty where there are rows."""
        return self._label.text()

    def tell(self, text: str) -> None:
        """Show `text`; empty: go away, because there are rows."""
        if text != self._label.text():
            self._label.setText(text)
            self._label.setVisible(bool(text))
            self._table.setAccessibleDescription(f"{text} {self._description}".strip())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802, ARG002 - Qt's name and signature
        """Fill the ground, whatever its size."""
        if event.type() is QEvent.Type.Resize:
            self._label.setGeometry(self._table.viewport().rect())
        return False
