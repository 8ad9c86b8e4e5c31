"""`HAIP_SYNC_LOG=debug`: see what the library logs without a line of code."""

from __future__ import annotations

import logging
import os
import sys
from typing import Final, TextIO

ENVIRONMENT: Final = "HAIP_SYNC_LOG"
"""The environment variable: debug, info, warning or error, read when the first client is made."""

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_logger = logging.getLogger("haip_sync")
# Whoever takes the one element looks: two clients may be made at once. No lock, which a fork could leave held in the child.
_first = [True]


def set_up_once() -> None:
    """Log what the environment asks for. Any thread."""
    try:
        _first.pop()
    except IndexError:
        return
    set_up(os.environ.get(ENVIRONMENT, "").strip().lower())


def set_up(wanted: str) -> None:
    """Log from the level that `wanted` names: to the application's own handlers, and to stderr while it has none; "": do nothing.

    A level that the application has set for "haip_sync" itself stands.
    """
    if not wanted:
        return
    if _logger.level == logging.NOTSET:
        _logger.setLevel(_LEVELS.get(wanted, logging.WARNING))
    if not _logger.hasHandlers():
        handler = _UntilConfigured(sys.stderr)
        handler.setFormatter(logging.Formatter(_FORMAT))
        _logger.addHandler(handler)
    if wanted not in _LEVELS:
        _logger.warning("%s=%.40r is none of %s: warnings are logged", ENVIRONMENT, wanted, ", ".join(_LEVELS))


class _UntilConfigured(logging.StreamHandler[TextIO]):
    """Falls silent once the application has a handler of its own: no line is to come twice."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        if not logging.getLogger().handlers and _logger.handlers == [self]:
            super().emit(record)
