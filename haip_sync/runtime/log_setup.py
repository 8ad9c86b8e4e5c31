"""`HAIP_SYNC_LOG=debug`: see what the library logs without a line of code."""

from __future__ import annotations

import logging
import os
import sys
from typing import Final

ENVIRONMENT: Final = "HAIP_SYNC_LOG"
"""The environment variable: debug, info or warning, read when the first client is made."""

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_logger = logging.getLogger("haip_sync")
# Whoever takes the one element looks: two clients may be made at once. No lock, which a fork could leave held in the child.
_first = [True]


def set_up_once() -> None:
    """Log to stderr where the environment asks for it and the application has configured nothing. Any thread."""
    try:
        _first.pop()
    except IndexError:
        return
    set_up(os.environ.get(ENVIRONMENT, "").strip().lower())


def set_up(wanted: str) -> None:
    """Install a handler for the level that `wanted` names; "" and an application's own handlers: do nothing."""
    if not wanted or _logger.hasHandlers():
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(_FORMAT))
    _logger.addHandler(handler)
    _logger.setLevel(_LEVELS.get(wanted, logging.WARNING))
    _logger.propagate = False
    if wanted not in _LEVELS:
        _logger.warning("%s=%s is none of %s: warnings are logged", ENVIRONMENT, wanted, ", ".join(_LEVELS))
