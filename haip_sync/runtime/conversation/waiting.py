"""How the holders of handles wait for what the peer does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

from haip_sync.errors import DeadlockError
from haip_sync.events import Message
from haip_sync.flow.parking import Condition
from haip_sync.runtime.mailbox import Taker
from haip_sync.runtime.rooms import Rooms

_H = TypeVar("_H")


class Host(Protocol):
    """What handles ask of the connection."""

    @property
    def rooms(self) -> Rooms:
        """The connection's rooms."""

    def check_not_reentered(self) -> None:
        """Raise `DeadlockError` in a signal handler that interrupted another call of this thread's, `ForkedError` where forked.

        Without the lock.
        """

    def poke(self) -> None:
        """Have the service thread look. Any thread, with or without the lock."""

    def without_secrets(self, text: str) -> str:
        """Return what the peer said with what we told it in confidence struck out."""

    def take_routed(self, message: Message, taker: Taker) -> None:
        """Count a frame that went to a handle as taken, and give credit back where it is time. Requires the lock."""


class Bench:
    """Where callers wait for what handles tell. One per connection; thread-safe."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._rooms = host.rooms
        self.lock = host.rooms.parking.lock
        self.home = host.rooms.parking.home

    def new_condition(self) -> Condition:
        """Return a condition over the connection's lock."""
        return self._rooms.parking.new_condition()

    def check(self) -> None:
        """Raise `DeadlockError` where the calling thread is in the middle of another call, `ForkedError` in a forked child.

        Without the lock.
        """
        self._host.check_not_reentered()

    def poke(self) -> None:
        """Have the service thread look. With or without the lock."""
        self._host.poke()

    def mend(self) -> None:
        """Finish what an interrupt left undone. Requires the lock."""
        self._rooms.turnstile.mend()

    def wait_until(self, is_ready: Callable[[], bool], condition: Condition, timeout_s: float | None, what: str) -> bool:
        """Wait until `is_ready`; return False where `timeout_s` (None: for ever) comes first. Requires the lock.

        Raises `DeadlockError` on the dispatch thread where it would have to wait: what it waits for is told there.
        """
        if is_ready():
            return True
        if timeout_s != 0 and self._rooms.dispatcher.is_current():
            raise DeadlockError(f"a listener must not wait for {what}: use timeout 0, or another thread")
        deadline_s = self._rooms.parking.deadline(timeout_s)
        while not is_ready():
            left_s = self._rooms.parking.left(deadline_s)
            if left_s is not None and left_s <= 0:
                return False
            self._rooms.parking.wait(condition, left_s)
        return True

    def deadline(self, timeout_s: float | None) -> float | None:
        """Return when a wait that begins now ends; None: never."""
        return self._rooms.parking.deadline(timeout_s)

    def left(self, deadline_s: float | None) -> float | None:
        """Return the seconds until a deadline, 0 once it has passed; None: it never does."""
        left_s = self._rooms.parking.left(deadline_s)
        return None if left_s is None else max(0.0, left_s)

    def call_soon(self, callback: Callable[[_H], Any], handle: _H) -> None:
        """Run `callback(handle)` on the dispatch thread. With or without the lock; never blocks."""
        self._rooms.dispatcher.call_soon(partial(callback, handle))

    def discreet(self, text: str) -> str:
        """Return a sentence that quotes a data frame without what the peer must not have repeated to anybody."""
        return self._host.without_secrets(text)

    def frames_in_a_full_window(self, channel: str) -> int:
        """Return how many frames nobody has taken on a channel where the peer may send no more; 0: it may. Requires the lock."""
        window = self._rooms.inbox.window(channel)
        is_full = window.remaining.messages <= 0 or window.remaining.byte_credits <= 0
        return window.frames_waiting if is_full else 0

    def take(self, message: Message, taker: Taker) -> None:
        """Count a frame that went to a handle as taken. Requires the lock."""
        self._host.take_routed(message, taker)
