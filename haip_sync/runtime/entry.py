"""One thing in the write order: frames that go out together, and what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from haip_sync.errors import ConnectionClosedError, HAIPError, NotSentError
from haip_sync.flow.gates import Ticket
from haip_sync.flow.pending import PendingSend
from haip_sync.flow.receive_window import ReceiveWindow, WindowBooks
from haip_sync.protocol.frames import Frame
from haip_sync.protocol.transactions import Stage, TransactionState
from haip_sync.state import Fate, SendReceipt


class Entry(msgspec.Struct, eq=False):
    """Frames that go out together, with the numbers they were given.

    Attributes:
        frames: HAIP frames in order; empty for `raw`.
        first_seq: The seq of the first of them; the others follow.
        last_seq: The seq of the last.
        ack: What all of them acknowledge; 0: nothing.
        raw: A WebSocket control frame as websocket-client made it, in place of HAIP frames.
        text_bytes: What its text frames weigh.
        wire_bytes: What all of it weighs before the socket.
        end: How many bytes were ever committed, this entry included: its place in the write order.
        answers_end: How many bytes of control frames were ever committed, this entry included; 0: it is none.
        window: A receive window and its books once this has its place: what a FLOW_UPDATE grants counts from there on.
        pending: The handle to settle once it is written; None: nobody holds one, or the text goes on.
        fate: What becomes of the send that it belongs to; None: control frames of ours.
        is_last: Whether nothing of that send follows.
        stage: A transaction and how far it has come once this has its place.
        repeats: The entry of a broken line that this one takes the place of; None: this is the first time.
        is_again: Whether its numbers were given on an earlier line.
        is_whole: Whether the send that it belongs to is all in it.
        is_taken: Whether bytes of it may have been given to the operating system, on this line or an earlier one.
        is_written: Whether all of it was.
        failure: Why it never will be.
        waiter: Who sleeps until it is over, having been admitted by a thread that writes by itself; None: nobody.
        is_left: Whether its sender has returned before it was written: it gathers with those that follow it.
        is_given_up: Whether it never will be written: what `end` gave up must not leave before the socket is shut.
    """

    # A struct is made in C, a fifth of what __init__ costs: every send makes an entry, and few set most of it.
    frames: Sequence[Frame]
    first_seq: int
    last_seq: int
    ack: int
    raw: bytes
    text_bytes: int
    wire_bytes: int
    end: int
    answers_end: int = 0
    window: tuple[ReceiveWindow, WindowBooks] | None = None
    pending: PendingSend | None = None
    fate: Fate | None = None
    is_last: bool = True
    stage: tuple[TransactionState, Stage] | None = None
    repeats: Entry | None = None
    is_again: bool = False
    is_whole: bool = True
    is_taken: bool = False
    is_written: bool = False
    failure: HAIPError | None = None
    waiter: Ticket[Any] | None = None
    is_left: bool = False
    is_given_up: bool = False

    @property
    def is_over(self) -> bool:
        """Whether it is written, or never will be."""
        return self.is_written or self.failure is not None

    @property
    def is_unsent(self) -> bool:
        """Whether nothing of the send that it belongs to has left."""
        return self.is_whole and not self.is_taken

    @property
    def origin(self) -> Entry:
        """The entry whose sender waits: this one, or that of a broken line."""
        return self if self.repeats is None else self.repeats

    def settle(self) -> None:
        """Note that it is written, and tell the handle, or who sleeps. Twice is once."""
        if self.pending is not None:
            self.pending.settle(self.receipt(self.pending.message_id))
        self.is_written = True
        self._wake()

    def give_up(self, what: str, failure: HAIPError) -> None:
        """Note that it never will be, because of `what` and `failure`, and tell the handle, or who sleeps. Twice is once."""
        # First: who takes it in hand marks that and then looks here, so that one of us sees the other.
        self.is_given_up = True
        is_known = self.is_unsent
        if self.fate is not None and (self.is_left or not is_known):
            self.fate.outcome = "indeterminate"
        if self.pending is not None:
            named = f"the message {self.pending.message_id}"
            if is_known:
                text = f"{named} was not sent: its turn had come, then {what}. Nothing of it was sent. {failure}"
                self.pending.settle(NotSentError(text, reason="lost"))
            else:
                text = f"{named} was admitted, then {what}: whether the peer has it is not known. {failure}"
                self.pending.settle(ConnectionClosedError(text))
        self.failure = self.failure or failure
        self._wake()

    def _wake(self) -> None:
        """Wake who sleeps until it is over."""
        if self.waiter is not None:
            self.waiter.wake()
            # Its parcel refers to this: without the circle all of it goes at once, not when all of memory is looked through.
            self.waiter = None

    def receipt(self, message_id: str) -> SendReceipt:
        """Return what the sender gets."""
        return SendReceipt(message_id, self.last_seq, self.fate or Fate(self.frames[-1].channel, message_id))


def entry_of(frames: Sequence[Frame], first_seq: int, ack: int, start: int) -> Entry:
    """Return what these frames are with these numbers, where `start` bytes were committed before."""
    if len(frames) == 1 and frames[0].binary is None:  # most often
        size = frames[0].size(first_seq, ack)
        return Entry(frames, first_seq, first_seq, ack, b"", size, size, start + size)
    size, seq, binary_bytes = 0, first_seq, 0
    for frame in frames:
        size += frame.size(seq, ack)
        if frame.binary is not None:
            binary_bytes += len(frame.binary)
        seq += 1
    return Entry(frames, first_seq, seq - 1, ack, b"", size, size + binary_bytes, start + size + binary_bytes)
