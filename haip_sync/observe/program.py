"""What the running program is called."""

from __future__ import annotations

import os
import sys
import time
from functools import cache
from typing import Final, NamedTuple

from haip_sync.observe.carried import printable

_LONGEST: Final = 1_000


class Program(NamedTuple):
    """The running process, for a person who looks for it."""

    pid: int
    name: str
    """The script's file name."""
    script: str
    """Its path; without one, how Python was started."""
    since_s: float
    """When it first offered a client, in seconds since 1970."""


def this_program() -> Program:
    """Return what the process that calls is."""
    since_s = _first_seen_s(os.getpid())
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if main is None:
        how = "python" if not sys.argv or not sys.argv[0] else f"python {sys.argv[0]}"
        return Program(os.getpid(), how, how, since_s)
    path = printable(os.path.abspath(main))[:_LONGEST]
    name = os.path.basename(path)
    # `python -m package` runs a file that every package calls the same.
    shown = os.path.basename(os.path.dirname(path)) if name == "__main__.py" else name
    return Program(os.getpid(), shown, path, since_s)


@cache
def _first_seen_s(pid: int) -> float:
    del pid  # a forked child begins anew
    return time.time()
