"""Pictures of the monitor in every state, to be looked at by people: `python monitor_pictures.py FOLDER [dark|light]`.

Takes what stands on the screen, window and dialogs together, so it needs one of the window's size:
`xvfb-run -s "-screen 0 1280x800x24" ...`; at twice the size with `QT_SCALE_FACTOR=2` on a screen of 2560x1600.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication, QDialog, QFileDialog, QWidget

from haip_sync.testing import DevServer
from monitor_app import gui
from monitor_app.crash import CrashWatch
from monitor_app.demo import Demo
from monitor_app.main_window import MainWindow
from monitor_app.model.client_source import ClientSource, open_client
from monitor_app.model.ingest import Ingest
from monitor_app.settings import Settings
from monitor_app.theme import Mode, Theme

_PATIENCE_S: Final = 45.0


class Photographer:
    """Takes one picture a state.

    Attributes:
        folder: Where to.
        mode: The theme.
    """

    def __init__(self, folder: Path, mode: Mode) -> None:
        self.folder = folder
        self.mode = mode
        self._application = gui._application()
        self._scratch = tempfile.TemporaryDirectory()

    def window(self, source: ClientSource) -> MainWindow:
        """Open a window that fills the screen."""
        settings = Settings(Path(tempfile.mkdtemp(dir=self._scratch.name)) / "settings.ini")
        window = MainWindow(Ingest(source), Theme(self.mode), "picture", settings)
        window.resize(self._application.primaryScreen().size())
        window.move(0, 0)
        window.start()
        return window

    def take(self, window: MainWindow, name: str, rest_s: float = 0.3) -> None:
        """Take the screen."""
        spin(rest_s)
        window.refresh()
        QApplication.processEvents()
        self._application.primaryScreen().grabWindow(0).save(str(self.folder / f"{name}.png"))

    def take_dialog(self, window: MainWindow, name: str, command: str) -> None:
        """Take a dialog that a command opens, and close it."""
        getattr(window.actions_, command).trigger()
        self.take(window, name)
        close_dialogs(window)


def spin(seconds: float) -> None:
    """Let the window live for a while."""
    loop = QEventLoop()
    QTimer.singleShot(round(seconds * 1000), loop.quit)
    loop.exec()


def wait_for(what: Callable[[], bool]) -> None:
    """Let the window live until something is so. Raises `TimeoutError`."""
    deadline_s = time.monotonic() + _PATIENCE_S
    while not what():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{what} did not come about")
        spin(0.05)


def close_dialogs(window: QWidget) -> None:
    """Close every dialog of a window."""
    for dialog in window.findChildren(QDialog):
        dialog.close()
    spin(0.1)


def without_a_connection(camera: Photographer) -> None:
    """Take what a window shows that never had one."""
    with DevServer(token="right", agent=False) as server:
        window = camera.window(ClientSource(factory=open_client, name="monitor"))
        camera.take(window, "01-empty")
        camera.take_dialog(window, "02-connect", "connect_to")
        camera.take_dialog(window, "03-attach", "attach")
        window.ingest.commands.connect_to(server.url, "wrong")
        wait_for(lambda: window.ingest.source.failure is not None)
        camera.take(window, "04-refused")
        window.ingest.commands.connect_to("ws://127.0.0.1:9", None)
        wait_for(lambda: "127.0.0.1:9" in window.ingest.source.address and not window.ingest.source.connecting)
        camera.take(window, "05-nobody-there")
        window.close()


def with_the_demo(camera: Photographer) -> None:
    """Take what the demo goes through, and what can be done with it."""
    demo = Demo()
    window = camera.window(ClientSource(demo.start(), name="demo"))
    window.show_span(30.0)
    try:
        _live(camera, window)
        _looking(camera, window)
        _dialogs(camera, window, demo)
        demo._server.stop()
        wait_for(lambda: window.ingest.connection is not None and not window.ingest.connection.connected)
        camera.take(window, "40-reconnecting", 2.0)
    finally:
        window.close()
        demo.stop()


def _live(camera: Photographer, window: MainWindow) -> None:
    camera.take(window, "10-flowing", 2.0)
    wait_for(lambda: window.answer.title.text().startswith("AUDIO_IN is starved of bytes"))
    wait_for(lambda: window.ingest.channel("AUDIO_OUT").state.paused_by_us)  # type: ignore[union-attr]
    window.table.choose("AUDIO_IN")
    camera.take(window, "11-starved", 2.5)
    window.answer.proof.click()
    camera.take(window, "12-evidence")
    window.log.show_all()
    window.table.choose("AUDIO_OUT")
    camera.take(window, "13-paused-by-us")
    wait_for(lambda: window.ingest.channel("USER").state.paused_by_peer)  # type: ignore[union-attr]
    window.table.choose("USER")
    camera.take(window, "14-paused-by-peer", 1.0)
    spin(12.0)
    window.table.choose("AUDIO_IN")
    camera.take(window, "15-busy")


def _looking(camera: Photographer, window: MainWindow) -> None:
    hands = window.flow._plots.hands
    window.flow.freeze()
    camera.take(window, "20-frozen", 3.0)
    window.flow.follow()
    hands.panned.emit(-0.4)
    camera.take(window, "21-looking-back")
    window.flow.follow()
    hands.selected.emit(0.3, 0.7, True)
    camera.take(window, "22-span-selected")
    window.flow.clear()
    rows = window.log.shown_rows
    window.log.choose_row(next(row for row in reversed(rows) if row.kind == "PAUSE_CHANNEL"))
    camera.take(window, "23-log-and-inspector")
    window.flow.clear()
    window.ingest.commands.pause("SYSTEM", "for a picture")
    spin(0.3)
    window.ingest.commands.resume("SYSTEM")
    window.log_panel.show_audit()
    camera.take(window, "24-audit")
    window.log_panel.show_events()
    window.steering.look_only(read_only=True)
    camera.take(window, "25-read-only")
    window.steering.look_only(read_only=False)
    window.steering.go_to_strategy()
    camera.take(window, "26-strategy")


def _dialogs(camera: Photographer, window: MainWindow, demo: Demo) -> None:
    for name, command in (
        ("30-attach-list", "attach"),
        ("31-export", "export"),
        ("32-shortcuts", "shortcuts"),
        ("33-diagnostics", "diagnostics"),
        ("34-about", "about"),
    ):
        camera.take_dialog(window, name, command)
    client = demo._client
    assert client is not None
    client.pause_channel("SYSTEM", reason="for a picture")
    for number in range(31):
        client.enqueue_text_message("SYSTEM", f"report {number}")
    window.table.choose("SYSTEM")
    spin(1.0)
    window.refresh()
    window.steering.clear_queue()
    camera.take(window, "35-clear-queue")
    close_dialogs(window)
    crashes = CrashWatch(window, window.ingest, has_screen=True)
    try:
        raise LookupError("a picture of an error")
    except LookupError as error:
        crashes._post(error, error.__traceback__)
    camera.take(window, "36-crash")
    close_dialogs(window)
    for chooser in window.findChildren(QFileDialog):
        chooser.close()


def main(folder: Path, mode: Mode) -> None:
    """Take every picture."""
    folder.mkdir(parents=True, exist_ok=True)
    camera = Photographer(folder, mode)
    without_a_connection(camera)
    with_the_demo(camera)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Mode(sys.argv[2]) if len(sys.argv) > 2 else Mode.DARK)
