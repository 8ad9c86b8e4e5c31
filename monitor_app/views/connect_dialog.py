"""Asks for an address and a token."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QFormLayout, QLineEdit, QWidget

from monitor_app.views.parts import label


class ConnectDialog(QDialog):
    """The address of a server and the token for it. The token is shown as dots and kept nowhere.

    Attributes:
        url: The address.
        token: The token.
    """

    def __init__(self, address: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Connect to a server")
        self.setMinimumWidth(420)
        self.url = QLineEdit(address or "ws://127.0.0.1:8080")
        self.url.setAccessibleName("Address")
        self.token = QLineEdit()
        self.token.setAccessibleName("Token")
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.token.setPlaceholderText("none")
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self._buttons.button(QDialogButtonBox.StandardButton.Ok).setText("Connect")
        form = QFormLayout(self)
        form.setContentsMargins(16, 16, 16, 12)
        form.setSpacing(8)
        form.addRow(label("Address", "muted"), self.url)
        form.addRow(label("Token", "muted"), self.token)
        form.addRow(self._buttons)
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)
        self.url.textChanged.connect(self._on_url_changed)

    def answer(self) -> tuple[str, str | None]:
        """Return address and token as they were entered."""
        return self.url.text().strip(), self.token.text() or None

    @Slot(str)
    def _on_url_changed(self, text: str) -> None:
        self._buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(bool(text.strip()))
