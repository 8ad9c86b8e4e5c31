"""What Qt needs of the system, asked before Qt starts: what it does not find then, it answers with an abort. No Qt in here."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Final

Loader = Callable[[str], object]

_ALWAYS: Final = (
    ("libEGL.so.1", "libegl1"),
    ("libGL.so.1", "libgl1"),
    ("libX11.so.6", "libx11-6"),
    ("libxkbcommon.so.0", "libxkbcommon0"),
    ("libdbus-1.so.3", "libdbus-1-3"),
    ("libfontconfig.so.1", "libfontconfig1"),
    ("libfreetype.so.6", "libfreetype6"),
    ("libglib-2.0.so.0", "libglib2.0-0"),
    ("libgthread-2.0.so.0", "libglib2.0-0"),
    ("libzstd.so.1", "libzstd1"),
)
"""What QtCore, QtGui and QtWidgets link to and PySide6 does not bring along: library, Debian package."""

_FOR_XCB: Final = (
    ("libxcb-cursor.so.0", "libxcb-cursor0"),
    ("libxcb-icccm.so.4", "libxcb-icccm4"),
    ("libxcb-util.so.1", "libxcb-util1"),
    ("libxcb-image.so.0", "libxcb-image0"),
    ("libxcb-keysyms.so.1", "libxcb-keysyms1"),
    ("libxcb-randr.so.0", "libxcb-randr0"),
    ("libxcb-render-util.so.0", "libxcb-render-util0"),
    ("libxcb-render.so.0", "libxcb-render0"),
    ("libxcb-shape.so.0", "libxcb-shape0"),
    ("libxcb-shm.so.0", "libxcb-shm0"),
    ("libxcb-sync.so.1", "libxcb-sync1"),
    ("libxcb-xfixes.so.0", "libxcb-xfixes0"),
    ("libxcb-xkb.so.1", "libxcb-xkb1"),
    ("libxkbcommon-x11.so.0", "libxkbcommon-x11-0"),
    ("libX11-xcb.so.1", "libx11-xcb1"),
)
"""What the plugin for X11 links to on top of that."""

_X_PORT: Final = 6000
_PROBE_TIMEOUT_S: Final = 2.0


def missing_packages(platform: str, load: Loader = ctypes.CDLL) -> list[str]:
    """Return the Debian packages of the libraries that Qt needs for `platform` and that cannot be loaded."""
    if not sys.platform.startswith("linux"):
        return []
    wanted = _ALWAYS + (_FOR_XCB if platform.startswith("xcb") else ())
    missing = [package for library, package in wanted if not _loads(library, load)]
    return list(dict.fromkeys(missing))


def _loads(library: str, load: Loader) -> bool:
    try:
        load(library)
    except OSError:
        return False
    return True


def choose_platform(environment: Mapping[str, str]) -> tuple[str, str | None]:
    """Return the platform that Qt will use and, where it is not the one that was to be expected, a sentence why.

    An operator's own `QT_QPA_PLATFORM` is left alone.
    """
    chosen = environment.get("QT_QPA_PLATFORM", "")
    if chosen or not sys.platform.startswith("linux"):
        return chosen, None
    wayland, display = environment.get("WAYLAND_DISPLAY", ""), environment.get("DISPLAY", "")
    if wayland and wayland_answers(wayland, environment.get("XDG_RUNTIME_DIR", "")):
        return "wayland", None
    if display and display_answers(display):
        return "xcb", None
    dead = f"display {display or wayland} cannot be opened" if display or wayland else "no display"
    return "offscreen", f"{dead}: running offscreen, the channel table follows as text"


def wayland_answers(display: str, folder: str) -> bool:
    """Return whether something listens where a Wayland display of this name would: a path, or a name in `folder`."""
    return _answers(socket.AF_UNIX, os.path.join(folder, display))


def display_answers(display: str) -> bool:
    """Return whether something listens where an X display of this name would. A dead one would make Qt abort."""
    host, _, rest = display.rpartition(":")
    number = rest.split(".", 1)[0]
    if not number.isdigit():
        return False
    if host in {"", "unix"}:
        path = f"/tmp/.X11-unix/X{number}"  # noqa: S108 - where X servers listen, by convention
        return any(_answers(socket.AF_UNIX, address) for address in (path, f"\0{path}"))
    return _answers(socket.AF_INET, (host, _X_PORT + int(number)))


def _answers(family: int, address: str | tuple[str, int]) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(_PROBE_TIMEOUT_S)
            probe.connect(address)
    except OSError:
        return False
    return True


def prepare() -> tuple[bool, str | None, list[str]]:
    """Choose the platform for this process: return whether there is a screen, a word about it, and the packages that lack."""
    platform, word = choose_platform(os.environ)
    if platform == "offscreen":
        os.environ["QT_QPA_PLATFORM"] = platform
    return platform not in {"offscreen", "minimal"}, word, missing_packages(platform)
