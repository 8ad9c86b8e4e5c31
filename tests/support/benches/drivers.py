"""Rounds over anything that can be waited for: the same threads, grants and hand-overs for the floor as for ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import count
from statistics import median
from typing import Final, NamedTuple

from support.benches.entrances import Entrance

_PATIENCE_S: Final = 60.0


class Spent(NamedTuple):
    """What one message took, in seconds."""

    wall_s: float
    cpu_s: float
    """Of all threads of the process together."""


def acquire_s(entrance: Entrance, times: int) -> float:
    """Return the CPU time of taking credit where nobody has to wait."""
    entrance.grant(times)
    begin_s = time.thread_time()
    for _ in range(times):
        entrance.acquire()
    return (time.thread_time() - begin_s) / times


def wake_up_s(entrance: Entrance, times: int) -> float:
    """Return the median time from just before a grant to just after the one who waited for it has come back."""
    woken_s: list[float] = []
    passed = _Token()

    def wait() -> None:
        for _ in range(times):
            entrance.acquire()
            woken_s.append(time.perf_counter())
            passed.give()

    waiter = _Crew(1, wait)
    granted_s = []
    for _ in range(times):
        waiter.stand_before(entrance)
        granted_s.append(time.perf_counter())
        entrance.grant(1)
        passed.take(waiter)
    waiter.join()
    return median(woken - granted for woken, granted in zip(woken_s, granted_s, strict=True))


def pass_with(entrance: Entrance, *, threads: int, messages: int, grant: int) -> Spent:
    """Let `threads` threads send `messages`, each as many; the next grant comes when the last one is used up, as from a peer."""
    passed = count(1)
    used_up = _Token()

    def send() -> None:
        for _ in range(messages // threads):
            entrance.acquire()
            if next(passed) % grant == 0:
                used_up.give()

    senders = _Crew(threads, send)
    senders.stand_before(entrance)
    begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
    for _ in range(messages // grant):
        entrance.grant(grant)
        used_up.take(senders)
    wall_s, cpu_s = time.perf_counter() - begin_s, time.process_time() - begin_cpu_s
    senders.join()
    return Spent(wall_s / messages, cpu_s / messages)


class _Crew:
    """Threads that do the same work. What one of them raises comes out wherever they are waited for."""

    def __init__(self, size: int, work: Callable[[], None]) -> None:
        self._work = work
        self._failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(size)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as exc:
            self._failures.append(exc)

    def check(self) -> None:
        """Raise what one of them raised."""
        if self._failures:
            raise self._failures[0]

    def stand_before(self, entrance: Entrance) -> None:
        """Return once all of them wait there."""
        while entrance.standing() < len(self._threads):
            self.check()
            time.sleep(0)  # lets the others have the GIL

    def join(self) -> None:
        """Wait until all are done."""
        for thread in self._threads:
            thread.join(_PATIENCE_S)
        self.check()


class _Token:
    """Handed from one thread to another; a bare lock is the cheapest way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self.give = self._lock.release

    def take(self, giver: _Crew) -> None:
        if not self._lock.acquire(timeout=_PATIENCE_S):
            giver.check()
            raise AssertionError("the other thread is lost")
