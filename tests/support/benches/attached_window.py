"""A window in a process of its own, attached to a client elsewhere: it says how many frames a second it makes."""

from __future__ import annotations

import os
import sys
import time
from typing import Final

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication

from haip_sync.observe import list_programs
from monitor_app.main_window import MainWindow
from monitor_app.model.attached_source import AttachedSource
from monitor_app.model.ingest import Ingest
from monitor_app.theme import Mode, Theme

_PATIENCE_S: Final = 20.0


def spin(seconds: float) -> None:
    """Let the window live for a while."""
    loop = QEventLoop()
    QTimer.singleShot(round(seconds * 1000), loop.quit)
    loop.exec()


def attach(pid: int, client: str) -> MainWindow:
    """Return a window on a client of the program with this number, once there is something in it."""
    deadline_s = time.monotonic() + _PATIENCE_S
    while not (found := [info for info in list_programs() if info.pid == pid and info.clients]):
        assert time.monotonic() < deadline_s, "the program was not found"
        spin(0.05)
    window = MainWindow(Ingest(AttachedSource(found[0], client)), Theme(Mode.DARK), "benchmark")
    window.resize(1440, 900)
    window.start()
    while window.ingest.connection is None:
        assert time.monotonic() < deadline_s, "nothing was heard of the client"
        spin(0.05)
    return window


def main(pid: int, client: str, seconds: float) -> None:
    """Attach, wait for a line, count frames, say how many there were in a second."""
    application = QApplication(sys.argv[:1])
    window = attach(pid, client)
    sys.stdout.write("attached\n")
    sys.stdout.flush()
    sys.stdin.readline()
    beats: list[float] = []
    window._pulse.frame.connect(lambda: beats.append(time.perf_counter()))
    spin(seconds)
    sys.stdout.write(f"{len(beats) / seconds}\n")
    sys.stdout.flush()
    window.close()
    application.processEvents()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
