"""Takes the time of what must happen within a second, on a machine that may stop every process for a moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final

from support.turnstiles import until

_TICK_S: Final = 0.005
_LATE_S: Final = 0.02


class Stopwatch:
    """Runs in its `with` block, but for the time in which this process is not let run: then nobody is to blame."""

    def __enter__(self) -> Stopwatch:
        self._begin_s = time.monotonic()
        self._lost_s = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="stopwatch", daemon=True)
        self._thread.start()
        return self

    def _tick(self) -> None:
        before_s = time.monotonic()
        while not self._over.wait(_TICK_S):
            now_s = time.monotonic()
            if now_s - before_s > _LATE_S:
                self._lost_s += now_s - before_s - _TICK_S
            before_s = now_s

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    @property
    def s(self) -> float:
        """How long it has run."""
        return time.monotonic() - self._begin_s - self._lost_s


def within_a_second(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds, and check that it took no second."""
    with Stopwatch() as watch:
        until(lambda: bool(condition()))
        took_s = watch.s
    assert took_s < 1.0, f"it took {took_s:.2f} s"
