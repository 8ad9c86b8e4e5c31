"""Which sessions a server has: those that stand, those that are over, and the connections that never became one."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final, TypeVar

from haip_sync.errors import HAIPTimeout
from haip_sync.testing.records import Refusal
from haip_sync.testing.server_session import ServerSession

KEEP_SESSIONS: Final = 1000
"""Sessions, and refusals, that are remembered where nothing else is asked for."""

ResultT = TypeVar("ResultT")


class SessionRegistry:
    """The sessions of one server. Thread-safe.

    `keep`: how many are remembered; of more, the oldest that are over are forgotten.
    """

    def __init__(self, keep: int = KEEP_SESSIONS) -> None:
        self._keep = keep
        # Guards everything below. A session's own lock is never taken under it: the order would matter both ways.
        self._lock = threading.Lock()
        # Waits for: a session that opens, a connection refused, or the end.
        self._changed = threading.Condition(self._lock)
        self._connected: set[ServerSession] = set()
        self._opened: dict[int, ServerSession] = {}
        self._count = 0
        self._refusals: deque[Refusal] = deque(maxlen=keep)
        self._closed = False

    def add(self, make: Callable[[], ServerSession]) -> ServerSession | None:
        """Take in a connection whose HAI is still to come; None when the server is stopping.

        `make` runs under the lock, so that it and `connected` have an order: whoever changes a setting for all sessions
        first stores it and then asks for `connected` finds every session that was made with the old one.
        """
        with self._lock:
            if self._closed:
                return None
            session = make()
            self._connected.add(session)
            return session

    def open(self, session: ServerSession) -> None:
        """Give a session its number, now that its client's HAI was good, and show it."""
        with self._lock:
            self._count += 1
            session.number = self._count
            self._opened[self._count] = session
            self._forget_the_oldest()
            self._changed.notify_all()

    def remove(self, session: ServerSession, refusal: Refusal | None) -> None:
        """Note that a connection is over; `refusal` says why where it never opened."""
        with self._lock:
            self._connected.discard(session)
            self._forget_the_oldest()
        if refusal is not None:
            self.refuse(refusal)

    def refuse(self, refusal: Refusal) -> None:
        """Note a connection that never became a session."""
        with self._lock:
            self._refusals.append(refusal)
            self._changed.notify_all()

    def close(self) -> None:
        """Take in nobody any more and wake everyone who waits."""
        with self._lock:
            self._closed = True
            self._changed.notify_all()

    def connected(self) -> tuple[ServerSession, ...]:
        """Return every connection that stands, before its HAI or after."""
        with self._lock:
            return tuple(self._connected)

    def opened(self) -> tuple[ServerSession, ...]:
        """Return the sessions in order of arrival, the ended ones too."""
        with self._lock:
            return tuple(self._opened.values())

    def refusals(self) -> tuple[Refusal, ...]:
        """Return the connections that never became a session, in order."""
        with self._lock:
            return tuple(self._refusals)

    def wait_opened(self, number: int, timeout: float | None) -> ServerSession:
        """Return the session of this number once it has opened. Raises `HAIPTimeout`."""
        return self._wait(lambda: self._opened.get(number), timeout, f"session number {number}")

    def wait_refused(self, number: int, timeout: float | None) -> Refusal:
        """Return the refusal of this number once it is there. Raises `HAIPTimeout`."""
        return self._wait(
            lambda: self._refusals[number - 1] if len(self._refusals) >= number else None,
            timeout,
            f"refusal number {number}",
        )

    def _wait(self, find: Callable[[], ResultT | None], timeout: float | None, what: str) -> ResultT:
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            while (found := find()) is None:
                left = None if deadline is None else deadline - time.monotonic()
                if self._closed or (left is not None and left <= 0):
                    state = "the server has stopped" if self._closed else f"not within {timeout} s"
                    raise HAIPTimeout(
                        f"waited for {what} in vain: {state}; "
                        f"{self._count} opened, {len(self._refusals)} refused, {len(self._connected)} connected"
                    )
                self._changed.wait(left)
            return found

    def _forget_the_oldest(self) -> None:
        """Keep the number of remembered sessions bounded. Requires holding the lock."""
        too_many = max(0, len(self._opened) - self._keep)
        over = (number for number, session in self._opened.items() if session not in self._connected)
        for number in tuple(islice(over, too_many)):
            del self._opened[number]
