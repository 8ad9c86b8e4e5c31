"""The dialogs of the window that belong to no channel: connect, shortcuts, diagnostics, about."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtCore import QObject, Signal, Slot, qVersion
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QWidget

from monitor_app.actions import Actions
from monitor_app.model.diagnostics import report, versions
from monitor_app.model.ingest import Ingest
from monitor_app.model.program_rows import rows_of
from monitor_app.model.programs import Programs
from monitor_app.qt_messages import recent
from monitor_app.settings import Settings
from monitor_app.views.attach_dialog import AttachDialog
from monitor_app.views.connect_dialog import ConnectDialog
from monitor_app.views.plain_box import open_box
from monitor_app.views.shortcut_sheet import ShortcutSheet
from monitor_app.views.text_dialog import TextDialog

_ABOUT = """HAIP Monitor {version} shows every channel's credit, backlog and pause state, and steers them.

Part of haip-sync, MIT licence. Python {python}, Qt {qt}, PySide6 {pyside}.

Help, Diagnostics has all that a bug report needs."""


class Dialogs(QObject):
    """Opens the dialogs, and remembers a server once its connection stands.

    Signals:
        address_changed: Another server is asked for.
        attach_wanted: Open a window on this `ProgramRow`.
        changed: An attempt to connect has begun or was cancelled, or a script is attached to or left.
    """

    changed = Signal()
    attach_wanted = Signal(object)
    address_changed = Signal()

    def __init__(
        self, ingest: Ingest, settings: Settings | None, actions: Actions, facts: Callable[[], Mapping[str, str]], window: QWidget
    ) -> None:
        super().__init__(window)
        self._ingest = ingest
        self._settings = settings
        self._actions = actions
        self._facts = facts
        self._window = window
        self._connect_dialog: ConnectDialog | None = None
        self._asked: tuple[str, str] | None = None
        self._attach_dialog: AttachDialog | None = None
        self._programs: Programs | None = None
        actions.bind(
            {
                "connect_to": self.open_connect,
                "retry": self.retry,
                "cancel_connect": self.cancel_connect,
                "attach": self.open_attach,
                "detach": self.detach,
                "attach_again": self.attach_again,
                "shortcuts": self.open_shortcuts,
                "diagnostics": self.open_diagnostics,
                "about": self.open_about,
            }
        )

    def refresh(self, *, connected: bool) -> None:
        """Show how an attempt stands, and whether there can be another. Called at the rate of text."""
        source = self._ingest.source
        owned = "" if source.can_reconnect else "The client belongs to a script; the monitor cannot connect it."
        busy = owned or ("An attempt to connect is under way." if source.connecting else "")
        self._actions.allow("connect_to", busy)
        cancels = source.can_reconnect and source.connecting
        self._actions.allow("cancel_connect", "" if cancels else "No attempt to connect is under way.")
        self._actions.allow("detach", "" if source.can_detach else "No script is attached to in this window.")
        self._actions.allow("attach_again", "" if source.can_attach_again else "No script was detached from in this window.")
        self._actions.allow("retry", busy or ("The connection stands." if connected else ""))
        if connected and not source.connecting and self._asked is not None:
            if self._settings is not None:
                self._settings.remember_server(*self._asked)
            self._asked = None
        if self._attach_dialog is not None and self._programs is not None:
            self._attach_dialog.show_rows(rows_of(self._programs.current()))
            self._attach_dialog.show_passed_over(self._programs.passed_over)
        if self._connect_dialog is not None:
            self._connect_dialog.refresh(source.address, source.failure, connecting=source.connecting, connected=connected)

    def expect(self, url: str, name: str = "") -> None:
        """Remember this server if its connection comes to stand."""
        self._asked = (url, name)

    @Slot()
    def retry(self) -> None:
        """Try the last address again."""
        self._ingest.commands.reconnect()
        self.changed.emit()

    @Slot()
    def cancel_connect(self) -> None:
        """Cancel the attempt to connect."""
        self._ingest.commands.cancel_connect()
        self.changed.emit()

    @Slot()
    def open_connect(self, address: str = "") -> None:
        """Ask for a server; `address` is filled in."""
        if self._connect_dialog is not None:
            return
        servers = self._settings.servers if self._settings is not None else ()
        dialog = ConnectDialog(address or self._ingest.source.address, servers, self._window)
        self._connect_dialog = dialog
        dialog.connect_wanted.connect(self._on_connect_wanted)
        dialog.cancel_wanted.connect(self.cancel_connect)
        dialog.forget_wanted.connect(self._on_forget_wanted)
        dialog.finished.connect(self._on_connect_finished)
        dialog.open()

    @Slot()
    def open_attach(self) -> None:
        """List the scripts that can be attached to, for as long as the dialog is open."""
        if self._attach_dialog is not None:
            return
        self._programs = Programs()
        self._programs.start()
        dialog = self._attach_dialog = AttachDialog(self._window)
        dialog.attach_wanted.connect(self.attach_wanted)
        dialog.finished.connect(self._on_attach_finished)
        dialog.open()

    @Slot()
    def detach(self) -> None:
        """Leave the script of this window alone; what was seen stays in sight."""
        self._ingest.source.detach()
        self.changed.emit()

    @Slot()
    def attach_again(self) -> None:
        """Look at the script of this window again."""
        self._ingest.source.attach_again()
        self.changed.emit()

    @Slot()
    def open_shortcuts(self) -> None:
        """Show every command and its keys."""
        ShortcutSheet(self._actions.listed(), self._window).open()

    @Slot()
    def open_diagnostics(self) -> None:
        """Show what a bug report needs."""
        sentence = (
            "Paste this into a bug report. It holds no token; look through it for addresses that you would rather not show."
        )
        trouble = [self._settings.trouble] if self._settings is not None and self._settings.trouble else []
        text = report(self._ingest, {**self._facts(), **_qt_facts(self._window)}, [*trouble, *recent()])
        TextDialog("Diagnostics", sentence, text, self._window).open()

    @Slot()
    def open_about(self) -> None:
        """Say what this is."""
        known = versions()
        text = _ABOUT.format(
            version=known["haip-sync"], python=known["Python"], qt=qVersion(), pyside=known["PySide6-Essentials"]
        )
        open_box(self._window, "About HAIP Monitor", text)

    @Slot(str, str)
    def _on_connect_wanted(self, url: str, token: str) -> None:
        before = self._ingest.source.address
        name = self._connect_dialog.name.text().strip() if self._connect_dialog is not None else ""
        self._ingest.commands.connect_to(url, token or None)
        self.expect(url, name)
        if self._ingest.source.address != before:
            self.address_changed.emit()
        else:
            self.changed.emit()

    @Slot(str)
    def _on_forget_wanted(self, address: str) -> None:
        if self._settings is not None and self._connect_dialog is not None:
            self._settings.forget_server(address)
            self._connect_dialog.show_servers(self._settings.servers)

    @Slot()
    def _on_attach_finished(self) -> None:
        programs, self._programs, self._attach_dialog = self._programs, None, None
        if programs is not None:
            programs.close()

    @Slot()
    def _on_connect_finished(self) -> None:
        self._connect_dialog = None


def _qt_facts(window: QWidget) -> dict[str, str]:
    screens = [
        f"{screen.name()} {screen.size().width()}x{screen.size().height()} at {screen.devicePixelRatio():g}"
        for screen in QGuiApplication.screens()
    ]
    style = QApplication.style().name()
    return {
        "Qt": f"{qVersion()}, platform {QGuiApplication.platformName()}, style {style}",
        "screens": "; ".join(screens),
        "window": f"{window.width()}x{window.height()} at {window.devicePixelRatioF():g}",
    }
