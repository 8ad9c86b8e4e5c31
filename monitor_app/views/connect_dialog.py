"""Asks for a server, and stays until the connection stands: what goes wrong is said here, and can be tried again at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QComboBox, QDialog, QFormLayout, QHBoxLayout, QLineEdit, QWidget

from monitor_app.model.addresses import problem_of
from monitor_app.model.servers import Server
from monitor_app.model.source import Failure
from monitor_app.views.parts import FIELD_HEIGHT, button, dress_fields, grow, label, set_tone, wrapping_label

_CHOOSE: Final = "Choose a server…"
_FIRST: Final = "ws://127.0.0.1:8080"


class ConnectDialog(QDialog):
    """Address, name and token of a server. The token is shown as dots and kept nowhere.

    Attributes:
        servers: The remembered servers.
        forget: Forgets the chosen one.
        url, name, token: The fields.
        message: What is happening, or what went wrong.
        connect_button: Connects.
        cancel: Ends an attempt that is under way; without one, closes the dialog. Esc does the same.

    Signals:
        connect_wanted: Connect: address, token (empty for none).
        forget_wanted: Forget the server with this address.
        cancel_wanted: End the attempt that is under way.
    """

    connect_wanted = Signal(str, str)
    forget_wanted = Signal(str)
    cancel_wanted = Signal()

    def __init__(self, address: str, servers: Sequence[Server], parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Connect to a server")
        self.setMinimumWidth(460)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._asked = self._connecting = False
        self.servers = QComboBox()
        self.servers.setAccessibleName("Remembered servers")
        self.servers.setFixedHeight(FIELD_HEIGHT)
        self.forget = button("&Forget", "Forget the chosen server")
        self.url = _field(address or _FIRST, "Address", "ws://host:port")
        self.name = _field("", "Name to remember the server by", "optional")
        self.token = _field("", "Token", "none")
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.message = wrapping_label()
        self.connect_button = button("&Connect", "Connect to the server", look="main")
        self.cancel = button("Cancel", "Cancel")
        self._lay_out()
        dress_fields(self, parent.palette())
        self.show_servers(servers)
        self.connect_button.setDefault(True)
        self.url.setFocus()
        self.url.selectAll()
        self.servers.activated.connect(self._on_server_chosen)
        self.forget.clicked.connect(self._on_forget)
        self.url.textChanged.connect(self._on_url_changed)
        self.connect_button.clicked.connect(self._on_connect)
        self.cancel.clicked.connect(self.reject)

    def _lay_out(self) -> None:
        remembered, buttons = QHBoxLayout(), QHBoxLayout()
        remembered.addWidget(self.servers, 1)
        remembered.addWidget(self.forget)
        buttons.addStretch(1)
        buttons.addWidget(self.connect_button)
        buttons.addWidget(self.cancel)
        form = QFormLayout(self)
        form.setContentsMargins(16, 16, 16, 12)
        form.setSpacing(8)
        self._remembered = QWidget()
        self._remembered.setLayout(remembered)
        remembered.setContentsMargins(0, 0, 0, 0)
        for words, row, buddy in (
            ("&Remembered", self._remembered, self.servers),
            ("&Address", self.url, self.url),
            ("&Name", self.name, self.name),
            ("&Token", self.token, self.token),
        ):
            caption = label(words, "muted")
            caption.setBuddy(buddy)
            form.addRow(caption, row)
        note = wrapping_label("small")
        note.setText("Name and address are remembered once the connection stands; the token never is.")
        form.addRow(note)
        form.addRow(self.message)
        form.addRow(buttons)
        self.message.hide()

    def show_servers(self, servers: Sequence[Server]) -> None:
        """Offer the remembered servers."""
        self.servers.clear()
        self.servers.addItem(_CHOOSE if servers else "None yet")
        for server in servers:
            self.servers.addItem(server.title, server)
        self.servers.setEnabled(bool(servers))
        self.forget.setEnabled(False)

    def refresh(self, address: str, failure: Failure | None, *, connecting: bool, connected: bool) -> None:
        """Show how the attempt stands; a connection closes the dialog."""
        if not self._asked:
            return
        self._connecting = connecting
        if connecting:
            self._say(f"Connecting to {address}…", "")
        elif failure is not None:
            self._say(f"{failure.title}. {failure.text}", "" if failure.is_ours else "trouble")
        elif connected:
            self.accept()
            return
        self.connect_button.setText("Try again" if failure is not None else "&Connect")
        self.connect_button.setDisabled(connecting)
        self.cancel.setText("Cancel connecting" if connecting else "Cancel")

    @Slot()
    def reject(self) -> None:
        """End the attempt that is under way: it would go on unseen. Without one, close the dialog."""
        if self._connecting:
            self.cancel_wanted.emit()
        else:
            super().reject()

    def _say(self, text: str, tone: str) -> None:
        self.message.setText(text)
        set_tone(self.message, tone)
        self.message.setVisible(bool(text))
        grow(self)

    @Slot(int)
    def _on_server_chosen(self, place: int) -> None:
        server = self.servers.itemData(place)
        self.forget.setEnabled(server is not None)
        if isinstance(server, Server):
            self.url.setText(server.address)
            self.name.setText(server.name)
            self.token.clear()

    @Slot()
    def _on_forget(self) -> None:
        server = self.servers.currentData()
        if isinstance(server, Server):
            self.forget_wanted.emit(server.address)

    @Slot()
    def _on_url_changed(self) -> None:
        self._say("", "")

    @Slot()
    def _on_connect(self) -> None:
        url = self.url.text().strip()
        problem = problem_of(url)
        if problem:
            self._say(problem, "trouble")
            return
        self._asked = True
        self.connect_wanted.emit(url, self.token.text())


def _field(text: str, name: str, placeholder: str) -> QLineEdit:
    made = QLineEdit(text)
    made.setAccessibleName(name)
    made.setPlaceholderText(placeholder)
    return made
