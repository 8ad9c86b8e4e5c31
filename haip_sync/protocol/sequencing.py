"""The peer's `seq`: what to acknowledge, what is a duplicate, what is missing, and when to stop believing it (WIRE.md, point 12).

Published servers send `seq` that is not decimal, repeat one, and echo our own envelopes back. The first frame that does not keep
to the specification switches sequencing off for the line: from then on everything is delivered and nothing acknowledged.

What comes above a gap is held until the gap is filled or given up; what acts at once (it has no `item`) is only counted.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterable
from enum import Enum
from typing import Any, Final, Generic, TypeVar

import msgspec

from haip_sync.protocol.gaps import Gap, Gaps, Held, Numbers
from haip_sync.protocol.identifiers import MOST_SEQ, is_seq

T = TypeVar("T")

_REMEMBERED: Final = 1_000
MOST_HELD: Final = 1_000
"""Frames that are held above a gap; one more, and the gap is given up."""
MOST_HELD_BYTES: Final = 16 << 20
MOST_GAPS: Final = 64
_MOST_EARLY: Final = 16
MOST_LEAPS: Final = 5
"""Gaps one after another of which nothing ever came, before numbers that leap so are no longer believed."""


class Verdict(Enum):
    """What a frame is to its sequence."""

    DELIVER = "deliver"
    HELD = "held"
    """Something is missing before it: it is among what is released later."""
    DUPLICATE = "duplicate"
    """Seen already, the same id: drop it."""
    LATE = "late"
    """It was reported as lost, and what follows it has been delivered: drop it."""
    STOPPED = "stopped"
    """Deliver it after what is released, and report that the peer does not sequence; said once a line."""


class Arrival(msgspec.Struct, Generic[T], frozen=True):
    """A frame, as far as its number goes."""

    seq: str
    id: str
    is_echo: bool = False
    """Whether it is our own that came back: its seq is ours, not the peer's."""
    is_filler: bool = False
    """Whether it only fills the hole that a control frame left, perhaps under a number that has come."""
    item: T | None = None
    """What to hold and release where something is missing before it; None: the frame acts at once."""
    size: int = 0
    """How many bytes `item` takes."""


class Seen(msgspec.Struct, Generic[T], frozen=True):
    """What a frame comes to."""

    verdict: Verdict
    lost: tuple[Numbers, ...] = ()
    """What is given up, to be reported."""
    released: tuple[T, ...] = ()
    """What was held and is to be delivered now, in order: after the frame, or before one with `STOPPED`."""


class Due(msgspec.Struct, Generic[T], frozen=True):
    """What the time comes to."""

    to_request: tuple[Numbers, ...] = ()
    """What to ask the peer for."""
    lost: tuple[Numbers, ...] = ()
    released: tuple[T, ...] = ()
    is_stopped: bool = False
    """Whether sequencing went off: the numbers leap, and no replay brings what they leave out."""


_DELIVER: Final[Seen[Any]] = Seen(Verdict.DELIVER)
_DUPLICATE: Final[Seen[Any]] = Seen(Verdict.DUPLICATE)


class InboundSequence(Generic[T]):
    """The numbers of one session's inbound frames, line after line. Not thread-safe; any thread may read `next_due_s`."""

    def __init__(self) -> None:
        self.active = True
        # The highest number that has come; 0: none has.
        self._top = 0
        self._gaps = Gaps()
        self._held: Held[T] = Held()
        self._ids: OrderedDict[int, str] = OrderedDict()
        self._given_up: deque[Numbers] = deque(maxlen=MOST_GAPS)
        self._leaps = 0
        # On a line after the first the peer's HAI says whether its numbers run on; what came before it is noted until then.
        self._awaits_hello = False
        self._early: list[int] = []
        # The count began anew on a later line, and the peer has not shown that it heard us there.
        self._is_unheard = False

    @property
    def ack(self) -> int:
        """The highest contiguous seq received; 0 (to be left out) before the first of a line and once sequencing is off."""
        if not self.active or self._awaits_hello:
            return 0
        gap = self._gaps.first
        return self._top if gap is None else gap.numbers.first - 1

    @property
    def last_rx_seq(self) -> int:
        """What a HAI that resumes names: the highest contiguous seq of the earlier lines; 0: there is nothing to resume.

        Nothing is where a peer began its count anew and never heard us on that line: it would take the number for one of the
        session that it had before, and send again what has come.
        """
        return self._contiguous if self.active and self._awaits_hello and not self._is_unheard else 0

    @property
    def next_due_s(self) -> float:
        """When to call `due`; infinite while nothing is missing, and while the peer's HAI may still say that it will come."""
        return math.inf if self._awaits_hello else self._gaps.next_due_s

    @property
    def _contiguous(self) -> int:
        gap = self._gaps.first
        return self._top if gap is None else gap.numbers.first - 1

    # ---- What comes ----------------------------------------------------------------------------------------------------------

    def follows(self, seq: str, frame_id: str) -> bool:
        """Take a frame in that simply follows its predecessor, nothing being missing: nearly all do. Return whether it does."""
        number = self._top + 1
        if seq != str(number) or not self._top or self._awaits_hello or not self.active or number > MOST_SEQ:
            return False
        if self._gaps.first is not None:
            return False
        self._top = number
        self._leaps = 0
        self._ids[number] = frame_id
        if len(self._ids) > _REMEMBERED:
            self._ids.popitem(last=False)
        return True

    def observe(self, arrival: Arrival[T], now_s: float) -> Seen[T]:
        """Take a frame in."""
        if not self.active:
            return _DELIVER
        if arrival.is_echo or not is_seq(arrival.seq):
            return self._stop()
        number = int(arrival.seq)
        if self._awaits_hello:
            self._early = [*self._early, number][-_MOST_EARLY:]
            return _DELIVER
        known = self._ids.get(number)
        if known is None:
            return self._count(number, arrival, now_s)
        return _DUPLICATE if known == arrival.id or arrival.is_filler else self._stop()

    def _count(self, number: int, arrival: Arrival[T], now_s: float) -> Seen[T]:
        """Take a number in whose frame is not known."""
        if number <= self._contiguous:
            return self._late(number, arrival)
        if number <= self._top and not self._gaps.fill(number, now_s):
            return _DUPLICATE  # it has come, so long ago that its id is forgotten
        self._rise(number, now_s)
        self._remember(number, arrival.id)
        if arrival.item is not None and number > self._contiguous:
            return self._hold(number, arrival.item, arrival.size, now_s)
        return Seen(Verdict.DELIVER, (), self._release()) if self._held.items else _DELIVER

    def _rise(self, number: int, since_s: float) -> None:
        """Let the highest number rise to `number`; what lies between is missing."""
        if number == self._top + 1:
            self._leaps = 0
        elif self._top and number > self._top:
            self._gaps.open(Numbers(self._top + 1, number - 1), since_s)
        self._top = max(self._top, number)

    def _late(self, number: int, arrival: Arrival[T]) -> Seen[T]:
        """Take a number below what was delivered in, of an id that is not known: it was given up, or the count begins anew."""
        if not any(numbers.first <= number <= numbers.last for numbers in self._given_up):
            return self._stop()
        self._remember(number, arrival.id)
        return _DELIVER if arrival.item is None else Seen(Verdict.LATE)

    def _hold(self, number: int, item: T, size: int, now_s: float) -> Seen[T]:
        self._held.add(number, item, size)
        self._gaps.begin_patience(now_s)
        lost: list[Numbers] = []
        released: list[T] = []
        while (gap := self._gaps.first) is not None and self._holds_too_much():
            lost.append(self._give_up(gap))
            released += self._release()
        return Seen(Verdict.HELD, tuple(lost), tuple(released))

    def _holds_too_much(self) -> bool:
        return len(self._held.items) > MOST_HELD or self._held.size_bytes > MOST_HELD_BYTES or len(self._gaps) > MOST_GAPS

    def _release(self) -> tuple[T, ...]:
        """Take out what nothing is missing before any more."""
        return self._held.take_up_to(self._contiguous)

    def drop(self, seq: str) -> None:
        """Forget what is held under a number, which stays taken: there was no room for it."""
        if is_seq(seq) and int(seq) in self._held.items:
            self._held.take(int(seq))

    def _stop(self) -> Seen[T]:
        self.active = False
        lost = tuple(gap.numbers for gap in self._gaps.close_all())
        self._ids.clear()
        return Seen(Verdict.STOPPED, lost, self._release())

    def _remember(self, number: int, frame_id: str) -> None:
        self._ids[number] = frame_id
        while len(self._ids) > _REMEMBERED + len(self._held.items):
            self._ids.popitem(last=False)

    # ---- What is missing -----------------------------------------------------------------------------------------------------

    def due(self, now_s: float, *, may_request: bool) -> Due[T]:
        """Return what the time has come for.

        `may_request`: the peer can be asked to send again; if not, a gap waits half as long.
        """
        due = [] if self._awaits_hello else self._gaps.due(now_s)
        to_request = tuple(gap for gap in due if may_request and not gap.is_requested)
        for gap in to_request:
            self._gaps.requested(gap, now_s)
        found = self._give_up_all(gap for gap in due if gap not in to_request)
        return msgspec.structs.replace(found, to_request=tuple(gap.numbers for gap in to_request))

    def expire(self, numbers: Numbers) -> None:
        """Have `due` give these up at once: the peer does not have them any more."""
        self._gaps.expire(numbers)

    def _give_up_all(self, gaps: Iterable[Gap]) -> Due[T]:
        lost = tuple(map(self._give_up, gaps))
        released = self._release()
        if self._leaps < MOST_LEAPS:
            return Due((), lost, released)
        stopped = self._stop()
        return Due((), lost + stopped.lost, released + stopped.released, is_stopped=True)

    def _give_up(self, gap: Gap) -> Numbers:
        self._gaps.close(gap)
        self._given_up.append(gap.numbers)
        self._leaps += gap.is_whole
        return gap.numbers

    # ---- One line after another ----------------------------------------------------------------------------------------------

    def begin_line(self) -> None:
        """Begin a new line of the same session. Whether the peer's numbers run on, its HAI says."""
        if not self.active:
            self._begin_count()
        self.active = True
        self._awaits_hello = self._top > 0
        self._early = []

    def greet(self, seq: str, *, resumes: bool, now_s: float = 0.0) -> Seen[T]:
        """Take the number of the peer's HAI in, before it is observed. Where it is above all that has come, the count runs on.

        `resumes`: the peer will send again unasked what we have not received in one piece; what is held comes once more.
        Otherwise what was missing is lost.
        """
        if not (self._awaits_hello and is_seq(seq)):
            return _DELIVER
        self._awaits_hello = False
        number = int(seq)
        if number <= self._top:
            return self._end_count()
        if resumes:
            self._go_back()
        ended = _DELIVER if resumes else self._close_gaps()
        if number > self._top + 1:
            # What a peer that resumes sends again comes before all that is new: its patience begins when something waits.
            self._gaps.open(Numbers(self._top + 1, number - 1), math.inf if resumes else now_s)
        self._top = number - 1
        for early in self._early:
            self._gaps.fill(early, now_s)
        return ended

    def heard(self) -> None:
        """Note that the peer has shown that it heard our HAI on this line."""
        self._is_unheard = False

    def end(self) -> Seen[T]:
        """Give up whatever is missing: no other line will follow."""
        return self._close_gaps()

    def _go_back(self) -> None:
        """Forget what has come above the first gap."""
        self._top = self._contiguous
        self._gaps.close_all()
        self._held = Held()
        for number in [number for number in self._ids if number > self._top]:
            del self._ids[number]

    def _close_gaps(self) -> Seen[T]:
        """Give up whatever is missing."""
        lost = tuple(gap.numbers for gap in self._gaps.close_all())
        self._given_up.extend(lost)
        return Seen(Verdict.DELIVER, lost, self._release())

    def _end_count(self) -> Seen[T]:
        """Give up whatever is missing, and begin to count anew."""
        ended = self._close_gaps()
        self._begin_count()
        self._is_unheard = True
        return ended

    def _begin_count(self) -> None:
        self._top = self._leaps = 0
        self._ids.clear()
        self._given_up.clear()
