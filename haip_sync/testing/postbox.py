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
from haip_sync.testing.numbering import Sequence
from haip_sync.testing.outgoing import NO_MEMBERS, Draft
from haip_sync.testing.quirks import Quirks
from haip_sync.testing.tariff import Tariff

REPLAY_FRAMES: Final = 1000
"""How many of our frames are kept for a replay, where nothing else is said."""


class Ready(NamedTuple):
    """A frame that has been written out but not sent: it takes its number only when it is."""

    text: str
    binary: bytes | None
    cost: Credit
    """What it takes of the client's grant if it is a data frame."""
    channel: str
    is_control: bool


class Sent:
    """The latest frames that were sent, under their numbers: those of one client, over all of its connections if it resumes."""

    def __init__(self, keep: int) -> None:
        self.next_seq = 1
        self._frames: deque[tuple[int, Ready]] = deque(maxlen=keep)

    def add(self, frame: Ready) -> None:
        """Keep a frame under the next number."""
        self._frames.append((self.next_seq, frame))
        self.next_seq += 1

    def between(self, from_seq: int, to_seq: int | None) -> list[tuple[int, Ready]] | None:
        """Return what has these numbers; None where some of it is no longer there."""
        last = self.next_seq - 1 if to_seq is None else min(to_seq, self.next_seq - 1)
        kept = [(seq, frame) for seq, frame in self._frames if from_seq <= seq <= last]
        return kept if len(kept) == max(0, last - from_seq + 1) else None


def _not_decimal(number: int) -> str:
    del number
    return f"{time.time_ns() // 1_000_000}{''.join(random.choices(_LETTERS, k=9))}"  # noqa: S311 - no secret, only odd


def _repeated(number: int) -> str:
    return str((number + 1) // 2)


_LETTERS: Final = string.ascii_lowercase
_NUMBERS: Final[Mapping[str, Callable[[int], str]]] = {"decimal": str, "not_decimal": _not_decimal, "repeated": _repeated}


class Postbox:
    """Writes frames out, numbers them and collects them until they are taken to the socket."""

    def __init__(
        self, session_id: str, sequence: Sequence[Any], tariff: Tariff, quirks: Quirks, replay_frames: int = REPLAY_FRAMES
    ) -> None:
        self.session_id = session_id
        """The session id that frames carry from now on."""
        self.members: Mapping[str, Any] = NO_MEMBERS
        """What the envelope of every frame has from now on, unless the frame says otherwise."""
        self._tariff = tariff
        self._number = _NUMBERS[quirks.seq]
        self._sequence = sequence
        self._collected: list[str | bytes] = []
        self.sent = Sent(replay_frames)

    def write(
        self,
        event_type: str,
        payload: Any,
        channel: str = wire.SYSTEM,
        binary: bytes | None = None,
        members: Mapping[str, Any] = NO_MEMBERS,
        *,
        seq: int | None = None,
    ) -> Ready:
        """Write one frame out under the number that is next, or `seq`. Send it at once or forget it.

        `members` go into the envelope beside HAIP's usual ones; what is None is left out.
        """
        bin_len = None if binary is None else len(binary)
        attached = {} if binary is None else {"bin_len": bin_len, "bin_mime": "application/octet-stream"}
        given = {name: value for name, value in members.items() if value is not None}
        text = wire.encode(
            session=self.session_id,
            seq=self._number(self.sent.next_seq if seq is None else seq),
            ack=self._sequence.ack,
            event_type=event_type,
            channel=channel,
            payload=payload,
            members={**self.members, **attached, **given},
        )
        cost = self._tariff.data(event_type=event_type, payload=payload, bin_len=bin_len, frame_bytes=len(text.encode()))
        return Ready(text, binary, cost, channel, event_type in wire.CONTROL_TYPES)

    def write_draft(self, draft: Draft, channel: str) -> Ready:
        """Write one frame out under the number that is next."""
        return self.write(draft.event_type, draft.payload, channel, draft.binary, draft.members)

    def send(self, frame: Ready) -> None:
        """Send a frame: it takes its number and its place."""
        self.sent.add(frame)
        self._collect(frame)

    def send_again(self, frame: Ready) -> None:
        """Send a frame that has a number: it is kept already."""
        self._collect(frame)

    def fill(self, seq: int) -> None:
        """Send an empty PONG under the number of a control frame, which is never sent twice: a grant would count twice."""
        self._collect(self.write("PONG", {}, seq=seq))

    def write_again(self, frame: Ready) -> Ready:
        """Return a frame of an earlier connection as it goes out on this one."""
        text = wire.encode_again(frame.text, session=self.session_id, ack=self._sequence.ack)
        grown = len(text.encode()) - len(frame.text.encode())
        is_media = frame.cost.byte_credits != len(frame.text.encode())
        cost = frame.cost if is_media else Credit(frame.cost.messages, frame.cost.byte_credits + grown)
        return frame._replace(text=text, cost=cost)

    def go_on(self, sequence: Sequence[Any], sent: Sent) -> None:
        """Go on counting as an earlier connection of the same client did."""
        self._sequence, self.sent = sequence, sent

    def send_raw(self, data: str | bytes) -> None:
        """Send anything, in its place among the frames, without a number and kept for no replay."""
        self._collected.append(data)

    def take(self) -> list[str | bytes]:
        """Return what is to go to the socket, in order, and start afresh."""
        collected, self._collected = self._collected, []
        return collected

    def _collect(self, frame: Ready) -> None:
        self._collected.append(frame.text)
        if frame.binary is not None:
            self._collected.append(frame.binary)
