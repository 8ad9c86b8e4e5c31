"""Pictures of the monitor in every state, to be looked at by people: `python -m support.monitor_pictures FOLDER [dark|light]`.

It needs `tests` in PYTHONPATH and a screen of the window's size: `xvfb-run -s "-screen 0 1280x800x24" ...`; at twice the size
with `QT_SCALE_FACTOR=2` on a screen of 2560x1600.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from typing import Final

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QFileDialog, QToolButton, QToolTip

from haip_sync import HAIPClient
from haip_sync.observe import list_programs
from haip_sync.testing import Bursty, DevServer
from monitor_app import qt_messages
from monitor_app.crash import CrashWatch, tell_of_last_end
from monitor_app.demo import Demo
from monitor_app.main_window import MainWindow
from monitor_app.model.attached_source import AttachedSource
from monitor_app.model.client_source import ClientSource, open_client
from monitor_app.theme import Mode
from monitor_app.views.channel_cells import Side
from monitor_app.views.connect_dialog import ConnectDialog
from monitor_app.views.export_dialog import ExportDialog
from monitor_app.views.shortcut_sheet import ShortcutSheet
from support.monitor_camera import Photographer, close_dialogs, has_dialog, open_dialog, spin, wait_for
from support.observed import meeting_place, script

_MANY_ROWS: Final = 100
_ANYWHERE: Final = Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchRecursive
_SCRIPT = """
import sys
from haip_sync import HAIPClient
with HAIPClient(sys.argv[1], name="sender") as client:
    for number in range(10_000_000):
        client.send_text_message("USER", f"line {number}", timeout=None)
"""


def without_a_connection(camera: Photographer) -> None:
    """Take what a window shows that never had one."""
    with DevServer(token="right", agent=False) as server, camera.window(_own_client()) as window:
        camera.take(window, "01-empty", "Nothing to watch yet")
        camera.take_dialog(window, "02-connect", "connect_to")
        camera.take_dialog(window, "03-attach", "attach")
        window.log_panel.show_audit()
        camera.take(window, "04-empty-audit", "No action yet")
        window.log_panel.show_events()
        window.ingest.commands.connect_to(server.url, "wrong")
        camera.take(window, "05-refused", "The server refused the token")
        window.ingest.commands.connect_to("ws://127.0.0.1:9", None)
        camera.take(window, "06-nobody-there", "The server cannot be reached")
        _bad_address(camera, window)


def _own_client() -> ClientSource:
    return ClientSource(factory=open_client, name="monitor")


def _bad_address(camera: Photographer, window: MainWindow) -> None:
    window.actions_.connect_to.trigger()
    dialog = open_dialog(window)
    assert isinstance(dialog, ConnectDialog)
    dialog.url.setText("htp:/nowhere")
    dialog.connect_button.click()
    camera.take(window, "07-bad-address", "htp:/nowhere")
    close_dialogs(window)


def with_a_server_that_goes(camera: Photographer) -> None:
    """Take an attempt that hangs and is cancelled, a connection that is idle, and one that the server ended for good."""
    settings = camera.settings()
    settings.remember_server("wss://haip.example.net", "prod-eu")
    settings.remember_server("ws://127.0.0.1:8080")
    with socket.create_server(("127.0.0.1", 0)) as deaf, camera.window(_own_client(), settings) as window:
        camera.take(window, "08-remembered", "prod-eu")
        window.ingest.commands.connect_to(f"ws://127.0.0.1:{deaf.getsockname()[1]}", None)
        camera.take(window, "09-connecting", "Connecting to ws://127.0.0.1", 0.5)
        window.page.cancel.click()
        camera.take(window, "51-cancelled", "Connecting was cancelled", 0.5)
    with DevServer(agent=False) as server, camera.window(_own_client()) as window:
        window.ingest.commands.connect_to(server.url, None)
        wait_for(lambda: window.ingest.connection and window.ingest.connection.connected)
        camera.take(window, "45-nothing-sent", "Nothing is being sent.", 1.0)
        server.stop()
        camera.take(window, "46-server-away", "Try again now", 1.5)


def with_many_channels(camera: Photographer) -> None:
    """Take more channels than there is room for, some of them with long names."""
    with (
        DevServer(agent=False) as server,
        HAIPClient(server.url, inbox="listeners") as client,
        camera.window(ClientSource(client, name="many")) as window,
    ):
        window.show_span(30.0)
        for number in range(20):
            client.send_text_message(f"WORKER_{number}" if number % 5 else f"A_WORKER_WITH_A_LONG_NAME_{number}", "line")
        spin(0.5)
        window.refresh()
        window.table.choose("WORKER_18")
        camera.take(window, "47-many-channels", lambda: window.table.chosen == "WORKER_18", 1.0)


def with_grants_that_are_used_up(camera: Photographer) -> None:
    """Take a channel that starves again and again, and the same after the last grant."""
    with (
        DevServer(policy=Bursty(2.0), agent=False) as server,
        HAIPClient(server.url, inbox="listeners") as client,
        camera.window(ClientSource(client, name="bursts")) as window,
    ):
        for number in range(200):
            client.enqueue_text_message("USER", f"line {number}")
        window.show_span(30.0)
        camera.take(window, "49-starves-again", " of the last ", 9.0)
        server.set_policy("never", "USER")
        camera.take(window, "50-starved-since-the-last-grant", "USER is starved of messages for", 8.0)


def with_the_demo(camera: Photographer) -> None:
    """Take what the demo goes through, and what can be done with it."""
    demo = Demo()
    try:
        with camera.window(ClientSource(demo.start(), name="demo")) as window:
            window.show_span(30.0)
            _live(camera, window)
            _looking(camera, window)
            _acting(camera, window)
            _menus(camera, window)
            _dialogs(camera, window, demo)
            demo._server.stop()
            camera.take(window, "40-reconnecting", "The client tries again by itself.", 2.0)
    finally:
        demo.stop()


def _live(camera: Photographer, window: MainWindow) -> None:
    camera.take(window, "10-flowing", "FLOWING for", 2.0)
    window.table.choose("AUDIO_IN")
    camera.take(window, "11-starved", "AUDIO_IN is starved of bytes", 1.0)
    window.answer.proof.click()
    camera.take(window, "12-evidence", lambda: window.log.is_filtered)
    window.log.show_all()
    window.table.choose("AUDIO_OUT")
    camera.take(window, "13-paused-by-us", "PAUSED by us for")
    window.table.choose("USER")
    camera.take(window, "14-paused-by-peer", "Only the peer can resume it. 1 message", 0.5)
    spin(12.0)
    window.table.choose("AUDIO_IN")
    camera.take(window, "15-busy", lambda: len(window.log.shown_rows) > _MANY_ROWS)
    window.actions_.other_side.trigger()
    camera.take(window, "16-receiving-side", window.table.switch.buttons[Side.RECEIVE].isChecked)
    window.actions_.other_side.trigger()


def _looking(camera: Photographer, window: MainWindow) -> None:
    hands = window.flow._plots.hands
    window.flow.freeze()
    camera.take(window, "20-frozen", "VIEW FROZEN", 3.0)
    window.flow.follow()
    hands.panned.emit(-0.4)
    camera.take(window, "21-looking-back", "LOOKING BACK")
    window.flow.follow()
    hands.selected.emit(0.3, 0.7, True)
    camera.take(window, "22-span-selected", "selected span")
    window.flow.clear()
    rows = window.log.shown_rows
    window.log.choose_row(next(row for row in reversed(rows) if row.kind == "PAUSE_CHANNEL"))
    camera.take(window, "23-log-and-inspector", window.inspector.topLevelItemCount)
    window.flow.clear()
    window.show_span(3600.0)
    camera.take(window, "24-one-hour", " of 1 h 0 min seen")
    window.show_span(30.0)
    window.actions_.plots[0].trigger()
    window.actions_.plots[2].trigger()
    window.actions_.solo_channel.trigger()
    camera.take(window, "25-two-plots-one-channel", lambda: not window.actions_.plots[0].isChecked())
    window.actions_.solo_channel.trigger()
    window.actions_.reset_layout.trigger()
    window.log.text_filter.setText("nothing has this")
    camera.take(window, "26-filter-without-hits", "No row fits the filters above.")
    window.log.show_all()
    window.docks.by_name["inspector"].setFloating(True)
    window.docks.by_name["figures"].hide()
    camera.take(window, "27-docks-moved", window.docks.by_name["inspector"].isFloating, 0.6)
    window.actions_.reset_layout.trigger()


def _acting(camera: Photographer, window: MainWindow) -> None:
    window.ingest.commands.pause("SYSTEM", "for a picture")
    spin(0.3)
    window.ingest.commands.resume("SYSTEM")
    window.ingest.commands.request("USER", 0, 0)
    window.log_panel.show_audit()
    camera.take(window, "28-audit", window.log_panel.audit.isVisible)
    window.log_panel.audit.selectRow(2)
    camera.take(window, "53-audit-inspected", lambda: window.inspector.findItems("request", _ANYWHERE, 1))
    window.log_panel.show_events()
    window.table.choose("USER")
    camera.take(window, "29-request-refused", "Nothing to ask for")
    window.steering.look_only(read_only=True)
    camera.take(window, "30-read-only", "Controls are disabled. The monitor is read-only")
    window.steering.look_only(read_only=False)
    window.steering.go_to_strategy()
    strategy = window.control.strategy
    strategy.chooser.setCurrentIndex(1)
    camera.take(window, "31-strategy", strategy.apply.isVisible)
    for field in strategy.fields.values():
        field.setValue(0)
    camera.take(window, "32-strategy-that-cannot-be", "must be at least")
    strategy.fold.setChecked(False)


def _menus(camera: Photographer, window: MainWindow) -> None:
    left = 20
    for number, action in enumerate(window.menuBar().actions()):
        menu = action.menu()
        camera.take_menu(window, f"7{number}-menu", menu, QPoint(left, 26))  # type: ignore[arg-type]
        left += window.menuBar().actionGeometry(action).width()
    camera.take_list(window, "78-list-of-channels", window.log.channel_filter)
    plots = _dropping(window)
    camera.take_menu(window, "79-plots", plots.menu(), plots.mapToGlobal(QPoint(0, plots.height())))


def _dropping(window: MainWindow) -> QToolButton:
    return next(button for button in window._bar.findChildren(QToolButton) if button.menu() is not None)


def _dialogs(camera: Photographer, window: MainWindow, demo: Demo) -> None:
    for name, command in (("33-shortcuts", "shortcuts"), ("34-diagnostics", "diagnostics"), ("35-about", "about")):
        camera.take_dialog(window, name, command)
    window.actions_.shortcuts.trigger()
    sheet = open_dialog(window)
    assert isinstance(sheet, ShortcutSheet)
    sheet.search.setText("no such thing")
    camera.take(window, "36-shortcut-without-hits", "No command has these words.")
    close_dialogs(window)
    _exports(camera, window)
    client = demo._client
    assert client is not None
    client.pause_channel("SYSTEM", reason="for a picture")
    for number in range(31):
        client.enqueue_text_message("SYSTEM", f"report {number}")
    window.table.choose("SYSTEM")
    spin(1.0)
    window.refresh()
    window.steering.clear_queue()
    camera.take(window, "41-clear-queue", lambda: has_dialog(window))
    close_dialogs(window)
    _errors(camera, window)


def _exports(camera: Photographer, window: MainWindow) -> None:
    window.actions_.export.trigger()
    dialog = open_dialog(window)
    assert isinstance(dialog, ExportDialog)
    camera.take(window, "37-export", dialog.isVisible)
    dialog.path.setText(str(camera.folder / "gone" / "log.csv"))
    dialog.start.click()
    camera.take(window, "38-export-without-a-folder", "There is no folder")
    dialog.path.setText(str(camera.folder / "log.csv"))
    works = os.fsync
    os.fsync = _full  # type: ignore[assignment]  # a disk that fills up at the last moment
    try:
        dialog.start.click()
        wait_for(lambda: "full" in dialog.message.text())
    finally:
        os.fsync = works
    camera.take(window, "39-export-to-a-full-disk", "the disk is full")
    close_dialogs(window)


def _full(_handle: int) -> None:
    raise OSError(28, "No space left on device")


def _errors(camera: Photographer, window: MainWindow) -> None:
    crashes = CrashWatch(window, window.ingest, has_screen=True)
    try:
        raise LookupError("a picture of an error")
    except LookupError as error:
        crashes._post(error, error.__traceback__)
    camera.take(window, "42-crash", "Something went wrong in the monitor.")
    close_dialogs(window)
    report = camera.folder / "last-end.txt"
    qt_messages.keep_fatal_in(report)
    qt_messages._bury("QPaintDevice: Cannot destroy paint device that is being painted")
    qt_messages.keep_fatal_in(None)
    tell_of_last_end(qt_messages.take_last_fatal(report), window)
    camera.take(window, "43-last-run", "An error of the monitor's own")
    close_dialogs(window)
    window.actions_.save_plots.trigger()
    camera.take(window, "44-file-chooser", lambda: has_dialog(window))
    for chooser in window.findChildren(QFileDialog):
        chooser.close()
    button = window.control.queue.clear
    QToolTip.showText(button.mapToGlobal(QPoint(0, 0)), button.toolTip() or button.accessibleName(), button)
    camera.take(window, "48-tooltip", QToolTip.isVisible, 0.1)
    QToolTip.hideText()


def with_a_script(camera: Photographer) -> None:
    """Take a script that runs elsewhere: in the list, attached to, and after its end."""
    with (
        meeting_place(),
        DevServer(initial_credits=10, agent=False) as server,
        script(_SCRIPT, server.url, mode="1") as running,
        camera.window(_own_client()) as window,
    ):
        running.path()
        window.actions_.attach.trigger()
        camera.take(window, "60-attach-list", "USER needs", 2.0)
        close_dialogs(window)
        program = next(info for info in list_programs() if info.pid == running.pid)
        with camera.window(AttachedSource(program, program.clients[0].name)) as attached:
            wait_for(lambda: attached.ingest.connection)
            attached.table.choose("USER")
            camera.take(attached, "61-attached-look-only", "lets monitors look only", 2.0)
            os.kill(running.pid, signal.SIGSTOP)
            camera.take(attached, "63-script-silent", "The script has stopped answering", 3.0)
            os.kill(running.pid, signal.SIGCONT)
            attached.ingest.source.detach()
            camera.take(attached, "64-detached", "Attach again (Ctrl+Shift+O)", 1.5)
            attached.ingest.source.attach_again()
            wait_for(lambda: attached.ingest.source.silent_s is None and attached.ingest.source.failure is None)
            running.process.kill()
            camera.take(attached, "62-script-ended", "The script is not there any more", 1.0)


SCENES = (
    without_a_connection,
    with_a_server_that_goes,
    with_many_channels,
    with_grants_that_are_used_up,
    with_the_demo,
    with_a_script,
)


def main(folder: Path, mode: Mode) -> None:
    """Take every picture."""
    folder.mkdir(parents=True, exist_ok=True)
    camera = Photographer(folder, mode)
    try:
        for scene in SCENES:
            scene(camera)
    finally:
        camera.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Mode(sys.argv[2]) if len(sys.argv) > 2 else Mode.DARK)
