"""What became of what was sent: the latest sends, by the ids of their frames and in the order of their `seq`."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator

from haip_sync.protocol.frames import Frame
from haip_sync.protocol.sent_ids import REMEMBERED, SentIds
from haip_sync.state import Fate


class Fates:
    """The fates of the latest sends, whose frames stand in `sent`. Every method requires the connection's lock.

    Attributes:
        has_acknowledged: Whether a peer ever said that it has one of them: many never do.
    """

    def __init__(self, sent: SentIds) -> None:
        self._sent = sent
        self.has_acknowledged = False
        self._unacknowledged: deque[tuple[int, Fate]] = deque(maxlen=REMEMBERED)

    def note(self, fate: Fate | None, frames: Iterable[Frame], last_seq: int) -> None:
        """Remember frames that go out together, of one send or (None) of ours; 0 for `last_seq`: more follow. Twice is once."""
        for frame in frames:
            self._sent.note(frame.id, fate)
        if fate is not None and last_seq:
            unacknowledged = self._unacknowledged
            if not unacknowledged or unacknowledged[-1][0] != last_seq:
                unacknowledged.append((last_seq, fate))

    def acknowledged(self, ack: int) -> None:
        """Note that the peer has everything up to `ack`. What it has it may still refuse."""
        unacknowledged = self._unacknowledged
        while unacknowledged and unacknowledged[0][0] <= ack:
            self.has_acknowledged = True
            fate = unacknowledged[0][1]
            if fate.outcome == "sent":
                fate.outcome = "acknowledged"
            unacknowledged.popleft()

    def of(self, frame_id: str | None) -> Fate | None:
        """Return the fate of the send that a frame belongs to; None: it is none of the latest of ours."""
        return self._sent.fate_of(frame_id) if frame_id is not None else None

    def only_channel(self) -> str | None:
        """Return the channel of all the latest sends; None: there are several, or none."""
        channels = {fate.channel for fate in self._sent.fates()}
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
