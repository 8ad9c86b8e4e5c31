"""Messages in order, until the application takes them."""

from __future__ import annotations

import time
from collections import deque

from haip_sync.errors import HAIPTimeout
from haip_sync.events import Message
from haip_sync.flow.parking import Parking


class Taker:
    """One who takes frames, one after another. Guarded by the connection's lock.

    Attributes:
        counted: The frame that was counted last, for one who is interrupted and begins anew with the same.
    """

    def __init__(self) -> None:
        self.counted: Message | None = None


class Mailbox(Taker):
    """A queue of messages that threads wait at. Methods require the connection's lock."""

    def __init__(self, parking: Parking) -> None:
        super().__init__()
        self._parking = parking
        self._messages: deque[Message] = deque()
        # Waits for a message, or for the end.
        self._arrived = parking.new_condition()
        self._ended = False

    def arrive(self, message: Message) -> None:
        """Keep a message, and wake one who waits for it."""
        self._messages.append(message)
        self._arrived.notify()

    def end(self) -> None:
        """Wake everyone who waits: nothing more will arrive."""
        self._ended = True
        self._arrived.notify_all()

    def wait_for_next(self, timeout_s: float | None) -> Message | None:
        """Return the first message, which stays here; None once it is over and nothing is left.

        Raises `HAIPTimeout`.
        """
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._messages:
            if self._ended:
                return None
            remaining_s = None if deadline_s is None else deadline_s - time.monotonic()
            if remaining_s is not None and remaining_s <= 0:
                raise HAIPTimeout(f"no message arrived within {timeout_s:g} s")
            try:
                self._parking.wait(self._arrived, remaining_s)
            except BaseException:
                self.pass_on()
                raise
        return self._messages[0]

    @property
    def is_empty(self) -> bool:
        """Whether no message is here. May be asked without the lock, where another thread may take one any time."""
        return not self._messages

    def first(self) -> Message | None:
        """Return the first message, which stays here; None: there is none."""
        return self._messages[0] if self._messages else None

    def pop(self) -> None:
        """Remove the first message."""
        self._messages.popleft()

    def pass_on(self) -> None:
        """Wake whoever waits, where there is something to take: a wake-up may have gone to a thread that was interrupted."""
        if self._messages:
            self._arrived.notify_all()
