"""Texts as the turnstile takes them: in parts cut to the credit that there is, of one string or of one that is still written."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from haip_sync.errors import UnsupportedByPeerError, WaitCause
from haip_sync.flow.gates import Progress, Shortage, Step
from haip_sync.flow.ledger import NOTHING, Cost, Ledger
from haip_sync.protocol.dialects import TextDialect
from haip_sync.protocol.envelope import encode_json
from haip_sync.protocol.frames import Frame
from haip_sync.protocol.session import Session
from haip_sync.protocol.text_frames import cut_escaped, escape_text
from haip_sync.runtime.entry import Entry
from haip_sync.runtime.outgoing import Outgoing
from haip_sync.runtime.parcels import FramesParcel, shortage_of
from haip_sync.state import Fate

_MOST_SEQ: Final = 10**9
"""More frames than one text will ever take; its digits are what a stream's numbers can grow to."""
_LONGEST_CHARACTER: Final = 6
"""Bytes of a character written as JSON: \\u0000."""


class TextParcel(FramesParcel):
    """A text: START, PART and END together where they fit the largest balance of the epoch, else in parts cut to the credit.

    `may_stream`: False keeps the text whole whatever the balance (a sender that does not wait).
    """

    # Whether END follows what is written so far.
    _is_closed = True

    def __init__(
        self,
        outgoing: Outgoing,
        session: Session,
        dialect: TextDialect,
        members: dict[str, Any],
        *,
        channel: str,
        text: str,
        may_stream: bool,
    ) -> None:
        super().__init__(outgoing, session, Fate(channel, members["message_id"]))
        self._channel = channel
        self._ids = {"run_id": members["run_id"], "thread_id": members["thread_id"]}
        self._message_id: str = members["message_id"]
        self._author = {} if members["author"] is None else {"author": members["author"]}
        self._escaped = escape_text(text)
        self._may_stream = may_stream
        self._waits_for_whole = True
        self._speak(dialect)

    def _speak(self, dialect: TextDialect) -> None:
        """Make its frames, in this dialect."""
        self._dialect = dialect
        self._later_frames_cost = self._session.message_cost(dialect.part)
        self._start = self._frame(dialect.start, encode_json({"message_id": self._message_id, **self._author}))
        self._end = self._frame(dialect.end, encode_json({"message_id": self._message_id}))
        self._whole = (self._start, self._part(0, len(self._escaped)), self._end) if self._escaped else (self._start, self._end)

    def renew(self) -> None:
        """Take on the dialect of a new line, or be refused where that has none; in mid-stream there is no other."""
        dialect = self._session.dialect
        if dialect is None or (self.progress.frames and dialect != self._dialect):
            self._refusal = UnsupportedByPeerError(
                "after a reconnect the peer accepts texts in another dialect, or in none of ours"
            )
        else:
            self._waits_for_whole = True
            if dialect != self._dialect:
                self._speak(dialect)

    @property
    def event_type(self) -> str:
        """The type of START."""
        return self._dialect.start

    @property
    def message_id(self) -> str | None:
        """The text's id."""
        return self._message_id

    def indivisible_bytes(self) -> int:
        """Return the most that START, END or a part with one character can cost: a stream must not find out half-way."""
        part = self._part(0, 0).size(_MOST_SEQ, _MOST_SEQ) + _LONGEST_CHARACTER if self._escaped else 0
        return max(part, self._start.size(_MOST_SEQ, _MOST_SEQ), self._end.size(_MOST_SEQ, _MOST_SEQ))

    def queued_bytes(self) -> int:
        """Return what the text counts in an outbox: about what it weighs on the wire."""
        return sum(frame.size(1, 0) for frame in self._whole)

    def next_step(self, ledger: Ledger) -> Step[Entry] | Shortage:
        """Return the whole text, or the next piece of one that streams."""
        if not self.progress.frames:
            frames = self._whole
            cost = Cost(1 + self._later_frames_cost * (len(frames) - 1), self._byte_cost(frames))
            if ledger.covers(cost):
                after = Progress(len(frames), len(frames) - 2, len(self._escaped))
                return self._step(frames, cost, after, last=True)
            if not self._may_stream or (self._waits_for_whole and ledger.has_ever_covered(cost)):
                return shortage_of(cost, ledger)
        return self._next_piece(ledger)

    @property
    def may_stream_early(self) -> bool:
        """Whether it has not begun to leave, waits for its whole, and may stream."""
        return self._may_stream and self._waits_for_whole and not self.progress.frames

    def stream_early(self) -> None:
        """Wait for the whole no longer."""
        self._waits_for_whole = False

    def _next_piece(self, ledger: Ledger) -> Step[Entry] | Shortage:
        done = self.progress
        if not done.frames:
            return self._piece(ledger, self._start, 1, Progress(1))
        if done.offset == len(self._escaped):
            return self._piece(ledger, self._end, self._later_frames_cost, replace(done, frames=done.frames + 1), last=True)
        end = self._cut(done.offset, ledger)
        return self._piece(
            ledger, self._part(done.offset, end), self._later_frames_cost, Progress(done.frames + 1, done.parts + 1, end)
        )

    def _piece(
        self, ledger: Ledger, frame: Frame, messages: int, after: Progress, *, last: bool = False
    ) -> Step[Entry] | Shortage:
        cost = Cost(messages, self._byte_cost((frame,)))
        if ledger.covers(cost):
            return self._step((frame,), cost, after, last=last)
        return Shortage(shortage_of(cost, ledger).cause, cost, self._rest())

    def _rest(self) -> Cost:
        """Return what all of it takes that has not left, as one part: asked for step by step it would go by the character."""
        begins, left = not self.progress.frames, len(self._escaped) - self.progress.offset
        frames = (
            *((self._start,) if begins else ()),
            *((self._part(0, 0),) if left else ()),
            *((self._end,) if self._is_closed else ()),
        )
        return Cost(begins + self._later_frames_cost * (len(frames) - begins), self._byte_cost(frames) + left)

    def _cut(self, offset: int, ledger: Ledger) -> int:
        """Return where the longest part ends that the byte credit covers; at least one character on, covered or not."""
        room = ledger.byte_credits.spendable - self._byte_cost((self._part(offset, offset),))
        return max(cut_escaped(self._escaped, offset, room), self._one_character(offset))

    def _one_character(self, offset: int) -> int:
        """Return where the character at `offset` ends; written as JSON it has at most six bytes."""
        return next(end for n in range(1, _LONGEST_CHARACTER + 1) if (end := cut_escaped(self._escaped, offset, n)) > offset)

    def _part(self, offset: int, end: int) -> Frame:
        payload = b'{"message_id":%b,"text":"%b"}' % (encode_json(self._message_id), self._escaped[offset:end])
        return self._frame(self._dialect.part, payload)

    def _frame(self, frame_type: str, payload_json: bytes) -> Frame:
        return self._session.frames.make(self._channel, frame_type, payload_json, **self._ids)


class StreamParcel(TextParcel):
    """A text whose writer goes on writing: START leaves at once, a PART or more for each piece, END once it is closed.

    Whatever changes it requires the connection's lock.
    """

    def __init__(self, outgoing: Outgoing, session: Session, dialect: TextDialect, members: dict[str, Any], channel: str) -> None:
        super().__init__(outgoing, session, dialect, members, channel=channel, text="", may_stream=True)
        self._is_closed = False

    @property
    def is_drained(self) -> bool:
        """Whether everything that was written is admitted, START included."""
        return self.progress.frames > 0 and self.progress.offset == len(self._escaped)

    def write(self, escaped: bytes) -> None:
        """Add a piece, once everything before it has left."""
        fresh = replace(self.progress, offset=0)
        # Two stores and no call: no interrupt can come between.
        self._escaped = escaped
        self.progress = fresh

    def take_back(self) -> bool:
        """Forget what was written and has not left, END too; return whether something of it has."""
        offset = self.progress.offset
        self._escaped = self._escaped[:offset]
        self._is_closed = False
        return offset > 0

    def close(self) -> None:
        """Let END follow."""
        self._is_closed = True

    def indivisible_bytes(self) -> int:
        """Return the most that START, END or a part with one character can cost."""
        part = self._part(0, 0).size(_MOST_SEQ, _MOST_SEQ) + _LONGEST_CHARACTER
        return max(part, super().indivisible_bytes())

    @property
    def may_stream_early(self) -> bool:
        """Return False: it never waits for a whole."""
        return False

    def next_step(self, ledger: Ledger) -> Step[Entry] | Shortage:
        """Return START, the next piece or END; between the pieces it is its writer's turn."""
        if self.is_drained and not self._is_closed:
            return Shortage(WaitCause.WRITER, NOTHING)
        return self._next_piece(ledger)
