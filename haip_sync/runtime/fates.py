"""What became of what was sent: the latest sends, by the ids of their frames and in the order of their `seq`."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from haip_sync.state import Fate

REMEMBERED: Final = 1_000
"""Frames whose refusal or acknowledgement is still understood; what is older keeps the outcome that it has."""


class Fates:
    """The fates of the latest sends. Every method requires the connection's lock.

    Attributes:
        has_acknowledged: Whether a peer ever said that it has one of them: many never do.
    """

    def __init__(self) -> None:
        self.has_acknowledged = False
        self._by_frame: OrderedDict[str, Fate] = OrderedDict()
        self._unacknowledged: deque[tuple[int, Fate]] = deque(maxlen=REMEMBERED)

    def note(self, fate: Fate, frame_ids: Iterable[str], last_seq: int | None) -> None:
        """Remember frames of one send; `last_seq`: that of its last frame, None while more follow. Twice is once."""
        by_frame = self._by_frame
        for frame_id in frame_ids:
            by_frame[frame_id] = fate
        while len(by_frame) > REMEMBERED:
            by_frame.popitem(last=False)
        if last_seq is not None and not (self._unacknowledged and self._unacknowledged[-1][0] == last_seq):
            self._unacknowledged.append((last_seq, fate))

    def acknowledged(self, ack: int) -> None:
        """Note that the peer has everything up to `ack`. What it has it may still refuse."""
        while self._unacknowledged and self._unacknowledged[0][0] <= ack:
            self.has_acknowledged = True
            fate = self._unacknowledged[0][1]
            if fate.outcome == "sent":
                fate.outcome = "acknowledged"
            self._unacknowledged.popleft()

    def of(self, frame_id: str | None) -> Fate | None:
        """Return the fate of the send that a frame belongs to; None: it is none of the latest of ours."""
        return self._by_frame.get(frame_id) if frame_id is not None else None

    def only_channel(self) -> str | None:
        """Return the channel of all the latest sends; None: there are several, or none."""
        channels = {fate.channel for fate in self._by_frame.values()}
        return channels.pop() if len(channels) == 1 else None

    def unknown(self) -> int:
        """Return of how many sends the peer has not said that it has them."""
        return sum(fate.outcome == "sent" for _, fate in self._unacknowledged)

    def lose(self, unsent: Collection[Fate] = ()) -> Iterator[tuple[int, Fate]]:
        """Note that nobody will know whether the peer has what was not acknowledged; yield those sends, by their last seq.

        `unsent`: those of which nothing has left; they have no outcome. One is forgotten once the next is asked for: whoever is
        interrupted before it has told of one gets that again, and the rest, when it is done again.
        """
        while self._unacknowledged:
            seq, fate = self._unacknowledged[0]
            if fate.outcome in ("sent", "indeterminate") and fate not in unsent:
                fate.outcome = "indeterminate"
                yield seq, fate
            self._unacknowledged.popleft()
