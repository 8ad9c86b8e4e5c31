"""The replay window: frames of ours that the peer may still ask for again, by `seq` (WIRE.md, "Replay and resume").

Pure: the time is passed in. A frame stays while it is one of the latest 1,000; beyond those, while it is younger than five
minutes and the peer has not acknowledged it; and in no case beyond so many bytes. What goes is always the oldest, and so what
was acknowledged goes first.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

import msgspec

from haip_sync.config import DEFAULT_MAX_REPLAY_BYTES
from haip_sync.protocol.frames import Frame
from haip_sync.protocol.names import CONTROL_TYPES

KEPT_MESSAGES: Final = 1_000
KEPT_S: Final = 300.0
"""HAIP 1.1.2: at least 1,000 messages or five minutes."""
_ONE_HOLE: Final = (None,)


class Resend(msgspec.Struct, frozen=True):
    """One number to send again."""

    seq: int
    frame: Frame | None
    """The same frame, id and all; None where a control frame stood, which is never sent again: an empty PONG under this `seq`
    fills the hole."""
    ack: int = 0
    """What it acknowledged when it was first sent on this line: with the same it weighs the same, and was paid once."""


class TooOld(msgspec.Struct, frozen=True):
    """What was asked for is not kept any more."""

    oldest_seq: int
    """The lowest number that can still be sent again."""


class _Kept(msgspec.Struct, eq=False, gc=False):
    """Frames that went out together, with one `ack`."""

    first_seq: int
    next_seq: int
    frames: Sequence[Frame | None]
    at_s: float
    end_bytes: int
    """How many bytes were ever kept, these included."""
    ack: int


class ReplayWindow:
    """The frames that may be asked for again. Not thread-safe; the runtime holds the connection's lock.

    Its state is one deque: an interrupt strikes before or after something was put in, and doing it twice changes nothing.
    """

    def __init__(self, max_bytes: int = DEFAULT_MAX_REPLAY_BYTES) -> None:
        self._max_bytes = max_bytes
        self._kept: deque[_Kept] = deque()
        # The number after the last that was ever put in: what lies before it and is not kept is gone.
        self._next_seq = 1

    def keep(self, frames: Sequence[Frame], first_seq: int, now_s: float, *, acknowledged: int = 0, ack: int = 0) -> None:
        """Remember frames that have their place in the write order, the first of them under `first_seq`. Twice is once.

        `ack`: what they acknowledge. `acknowledged`: the highest number that the peer has. Of a control frame, which comes alone,
        only the number is kept. The latest frames are kept whatever their size.
        """
        kept, end_bytes = self._kept, 0
        if kept:
            latest = kept[-1]
            due_seq, end_bytes = latest.next_seq, latest.end_bytes
            if first_seq < due_seq:
                return
            if first_seq > due_seq:
                kept.clear()  # what lies between was never put in: nothing before it can be sent in full
        for frame in frames:
            end_bytes += frame.about_bytes
        stored = _ONE_HOLE if frames[0].type in CONTROL_TYPES else frames
        self._next_seq = next_seq = first_seq + len(stored)
        latest = _Kept(first_seq, next_seq, stored, now_s, end_bytes, ack)
        kept.append(latest)
        while (oldest := kept[0]) is not latest:
            if end_bytes - oldest.end_bytes < self._max_bytes:
                if next_seq - oldest.next_seq < KEPT_MESSAGES:  # first: it ends nearly every look
                    break
                if oldest.next_seq > acknowledged + 1 and now_s - oldest.at_s <= KEPT_S:
                    break
            kept.popleft()

    def clear(self) -> None:
        """Forget everything: the peer does not sequence, and will never ask."""
        self._kept.clear()

    def forget_below(self, seq: int) -> None:
        """Forget what was put in under lower numbers: what became of it is settled, and it must not be said once more."""
        while self._kept and self._kept[0].first_seq < seq:
            self._kept.popleft()

    @property
    def oldest_seq(self) -> int:
        """The lowest number that can be sent again; the next to be used where there is none."""
        return self._kept[0].first_seq if self._kept else self._next_seq

    def since(self, last_rx_seq: int) -> tuple[Resend, ...] | TooOld:
        """Return what a peer lacks that has everything up to `last_rx_seq`, in order; `TooOld` where some of it is gone."""
        return self.slice(last_rx_seq + 1, None)

    def slice(self, from_seq: int, to_seq: int | None) -> tuple[Resend, ...] | TooOld:
        """Return the numbers from `from_seq` to `to_seq` (None: to the last), in order; `TooOld` where some of it is gone."""
        if from_seq < self.oldest_seq:
            return TooOld(self.oldest_seq)
        return tuple(self.walk(from_seq, to_seq))

    def walk(self, from_seq: int, to_seq: int | None) -> Iterator[Resend]:
        """Yield what is kept of these numbers, in order. To be used up before anything is kept or forgotten."""
        at = max(0, bisect_right(self._kept, from_seq, key=lambda kept: kept.first_seq) - 1)
        for kept in islice(self._kept, at, None):
            for seq, frame in enumerate(kept.frames, kept.first_seq):
                if to_seq is not None and seq > to_seq:
                    return
                if seq >= from_seq:
                    yield Resend(seq, frame, kept.ack)
