"""The client's numbers: what to acknowledge, what came twice, what is missing. No thread, no clock of its own.

On purpose nothing of the client's own code: what one of the two gets wrong, the other shows. Not thread-safe; the session that
owns it holds its lock.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")

PATIENCE_S: Final = 0.5
"""How long what is missing is waited for before it is asked for, and once more before it is given up."""
_REMEMBERED: Final = 10_000
_MOST_EARLY: Final = 1000


class Missing(NamedTuple):
    """Numbers that have not come, both ends included."""

    from_seq: int
    to_seq: int


class Sequence(Generic[T]):
    """The numbers of one client, over all of its connections if it resumes.

    Attributes:
        ack: The highest contiguous number received; None before the first.
        out_of_order: Frames whose number was not the next, nor one that was asked for or promised; none that came twice.
        duplicates: Frames that had come before, with the same id.
        lost: What was given up, in order.
    """

    def __init__(self) -> None:
        self.ack: int | None = None
        self.out_of_order = 0
        self.duplicates = 0
        self.lost: list[Missing] = []
        self._top: int | None = None
        self._ids: OrderedDict[int, str] = OrderedDict()
        # What came too early; None for a frame that was not to wait.
        self._early: dict[int, T | None] = {}
        # When it came: what is missing below it has been so at least since then.
        self._came: dict[int, float] = {}
        # When the patience with what is missing first ends, and whether it was asked for.
        self._due: float | None = None
        self._asked = False
        # Whether it comes by itself: the client resumes.
        self._promised = False

    def take(self, seq: int, frame_id: str, frame: T, now: float, *, waits: bool) -> list[T]:
        """Take a frame in; return what is to be read now, in order. `waits`: whether it must not be read before its turn.

        The first one sets the count: a client's numbers run on over its connections. One that is too low and did not come
        before is read: whoever sends it does not count as we do.
        """
        if self._ids.get(seq) == frame_id:
            self.duplicates += 1
            return []
        self._remember(seq, frame_id)
        self._judge(seq)
        if self.ack is None:
            self.ack = seq
        if seq <= self.ack or seq in self._early:
            return [frame]
        self._early[seq], self._came[seq] = frame if waits else None, now
        released = self._release()
        if len(self._early) > _MOST_EARLY:
            released += self._give_up()
        return released if waits else [frame, *released]

    def _judge(self, seq: int) -> None:
        """Count a number that is not the next, unless we have asked for it or it was promised."""
        if self._top is None or seq > self._top:
            self.out_of_order += self._top is not None and seq != self._top + 1
            self._top = seq
        else:
            self.out_of_order += not (self._asked or self._promised)

    def _release(self) -> list[T]:
        """Move on over what has come; return what of it waited."""
        ack, released = self.ack or 0, []
        while ack + 1 in self._early:
            ack += 1
            frame, _ = self._early.pop(ack), self._came.pop(ack)
            released += [] if frame is None else [frame]
        if ack != self.ack:
            self.ack, self._due, self._asked = ack, None, False
        self._promised = self._promised and bool(self._early)
        if self._early and self._due is None:
            # Each gap by its own time, however many stood before it. What is promised is missed only once something waits for it.
            waiting = [seq for seq, frame in self._early.items() if frame is not None or not self._promised]
            self._due = min(self._came[seq] for seq in waiting) + PATIENCE_S if waiting else None
        return released

    def due(self) -> float | None:
        """Return when `tick` is wanted; None: nothing is missing, or it is promised and nothing waits for it."""
        return self._due

    def tick(self, now: float) -> tuple[Missing | None, list[T]]:
        """Return what is to be asked for now, and what waits no longer."""
        if self._due is None or now < self._due:
            return None, []
        if self._asked:
            return None, self._give_up()
        self._asked, self._due = True, now + PATIENCE_S
        return self._missing(), []

    def _missing(self) -> Missing:
        return Missing((self.ack or 0) + 1, min(self._early) - 1)

    def _give_up(self) -> list[T]:
        missing = self._missing()
        self.lost.append(missing)
        self.ack, self._due, self._asked = missing.to_seq, None, False
        return self._release()

    def go_on(self, seq: int) -> None:
        """Begin another connection of the same client, with a frame of this number; what is missing before it is promised.

        What came too early on the last one is among that.
        """
        for early in self._early:
            self._ids.pop(early, None)
        self._early.clear()
        self._came.clear()
        self._due, self._asked, self._promised, self._top = None, False, True, seq - 1

    def _remember(self, seq: int, frame_id: str) -> None:
        self._ids[seq] = frame_id
        while len(self._ids) > _REMEMBERED:
            self._ids.popitem(last=False)
