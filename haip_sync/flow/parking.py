"""How threads wait: one lock per connection, conditions over it, and a bell for each who waits alone.

`threading.Condition` over a plain `Lock` can come back from a wait *without* the lock when a signal arrives at the wrong moment,
and the `with` around it then releases somebody else's. Over an `RLock` taking it back cannot be interrupted, which leaves one
gap: a signal between letting go and falling asleep. `Parking.wait` closes it, and takes the lock back after a wait on a bell.

The turnstile's tests put a scheduler of their own in the place of `Parking`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from haip_sync.flow.forking import Home


class Bell(Protocol):
    """What one thread waits on: the part of `threading.Condition` that it takes."""

    def notify(self) -> None:
        """Wake the waiter. Requires the lock."""

    def wait(self, timeout: float | None = None) -> bool:
        """Let go of the lock, wait, take it again. Requires the lock."""


class Condition(Bell, Protocol):
    """The same for any number of waiters."""

    def notify(self, n: int = 1) -> None:
        """Wake so many. Requires the lock."""

    def notify_all(self) -> None:
        """Wake every waiter. Requires the lock."""


class _Bell:
    """Each sender makes one that waits in line. Every method requires the lock.

    `threading.Condition` makes a list of waiters, and for each wait a lock that is put there; this is that lock. Rung while
    nobody waits it wakes the next wait, once: who comes back looks whether what it waits for has come, and waits on if not.
    """

    __slots__ = ("_latch", "_lock")

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._latch = threading.Lock()
        self._latch.acquire()

    def notify(self) -> None:
        """Ring. Others ring with the lock too, and the waiter only takes away: nothing can come between look and release."""
        if self._latch.locked():
            self._latch.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Let go of the lock, wait, take it again; interrupted, perhaps not: see `Parking.wait`."""
        self._lock.release()
        try:
            return self._latch.acquire(timeout=-1 if timeout is None else timeout)
        finally:
            self._lock.acquire()


class Parking:
    """The lock of one connection and the conditions over it. Thread-safe.

    Attributes:
        lock: Guards all of the connection's state: ledgers, queues, seq, the write order, the inbox. Held for arithmetic only.
        is_held_here: Returns whether the calling thread holds the lock: then it was interrupted in mid-work by a signal handler.
        home: The process that it works in; in a forked child the lock must not be touched.
        before_sleep: Called with the lock held before a thread sleeps; neither blocks nor raises.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.home = Home()
        # Nobody waits on it: it only tells who holds the lock.
        self._probe = threading.Condition(self.lock)
        self.is_held_here = ownership(self._probe)
        self.before_sleep: Callable[[], None] = _nothing

    def new_condition(self) -> Condition:
        """Return a condition over the lock."""
        return threading.Condition(self.lock)

    def new_bell(self) -> Bell:
        """Return what one thread waits on; as a condition, in a third of the time."""
        return _Bell(self.lock)

    def deadline(self, timeout_s: float | None) -> float | None:
        """Return when a wait that begins now ends, on the monotonic clock; None: never."""
        return None if timeout_s is None else time.monotonic() + timeout_s

    def left(self, deadline_s: float | None) -> float | None:
        """Return the seconds until a deadline, negative once it has passed; None: it never does."""
        return None if deadline_s is None else deadline_s - time.monotonic()

    def wait(self, condition: Bell, timeout_s: float | None) -> None:
        """Wait on `condition`. Requires the lock, and holds it on every way out, an interrupt's included."""
        try:
            self.before_sleep()
            condition.wait(None if timeout_s is None else min(timeout_s, threading.TIMEOUT_MAX))
        except BaseException:
            # A second interrupt may come while the first is on its way. CPython looks for signals at calls and on entering a
            # function: no call may stand before this guard, not even one that does the guarding.
            is_back = False
            while not is_back:
                try:
                    is_back = owns(self._probe) or self.lock.acquire()
                except BaseException:  # noqa: BLE001 - the first interrupt is raised in its place
                    is_back = False
            raise


def _nothing() -> None:
    """Do nothing."""


def ownership(probe: threading.Condition) -> Callable[[], bool]:
    """Return a function that tells whether the calling thread owns the lock of `probe`.

    It is the one that `notify` asks itself, where this Python keeps it in the condition: `owns` raises and catches an exception
    where the lock is not owned, which is nearly always, and every send would pay for two.
    """
    asked: Callable[[], bool] | None = vars(probe).get("_is_owned")
    return asked or partial(owns, probe)


def owns(probe: threading.Condition) -> bool:
    """Return whether the calling thread owns the lock of `probe`; what `notify` asks is the only public way to know."""
    try:
        probe.notify()
    except RuntimeError:
        return False
    return True
