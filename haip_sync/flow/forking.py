"""Which process something belongs to: a forked child has a copy of a client's memory, none of its threads, and shares its socket.

A lock that another thread held at the fork is held in the child for ever. So whoever may be called there looks here first, before
any lock; it costs one comparison.
"""

from __future__ import annotations

import os

from haip_sync.errors import ForkedError


class _Forks:
    """How often this process's line of ancestors was forked: a child's number is its parent's and one."""

    count = 0


def _note_fork() -> None:
    _Forks.count += 1


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_note_fork)


class Home:
    """The process in which something was made. Immutable; no lock."""

    __slots__ = ("_forks", "pid")

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._forks = _Forks.count

    @property
    def is_left(self) -> bool:
        """Whether this is a child that was forked from it."""
        return self._forks != _Forks.count

    def check(self) -> None:
        """Raise `ForkedError` in a child that was forked from it."""
        if self._forks != _Forks.count:
            raise ForkedError(
                f"this client belongs to process {self.pid}; this is its forked child {os.getpid()}, which has none of the "
                "client's threads and must not touch its connection. Nothing was done, and the parent's client goes on. "
                'Make a client of the child\'s own here, or start the child anew: multiprocessing.get_context("spawn")'
            )
