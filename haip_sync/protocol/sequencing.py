"""The peer's `seq`: what to acknowledge, what is a duplicate, and when to stop believing it (WIRE.md, point 12).

Published servers send `seq` that is not decimal, repeat one, and echo our own envelopes back. The first frame that does not keep
to the specification switches sequencing off for the connection: from then on everything is delivered and nothing acknowledged.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from enum import Enum
from typing import Final

_DECIMAL = re.compile(r"[1-9][0-9]{0,19}")
_MOST = 2**64 - 1
_REMEMBERED: Final = 1_000


def is_seq(text: str) -> bool:
    """Return whether `text` is a number as HAIP wants them: decimal, 1 to 2^64-1."""
    return bool(_DECIMAL.fullmatch(text)) and int(text) <= _MOST


class Verdict(Enum):
    """What a frame is to its sequence."""

    DELIVER = "deliver"
    DUPLICATE = "duplicate"
    """Seen already, the same id: drop it."""
    STOPPED = "stopped"
    """Deliver it, and report that the peer does not sequence; said once per connection."""


class InboundSequence:
    """The numbers of one connection's inbound frames. Not thread-safe.

    A gap is delivered as it stands: the line is ordered, so what is missing will not come by itself. `ack` stays below it.
    """

    def __init__(self) -> None:
        self.active = True
        self._highest_contiguous = 0
        self._ids: OrderedDict[int, str] = OrderedDict()
        self._awaits_hello = False

    @property
    def ack(self) -> int:
        """The highest contiguous seq received; 0 (to be left out) before the first of a line and once sequencing is off."""
        return self._highest_contiguous if self.active and not self._awaits_hello else 0

    @property
    def last_rx_seq(self) -> int:
        """What a HAI that resumes names: the highest contiguous seq of the earlier lines; 0: there is nothing to resume."""
        return self._highest_contiguous if self.active and self._awaits_hello else 0

    def begin_line(self) -> None:
        """Begin a new line of the same session. Whether the peer's numbers run on, its HAI says."""
        if not self.active:
            self._highest_contiguous = 0
        self.active = True
        self._awaits_hello = self._highest_contiguous > 0

    def greet(self, seq: str) -> None:
        """Take the number of the peer's HAI in, before it is observed: above what was received, its numbers run on."""
        if self._awaits_hello and is_seq(seq) and int(seq) <= self._highest_contiguous:
            self._highest_contiguous = 0
            self._ids.clear()
        self._awaits_hello = False

    def observe(self, seq: str, frame_id: str, *, is_echo: bool) -> Verdict:
        """Take a frame's `seq` in. `is_echo`: the frame carries our own session id, so that its seq is ours, not the peer's."""
        if not self.active or self._awaits_hello:
            return Verdict.DELIVER
        if is_echo or not is_seq(seq):
            return self._stop()
        number = int(seq)
        known = self._ids.get(number)
        if known is not None:
            return Verdict.DUPLICATE if known == frame_id else self._stop()
        self._remember(number, frame_id)
        if not self._highest_contiguous or number == self._highest_contiguous + 1:
            self._advance(number)
        return Verdict.DELIVER

    def _stop(self) -> Verdict:
        self.active = False
        self._ids.clear()
        return Verdict.STOPPED

    def _remember(self, number: int, frame_id: str) -> None:
        self._ids[number] = frame_id
        if len(self._ids) > _REMEMBERED:
            self._ids.popitem(last=False)

    def _advance(self, number: int) -> None:
        """Raise the acknowledged number to `number` and on over what arrived early."""
        while number + 1 in self._ids:
            number += 1
        self._highest_contiguous = number


class SentIds:
    """The ids of our latest frames: an echo is known by them, whatever session the peer puts on it. Not thread-safe."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def note(self, frame_id: str) -> None:
        """Remember a frame of ours. Doing it twice changes nothing."""
        self._ids[frame_id] = None
        while len(self._ids) > _REMEMBERED:
            self._ids.popitem(last=False)

    def __contains__(self, frame_id: str) -> bool:
        return frame_id in self._ids
