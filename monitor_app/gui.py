"""Runs the window: the Qt application, the signals of the system, the text table, the end.

Start: application, source, window, then the connection. End: the window closes its source; what this module started, it
ends. Every way out goes through `Session.run`'s `finally`.
"""

from __future__ import annotations

import functools
import importlib
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from PySide6.QtCore import (
    QCoreApplication,
    QEvent,
    QEventLoop,
    QObject,
    QTimer,
    Slot,
    qInstallMessageHandler,
)
from PySide6.QtWidgets import QApplication

from monitor_app import qt_messages
from monitor_app.console import say, tell
from monitor_app.crash import CrashWatch, tell_of_last_end
from monitor_app.main_window import MainWindow
from monitor_app.model.attached_source import AttachedSource
from monitor_app.model.client_source import ClientSource, open_client
from monitor_app.model.ingest import Ingest
from monitor_app.model.program_rows import ProgramRow
from monitor_app.model.source import Source
from monitor_app.model.targets import Target
from monitor_app.model.text_table import render
from monitor_app.options import Options
from monitor_app.settings import Settings
from monitor_app.theme import Mode, Theme

if TYPE_CHECKING:
    from haip_sync import HAIPClient
    from monitor_app.demo import Demo

_TABLE_MS = 1000
_OK, _FAILED = 0, 1
_GRAVE = "last-fatal-error.txt"


def run(options: Options, targets: Sequence[Target] = (), *, has_screen: bool) -> int:
    """Run the program until its last window is closed; return the exit code. `targets`: what to attach to, a window each."""
    logging.getLogger("haip_sync").addHandler(logging.NullHandler())  # what it reports, the window shows
    application = _application()
    demo = _demo(options.demo_file) if options.demo else None
    try:
        session = Session(application, _first_source(demo, targets), options, has_screen=has_screen)
        for target in targets[1:]:
            session.open(AttachedSource(target.program, target.client))
        if options.url is not None:
            session.connect_to(options.url, options.token)
        return session.run()
    finally:
        if demo is not None:
            demo.stop()


def _demo(file: Path | None) -> Demo:
    """Return the demo; only who asks for it waits for its server to be imported."""
    made: Demo = importlib.import_module("monitor_app.demo").Demo(file)
    return made


def _first_source(demo: Demo | None, targets: Sequence[Target]) -> Source:
    if demo is not None:
        return ClientSource(demo.start(), name="demo")
    if targets:
        return AttachedSource(targets[0].program, targets[0].client)
    return ClientSource(factory=open_client, name="monitor")


def watch(client: HAIPClient, *, title: str | None, script: Callable[[], object] | None, has_screen: bool) -> None:
    """Show `client` until the window is closed, with `script` running beside it."""
    source = ClientSource(client, name=title or "")
    session = Session(_application(), source, Options(), has_screen=has_screen)
    beside = None if script is None else Script(script, source)
    if beside is not None:
        beside.start()
    session.run()
    if beside is not None:
        beside.finish()


class Script:
    """A script that runs on a thread beside the window. What it raises shows in the log and is raised by `finish`."""

    def __init__(self, function: Callable[[], object], source: ClientSource) -> None:
        self._function = function
        self._source = source
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="monitor-script")

    def start(self) -> None:
        """Start the script."""
        self._thread.start()

    def finish(self) -> None:
        """Wait for the script to end and raise what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._function()
        except BaseException as error:  # noqa: BLE001 - raised again on the caller's thread
            self._error = error
            self._source.note_result(None, "script", f"{type(error).__name__}: {error}", ok=False)
        else:
            self._source.note_result(None, "script", "The script has ended.", ok=True)


class Session(QObject):
    """The windows from the opening of the first to the closing of the last.

    Attributes:
        window: The first window.
    """

    def __init__(self, application: QApplication, source: Source, options: Options, *, has_screen: bool) -> None:
        super().__init__()
        self._application = application
        self._options = options
        self._ingest = Ingest(source)
        self._code = _OK
        self._loop = QEventLoop(self)
        # A picture is to look the same wherever it is taken.
        self._settings = None if options.screenshot is not None else Settings()
        self._ingest.commands.read_only = options.read_only
        self.window = MainWindow(self._ingest, Theme(self._mode()), _title(source), self._settings)
        self.window.steering.look_only(read_only=options.read_only)
        self._crashes = CrashWatch(self.window, self._ingest, has_screen=has_screen)
        self._crashes.quit_wanted.connect(self.close_all)
        if options.size is not None:
            self.window.resize(*options.size)
        self.window.show_span(options.span_s)
        self._windows: list[MainWindow] = []
        self._admit(self.window)
        self._table = _timer(self, _TABLE_MS, self._on_table) if not has_screen else None
        self._end = self._end_timer()

    def _admit(self, window: MainWindow) -> None:
        """Let a window open others, and end the session with the last of them."""
        self._windows.append(window)
        window.closed.connect(self._on_closed)
        window.dialogs.attach_wanted.connect(self._on_attach_wanted)

    @Slot()
    def close_all(self) -> None:
        """Close every window."""
        for window in self._windows:
            window.close()

    @Slot()
    def _on_closed(self) -> None:
        if not any(window.isVisible() for window in self._windows):
            self._loop.quit()

    @Slot(object)
    def _on_attach_wanted(self, row: ProgramRow) -> None:
        """Open a window on a client of a running script. The first window goes, if it had nothing to show."""
        self.open(AttachedSource(row.info, row.client))
        if self.window.ingest.connection is None and not self.window.ingest.source.connecting:
            self.window.close()

    def open(self, source: Source) -> None:
        """Open one more window."""
        window = MainWindow(Ingest(source), Theme(self._mode()), _title(source), self._settings)
        window.steering.look_only(read_only=self._options.read_only)
        window.show_span(self._options.span_s)
        self._admit(window)
        window.start()

    def _mode(self) -> Mode:
        """Return the theme that was asked for, or else the one that was chosen last."""
        if self._options.theme is not None:
            return Mode(self._options.theme)
        return Mode.SYSTEM if self._settings is None else self._settings.theme

    def connect_to(self, url: str, token: str | None) -> None:
        """Connect to the server of the command line, and remember it once the connection stands."""
        self._ingest.commands.connect_to(url, token)
        self.window.dialogs.expect(url)

    def _tell_of_last_end(self) -> None:
        """Show what the last run wrote down when Qt ended it."""
        if self._settings is None:
            return
        path = self._settings.path.with_name(_GRAVE)
        qt_messages.keep_fatal_in(path)
        text = qt_messages.take_last_fatal(path)
        if text:
            tell_of_last_end(text, self.window)

    def _end_timer(self) -> QTimer | None:
        if self._options.duration_s is None:
            return None
        timer = _timer(self, round(self._options.duration_s * 1000), self._on_end)
        timer.setSingleShot(True)
        return timer

    def run(self) -> int:
        """Show the window and return when it is closed: by hand, by the clock or by Ctrl-C."""
        timers = [timer for timer in (self._table, self._end) if timer is not None]
        try:
            with _interruptible(self._loop.quit), self._crashes.watching():
                self.window.start()
                self._tell_of_last_end()
                for timer in timers:
                    timer.start()
                self._loop.exec()
        finally:
            for timer in timers:
                timer.stop()
            qt_messages.keep_fatal_in(None)
            for window in self._windows:
                window.close()
                window.deleteLater()
            self._application.processEvents()
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        return self._code

    @Slot()
    def _on_table(self) -> None:
        shown = [window.ingest for window in self._windows if window.isVisible()]
        many = len(self._windows) > 1
        text = "".join(render(ingest, ingest.clock, of=ingest.source.name if many else "") + "\n" for ingest in shown)
        problem = tell(text)
        if problem is None:
            return
        if problem:
            self._code = _FAILED
            say(f"haip-monitor: the table cannot be written: {problem}. The monitor ends")
        self.close_all()

    @Slot()
    def _on_end(self) -> None:
        path = self._options.screenshot
        if path is not None:
            self.window.refresh()
            if not self.window.grab().save(str(path)):
                say(f"haip-monitor: {path} could not be written")
                self._code = _FAILED
        self.close_all()


def _title(source: Source) -> str:
    return f"{source.name} - HAIP Monitor" if source.name else "HAIP Monitor"


def _timer(parent: QObject, interval_ms: int, slot: Callable[[], None]) -> QTimer:
    timer = QTimer(parent)
    timer.setInterval(interval_ms)
    timer.timeout.connect(slot)
    return timer


def _application() -> QApplication:
    """Return the process's application; one of a script's own is taken as it is."""
    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        return existing
    return _new_application()


@functools.cache
def _new_application() -> QApplication:
    """Make the one application of this process. The cache keeps it: there cannot be a second one, and Python would drop it."""
    application = QApplication([sys.argv[0] if sys.argv else "haip-monitor"])
    application.setApplicationName("haip-monitor")
    application.setStyle("Fusion")
    qInstallMessageHandler(qt_messages.handle)
    return application


@contextmanager
def _interruptible(end: Callable[[], None]) -> Iterator[None]:
    """Let Ctrl-C and a polite kill call `end`. Python gets to run their handlers because the window's timer ticks."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        end()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
