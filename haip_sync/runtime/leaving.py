"""Clients that are still open when the program ends: what they hold gets a moment to leave; what did not is told in one line.

A program that forgets to close still exits. Threads that wait in a client are not woken: those that are left by now are daemons,
and go with the program without a word.
"""

from __future__ import annotations

import atexit
import logging
import sys
import time
from collections.abc import Mapping
from typing import Final, Protocol

from haip_sync.flow.explain import amount
from haip_sync.flow.forking import Home

log = logging.getLogger("haip_sync.connection")

EXIT_S: Final = 2.0
"""How long the end of a program waits at most, for all its clients together: for what is queued, and for close frames."""
_QUEUE_S: Final = 1.5
"""How much of it what is queued may take."""


class Stayer(Protocol):
    """A connection whose threads run."""

    home: Home

    def wait_until_written(self, timeout_s: float | None) -> bool:
        """Wait until everything queued and admitted is written."""

    def give_up_queue(self) -> str | None:
        """Let nothing more go out but a goodbye; return what was queued and is not sent, in words."""

    def leave(self, deadline_s: float) -> None:
        """Say goodbye, for as long as the time goes."""


_stayers: dict[Stayer, None] = {}
"""Strong: their threads keep them alive as well. Each change is one C call."""


def arrived(stayer: Stayer) -> None:
    """Note that its threads run: its service thread's first word."""
    _stayers[stayer] = None
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        # Its children end without a look at atexit.
        sys.modules["multiprocessing.util"].Finalize(None, leave_all, exitpriority=0)


def left(stayer: Stayer) -> None:
    """Note that its threads end: its service thread's last word."""
    _stayers.pop(stayer, None)


def left_text(left: Mapping[str, int]) -> str:
    """Return how many messages were queued, in all and by channel."""
    where = ", ".join(f"{count} on {channel}" for channel, count in left.items())
    return f"{amount(sum(left.values()), 'queued message')} ({where})"


def unsent_text(name: str, left: Mapping[str, int], unknown: int) -> str | None:
    """Return what is to be told of a client; None: nothing was lost.

    `left`: how many messages were queued and not admitted, by channel; `unknown`: of how many nobody knows what became of them.
    """
    told = [f"not sent: {left_text(left)}"] if left else []
    if unknown:
        told.append(f"perhaps not received: {amount(unknown, 'message')}")
    if not told:
        return None
    return f"{name} was still open when the program ended; {'; '.join(told)}. Close clients before that"


def leave_all() -> None:
    """End what is open, within `EXIT_S`. Ctrl-C cuts it short."""
    began_s = time.monotonic()
    deadline_s = began_s + EXIT_S
    stayers = [stayer for stayer in tuple(_stayers) if not stayer.home.is_left]
    try:
        for stayer in stayers:
            stayer.wait_until_written(max(0.0, began_s + _QUEUE_S - time.monotonic()))
    except KeyboardInterrupt:
        deadline_s = began_s
    for stayer in stayers:
        unsent = stayer.give_up_queue()
        if unsent is not None:
            log.warning("%s", unsent)
    for stayer in stayers:
        stayer.leave(deadline_s)


atexit.register(leave_all)
