"""Where the monitor starts: the command line, then what Qt needs of the system, and only then Qt.

The order matters. A missing library or a dead display makes Qt abort the process, so both are looked for first, and
nothing here imports Qt at the top.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from haip_sync import ConfigError
from haip_sync.observe import list_programs, places_passed_over, why_not_here
from monitor_app.console import prepare_output, say, tell
from monitor_app.interrupts import ctrl_c_ends_at_once, ctrl_c_waits
from monitor_app.model.program_table import HOW_TO_BE_SEEN, render_programs
from monitor_app.model.targets import NEAR_S, NotFoundError, find
from monitor_app.options import Options, parse
from monitor_app.platform_probe import prepare

if TYPE_CHECKING:
    from haip_sync import HAIPClient

_FOR_WINDOWS: Final = (("PySide6", "PySide6-Essentials"), ("pyqtgraph", "pyqtgraph"), ("numpy", "numpy"))
"""What the extra `monitor` brings along: module, distribution."""
_OK, _NONE_FOUND, _CANNOT_START = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run `haip-monitor`; return the exit code: 0, 1 where `--list` finds no program, or 2 when it cannot start."""
    with ctrl_c_ends_at_once():
        return _run(parse(argv))


def _run(options: Options) -> int:
    prepare_output()
    if options.lists:
        return _print_programs()
    try:
        targets = [find(wanted, options.client) for wanted in options.attach]
    except NotFoundError as error:
        say(f"haip-monitor: {error}")
        return _CANNOT_START
    for target in targets:
        if target.word:
            say(f"haip-monitor: {target.word}")
    has_screen, word, packages = prepare()
    lack = _not_installed() or _lacking(packages)
    if lack:
        say(f"haip-monitor: {lack}")
        return _CANNOT_START
    if word:
        say(f"haip-monitor: {word}")
    if not (has_screen or options.url or options.demo or targets):
        say("haip-monitor: without a display it needs a URL, --attach or --demo")
        return _CANNOT_START
    code: int = _gui().run(options, targets, has_screen=has_screen)
    return code


def _print_programs() -> int:
    """Print what runs, for a person or a script."""
    programs = list_programs(timeout_s=NEAR_S)
    for complaint in places_passed_over():
        say(f"haip-monitor: {complaint}")
    if not programs:
        say(f"haip-monitor: {why_not_here() or f'no script of yours can be seen: {HOW_TO_BE_SEEN}'}")
        return _NONE_FOUND
    problem = tell(render_programs(programs))
    if problem:
        say(f"haip-monitor: the list cannot be written: {problem}")
        return _CANNOT_START
    return _OK


def watch(client: HAIPClient, *, title: str | None = None, script: Callable[[], object] | None = None) -> None:
    """Do what `monitor_app.watch` says."""
    _check_arguments(client, title, script)
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("watch opens a window, which only the main thread can; run the script beside it: script=function")
    has_screen, word, packages = prepare()
    lack = _not_installed() or _lacking(packages)
    if lack:
        raise RuntimeError(lack)
    if word:
        say(f"monitor_app.watch: {word}")
    with ctrl_c_waits():
        gui = _gui()
    gui.watch(client, title=title, script=script, has_screen=has_screen)


def _check_arguments(client: object, title: object, script: object) -> None:
    """Raise `ConfigError` for what would be found out by a window that is open already."""
    # Imported here: a window on a server, or on a script elsewhere, is there before the client is imported.
    client_class = importlib.import_module("haip_sync").HAIPClient
    if not isinstance(client, client_class):
        raise ConfigError(f"watch shows a HAIPClient, not {type(client).__name__}; for a server's URL there is haip-monitor")
    if title is not None and not isinstance(title, str):
        raise ConfigError(f"title must be a string or None, not {type(title).__name__}")
    if script is not None and not callable(script):
        raise ConfigError(f"script must be a function without arguments, or None, not {type(script).__name__}")


def _not_installed() -> str:
    """Return which packages of ours are not there, and how to get them; empty where nothing lacks: the core comes without."""
    missing = [package for module, package in _FOR_WINDOWS if find_spec(module) is None]
    return f"a window needs {' and '.join(missing)}: pip install 'haip-sync[monitor]'" if missing else ""


def _lacking(packages: Sequence[str]) -> str:
    if not packages:
        return ""
    return f"Qt needs system libraries that are not installed. On Debian or Ubuntu: apt install {' '.join(packages)}"


def _gui() -> Any:
    return importlib.import_module("monitor_app.gui")
