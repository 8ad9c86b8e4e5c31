"""What the window says when there is no connection: a page before the first one, a banner after a loss."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QLabel, QVBoxLayout

from monitor_app.model.ingest import Ingest
from monitor_app.model.outage import outage_of
from monitor_app.model.servers import Server
from monitor_app.model.source import Failure
from monitor_app.theme import Theme
from monitor_app.views import signs
from monitor_app.views.connection_sign import connection_sign
from monitor_app.views.parts import button, label, set_look, wrapping_label

_NOTHING_YET = Failure(
    title="Nothing to watch yet",
    text=(
        "Connect to a server, by its address and, if it asks for one, a token: File, Connect… (Ctrl+N). "
        "Or look at a script of yours that is running: File, Attach to a script… (Ctrl+O)."
    ),
)
_MOST_SERVERS = 6


class _Notice(QFrame):
    """What happened and how to go on.

    Attributes:
        title: What happened.
        text: More about it.
        retry: Tries again.
        cancel: Ends the attempt that is under way.
        connect_button: Asks for an address.

    Signals:
        retry_wanted: Try the same address again.
        cancel_wanted: End the attempt.
        connect_wanted: Ask for an address.
    """

    retry_wanted = Signal()
    cancel_wanted = Signal()
    connect_wanted = Signal()

    def __init__(self, ingest: Ingest, theme: Theme, title_tone: str) -> None:
        super().__init__()
        self._ingest = ingest
        self._theme = theme
        self._sign = QLabel()
        self.title = label("", title_tone)
        self.text = wrapping_label()
        self.retry = button("Try again (F5)", "Try again", look="main")
        self.cancel = button("Cancel (Shift+F5)", "Cancel connecting")
        self.connect_button = button("Connect to a server…", "Connect to a server")
        self.retry.clicked.connect(self.retry_wanted)
        self.cancel.clicked.connect(self.cancel_wanted)
        self.connect_button.clicked.connect(self.connect_wanted)

    def refresh(self) -> None:
        """Show how the connection stands."""
        failure = self._failure()
        shown = failure or _NOTHING_YET
        self.title.setText(shown.title)
        self.text.setText(shown.text)
        self._offer_buttons()
        colours = self._theme.colours
        sign, colour = connection_sign(self._ingest, colours)
        self._sign.setPixmap(signs.icon(sign, colour, colours.panel).pixmap(signs.SIZE, signs.SIZE))
        self._sign.setVisible(failure is not None)

    def _failure(self) -> Failure | None:
        """Return what is wrong, or being tried; None: nothing is, or nothing was tried yet."""
        source = self._ingest.source
        outage = outage_of(self._ingest.connection, self._ingest.clock.now_s())
        if source.connecting:
            return Failure(title=f"Connecting to {source.address}", text="Waiting for the server's answer.")
        return source.failure if outage is None else Failure(title=outage.title, text=outage.text)

    def _offer_buttons(self) -> None:
        source = self._ingest.source
        wanted = {
            self.retry: source.failure is not None,
            self.cancel: source.connecting,
            self.connect_button: not source.connecting,
        }
        # What goes goes first: with all of them there for an instant the docks would be pushed out of a small window, for good.
        for part in sorted(wanted, key=lambda part: wanted[part]):
            part.setVisible(source.can_reconnect and wanted[part])
        repeats = source.failure is not None and not source.failure.wants_another
        set_look(self.retry, "main" if repeats else "")
        set_look(self.connect_button, "" if repeats else "main")

    def _head(self) -> QHBoxLayout:
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self._sign)
        head.addWidget(self.title, 1)
        return head


class TroublePage(_Notice):
    """Fills the centre while there was no connection yet.

    Signals:
        server_chosen: Connect to this remembered server; its address.
        attach_wanted: Look at a script that runs already.
    """

    server_chosen = Signal(str)
    attach_wanted = Signal()

    def __init__(self, ingest: Ingest, theme: Theme) -> None:
        super().__init__(ingest, theme, "page")
        self.setProperty("role", "panel")
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.retry)
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.connect_button)
        self.attach = button("Attach to a script…", "Attach to a script that is running")
        self.attach.clicked.connect(self.attach_wanted)
        buttons.addWidget(self.attach)
        buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(56, 56, 56, 24)
        layout.setSpacing(12)
        layout.addLayout(self._head())
        layout.addWidget(self.text)
        layout.addLayout(buttons)
        self._heading = label("Servers that you were connected to", "title")
        layout.addSpacing(12)
        layout.addWidget(self._heading)
        self._servers = QVBoxLayout()
        layout.addLayout(self._servers)
        layout.addStretch(1)
        self.show_servers(())

    def show_servers(self, servers: Sequence[Server]) -> None:
        """Offer the remembered servers, the latest first."""
        while (item := self._servers.takeAt(0)) is not None:
            gone = item.widget()
            if gone is not None:
                gone.deleteLater()
        self._heading.setVisible(bool(servers))
        for server in servers[:_MOST_SERVERS]:
            made = button(f"{server.title}…", f"Connect to {server.title}")
            made.setProperty("address", server.address)
            made.clicked.connect(self._on_server_clicked)
            self._servers.addWidget(made, 0, Qt.AlignmentFlag.AlignLeft)

    @Slot()
    def _on_server_clicked(self) -> None:
        clicked = self.sender()
        if clicked is not None:
            self.server_chosen.emit(str(clicked.property("address")))


class TroubleBanner(_Notice):
    """Stands above the picture after a loss: the last values stay in sight."""

    def __init__(self, ingest: Ingest, theme: Theme) -> None:
        super().__init__(ingest, theme, "title")
        self.setObjectName("banner")
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addLayout(self._head())
        words.addWidget(self.text)
        layout = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        layout.setContentsMargins(10, 6, 8, 6)
        layout.setSpacing(8)
        layout.addLayout(words, 1)
        layout.addWidget(self.retry)
        layout.addWidget(self.cancel)
        layout.addWidget(self.connect_button)

    def refresh(self) -> None:
        """Show how the connection stands, in the colours of a warning."""
        super().refresh()
        colours = self._theme.colours
        sheet = f"QFrame#banner {{ background: {colours.low_ground}; border: 1px solid {colours.low}; }}"
        if self.styleSheet() != sheet:
            self.setStyleSheet(sheet)
