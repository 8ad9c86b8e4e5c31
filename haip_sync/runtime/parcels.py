"""What callers want sent, as the turnstile takes it: a frame, or a wait for credit. Texts: `runtime.text_parcels`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from haip_sync.errors import HAIPError, UnsupportedByPeerError, WaitCause
from haip_sync.flow.gates import Progress, Shortage, Step
from haip_sync.flow.ledger import NOTHING, Cost, Ledger
from haip_sync.flow.pending import PendingSend
from haip_sync.protocol.frames import Frame
from haip_sync.protocol.session import Session
from haip_sync.runtime.entry import Entry
from haip_sync.runtime.outgoing import Outgoing
from haip_sync.state import Fate

_NOT_BEGUN: Final = Progress()
_ONE_FRAME: Final = Progress(1)


def shortage_of(cost: Cost, ledger: Ledger) -> Shortage:
    """Return what `cost` lacks, messages before bytes."""
    return Shortage(WaitCause.MESSAGES if cost.messages > ledger.messages.spendable else WaitCause.BYTES, cost)


class FramesParcel:
    """What frames have in common: their numbers and costs.

    Attributes:
        last_entry: The entry of its latest step; a parcel of which nothing has gone through has none.
    """

    last_entry: Entry
    # Of the class, until one is set, as an entry's.
    progress = _NOT_BEGUN
    only_waits = False
    pending: PendingSend | None = None
    """The handle of a queued message, which its last entry settles."""
    _refusal: HAIPError | None = None

    def __init__(self, outgoing: Outgoing, session: Session, fate: Fate) -> None:
        self._fate = fate
        self._outgoing = outgoing
        self._session = session

    def refusal(self) -> HAIPError | None:
        """Return why the peer of a new line takes it no more; None: it does."""
        return self._refusal

    def _byte_cost(self, frames: Sequence[Frame]) -> int:
        first, ack = self._session.last_seq + 1, self._session.ack
        if len(frames) == 1:  # most often, and without a generator's price
            return frames[0].cost(first, ack)
        return sum(frame.cost(first + i, ack) for i, frame in enumerate(frames))

    def _step(self, frames: Sequence[Frame], cost: Cost, after: Progress, *, last: bool) -> Step[Entry]:
        entry = self._outgoing.plan(frames)
        self.last_entry = entry
        entry.fate, entry.is_last = self._fate, last
        entry.is_whole = last and not self.progress.frames
        if last:
            entry.pending = self.pending
        return Step(cost, entry, entry.wire_bytes, after, last)


class FrameParcel(FramesParcel):
    """One frame, with the binary frame that belongs to it. `message_id`: what its receipt calls it."""

    def __init__(self, outgoing: Outgoing, session: Session, frame: Frame, message_id: str) -> None:
        # In place of the base's own, a call less: every send comes here.
        self._outgoing = outgoing
        self._session = session
        self._fate = Fate(frame.channel, message_id)
        self._frame = frame
        self._frames = (frame,)
        self._message_id = message_id
        self._message_cost = session.message_cost(frame.type)

    @property
    def event_type(self) -> str:
        """The frame's type."""
        return self._frame.type

    @property
    def message_id(self) -> str | None:
        """The payload's `message_id`, or else the frame's own id."""
        return self._message_id

    def renew(self) -> None:
        """Look whether the peer takes such a frame."""
        if not self._session.accepts(self._frame.type):
            self._refusal = UnsupportedByPeerError(
                f"after a reconnect the peer does not accept {self._frame.type}. Nothing was sent"
            )

    def indivisible_bytes(self) -> int:
        """Return what the frame costs."""
        return self._byte_cost((self._frame,))

    def queued_bytes(self) -> int:
        """Return what the frame counts in an outbox: about what it weighs on the wire."""
        return self._frame.size(1, 0) + len(self._frame.binary or b"")

    def next_step(self, ledger: Ledger) -> Step[Entry] | Shortage:
        """Return the frame if `ledger` covers it."""
        if self._message_cost > ledger.messages.spendable:  # as whoever has to wait finds it: it need not be planned
            return Shortage(WaitCause.MESSAGES, Cost(self._message_cost, self._byte_cost(self._frames)))
        # Planned first, because that weighs it: a size costs as much as the rest of the plan.
        entry = self._outgoing.plan(self._frames)
        media = self._frame.media
        cost = Cost(self._message_cost, entry.text_bytes if media is None else media)
        if not ledger.covers(cost):
            return shortage_of(cost, ledger)
        self.last_entry = entry
        entry.fate, entry.pending = self._fate, self.pending
        return Step(cost, entry, entry.wire_bytes, _ONE_FRAME, last=True)

    @property
    def may_stream_early(self) -> bool:
        """Return False: a frame cannot be split."""
        return False

    def stream_early(self) -> None:
        """Do nothing."""


class WaitParcel:
    """A wait for credit: it stands in line like any sender, and takes nothing."""

    event_type = "wait_for_credits"
    message_id: str | None = None
    only_waits = True

    def __init__(self, needed: Cost) -> None:
        self.progress = Progress()
        self._needed = needed

    def refusal(self) -> None:
        """Return that it may stand in line."""

    def renew(self) -> None:
        """Do nothing: credit is credit."""

    def indivisible_bytes(self) -> int:
        """Return the bytes that must be spendable at once."""
        return self._needed.byte_credits

    def next_step(self, ledger: Ledger) -> Step[Entry] | Shortage:
        """Return an empty step once the credit is there."""
        if not ledger.covers(self._needed):
            return shortage_of(self._needed, ledger)
        return Step(NOTHING, None, 0, self.progress, last=True)

    @property
    def may_stream_early(self) -> bool:
        """Return False: there is nothing to split."""
        return False

    def stream_early(self) -> None:
        """Do nothing."""
