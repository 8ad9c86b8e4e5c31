"""When a frame may wait a moment for those that follow it, so that one write takes them all.

A system call costs a third of a send. Who sends now and then has each frame written before the send returns; a program that sends
thousands a second gains most of those calls back where frames leave about every millisecond instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

GATHER_S: Final = 0.001
"""A frame that comes so long after the latest write is written at once, with all that gathered."""
LOOK_S: Final = 0.002
"""How often the service thread looks whether something has gathered that nobody writes."""
GATHER_BYTES: Final = 32 << 10
"""More than this does not gather: a write of it costs little more than its copy."""
MOST_BYTES: Final = 128 << 10
"""What may gather while somebody writes: what a few threads make until the interpreter takes turns."""
_PAUSE_S: Final = 0.005
"""Who has sent nothing for so long begins anew: the pause does not count as slowness."""
_MANY: Final = 16
_FAST_PER_S: Final = 5_000
"""So many messages, at more than so many a second: only then do they gather."""


class Gathering:
    """How fast messages come, and when the latest write was. For any thread, without a lock: what it says is advice.

    Each member is set by one store, and a count that two threads miss makes nothing wrong: a frame is written a little earlier or
    later.

    Attributes:
        written_s: When the latest write came to its end.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sends = 0
        self._since_s = 0.0
        self._asked_s = 0.0
        self.is_fast = False
        self.written_s = 0.0

    def may_wait(self, pending_bytes: int, *, is_writing: bool) -> bool:
        """Return whether a frame may wait that has its place; every send that was admitted asks once.

        `pending_bytes`: what stands before the socket, the frame included; `is_writing`: whether somebody writes just now, and
        will look again when he is done.
        """
        now_s = self._clock()
        # A pause of the senders': with many threads a write may take that long, until its thread has the interpreter again.
        if now_s - self._asked_s > _PAUSE_S:
            self._sends, self._since_s, self.is_fast = 0, now_s, False
        self._asked_s = now_s
        self._sends += 1
        if self._sends >= _MANY:
            self.is_fast = self._sends > (now_s - self._since_s) * _FAST_PER_S
            self._sends, self._since_s = 0, now_s
        if not self.is_fast:
            return False
        if is_writing:
            return pending_bytes <= MOST_BYTES
        return pending_bytes <= GATHER_BYTES and now_s - self.written_s < GATHER_S

    def wrote(self) -> None:
        """Note the end of a write."""
        self.written_s = self._clock()
