"""The server's one timer thread, and the clocks that it can run on."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from haip_sync.config import check_seconds, told
from haip_sync.errors import ConfigError

logger = logging.getLogger("haip_sync.testing.devserver")


class Clock(Protocol):
    """Seconds that never go back, and a way to wait for them. Thread-safe."""

    def now(self) -> float:
        """Return the time in seconds."""

    def wait_until(self, condition: threading.Condition, deadline: float | None) -> None:
        """Wait until `condition` is notified or the clock reaches `deadline` (None: only for the notification).

        The caller holds the condition's lock and looks again afterwards: it may come back early.
        """


class SystemClock:
    """The monotonic clock of the process."""

    def now(self) -> float:
        """Return the time in seconds."""
        return time.monotonic()

    def wait_until(self, condition: threading.Condition, deadline: float | None) -> None:
        """Wait until `condition` is notified or the clock reaches `deadline`."""
        condition.wait(None if deadline is None else max(0.0, deadline - self.now()))


class ManualClock:
    """A clock that moves only when it is told to: timed behaviour is then tested without waiting. Thread-safe."""

    def __init__(self) -> None:
        # Guards the two below. Never held while a condition's lock is taken.
        self._lock = threading.Lock()
        self._now = 0.0
        self._conditions: set[threading.Condition] = set()

    def now(self) -> float:
        """Return the time in seconds; 0.0 at first."""
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock and wake everyone who waits for it. Raises `ConfigError` for a negative number."""
        check_seconds("seconds", seconds)
        with self._lock:
            self._now += seconds
            conditions = tuple(self._conditions)
        for condition in conditions:
            with condition:
                condition.notify_all()

    def wait_until(self, condition: threading.Condition, deadline: float | None) -> None:
        """Wait until `condition` is notified; `advance` notifies it."""
        with self._lock:
            self._conditions.add(condition)
            # An advance before this line did not know the condition, so look at the time after enrolling.
            over = deadline is not None and self._now >= deadline
        if not over:
            condition.wait()


def check_clock(clock: Clock) -> Clock:
    """Return `clock` if it has what a `Clock` has, else raise `ConfigError`."""
    if not all(callable(getattr(clock, method, None)) for method in ("now", "wait_until")):
        raise ConfigError(f"clock must have now() and wait_until(), as ManualClock has, not {told(clock)}")
    return clock


class Alarms:
    """Calls back at given times, one after another on one thread. Thread-safe.

    Guarantees: a callback runs under no lock of ours, not before its time, and none starts after `stop` has returned
    (unless `stop` was called by a callback).
    """

    def __init__(self, clock: Clock, name: str) -> None:
        self._clock = clock
        # Guards the heap and the flag.
        self._lock = threading.Lock()
        # Waits for: the time of the first alarm, a nearer alarm, or the end.
        self._nearer = threading.Condition(self._lock)
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._stopped = False
        # Alarms of the same time fire in the order in which they were set; callables cannot be compared.
        self._order = itertools.count()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def at(self, due: float, call: Callable[[], None]) -> None:
        """Call `call` once the clock reaches `due`. After `stop` it is forgotten."""
        with self._lock:
            if self._stopped:
                return
            heapq.heappush(self._heap, (due, next(self._order), call))
            self._nearer.notify()

    def stop(self) -> None:
        """Forget every alarm and end the thread. Idempotent."""
        with self._lock:
            self._stopped = True
            self._heap.clear()
            self._nearer.notify()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while (call := self._next()) is not None:
            try:
                call()
            except Exception:
                # A policy of the user's own may raise; the other sessions still need their alarms.
                logger.exception("a timed call failed")

    def _next(self) -> Callable[[], None] | None:
        """Wait for the first alarm that is due; None at the end."""
        with self._lock:
            while not self._stopped:
                due = self._heap[0][0] if self._heap else None
                if due is not None and due <= self._clock.now():
                    return heapq.heappop(self._heap)[2]
                self._clock.wait_until(self._nearer, due)
            return None
