"""Where the monitor starts: the command line, then what Qt needs of the system, and only then Qt.

The order matters. A missing library or a dead display makes Qt abort the process, so both are looked for first, and
nothing here imports Qt at the top.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from monitor_app.options import parse
from monitor_app.platform_probe import prepare

if TYPE_CHECKING:
    from haip_sync import HAIPClient

_CANNOT_START = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run `haip-monitor`; return the exit code: 0, or 2 when it cannot start."""
    options = parse(argv)
    has_screen, word, packages = prepare()
    if packages:
        _say(f"haip-monitor: {_lacking(packages)}")
        return _CANNOT_START
    if word:
        _say(f"haip-monitor: {word}")
    if not has_screen and options.url is None and not options.demo:
        _say("haip-monitor: without a display it needs a URL or --demo")
        return _CANNOT_START
    code: int = _gui().run(options, has_screen=has_screen)
    return code


def watch(client: HAIPClient, *, title: str | None = None, script: Callable[[], object] | None = None) -> None:
    """Do what `monitor_app.watch` says."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("watch opens a window, which only the main thread can; run the script beside it: script=function")
    has_screen, word, packages = prepare()
    if packages:
        raise RuntimeError(_lacking(packages))
    if word:
        _say(f"monitor_app.watch: {word}")
    _gui().watch(client, title=title, script=script, has_screen=has_screen)


def _say(sentence: str) -> None:
    """Say something beside the window; a program without a console has no stream for it."""
    if sys.stderr is not None:
        sys.stderr.write(f"{sentence}\n")


def _lacking(packages: Sequence[str]) -> str:
    return f"Qt needs system libraries that are not installed. On Debian or Ubuntu: apt install {' '.join(packages)}"


def _gui() -> Any:
    return importlib.import_module("monitor_app.gui")
