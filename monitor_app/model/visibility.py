"""Which channels the plots show: some hidden by hand, one alone, and the idle ones folded away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

Line = TypeVar("Line", bound=tuple[object, ...])


class Visibility:
    """What was hidden, singled out or folded.

    Attributes:
        hidden: Channels that were hidden by hand.
        solo: The one channel that is shown alone; None for all.
        folds_idle: Whether idle channels are folded away.
    """

    def __init__(self) -> None:
        self.hidden: set[str] = set()
        self.solo: str | None = None
        self.folds_idle = True

    def toggle(self, channel: str) -> None:
        """Hide a channel, or show it again. Who was shown alone no longer is."""
        self.solo = None
        self.hidden ^= {channel}

    def toggle_solo(self, channel: str) -> None:
        """Show one channel alone, or all again."""
        self.solo = None if self.solo == channel else channel

    def is_hidden(self, channel: str) -> bool:
        """Return whether a hand has taken `channel` out of sight."""
        return channel in self.hidden if self.solo is None else channel != self.solo

    def split(self, channels: Iterable[str], idle: Callable[[str], bool], chosen: str) -> tuple[list[str], list[str]]:
        """Return the channels that are shown and those that are folded away; the chosen one is never folded."""
        shown: list[str] = []
        folded: list[str] = []
        for channel in channels:
            if self.is_hidden(channel):
                continue
            folds = self.folds_idle and channel != chosen and self.solo is None and idle(channel)
            (folded if folds else shown).append(channel)
        return shown, folded


def fitting(lines: Sequence[Line], chosen: str, room: int) -> tuple[list[Line], int]:
    """Return the lines for which there is room, and how many are left out; a line of room is kept to say so.

    Each line begins with the name of its channel. The chosen channel is never left out.
    """
    if len(lines) <= room:
        return list(lines), 0
    kept = list(lines[: max(1, room - 1)])
    wanted = next((line for line in lines if line[0] == chosen), kept[-1])
    if wanted not in kept:
        kept[-1] = wanted
    return kept, len(lines) - len(kept)


def words_of_hidden(more: int, folded: Sequence[str]) -> tuple[str, ...]:
    """Return what is said of channels without a lane, the longest way first: `more` have no room, and some are idle."""
    long = [f"{more} more in the table; choose one to see it here"] if more else []
    short = [f"{more} more in the table"] if more else []
    if not folded:
        return "; ".join(long), "; ".join(short)
    names, count = f"idle, folded away: {', '.join(folded)}", f"{len(folded)} idle, folded away"
    return tuple("; ".join((*begin, end)) for begin, end in ((long, names), (short, names), (long, count), (short, count)))
