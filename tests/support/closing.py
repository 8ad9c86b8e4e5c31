"""How long a call takes that must be back in time, with what the machine itself was late meanwhile."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from haip_sync import HAIPClient

_TICK_S = 0.02
_STILL_S = 0.3


class Took(NamedTuple):
    """What a call took, and the most that a thread of the same process woke too late meanwhile."""

    seconds: float
    lateness_s: float


def timed(call: Callable[[], object]) -> Took:
    """Run `call` beside a thread that measures how late the machine is."""
    over = threading.Event()
    lateness = [0.0]

    def watch() -> None:
        while True:
            began_s = time.monotonic()
            if over.wait(_TICK_S):
                return
            lateness[0] = max(lateness[0], time.monotonic() - began_s - _TICK_S)

    watcher = threading.Thread(target=watch)
    watcher.start()
    began_s = time.monotonic()
    try:
        call()
    finally:
        took_s = time.monotonic() - began_s
        over.set()
        watcher.join()
    return Took(took_s, lateness[0])


def socket_of(client: HAIPClient) -> socket.socket:
    """Return the socket of a client's line."""
    stream: Any = client._connection.link.line
    for name in ("_stream", "_inner"):
        stream = getattr(stream, name, stream)
    found: socket.socket = stream._sock
    return found


def has_descriptor(client: HAIPClient) -> bool:
    """Return whether a client's line still has one."""
    return client._connection.link.line is not None and socket_of(client).fileno() != -1


class Stuck:
    """Tells, called again and again, whether a client's socket takes nothing more: full, and nothing was taken for a while.

    One look is not enough: the system moves what it holds from one buffer to the next.
    """

    def __init__(self, client: HAIPClient) -> None:
        self._client = client
        self._seen = (-1, 0.0)

    def __call__(self) -> bool:
        written = self._client._connection.rooms.outgoing.written_end
        is_full = not select.select([], [socket_of(self._client)], [], 0)[1]
        if written != self._seen[0] or not is_full:
            self._seen = (written, time.monotonic())
        return time.monotonic() - self._seen[1] > _STILL_S
