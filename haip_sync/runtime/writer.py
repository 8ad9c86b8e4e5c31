"""The one place that writes to the socket: whoever needs a frame written takes the pen and writes all that stands before it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final

import msgspec

from haip_sync.flow.parking import Parking, ownership
from haip_sync.runtime.entry import Entry
from haip_sync.runtime.line import OPCODE_BINARY, OPCODE_TEXT, Line, encode
from haip_sync.runtime.outgoing import Outgoing
from haip_sync.runtime.peer_log import WireLog
from haip_sync.runtime.stream import CAN_TRY_TO_SEND

_NOW: Final = 0.0
_BATCH_BYTES: Final = 64 << 10
"""Frames that wait together leave in one write of about this size."""
_LEAVE_S: Final = 0.05
"""How long the service thread sees to what has gathered before it goes away: a peer that does not read holds it no longer."""


class _Batch(msgspec.Struct, eq=False):
    """Bytes on their way to the operating system. `sent` grows by what each system call took."""

    data: bytes
    end: int
    sent: list[int]


class Writer:
    """Writes what was admitted, in order, to one line after another. Any thread may write; one at a time does.

    An interrupt in the middle of a write loses nothing: the batch in hand and how much of it has left stay here, and the next
    to take the pen goes on in the same place.
    """

    def __init__(
        self,
        parking: Parking,
        outgoing: Outgoing,
        *,
        after_write: Callable[[], None],
        mend: Callable[[], None],
        poke: Callable[[], None],
        on_loss: Callable[[Line, OSError], None],
    ) -> None:
        self._parking = parking
        self._outgoing = outgoing
        self._after_write = after_write
        self._mend = mend
        self._poke = poke
        self._on_loss = on_loss
        self.line: Line | None = None
        self.wire_log: WireLog | None = None
        # Guards the socket's writing side and `_in_hand`: whoever holds it writes. Taken before the connection's lock, never
        # after it. Re-entrant only because such a lock knows its owner: an interrupted thread can tell whether to put it down.
        self._pen = threading.RLock()
        # Whether the calling thread is in the middle of a write: it was interrupted there by a signal handler.
        self.is_writing_here = ownership(threading.Condition(self._pen))
        self._in_hand: _Batch | None = None
        self._gathering = outgoing.gathering
        # Whether the service thread looks now and then (`LOOK_S`) for what has gathered. Each store is one thread's: who leaves a
        # frame looks here afterwards, and the service thread looks for frames after it has taken this back.
        self.is_watched = False
        # Whether the service thread can look: only then does anything gather. A store of its own; whoever leaves a frame has
        # committed it before it looks here, and the service thread looks for frames after it has taken this back.
        self.is_attended = True
        # Whether somebody who wanted to write found the pen taken since a batch was taken in hand.
        self._is_urgent = False
        self._seen_end = 0  # the service thread's: how far the writing had come when it looked last
        # Guarded by the connection's lock: senders whose frames somebody else writes, about in write order. Each waits at a queue
        # of its own for the frames to be written, or for the pen: what is put there twice harms nobody, and who is woken need not
        # take the lock again, as from a condition.
        self._standing_by: deque[tuple[Entry, SimpleQueue[None]]] = deque()

    def write_through(self, entry: Entry, deadline_s: float | None = None) -> None:
        """Return once `entry` is handed to the operating system, or never will be: `Entry.failure`. Blocks; without the lock.

        Where the line is lost it waits for the next one, and there until its peer has said what it lacks. `deadline_s`, on the
        monotonic clock: when to leave the rest to the service thread, having tried once.
        """
        while not (entry.is_written or entry.failure is not None):  # `is_over`, as below, without a call: every send comes here
            if self.line is None or not self._outgoing.entries or not self._write_if_free(deadline_s):
                self._stand_by(entry, deadline_s)
            if deadline_s is not None and time.monotonic() >= deadline_s:
                self._poke()  # it may have been this thread's turn to take the pen: those behind would wait for it
                return

    def hand_over(self, entry: Entry) -> None:
        """Have `entry` written: before this returns, or with what follows it where messages come thick and fast.

        It gathers for a few milliseconds at most, and not much (`Gathering`). Who finds that full writes it, and blocks as in
        `write_through`. Without the lock.
        """
        outgoing = self._outgoing
        pending_bytes = outgoing.committed_end - outgoing.written_end  # `pending_bytes`, without a call
        is_writing = self._in_hand is not None
        may_wait = self._gathering.may_wait(pending_bytes, is_writing=is_writing)
        if entry.is_written:  # by the thread that admitted it
            return
        # Who stands by behind a write is none of this frame's business: it comes after theirs. Without one, he takes the pen.
        if not may_wait or self.line is None or not self.is_attended or (self._standing_by and not is_writing):
            self.write_through(entry)
            return
        entry.is_left = True
        if entry.is_taken and is_writing:  # whoever has it in hand sees to what is left of it as well
            return
        outgoing.is_gathering = True
        if not self.is_watched:
            self.is_watched = True
            self._poke()

    def let_out(self) -> None:
        """Write what has gathered, as far as it goes without waiting: who is about to sleep may wait for an answer to it."""
        if self._outgoing.is_gathering:
            try:
                self.write_at_once()
            except BaseException:
                self._poke()  # interrupted once the pen was put down: whoever stands by was not told yet
                raise

    def look(self) -> None:
        """See to what has gathered: where nothing was written since the last look, the service thread writes. Only it looks."""
        end = self._outgoing.written_end
        has_stood, self._seen_end = end == self._seen_end, end
        if has_stood:
            self.is_watched = False
            if self._outgoing.entries:
                self._poke()

    def leave(self) -> None:
        """Let nothing gather until `attend`, and see to what has: the service thread goes where it may be long. Only it does."""
        self.is_attended = False
        self.is_watched = False
        with self._parking.lock:
            last = self._outgoing.entries[-1] if self._outgoing.entries else None
        if last is not None and self.line is not None:
            self.write_through(last, time.monotonic() + _LEAVE_S)

    def attend(self) -> None:
        """Be back: frames may gather."""
        self.is_attended = True

    def write_pending(self, deadline_s: float) -> bool:
        """Write all that stands here now, until `deadline_s` on the monotonic clock at the latest. Without the lock.

        Return False where the deadline came first: call again. Where somebody else writes, or there is no line, it returns at
        once, True: who writes pokes when something is left, and so does a new line.
        """
        while (self._outgoing.entries or self._in_hand is not None) and time.monotonic() < deadline_s:
            if self.line is None or not self._write_if_free(deadline_s):
                return True
        return not self._outgoing.entries

    def write_at_once(self) -> None:
        """Write what stands here, as far as it goes without waiting: for the reader, which must never wait. Without the lock.

        What does not go is for who has the pen, or stands by, or else for the service thread. It is none of the reader's work to
        mask much: while it does, nobody reads.
        """
        outgoing = self._outgoing
        if CAN_TRY_TO_SEND and outgoing.committed_end - outgoing.written_end <= _BATCH_BYTES:  # `pending_bytes`, without a call
            self._write_if_free(_NOW)
        else:
            self._poke()

    def _can_write(self) -> bool:
        """Return whether there is a line, and something that it can write: what an earlier one left over stands by."""
        return self.line is not None and bool(self._outgoing.entries)

    def use(self, line: Line) -> None:
        """Write to `line` from now on, after `retire`. Requires the lock."""
        self.line = line
        self._poke()

    def retire(self, timeout_s: float | None) -> bool:
        """Let nobody write until `use`; return whether that came about in time (None: for ever). Without the lock.

        The line was shut before. What was half written is forgotten: a new line begins with whole frames.
        """
        # First: who takes the pen from now on, before this thread has it, leaves what it would write for the next line, of which
        # it would otherwise be said that it may have left on this one. Whoever has it already goes on with the line it took.
        self.line = None
        try:
            if not self._pen.acquire(timeout=-1 if timeout_s is None else timeout_s):
                return False
            self._in_hand = None
        finally:
            try:  # noqa: SIM105 - as in `_is_taken`: interrupted, the pen must not stay in our hand
                self._pen.release()
            except RuntimeError:
                pass  # it was never ours
        # Who came while we held it stands by, and must be told that the line is closed.
        self._hand_on_pen()
        return True

    def _write_if_free(self, deadline_s: float | None) -> bool:
        """Take the pen and write one batch; return False, nothing written, where somebody else has the pen."""
        self._is_urgent = True  # before the pen is tried: who has it looks here once it is put down
        try:
            if not self._pen.acquire(blocking=False):
                return False
            self._write_batch(deadline_s)
            if self._outgoing.entries and (self._standing_by or (CAN_TRY_TO_SEND and self._must_go_on())):
                # One batch more for those who came meanwhile, as far as it goes without waiting: cheaper than to wake one for it.
                self._write_batch(_NOW)
            return True
        finally:
            # Not in a function of its own: an interrupt may strike as one is entered, and the pen would stay in our hand.
            try:
                self._pen.release()
            except RuntimeError:
                pass  # it was never ours
            else:
                if self._standing_by or (self._outgoing.entries and self._must_go_on()):
                    self._hand_on_pen()

    def _must_go_on(self) -> bool:
        """Return whether what came meanwhile may not wait: nobody looks after it, or somebody wanted it written."""
        return self._is_urgent or not (self.is_watched and self.is_attended)

    def _hand_on_pen(self) -> None:
        """Wake the next who needs the pen, which was put down.

        Who puts it down looks first, without the lock, whether there is anybody or anything. Whoever stands by wrote that down
        before it looked at the pen, and whoever commits tries the pen, or pokes, afterwards: what is not seen has found it free.
        """
        with self._parking.lock:
            if self._standing_by:
                self._wake_next()
            elif self._outgoing.entries:
                self._poke()

    def _stand_by(self, entry: Entry, deadline_s: float | None) -> None:
        """Wait until `entry` is written by somebody else, or never will be, or the pen is free, or until `deadline_s`."""
        waiting: SimpleQueue[None] = SimpleQueue()  # not `SimpleQueue[None]()`, which makes an alias of it each time
        mine = (entry, waiting)
        try:
            with self._parking.lock:
                self._standing_by.append(mine)
                # The pen may have been put down since we looked: whoever puts it down looks here next.
                must_wait = not entry.is_over and (not self._can_write() or self._is_taken())
            if must_wait:
                left_s = self._parking.left(deadline_s)
                waiting.get(timeout=None if left_s is None else max(0.0, left_s))
        except Empty:
            return
        finally:
            if mine in self._standing_by:  # most often whoever wrote has taken it out
                with self._parking.lock:
                    if mine in self._standing_by:
                        self._standing_by.remove(mine)

    def _is_taken(self) -> bool:
        try:
            return not self._pen.acquire(blocking=False)
        finally:
            try:  # noqa: SIM105 - suppress() is code too, where an interrupt may strike
                self._pen.release()
            except RuntimeError:
                pass  # it was never ours

    def wake_over(self) -> None:
        """Wake those whose frames are written, or never will be. Requires the lock."""
        standing_by = self._standing_by
        while standing_by and standing_by[0][0].is_over:
            # Woken before it is taken out: interrupted between, it is woken once more.
            standing_by[0][1].put(None)
            standing_by.popleft()
        for entry, waiting in tuple(standing_by):
            if entry.is_written or entry.failure is not None:  # `is_over`, without a call for each of many
                waiting.put(None)

    def _wake_next(self) -> None:
        """Wake those whose frames are written, and the first of the others: the pen is free. Requires the lock."""
        self.wake_over()
        if self._standing_by:
            self._standing_by[0][1].put(None)

    def _write_batch(self, deadline_s: float | None) -> None:
        """Write one batch, or the rest of one that was left; give up at `deadline_s`. Requires the pen, not the lock."""
        line, batch = self.line, self._in_hand
        if line is None:
            return
        try:
            if batch is None:
                batch = self._take_batch()
                if batch is None:
                    return
                if deadline_s is None:
                    line.send_some(memoryview(batch.data), batch.sent, blocking=True)
            if sum(batch.sent) < len(batch.data) and not self._send_rest(line, batch, deadline_s):
                return
        except OSError as exc:
            self._on_loss(line, exc)
            # Not before: interrupted between, the next to write finds out for itself. The reader brings another line, or the end.
            self.line = None
            return
        with self._parking.lock:
            self._mend()
            self._outgoing.written(batch.end)
            self._after_write()
            if self._standing_by:
                self.wake_over()
        self._in_hand = None
        self._gathering.wrote()

    def _take_batch(self) -> _Batch | None:
        """Take what is to be written next in hand; None: nothing is."""
        self._is_urgent = False
        waiting = self._outgoing.entries
        if len(waiting) == 1:  # most often; who has the pen takes out, and others only add
            entries = [waiting[0]]
        else:
            with self._parking.lock:
                self._mend()
                entries = self._outgoing.first(_BATCH_BYTES)
        if not entries:
            return None
        for entry in entries:
            origin = entry.repeats or entry  # `origin`, without a call
            origin.is_taken = True
            if origin.is_given_up:  # by `end`, which is about to shut the socket; its sender goes by what it was then
                origin.is_taken = False
                self.line = None  # nothing more goes out on it
                return None
        batch = self._in_hand = _Batch(_render(entries), entries[-1].end, [])
        if self.wire_log is not None:
            self.wire_log.sending(entries)
        return batch

    def _send_rest(self, line: Line, batch: _Batch, deadline_s: float | None) -> bool:
        """Go on with a batch; return whether all of it has left."""
        view, sent = memoryview(batch.data), batch.sent
        while (done := sum(sent)) < len(view):
            try:
                line.send_some(view[done:], sent, blocking=deadline_s is None)
            except BlockingIOError:
                left_s = 0.0 if deadline_s is None else deadline_s - time.monotonic()
                if left_s <= 0:
                    return False
                line.wait_until_writable(left_s)
        return True


def _render(entries: list[Entry]) -> bytes:
    """Return the WebSocket frames of these entries. The masking is the dear part, and happens outside the connection's lock."""
    ts_ms = time.time_ns() // 1_000_000
    if len(entries) == 1:
        entry, frames = entries[0], entries[0].frames
        if len(frames) == 1 and frames[0].binary is None:  # most often
            return encode(OPCODE_TEXT, frames[0].render(entry.first_seq, entry.ack, ts_ms))
    pieces: list[bytes] = []
    for entry in entries:
        pieces.append(entry.raw)
        for seq, frame in enumerate(entry.frames, entry.first_seq):
            pieces.append(encode(OPCODE_TEXT, frame.render(seq, entry.ack, ts_ms)))
            if frame.binary is not None:
                pieces.append(encode(OPCODE_BINARY, frame.binary))
    return b"".join(pieces)
