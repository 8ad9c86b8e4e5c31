"""Frames between admission and the operating system, in the order of their `seq`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

from haip_sync.config import DEFAULT_MAX_REPLAY_BYTES
from haip_sync.errors import HAIPError
from haip_sync.flow.gates import Ticket
from haip_sync.protocol.frames import Frame
from haip_sync.protocol.names import PONG
from haip_sync.protocol.replay import ReplayWindow, Resend, TooOld
from haip_sync.protocol.session import Session
from haip_sync.runtime.entry import Entry, entry_of
from haip_sync.runtime.fates import Fates
from haip_sync.runtime.gathering import Gathering
from haip_sync.state import Fate

ROOM_BYTES: Final = 256 << 10
"""How much may be admitted and not yet written, or one larger frame: more would only be promised, not sent."""


class Repeats(msgspec.Struct, frozen=True):
    """What the peer of a new line lacks."""

    frames: list[tuple[Resend, Entry | None]]
    """In order, each with the entry whose sender waits for it."""
    lost: list[tuple[int, Fate]]
    """Sends that have returned, by their last seq, whose transaction ended before they left: they are not sent again."""


class Outgoing:
    """The write order. Every method requires the connection's lock; `written_end` may be read without it.

    Attributes:
        replay: The frames that the peer may ask for again.
        written_end: How many bytes were ever handed to the operating system, on the scale of `Entry.end`.
        committed_end: How many bytes were ever committed.
        fates: What became of the latest sends.
        entries: What stands here that this line can write, in order. Whether anything does may be asked without the lock.
        is_gathering: Whether a frame of it may wait for others, and nobody is about to write it. Needs no lock.
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
        self.entries: deque[Entry] = deque()
        # Of broken lines: data that was admitted and not wholly written, until a new peer says what it has.
        self._suspended: deque[Entry] = deque()
        # The seq of our HAI on this line: what comes before it belongs to earlier ones.
        self._line_seq = 1
        # What everything of earlier lines acknowledges that is sent again on this one.
        self._resumed_ack = 0
        self.committed_end = 0
        self.written_end = 0
        self.is_gathering = False
        self.gathering = Gathering()
        self.fates = Fates(session.sent)
        self._told: dict[Fate, None] = {}
        # The same of control frames alone: the peer makes us say them, and nothing else bounds how many.
        self._answers_end = 0
        self._written_answers_end = 0

    @property
    def is_thick(self) -> bool:
        """Whether messages come so fast that what a sender puts here may wait for what it sends next. Needs no lock."""
        return self.gathering.is_fast

    def plan(self, frames: Sequence[Frame]) -> Entry:
        """Return what these frames would be if they were committed now. Changes nothing."""
        session = self._session
        return entry_of(frames, session.last_seq + 1, session.inbound.ack, self.committed_end)

    def plan_raw(self, data: bytes) -> Entry:
        """Return an entry for a WebSocket control frame, which has no seq. Changes nothing."""
        return Entry((), 0, -1, 0, data, 0, len(data), self.committed_end + len(data))

    def plan_again(self, resend: Resend) -> Entry | None:
        """Return what this number is sent again as, as heavy as it was on this line; None: a hole that nobody may fill."""
        frame = resend.frame
        if frame is None:
            if not self._session.accepts(PONG):
                return None
            frame = self._session.control_frame(PONG, {})
        ack = resend.ack if resend.seq >= self._line_seq else self._resumed_ack
        entry = entry_of((frame,), resend.seq, ack, self.committed_end)
        entry.is_again = True
        return entry

    def has_room(self, wire_bytes: int) -> bool:
        """Return whether so much more may be admitted before what stands here is written."""
        pending_bytes = self.committed_end - self.written_end
        return not pending_bytes or pending_bytes + wire_bytes <= ROOM_BYTES

    @property
    def pending_bytes(self) -> int:
        """How much stands between admission and the operating system."""
        return self.committed_end - self.written_end

    @property
    def unwritten_answers_bytes(self) -> int:
        """How much of it are control frames. What is sent again, and a large frame of data, are none."""
        return self._answers_end - self._written_answers_end

    def plan_answer(self, entry: Entry) -> None:
        """Have a planned entry counted as an answer once it is committed."""
        entry.answers_end = self._answers_end + entry.wire_bytes

    def commit(self, cargo: Entry) -> None:
        """Give `cargo` its numbers and its place. Doing it twice changes nothing: every line sets a value or looks first."""
        if cargo.frames and not cargo.is_again:
            session, frames = self._session, cargo.frames
            session.last_seq = cargo.last_seq
            if session.inbound.active:
                now_s = self._clock()
                self.replay.keep(frames, cargo.first_seq, now_s, acknowledged=session.acknowledged, ack=cargo.ack)
            self.fates.note(cargo.fate, frames, cargo.last_seq if cargo.is_last else 0)
        if not self.entries or self.entries[-1] is not cargo:
            self.entries.append(cargo)
        self.committed_end = cargo.end
        self._answers_end = cargo.answers_end or self._answers_end
        if cargo.window is not None:
            window, books = cargo.window
            window.books = books
        if cargo.stage is not None:
            state, stage = cargo.stage
            state.stage = stage

    def wake_once_over(self, cargo: Entry, ticket: Ticket[Any]) -> None:
        """Wake the holder of `ticket` once `cargo` is written or never will be."""
        cargo.waiter = ticket

    def first(self, most_bytes: int) -> list[Entry]:
        """Return the entries to write next, at least one if there are any; they stay here until they are written."""
        if self.committed_end - self.written_end <= most_bytes:
            return list(self.entries)
        batch: list[Entry] = []
        total = 0
        for entry in self.entries:
            if batch and total + entry.wire_bytes > most_bytes:
                break
            batch.append(entry)
            total += entry.wire_bytes
        return batch

    def written(self, end: int) -> None:
        """Take out what was handed to the operating system, and settle its handles. Doing it twice changes nothing."""
        entries = self.entries
        while entries and (entry := entries[0]).end <= end:
            if entry.pending is not None or entry.waiter is not None or entry.repeats is not None:
                entry.origin.settle()
            entry.is_written = True
            if entry.answers_end:
                self._written_answers_end = entry.answers_end
            entries.popleft()
        if not entries:
            self.is_gathering = False
        self.written_end = end

    def lose(self) -> Iterator[tuple[int, Fate]]:
        """Give up what has left and was not acknowledged: there is no other line; yield as `Fates.lose`.

        Whose sender waits for it is told itself, where nothing of it has left.
        """
        left = [entry.origin for entry in (*self._suspended, *self.entries)]
        return self.fates.lose([entry.fate for entry in left if entry.fate is not None and entry.is_unsent and not entry.is_left])

    def left_unwritten(self) -> list[tuple[int, Fate]]:
        """Return the sends that have returned, were never written and are not `told` of, by their last seq; after `abandon`."""
        left = [entry.origin for entry in (*self._suspended, *self.entries)]
        # Of a text that is written piece by piece several stand here: it is one send.
        ends = {entry.fate: entry.last_seq for entry in left if entry.is_left and not entry.is_written and entry.fate is not None}
        return [(last_seq, fate) for fate, last_seq in ends.items() if fate not in self._told]

    def told(self, fate: Fate) -> None:
        """Note that somebody was told of a send of `left_unwritten`: the end is done again where an interrupt has struck it."""
        self._told[fate] = None

    def abandon(self, failure: HAIPError) -> None:
        """Settle the handles of what was admitted and will not be written. Twice is once."""
        for entry in [entry.origin for entry in (*self._suspended, *self.entries)]:
            entry.give_up("the connection ended", failure)

    # ---- From one line to the next ---------------------------------------------------------------------------------------------

    def suspend(self, failure: HAIPError) -> None:
        """Take out what the broken line has not written. Data stands by; control frames are over: what they said is past."""
        for entry in self.entries:
            origin = entry.origin
            if origin.fate is None:
                origin.give_up("the line broke", failure)
            elif origin not in self._suspended:
                self._suspended.append(origin)
        self.entries.clear()
        self.is_gathering = False
        self.written_end = self.committed_end
        self._written_answers_end = self._answers_end

    def begin_line(self) -> None:
        """Begin a new line: the next frame is its HAI."""
        self._line_seq = self._session.last_seq + 1

    def repeats_above(self, last_rx_seq: int, failure: HAIPError) -> Repeats | None:
        """Return what a peer lacks of the earlier lines that has all up to `last_rx_seq`; None: it is not kept.

        A frame of a transaction, which ended with its line, leaves a hole, and so does one that the peer has refused: its sender
        was told so. What the peer has is settled as written.
        """
        self._resumed_ack = self._session.ack
        again = self.replay.slice(last_rx_seq + 1, self._line_seq - 1) if last_rx_seq + 1 < self._line_seq else ()
        if isinstance(again, TooOld):
            return None
        lost: list[tuple[int, Fate]] = []
        for entry in self._suspended:
            if entry.frames[-1].in_transaction:
                entry.give_up("the line broke, and its transaction ended with it", failure)
                if entry.is_left and entry.fate is not None:
                    lost.append((entry.last_seq, entry.fate))
        origins = {entry.last_seq: entry for entry in self._suspended if not entry.is_over}
        lacking = {resend.seq for resend in again if not self._was_refused(resend.frame)}
        for seq, entry in origins.items():
            if seq not in lacking:
                entry.settle()
        self._suspended.clear()
        return Repeats([(self._without_past(resend), origins.get(resend.seq)) for resend in again], lost)

    def _without_past(self, resend: Resend) -> Resend:
        """Return it without its frame where that is not to be said again."""
        frame = resend.frame
        is_past = frame is not None and (frame.in_transaction or self._was_refused(frame))
        return msgspec.structs.replace(resend, frame=None) if is_past else resend

    def _was_refused(self, frame: Frame | None) -> bool:
        fate = None if frame is None else self.fates.of(frame.id)
        return fate is not None and fate.outcome == "refused"

    def give_up_earlier(self, failure: HAIPError) -> tuple[list[tuple[int, Fate]], list[Entry]]:
        """Give up what earlier lines may not have brought over, and may have.

        Return the sends of which nobody knows whether the peer has them, by their last seq; and those of which nothing has left.
        None of it can be asked for any more, under its old numbers.
        """
        self.replay.forget_below(self._line_seq)
        unsent = [entry for entry in self._suspended if entry.is_unsent]
        lost = list(self.fates.lose([entry.fate for entry in unsent if entry.fate is not None]))
        for entry in self._suspended:
            if not entry.is_unsent:
                entry.give_up("the line broke", failure)
        self._suspended.clear()
        return lost, unsent

    def plan_anew(self, unsent: Entry) -> Entry:
        """Return what a send of which nothing has left would be if it were committed now, under new numbers. Changes nothing."""
        entry = self.plan(unsent.frames)
        entry.fate, entry.repeats = unsent.fate, unsent
        return entry

    def accepted_messages(self) -> int:
        """Return how many messages are admitted and not written for which nobody waits: queued ones, and those that gather."""
        left = [entry.origin for entry in (*self._suspended, *self.entries)]
        return sum(entry.pending is not None for entry in left) + len({entry.fate for entry in left if entry.is_left})

    @property
    def has_returned(self) -> bool:
        """Whether a send has returned for something that stands here: it gathers, or is in the hand of who writes."""
        return any(entry.origin.is_left for entry in self.entries)

    @property
    def is_empty(self) -> bool:
        """Whether everything that was admitted is written."""
        return not (self.entries or self._suspended)
