"""Which way a schedule goes at each point where it may go several, so that every way is gone once."""

from __future__ import annotations

MOST_CHOICES = 400


class ViolationError(AssertionError):
    """Something that must never be so was so; the text has the schedule that led there."""


class Choices:
    """A list of choices: what was chosen at each point of how many. The next list is one step further in depth-first order."""

    def __init__(self) -> None:
        self._prefix: list[int] = []
        self._sizes_before: list[int] = []
        self._taken: list[int] = []
        self._sizes: list[int] = []

    def choose(self, size: int) -> int:
        at = len(self._taken)
        if at >= MOST_CHOICES:
            raise ViolationError(f"more than {MOST_CHOICES} choices: somebody goes round and round")
        chosen = 0
        if at < len(self._prefix):
            chosen = self._prefix[at]
            if size != self._sizes_before[at]:
                raise ViolationError("the program under test is not deterministic: the same choices led somewhere else")
        self._taken.append(chosen)
        self._sizes.append(size)
        return chosen

    def next(self) -> bool:
        """Go on to the next list; return whether there is one."""
        taken, sizes = self._taken, self._sizes
        while taken and taken[-1] + 1 == sizes[-1]:
            taken.pop()
            sizes.pop()
        if not taken:
            return False
        taken[-1] += 1
        self._prefix, self._sizes_before = taken, sizes
        self._taken, self._sizes = [], []
        return True
