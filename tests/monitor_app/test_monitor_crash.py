"""What nobody caught is told, on any thread, once, and is not the end; what Qt says is kept."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QMessageLogContext, Qt, QTimer, QtMsgType
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QLabel, QPushButton
from pytestqt.qtbot import QtBot

from monitor_app import gui, qt_messages
from monitor_app.crash import CrashWatch
from monitor_app.main_window import MainWindow
from monitor_app.model.crash_report import crash_of
from monitor_app.options import Options
from monitor_app.settings import Settings
from monitor_app.views.text_dialog import TextDialog

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def hooked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what the hooks that were there before are told, instead of pytest's own, which would fail the test."""
    heard: list[str] = []

    def hear(kind: type[BaseException], *_: object) -> None:
        heard.append(kind.__name__)

    def hear_thread(arguments: threading.ExceptHookArgs) -> None:
        heard.append(arguments.exc_type.__name__)

    monkeypatch.setattr(sys, "excepthook", hear)
    monkeypatch.setattr(threading, "excepthook", hear_thread)
    return heard


@pytest.fixture
def crashes(window: MainWindow, hooked: list[str]) -> Iterator[CrashWatch]:
    """Yield a watch over the window."""
    watch = CrashWatch(window, window.ingest, has_screen=True)
    with watch.watching():
        yield watch
    if watch.dialog is not None:
        watch.dialog.accept()


def fail(text: str = "it broke") -> None:
    """Raise what nobody catches."""
    raise LookupError(text)


def raised(error: Exception) -> None:
    """Let an error reach the hook, as Python does where nobody caught it."""
    sys.excepthook(type(error), error, error.__traceback__)


def test_an_error_in_a_slot_opens_a_dialog_and_the_window_lives_on(
    qtbot: QtBot, window: MainWindow, crashes: CrashWatch, hooked: list[str]
) -> None:
    """What happened is told and can be copied; Continue leaves everything running, and the log has a row."""
    timer = QTimer()
    timer.setSingleShot(True)
    timer.timeout.connect(fail)
    timer.start(0)
    qtbot.waitUntil(lambda: crashes.dialog is not None, timeout=5000)
    dialog = crashes.dialog
    assert dialog is not None
    assert "LookupError: it broke" in dialog.text.toPlainText()
    assert "On thread MainThread" in dialog.text.toPlainText()
    qtbot.mouseClick(dialog.copy, LEFT)
    assert "in fail" in QGuiApplication.clipboard().text()
    qtbot.mouseClick(dialog.close_button, LEFT)
    assert crashes.dialog is None
    assert hooked == ["LookupError"]
    assert window.ingest.log.rows[-1].kind == "CRASH"
    assert window.ingest.log.rows[-1].text == "LookupError: it broke"
    window.refresh()


def test_an_error_on_another_thread_is_told_by_the_gui_thread(qtbot: QtBot, crashes: CrashWatch, hooked: list[str]) -> None:
    """The thread that failed only posts; its name is in the report."""
    thread = threading.Thread(target=fail, name="some-worker")
    thread.start()
    thread.join()
    assert crashes.dialog is None
    qtbot.waitUntil(lambda: crashes.dialog is not None, timeout=5000)
    assert crashes.dialog is not None
    assert "On thread some-worker" in crashes.dialog.text.toPlainText()
    assert hooked == ["LookupError"]


def test_errors_that_come_again_are_counted_and_not_told_again(qtbot: QtBot, crashes: CrashWatch) -> None:
    """An error at every frame is one dialog; after Continue the same one does not come back."""
    for _ in range(5):
        raised(LookupError("same"))
    raised(ValueError("another"))
    qtbot.waitUntil(lambda: crashes.dialog is not None and "5 more" in crashes.dialog.windowTitle(), timeout=5000)
    assert crashes.dialog is not None
    crashes.dialog.accept()
    raised(LookupError("same"))
    QApplication.processEvents()
    assert crashes.dialog is None
    raised(TypeError("new"))
    qtbot.waitUntil(lambda: crashes.dialog is not None, timeout=5000)


def test_quit_is_one_click(qtbot: QtBot, crashes: CrashWatch) -> None:
    """Whoever had enough quits from the dialog."""
    raised(LookupError("enough"))
    qtbot.waitUntil(lambda: crashes.dialog is not None, timeout=5000)
    assert crashes.dialog is not None
    button = crashes.dialog.findChild(QPushButton, "quit")
    assert button is not None
    with qtbot.waitSignal(crashes.quit_wanted, timeout=5000):
        qtbot.mouseClick(button, LEFT)
    assert crashes.dialog is None


def test_what_goes_wrong_while_reporting_is_not_reported(
    monkeypatch: pytest.MonkeyPatch, crashes: CrashWatch, hooked: list[str]
) -> None:
    """A report that fails would report itself for ever; the hook before ours still hears of the first error."""
    calls: list[str] = []

    def broken(error: BaseException, *_: object) -> None:
        calls.append(str(error))
        raised(RuntimeError("while reporting"))

    monkeypatch.setattr("monitor_app.crash.crash_of", broken)
    raised(LookupError("first"))
    assert calls == ["first"]
    assert hooked == ["LookupError", "RuntimeError"]


def test_without_a_screen_no_dialog_waits_for_a_click(window: MainWindow, hooked: list[str]) -> None:
    """Offscreen the console and the log have it; the hooks are as before afterwards."""
    before = sys.excepthook, threading.excepthook
    watch = CrashWatch(window, window.ingest, has_screen=False)
    with watch.watching():
        raised(LookupError("unseen"))
        QApplication.processEvents()
    assert watch.dialog is None
    assert window.ingest.log.rows[-1].kind == "CRASH"
    assert hooked == ["LookupError"]
    assert (sys.excepthook, threading.excepthook) == before


def test_an_interrupt_is_no_crash(crashes: CrashWatch, hooked: list[str]) -> None:
    """Ctrl-C is passed on and shows nothing."""
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    QApplication.processEvents()
    assert crashes.dialog is None
    assert hooked == ["KeyboardInterrupt"]


def test_a_report_has_the_trace_and_no_values() -> None:
    """Versions, thread and frames; what variables held is left out, it could be a secret."""
    secret = "".join(("sec", "ret-value"))
    try:
        fail("words")
    except LookupError as error:
        crash = crash_of(error, error.__traceback__, "T")
    assert secret not in crash.text
    assert "test_monitor_crash.py" in crash.text
    assert crash.headline == "LookupError: words"
    assert crash_of(KeyError(), None, "T").place == "KeyError at nowhere"


# ---- Qt's own words


@pytest.fixture
def quiet_messages() -> Iterator[None]:
    """Forget what the test said."""
    qt_messages._recent.clear()
    yield
    qt_messages._recent.clear()
    qt_messages.keep_fatal_in(None)


def test_warnings_of_qts_are_passed_on_and_kept(quiet_messages: None, capsys: pytest.CaptureFixture[str]) -> None:
    """A bug report has them; the one remark of the offscreen platform is nobody's trouble."""
    context = QMessageLogContext()
    qt_messages.handle(QtMsgType.QtWarningMsg, context, "a warning")
    qt_messages.handle(QtMsgType.QtDebugMsg, context, "chatter")
    qt_messages.handle(QtMsgType.QtWarningMsg, context, "This plugin does not support propagateSizeHints()")
    assert qt_messages.recent() == ("Qt: a warning",)
    assert capsys.readouterr().err == "a warning\nchatter\n"


def test_a_fatal_word_of_qts_is_written_down_for_the_next_start(tmp_path: Path) -> None:
    """Qt ends the process at once; the console has the stack, and the next start can show what happened."""
    grave = tmp_path / "new" / "last.txt"
    code = f"""
from pathlib import Path
from PySide6.QtCore import qFatal, qInstallMessageHandler
from monitor_app import qt_messages
qt_messages.keep_fatal_in(Path({str(grave)!r}))
qInstallMessageHandler(qt_messages.handle)
def the_guilty():
    qFatal("no way on")
the_guilty()
"""
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[2]
    )
    assert done.returncode != 0
    assert "the_guilty" in done.stderr
    text = qt_messages.take_last_fatal(grave)
    assert "Qt ended the monitor: " in text
    assert "the_guilty" in text
    assert qt_messages.take_last_fatal(grave) == ""
    assert not grave.exists()


def test_the_session_tells_of_a_fatal_end_and_of_a_crash(
    qtbot: QtBot, source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`read_only` is what the window begins with, and what the last run wrote down is shown."""
    (tmp_path / "last-fatal-error.txt").write_text("Qt ended the monitor: no way on")
    monkeypatch.setattr(gui, "Settings", lambda: Settings(tmp_path / "monitor.ini"))
    application = QApplication.instance()
    session = gui.Session(application, source, Options(read_only=True, theme="dark"), has_screen=True)
    seen: list[str] = []

    def look_and_close() -> None:
        dialog = session.window.findChild(TextDialog)
        seen.append("" if dialog is None else dialog.text.toPlainText())
        seen.append("" if dialog is None else " ".join(part.text() for part in dialog.findChildren(QLabel)))
        seen.append(session.window._bar.steering.text().strip())
        session.window.close()

    QTimer.singleShot(0, session.window, look_and_close)
    assert session.run() == 0
    assert seen[::2] == ["Qt ended the monitor: no way on", "Read-only"]
    assert "What it watched went on. Please copy this into a bug report." in seen[1]
    assert session._ingest.commands.read_only
    assert Settings(tmp_path / "monitor.ini").theme.value == "dark"
