"""Numbers that are missing in a sequence, how long each is waited for, and what waits above them. Pure: the time is passed in."""

from __future__ import annotations

import math
from typing import Final, Generic, TypeVar

import msgspec

_T = TypeVar("_T")

GAP_PATIENCE_S: Final = 0.5
"""How long a gap waits before it is asked for, and once more before it is given up (HAIP 1.1.2)."""


class Numbers(msgspec.Struct, frozen=True):
    """Consecutive numbers, both ends included."""

    first: int
    last: int

    @property
    def amount(self) -> int:
        """How many they are."""
        return self.last - self.first + 1


class Gap(msgspec.Struct):
    """Numbers that are missing while a higher one has come.

    Attributes:
        since_s: When it opened, was asked for, or was last made smaller; infinite while its patience has not begun.
        is_requested: Whether it was asked for.
        is_whole: Whether nothing of it has come yet.
    """

    numbers: Numbers
    since_s: float
    is_requested: bool = False
    is_whole: bool = True

    @property
    def due_s(self) -> float:
        """When its patience ends."""
        return self.since_s + GAP_PATIENCE_S


class Gaps:
    """The gaps of one sequence, the lowest first. Not thread-safe.

    Attributes:
        first: The lowest; what is above it waits. None: nothing is missing.
        next_due_s: When the first patience ends.
    """

    def __init__(self) -> None:
        self._gaps: list[Gap] = []
        self.first: Gap | None = None
        self.next_due_s = math.inf

    def __len__(self) -> int:
        return len(self._gaps)

    def open(self, numbers: Numbers, since_s: float) -> None:
        """Add one above all others."""
        self._gaps.append(Gap(numbers, since_s))
        self._look()

    def fill(self, number: int, now_s: float) -> bool:
        """Take a number out; what is left has its patience anew. Return whether it was missing."""
        at = next((i for i, gap in enumerate(self._gaps) if gap.numbers.first <= number <= gap.numbers.last), None)
        if at is None:
            return False
        gap = self._gaps[at]
        halves = (Numbers(gap.numbers.first, number - 1), Numbers(number + 1, gap.numbers.last))
        since_s = gap.since_s if gap.since_s == math.inf else now_s
        self._gaps[at : at + 1] = [Gap(half, since_s, gap.is_requested, is_whole=False) for half in halves if half.amount]
        self._look()
        return True

    def begin_patience(self, now_s: float) -> None:
        """Begin the patience of those whose has not begun: something waits behind them now."""
        for gap in self._gaps:
            gap.since_s = now_s if gap.since_s == math.inf else gap.since_s
        self._look()

    def due(self, now_s: float) -> list[Gap]:
        """Return those whose patience has ended."""
        return [gap for gap in self._gaps if gap.due_s <= now_s]

    def requested(self, gap: Gap, now_s: float) -> None:
        """Note that a gap was asked for: its patience begins once more."""
        gap.is_requested, gap.since_s = True, now_s
        self._look()

    def expire(self, numbers: Numbers) -> None:
        """End the patience of those that lie in these numbers: nothing of them will come."""
        for gap in self._gaps:
            if numbers.first <= gap.numbers.first and gap.numbers.last <= numbers.last:
                gap.is_requested, gap.since_s = True, -math.inf
        self._look()

    def close(self, gap: Gap) -> None:
        """Take a gap out: it is given up."""
        self._gaps.remove(gap)
        self._look()

    def close_all(self) -> list[Gap]:
        """Take all of them out; return them."""
        gaps, self._gaps = self._gaps, []
        self._look()
        return gaps

    def _look(self) -> None:
        self.first = self._gaps[0] if self._gaps else None
        self.next_due_s = min((gap.due_s for gap in self._gaps), default=math.inf)


class Held(Generic[_T]):
    """What has come above the first gap, by its number. Not thread-safe.

    Attributes:
        items: What is held, with its size in bytes.
        size_bytes: What all of it takes.
    """

    def __init__(self) -> None:
        self.items: dict[int, tuple[_T, int]] = {}
        self.size_bytes = 0

    def add(self, number: int, item: _T, size_bytes: int) -> None:
        """Hold one more, whose number is not held yet."""
        self.items[number] = (item, size_bytes)
        self.size_bytes += size_bytes

    def take(self, number: int) -> _T:
        """Take one out."""
        item, size_bytes = self.items.pop(number)
        self.size_bytes -= size_bytes
        return item

    def take_up_to(self, last: int) -> tuple[_T, ...]:
        """Take out all whose numbers are not above `last`, the lowest first."""
        return tuple(self.take(number) for number in sorted(number for number in self.items if number <= last))
