"""The commands that a monitor waits to have answered. Bounded; not thread-safe: the link's lock guards it."""

from __future__ import annotations

import itertools
from concurrent.futures import Future
from typing import Final

from haip_sync.errors import AttachError
from haip_sync.observe.command_messages import Command
from haip_sync.observe.messages import MOST_FROM_MONITOR_BYTES, Answer, Ask, understood

MOST_OPEN: Final = 64


class Asks:
    """Futures by the number that program and monitor know a command by. They are settled outside of the lock: see `taken`."""

    def __init__(self) -> None:
        self._open: dict[int, Future[Answer]] = {}
        self._numbers = itertools.count(1)

    def add(self, command: Command, client: str) -> tuple[bytes, Future[Answer]]:
        """Return what to say, and what will hold the answer. Raises `AttachError`, `ConfigError`; nothing is to be said then."""
        if len(self._open) >= MOST_OPEN:
            raise AttachError(f"{MOST_OPEN} commands wait for the script's answer already; nothing was asked")
        number = next(self._numbers)
        body = understood(Ask(number=number, client=client, command=command))
        if len(body) > MOST_FROM_MONITOR_BYTES:
            raise AttachError(
                f"a command of {len(body):,} bytes is too large: {MOST_FROM_MONITOR_BYTES:,} are the most; nothing was asked"
            )
        future = self._open[number] = Future()
        return body, future

    def taken(self, number: int) -> Future[Answer] | None:
        """Return the future that an answer is for; None where nothing of that number was asked."""
        return self._open.pop(number, None)

    def all_taken(self) -> list[Future[Answer]]:
        """Return every future that is still open."""
        left, self._open = list(self._open.values()), {}
        return left


def settle(future: Future[Answer], outcome: Answer | AttachError) -> None:
    """Put an answer, or the end, into a future. Requires no lock: its callbacks run here."""
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(outcome, Answer):
        future.set_result(outcome)
    else:
        future.set_exception(outcome)
