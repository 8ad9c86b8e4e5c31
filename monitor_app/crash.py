"""A dialog instead of silence: what nobody caught, on any thread, is told, can be copied, and need not be the end."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtWidgets import QWidget

from monitor_app.model.crash_report import Crash, crash_of
from monitor_app.model.event_log import LogRow, Tone
from monitor_app.model.ingest import Ingest
from monitor_app.views.parts import button
from monitor_app.views.text_dialog import TextDialog

_SENTENCE: Final = (
    "Something went wrong in the monitor. What it watches goes on. You may continue; what is shown could be incomplete "
    "from now on. Please copy this into a bug report."
)
_MOST_KNOWN: Final = 200
_LAST_END: Final = (
    "An error of the monitor's own ended it when it ran last. What it watched went on. Please copy this into a bug report."
)


def tell_of_last_end(report: str, window: QWidget) -> TextDialog:
    """Show what was written down when the monitor ended so: then it could not show anything any more. Return the dialog."""
    dialog = TextDialog("The last run did not end well", _LAST_END, report, window)
    dialog.open()
    return dialog


class CrashWatch(QObject):
    """Hears of errors that nobody caught while `watching`.

    Threads: the hooks run on the thread that failed and only post; the rest belongs to the GUI thread.

    Attributes:
        dialog: The dialog that is open.

    Signals:
        quit_wanted: The operator had enough.
    """

    quit_wanted = Signal()
    _crashed = Signal(object)

    def __init__(self, window: QWidget, ingest: Ingest, *, has_screen: bool) -> None:
        super().__init__(window)
        self.dialog: TextDialog | None = None
        self._window = window
        self._ingest = ingest
        self._has_screen = has_screen
        self._more = 0
        self._known: set[str] = set()
        self._is_reporting = threading.local()
        # Queued, even from the GUI thread: the error may come out of the painting of a widget.
        self._crashed.connect(self._on_crashed, Qt.ConnectionType.QueuedConnection)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hear of errors in this block. The hooks that were there before still run, before ours."""
        before, before_in_threads = sys.excepthook, threading.excepthook

        def on_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
            before(kind, error, trace)
            self._post(error, trace)

        def on_error_in_thread(arguments: threading.ExceptHookArgs) -> None:
            before_in_threads(arguments)
            if arguments.exc_value is not None:
                self._post(arguments.exc_value, arguments.exc_traceback)

        sys.excepthook, threading.excepthook = on_error, on_error_in_thread
        try:
            yield
        finally:
            sys.excepthook, threading.excepthook = before, before_in_threads

    def _post(self, error: BaseException, trace: TracebackType | None) -> None:
        """Hand an error over to the GUI thread; never report what goes wrong in here, which could go on for ever."""
        if not isinstance(error, Exception) or getattr(self._is_reporting, "now", False):
            return
        self._is_reporting.now = True
        try:
            self._crashed.emit(crash_of(error, trace, threading.current_thread().name))
        finally:
            self._is_reporting.now = False

    @Slot(object)
    def _on_crashed(self, crash: Crash) -> None:
        """Tell of a crash once: one that comes again at every frame must not be a dialog at every frame."""
        if crash.place in self._known:
            self._count()
            return
        if len(self._known) < _MOST_KNOWN:
            self._known.add(crash.place)
        self._ingest.log.add(
            LogRow(self._ingest.clock.now_s(), None, "CRASH", crash.headline, Tone.TROUBLE, {"report": crash.text})
        )
        if self.dialog is not None:
            self._count()
        elif self._has_screen:
            self._open(crash)

    def _open(self, crash: Crash) -> None:
        dialog = self.dialog = TextDialog(
            "The monitor met an error", f"{_SENTENCE}\n\n{crash.headline}", crash.text, self._window
        )
        dialog.close_button.setText("C&ontinue")
        dialog.close_button.setAccessibleName("Continue")
        quit_button = button("&Quit", "Quit the monitor")
        quit_button.setObjectName("quit")
        quit_button.clicked.connect(self._on_quit)
        dialog.buttons.insertWidget(2, quit_button)
        dialog.finished.connect(self._on_finished)
        self._more = 0
        dialog.open()

    def _count(self) -> None:
        self._more += 1
        if self.dialog is not None:
            self.dialog.setWindowTitle(f"The monitor met an error, and {self._more} more")

    @Slot()
    def _on_quit(self) -> None:
        if self.dialog is not None:
            self.dialog.accept()
        self.quit_wanted.emit()

    @Slot()
    def _on_finished(self) -> None:
        self.dialog = None
