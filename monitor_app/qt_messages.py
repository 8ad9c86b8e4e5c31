"""What Qt has to say: passed on, kept for the diagnostics, and, when it is fatal, written down for the next start."""

from __future__ import annotations

import contextlib
import traceback
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PySide6.QtCore import QMessageLogContext, QtMsgType

from monitor_app.console import say

_MOST: Final = 50
_recent: deque[str] = deque(maxlen=_MOST)
_grave: list[Path] = []
"""Where a fatal message is written down; empty for nowhere."""


def recent() -> Sequence[str]:
    """Return the last warnings of Qt's, oldest first."""
    return tuple(_recent)


def keep_fatal_in(path: Path | None) -> None:
    """Write a fatal message to this file; None for to no file."""
    _grave[:] = [] if path is None else [path]


def handle(kind: QtMsgType, _context: QMessageLogContext, text: str) -> None:
    """Take a message of Qt's; on any thread. After a fatal one Qt ends the process, so nothing can be shown any more."""
    if text.startswith("This plugin does not support "):  # what the offscreen platform remarks about every window
        return
    if kind in {QtMsgType.QtWarningMsg, QtMsgType.QtCriticalMsg, QtMsgType.QtFatalMsg}:
        _recent.append(f"Qt: {text}")
    say(text)
    if kind is QtMsgType.QtFatalMsg:
        _bury(text)


def take_last_fatal(path: Path) -> str:
    """Return what the last run wrote down when it ended, and forget it; empty when it ended well."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
        path.unlink()
    except OSError:
        return ""
    return text


def _bury(text: str) -> None:
    report = f"Qt ended the monitor: {text}\n\n{''.join(traceback.format_stack()[:-2])}"
    say(report)
    for path in _grave:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(report, encoding="utf-8")
