"""Single moments on the time axis: grants, pauses, starvation, reconnects, errors and what the operator did."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Final

import msgspec

_MOST_FINE: Final = 1_000
_MOST_COARSE: Final = 1_500
_COARSE_S: Final = 5.0


class MarkKind(Enum):
    """The moments worth a mark; the value is the word in the legend."""

    GRANT = "grant"
    REQUEST = "request"
    STARVATION = "starvation"
    PAUSE_BY_US = "pause by us"
    PAUSE_BY_PEER = "pause by peer"
    ACTION = "our action"
    RECONNECT = "connection"
    ERROR = "error"

    __hash__ = object.__hash__  # members are single things; Enum's own hash runs Python code for every mark of a flood


class Mark(msgspec.Struct, frozen=True, gc=False):
    """One moment. The words are made only when somebody asks for them: most marks nobody ever points at."""

    time_s: float
    kind: MarkKind
    channel: str | None
    """None for what concerns the whole connection."""
    words: Callable[[], str]

    @property
    def text(self) -> str:
        """What happened, in a few words."""
        said = self.words()
        who = f"{self.channel} " if self.channel else ""
        return f"{who}{self.kind.value}: {said}" if said else f"{who}{self.kind.value}"


class _Trail:
    """Marks of one kind and channel: the newest all, and of older ones one in five seconds for two hours."""

    def __init__(self) -> None:
        self._fine: deque[Mark] = deque(maxlen=_MOST_FINE)
        self._coarse: deque[Mark] = deque(maxlen=_MOST_COARSE)

    def add(self, mark: Mark) -> None:
        self._fine.append(mark)
        if not self._coarse or mark.time_s - self._coarse[-1].time_s >= _COARSE_S:
            self._coarse.append(mark)

    def between(self, from_s: float, to_s: float) -> list[Mark]:
        found = list(_since(self._fine, from_s, to_s))
        if self._fine[0].time_s > from_s:
            found += _since(self._coarse, from_s, min(to_s, self._fine[0].time_s - 1e-9))
        return found[::-1]


def _since(marks: deque[Mark], from_s: float, to_s: float) -> Iterator[Mark]:
    for mark in reversed(marks):
        if mark.time_s < from_s:
            return
        if mark.time_s <= to_s:
            yield mark


class Marks:
    """The marks of a connection, bounded for each kind and channel."""

    def __init__(self) -> None:
        self._trails: defaultdict[tuple[MarkKind, str | None], _Trail] = defaultdict(_Trail)

    def add(self, kind: MarkKind, channel: str | None, time_s: float, words: Callable[[], str] = str) -> None:
        """Put a mark."""
        self._trails[kind, channel].add(Mark(time_s, kind, channel, words))

    def between(self, kind: MarkKind, channel: str | None, from_s: float, to_s: float) -> list[Mark]:
        """Return the marks of one kind and channel, oldest first; channel None for those of the whole connection."""
        trail = self._trails.get((kind, channel))
        return [] if trail is None else trail.between(from_s, to_s)

    def of_channels(self, kind: MarkKind, channels: Iterable[str], from_s: float, to_s: float) -> list[Mark]:
        """Return the marks of one kind of several channels and of the whole connection, oldest first."""
        found = [mark for channel in (*channels, None) for mark in self.between(kind, channel, from_s, to_s)]
        return sorted(found, key=lambda mark: mark.time_s)
