"""How threads wait: one lock per connection, and conditions over it.

`threading.Condition` over a plain `Lock` can come back from a wait *without* the lock when a signal arrives at the wrong moment,
and the `with` around it then releases somebody else's. Over an `RLock` taking it back cannot be interrupted, which leaves one
gap: a signal between letting go and falling asleep. `Parking.wait` closes it.

The turnstile's tests put a scheduler of their own in the place of `Parking`.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Protocol


class Condition(Protocol):
    """The part of `threading.Condition` that waking needs."""

    def notify(self, n: int = 1) -> None:
        """Wake one waiter. Requires the lock."""

    def notify_all(self) -> None:
        """Wake every waiter. Requires the lock."""

    def wait(self, timeout: float | None = None) -> bool:
        """Let go of the lock, wait, take it again. Requires the lock."""


class Parking:
    """The lock of one connection and the conditions over it. Thread-safe.

    Attributes:
        lock: Guards all of the connection's state: ledgers, queues, seq, the write order, the inbox. Held for arithmetic only.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        # Nobody waits on it: it only tells who holds the lock.
        self._probe = threading.Condition(self.lock)

    def new_condition(self) -> Condition:
        """Return a condition over the lock."""
        return threading.Condition(self.lock)

    def deadline(self, timeout_s: float | None) -> float | None:
        """Return when a wait that begins now ends, on the monotonic clock; None: never."""
        return None if timeout_s is None else time.monotonic() + timeout_s

    def left(self, deadline_s: float | None) -> float | None:
        """Return the seconds until a deadline, negative once it has passed; None: it never does."""
        return None if deadline_s is None else deadline_s - time.monotonic()

    def wait(self, condition: Condition, timeout_s: float | None) -> None:
        """Wait on `condition`. Requires the lock, and holds it on every way out, an interrupt's included."""
        try:
            condition.wait(None if timeout_s is None else min(timeout_s, threading.TIMEOUT_MAX))
        except BaseException:
            while not self._is_back():  # a second interrupt may come while the first is on its way
                pass
            raise

    def _is_back(self) -> bool:
        """Take the lock unless it is held already; return False where another interrupt came, whose place the first has taken."""
        with contextlib.suppress(BaseException):
            if not owns(self._probe):
                self.lock.acquire()
            return True
        return False

    def is_held_here(self) -> bool:
        """Return whether the calling thread holds the lock: then it was interrupted in mid-work by a signal handler."""
        return owns(self._probe)


def owns(probe: threading.Condition) -> bool:
    """Return whether the calling thread owns the lock of `probe`; what `notify` asks is the only public way to know."""
    try:
        probe.notify()
    except RuntimeError:
        return False
    return True
