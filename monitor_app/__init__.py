"""A desktop monitor for HAIP connections: `haip-monitor` on the command line, `watch` for a client that a script has.

Importing this package imports no Qt; opening a window does.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from haip_sync import HAIPClient

__all__ = ["watch"]


def watch(client: HAIPClient, *, title: str | None = None, script: Callable[[], object] | None = None) -> None:
    """Open the monitor on `client` and return when its window is closed. Call it on the main thread.

    The client stays open and is not listened to any longer. `script`, if given, runs on a thread beside the window; what
    it raises is shown in the window and raised here once the window is closed, and a script still running then is waited for.
    Raises `ConfigError` for a wrong argument; `RuntimeError` on any other thread, and when Qt cannot start here, with the
    packages to install in its text.
    """
    importlib.import_module("monitor_app.app").watch(client, title=title, script=script)
