"""`haip-monitor` in a process of its own, offscreen, with a hand that clicks what a test says and a voice that reads aloud."""

from __future__ import annotations

import os
import queue
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from support.programs import Program
from support.turnstiles import PATIENCE_S

if TYPE_CHECKING:
    from monitor_app.main_window import MainWindow

_MARK: Final = "> "
_LOOK_MS: Final = 50
_NUMBERS: Final = re.compile(r"\d[\d., ]*")


class Monitor:
    """The process, by what it says: a line whenever the sentence on top, the log or the audit trail says something new."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.pid = program.process.pid

    def says(self, *words: str) -> str:
        """Return the next line that has all of these words; other lines are passed over."""
        while True:
            line = self.program.says()
            if line.startswith(_MARK) and all(word in line for word in words):
                return line.removeprefix(_MARK)

    def does(self, deed: str) -> None:
        """Have the hand do something: act (the useful button on top), close."""
        self.program.hears(deed)

    def ends(self) -> tuple[int, str]:
        """Close every window; return the exit code and what was said to the terminal's error stream."""
        self.does("close")
        ended = self.program.ends(within_s=PATIENCE_S)
        return ended.code, ended.err


@contextmanager
def monitor(*arguments: str) -> Iterator[Monitor]:
    """Run `haip-monitor` with these arguments; it is killed at the end, should it still run."""
    keep = {name: os.environ[name] for name in ("HAIP_SYNC_RUNTIME_DIR", "XDG_CONFIG_HOME") if name in os.environ}
    source = f"from support.monitor_process import main; main({list(arguments)!r})"
    with Program(source, QT_QPA_PLATFORM="offscreen", **keep) as program:
        yield Monitor(program)


# ---- In the monitor's process -------------------------------------------------------------------------------------------------


def main(arguments: list[str]) -> None:
    """Run the monitor with the hand and the voice beside it."""
    from PySide6.QtCore import QTimer  # noqa: PLC0415 - the test's own process needs no Qt

    from monitor_app import app, gui  # noqa: PLC0415

    gui._application()
    beside = Beside()
    threading.Thread(target=beside.listen, daemon=True).start()
    timer = QTimer()
    timer.timeout.connect(beside.turn)
    timer.start(_LOOK_MS)
    code = app.main(arguments)
    timer.stop()
    sys.stdout.flush()
    os._exit(code)  # the reader of standard input waits for ever


class Beside:
    """Clicks what it is told, and prints what the windows say whenever that is other than before."""

    def __init__(self) -> None:
        self._deeds: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._said: dict[str, str] = {}

    def listen(self) -> None:
        """Take deeds from standard input. Runs on a thread of its own."""
        for line in sys.stdin:
            self._deeds.put(line.strip())

    def turn(self) -> None:
        """Read every window aloud, and do what was asked for."""
        from PySide6.QtWidgets import QApplication  # noqa: PLC0415

        from monitor_app.main_window import MainWindow  # noqa: PLC0415

        windows = [each for each in QApplication.topLevelWidgets() if isinstance(each, MainWindow) and each.isVisible()]
        for window in windows:
            self._read(window)
        while not self._deeds.empty():
            deed = self._deeds.get()
            for window in windows:
                (window.answer.action.click if deed == "act" else window.close)()

    def _read(self, window: MainWindow) -> None:
        name, answer = window.windowTitle(), window.answer
        button = answer.action.text() if answer.action.isVisible() and answer.action.isEnabled() else "no button"
        picture = "picture" if window.flow.isVisible() and window.ingest.history.oldest_s is not None else "no picture"
        self._say(name, f"{answer.title.text()} | {answer.evidence.text()} | {button} | {picture}")
        self._say(f"{name} control", window.control.why_not() or "enabled")
        for entry in window.ingest.audit.entries:
            self._say(f"{name} audit {entry.number}", f"{entry.who} {entry.action} {entry.outcome.value} {entry.result}")

    def _say(self, topic: str, text: str) -> None:
        """Print what is new on a topic; what differs in figures only is not."""
        key = _NUMBERS.sub("N", text)
        if self._said.get(topic) != key:
            self._said[topic] = key
            sys.stdout.write(f"{_MARK}{topic}: {text}\n")
            sys.stdout.flush()
