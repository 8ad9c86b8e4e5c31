"""The threads that tools run on: as many as are needed, up to a limit, and none that stands idle."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

logger = logging.getLogger("haip_sync.testing.devserver")

Job = Callable[[], None]


class ToolThreads:
    """Runs jobs side by side, at most `limit` at a time and the others in order after them. Thread-safe.

    A job must not raise. Daemon threads, so that a tool that never ends does not keep the process from ending.
    """

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        # Guards all below.
        self._lock = threading.Lock()
        self._waiting: deque[Job] = deque()
        self._working = 0
        # Every thread that may still run, the ones that are about to end among them.
        self._threads: set[threading.Thread] = set()
        self._stopped = False

    def run(self, job: Job) -> bool:
        """Run `job` soon, and return whether it has a thread already. After `stop` it is forgotten."""
        with self._lock:
            if self._stopped:
                return False
            if self._working >= self._limit:
                self._waiting.append(job)
                return False
            thread = threading.Thread(target=self._work, args=(job,), name=self._name, daemon=True)
            self._threads = {known for known in self._threads if known.is_alive()} | {thread}
            self._working += 1
            # Under the lock, or `stop` could meet a thread that is not started yet and cannot be joined.
            thread.start()
            return True

    def stop(self, grace: float) -> None:
        """Forget what waits, and give what runs `grace` seconds to end; say in the log if it does not. Idempotent."""
        with self._lock:
            self._stopped = True
            self._waiting.clear()
            threads = self._threads - {threading.current_thread()}
        deadline = time.monotonic() + grace
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        left = sum(thread.is_alive() for thread in threads)
        if left:
            logger.warning("%d tools still run after the server has stopped: they do not look at call.cancelled", left)

    def _work(self, job: Job | None) -> None:
        while job is not None:
            job()
            job = self._next()

    def _next(self) -> Job | None:
        """Return what is to run next; None: nothing, and the thread is to end."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._working -= 1
            return None
