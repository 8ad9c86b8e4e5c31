"""Frames between admission and the operating system, in the order of their `seq`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from haip_sync.config import DEFAULT_MAX_REPLAY_BYTES
from haip_sync.errors import ConnectionClosedError, HAIPError
from haip_sync.flow.pending import PendingSend
from haip_sync.flow.receive_window import ReceiveWindow, WindowBooks
from haip_sync.protocol.envelope import Frame
from haip_sync.protocol.names import PONG
from haip_sync.protocol.replay import ReplayWindow, Resend
from haip_sync.protocol.session import Session
from haip_sync.protocol.transactions import Stage, TransactionState
from haip_sync.runtime.fates import Fates
from haip_sync.state import Fate, SendReceipt

ROOM_BYTES: Final = 256 << 10
"""How much may be admitted and not yet written, or one larger frame: more would only be promised, not sent."""


class Entry:
    """Frames that go out together, with the numbers they were given. Immutable once committed.

    Attributes:
        frames: HAIP frames in order; empty for `raw`.
        first_seq: The seq of the first of them; the others follow.
        ack: What all of them acknowledge; 0: nothing.
        raw: A WebSocket control frame as websocket-client made it, in place of HAIP frames.
        wire_bytes: What it weighs before the socket.
        end: How many bytes were ever committed, this entry included: its place in the write order.
        window: A receive window and its books once this has its place: what a FLOW_UPDATE grants counts from there on.
        pending: The handle to settle once it is written; None: nobody holds one, or the text goes on.
        fate: What becomes of the send that it belongs to; None: control frames of ours.
        is_last: Whether nothing of that send follows.
        stage: A transaction and how far it has come once this has its place.
        is_again: Whether its numbers were given before.
    """

    __slots__ = (
        "ack",
        "end",
        "fate",
        "first_seq",
        "frames",
        "is_again",
        "is_last",
        "pending",
        "raw",
        "stage",
        "window",
        "wire_bytes",
    )

    def __init__(self, frames: Sequence[Frame], first_seq: int, ack: int, raw: bytes, start: int) -> None:
        self.frames = frames
        self.first_seq = first_seq
        self.ack = ack
        self.raw = raw
        size = len(raw)
        for seq, frame in enumerate(frames, first_seq):
            size += frame.size(seq, ack) + (0 if frame.binary is None else len(frame.binary))
        self.wire_bytes = size
        self.end = start + size
        self.pending: PendingSend | None = None
        self.fate: Fate | None = None
        self.is_last = True
        self.window: tuple[ReceiveWindow, WindowBooks] | None = None
        self.stage: tuple[TransactionState, Stage] | None = None
        self.is_again = False

    @property
    def last_seq(self) -> int:
        """The seq of the last frame."""
        return self.first_seq + len(self.frames) - 1

    def receipt(self, message_id: str) -> SendReceipt:
        """Return what the sender gets."""
        return SendReceipt(message_id, self.last_seq, self.fate or Fate(self.frames[-1].channel, message_id))


class Outgoing:
    """The write order. Every method requires the connection's lock; `written_end` alone may be read without it.

    Attributes:
        replay: The frames that the peer may ask for again.
        written_end: How many bytes were ever handed to the operating system, on the scale of `Entry.end`.
    """

    def __init__(
        self,
        session: Session,
        *,
        clock: Callable[[], float] = time.monotonic,
        max_replay_bytes: int = DEFAULT_MAX_REPLAY_BYTES,
    ) -> None:
        self._session = session
        self._clock = clock
        self.replay = ReplayWindow(max_replay_bytes)
        self._entries: deque[Entry] = deque()
        self._committed_end = 0
        self.written_end = 0
        self._fates = Fates()

    def plan(self, frames: Sequence[Frame]) -> Entry:
        """Return what these frames would be if they were committed now. Changes nothing."""
        return Entry(frames, self._session.last_seq + 1, self._session.ack, b"", self._committed_end)

    def plan_raw(self, data: bytes) -> Entry:
        """Return an entry for a WebSocket control frame, which has no seq. Changes nothing."""
        return Entry((), 0, 0, data, self._committed_end)

    def plan_again(self, resend: Resend) -> Entry | None:
        """Return what this number is sent again as, with a fresh `ack`; None: a hole that the peer lets nobody fill."""
        frame = resend.frame
        if frame is None:
            if not self._session.accepts(PONG):
                return None
            frame = self._session.control_frame(PONG, {})
        entry = Entry((frame,), resend.seq, self._session.ack, b"", self._committed_end)
        entry.is_again = True
        return entry

    def has_room(self, wire_bytes: int) -> bool:
        """Return whether so much more may be admitted before what stands here is written."""
        return self.pending_bytes == 0 or self.pending_bytes + wire_bytes <= ROOM_BYTES

    @property
    def pending_bytes(self) -> int:
        """How much stands between admission and the operating system."""
        return self._committed_end - self.written_end

    def commit(self, cargo: Entry) -> None:
        """Give `cargo` its numbers and its place. Doing it twice changes nothing: every line sets a value or looks first."""
        if cargo.frames and not cargo.is_again:
            self._session.last_seq = cargo.last_seq
            for frame in cargo.frames:
                self._session.note_sent(frame.id)
            if self._session.peer_sequences:
                self.replay.keep(cargo.frames, cargo.first_seq, self._clock(), acknowledged=self._session.acknowledged)
            if cargo.fate is not None:
                self._fates.note(cargo.fate, [frame.id for frame in cargo.frames], cargo.last_seq if cargo.is_last else None)
        if not self._entries or self._entries[-1] is not cargo:
            self._entries.append(cargo)
        self._committed_end = cargo.end
        if cargo.window is not None:
            window, books = cargo.window
            window.books = books
        if cargo.stage is not None:
            state, stage = cargo.stage
            state.stage = stage

    def first(self, most_bytes: int) -> list[Entry]:
        """Return the entries to write next, at least one if there are any; they stay here until they are written."""
        batch: list[Entry] = []
        total = 0
        for entry in self._entries:
            if batch and total + entry.wire_bytes > most_bytes:
                break
            batch.append(entry)
            total += entry.wire_bytes
        return batch

    def written(self, end: int) -> None:
        """Take out what was handed to the operating system, and settle its handles. Doing it twice changes nothing."""
        while self._entries and self._entries[0].end <= end:
            entry = self._entries[0]
            if entry.pending is not None:
                entry.pending.settle(entry.receipt(entry.pending.message_id))
            self._entries.popleft()
        self.written_end = end

    def abandon(self, failure: HAIPError, *, in_good_order: bool) -> None:
        """Settle the handles of what was admitted and will not be written; of what was, nobody knows after a loss."""
        if not in_good_order:
            self._fates.lose()
        for entry in self._entries:
            if entry.fate is not None:
                entry.fate.outcome = "indeterminate"
            if entry.pending is not None:
                what = f"the message {entry.pending.message_id} was admitted, then the connection ended"
                entry.pending.settle(ConnectionClosedError(f"{what}: whether the peer has it is not known. {failure}"))

    @property
    def fates(self) -> Fates:
        """What became of the latest sends."""
        return self._fates

    def queued_messages(self) -> int:
        """Return how many messages that were queued are admitted and not written."""
        return sum(entry.pending is not None for entry in self._entries)

    @property
    def is_empty(self) -> bool:
        """Whether everything that was admitted is written."""
        return not self._entries
