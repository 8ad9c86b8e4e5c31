"""Takes the time of what must happen within a second, on a machine that may let every process wait for a core."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from support.turnstiles import until

_NS: Final = 1e-9


def _queued_s(pid: int) -> float:
    """Return how long the threads of a process have stood in line for a core, where the system tells: Linux does."""
    waited_ns = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            waited_ns += int(thread.read_text().split()[1])
        except OSError:  # it has ended meanwhile
            continue
    return waited_ns * _NS


class Stopwatch:
    """Runs from its making on, but for the time that this process and those of `pids` stand in line for a core."""

    def __init__(self, *pids: int) -> None:
        self._queued_s = {pid: _queued_s(pid) for pid in (os.getpid(), *pids)}
        self._begin_s = time.monotonic()

    @property
    def s(self) -> float:
        """How long it has run."""
        took_s = time.monotonic() - self._begin_s
        return took_s - sum(max(0.0, _queued_s(pid) - before_s) for pid, before_s in self._queued_s.items())


def within_a_second(condition: Callable[[], object], *pids: int) -> None:
    """Wait until `condition` holds, and check that it took no second of the time in which these processes were let run."""
    watch = Stopwatch(*pids)
    until(lambda: bool(condition()))
    took_s = watch.s
    assert took_s < 1.0, f"it took {took_s:.2f} s"
