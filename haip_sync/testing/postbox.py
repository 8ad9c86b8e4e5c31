"""Frames on their way out: numbered, kept for a replay, in wire order. Not thread-safe; the session holds its lock."""

from __future__ import annotations

import random
import string
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from haip_sync.testing import wire
from haip_sync.testing.books import Credit
from haip_sync.testing.outgoing import NO_MEMBERS, Draft
from haip_sync.testing.quirks import Quirks
from haip_sync.testing.tariff import Tariff

_REPLAY_FRAMES: Final = 1000


class Ready(NamedTuple):
    """A frame that has been written out but not sent: it takes its number only when it is."""

    text: str
    binary: bytes | None
    cost: Credit
    """What it takes of the client's grant if it is a data frame."""


class Sequence:
    """The client's numbers: what to acknowledge, and whether they rise by one as they must."""

    def __init__(self) -> None:
        self.ack: int | None = None
        """The highest contiguous number received; None before the first."""
        self.out_of_order = 0
        """Frames whose number was not the one after their predecessor's."""
        self._last: int | None = None
        self._ahead: set[int] = set()

    def saw(self, seq: int) -> None:
        """Count a frame. The first one sets the count: a client's numbers run on over its connections."""
        if self._last is not None and seq != self._last + 1:
            self.out_of_order += 1
        self._last = seq
        if self.ack is None or seq == self.ack + 1:
            self.ack = seq
            self._catch_up(seq)
        elif seq > self.ack and len(self._ahead) < _REPLAY_FRAMES:
            self._ahead.add(seq)

    def _catch_up(self, ack: int) -> None:
        while ack + 1 in self._ahead:
            ack += 1
            self._ahead.discard(ack)
        self.ack = ack


def _not_decimal(number: int) -> str:
    del number
    return f"{time.time_ns() // 1_000_000}{''.join(random.choices(_LETTERS, k=9))}"  # noqa: S311 - no secret, only odd


def _repeated(number: int) -> str:
    return str((number + 1) // 2)


_LETTERS: Final = string.ascii_lowercase
_NUMBERS: Final[Mapping[str, Callable[[int], str]]] = {"decimal": str, "not_decimal": _not_decimal, "repeated": _repeated}


class Postbox:
    """Writes frames out, numbers them and collects them until they are taken to the socket."""

    def __init__(self, session_id: str, sequence: Sequence, tariff: Tariff, quirks: Quirks) -> None:
        self.session_id = session_id
        """The session id that frames carry from now on."""
        self.members: Mapping[str, Any] = NO_MEMBERS
        """What the envelope of every frame has from now on, unless the frame says otherwise."""
        self._tariff = tariff
        self._number = _NUMBERS[quirks.seq]
        self._sequence = sequence
        self._next_seq = 1
        self._collected: list[str | bytes] = []
        self._sent: deque[tuple[int, Ready]] = deque(maxlen=_REPLAY_FRAMES)

    def write(
        self,
        event_type: str,
        payload: Any,
        channel: str = wire.SYSTEM,
        binary: bytes | None = None,
        members: Mapping[str, Any] = NO_MEMBERS,
    ) -> Ready:
        """Write one frame out under the number that is next. Send it at once or forget it.

        `members` go into the envelope beside HAIP's usual ones; what is None is left out.
        """
        bin_len = None if binary is None else len(binary)
        attached = {} if binary is None else {"bin_len": bin_len, "bin_mime": "application/octet-stream"}
        given = {name: value for name, value in members.items() if value is not None}
        text = wire.encode(
            session=self.session_id,
            seq=self._number(self._next_seq),
            ack=self._sequence.ack,
            event_type=event_type,
            channel=channel,
            payload=payload,
            members={**self.members, **attached, **given},
        )
        cost = self._tariff.data(event_type=event_type, payload=payload, bin_len=bin_len, frame_bytes=len(text.encode()))
        return Ready(text, binary, cost)

    def write_draft(self, draft: Draft, channel: str) -> Ready:
        """Write one frame out under the number that is next."""
        return self.write(draft.event_type, draft.payload, channel, draft.binary, draft.members)

    def send(self, frame: Ready) -> None:
        """Send a frame: it takes its number and its place."""
        self._sent.append((self._next_seq, frame))
        self._next_seq += 1
        self._collect(frame)

    def send_raw(self, data: str | bytes) -> None:
        """Send anything, in its place among the frames, without a number and kept for no replay."""
        self._collected.append(data)

    def replay(self, from_seq: int, to_seq: int | None) -> bool:
        """Send what was sent under these numbers again, same id, same number; False if it is no longer there."""
        last = self._next_seq - 1 if to_seq is None else to_seq
        kept = [(seq, frame) for seq, frame in self._sent if from_seq <= seq <= last]
        if not kept or kept[0][0] != from_seq:
            return from_seq >= self._next_seq
        for _, frame in kept:
            self._collect(frame)
        return True

    def take(self) -> list[str | bytes]:
        """Return what is to go to the socket, in order, and start afresh."""
        collected, self._collected = self._collected, []
        return collected

    def _collect(self, frame: Ready) -> None:
        self._collected.append(frame.text)
        if frame.binary is not None:
            self._collected.append(frame.binary)
