"""One text of the peer's: its parts, read as they come or all together.

A frame is taken, and its credit goes back to the peer, when its part is read; what nobody reads stays within the window.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import msgspec

from haip_sync.config import check_count, check_timeout
from haip_sync.errors import HAIPTimeout, IncompleteTextError
from haip_sync.events import Message
from haip_sync.protocol.dialects import DIALECTS
from haip_sync.runtime.conversation.waiting import Bench
from haip_sync.runtime.mailbox import Taker

MOST_CHARACTERS: Final = 16 << 20
"""What `IncomingText.text` reads of one text unless it is told otherwise."""

LOSS_PATIENCE_S: Final = 10.0
"""How long a text may say nothing once frames of the peer's were lost while it was open: its END may have been among them."""

STARTS: Final = frozenset(dialect.start for dialect in DIALECTS)
ENDS: Final = frozenset(dialect.end for dialect in DIALECTS)


class _Loss(msgspec.Struct, frozen=True):
    """Frames of the peer's that were lost."""

    what: str
    """Which, in words."""
    since_s: float


class IncomingText:
    """One text of the peer's. Iterating it yields its parts as they come. Thread-safe; each part goes to one reader.

    What is not read fills the channel's window: read each text to its end, or `discard` it. A peer that mixes another text in
    while you wait for this one goes on only as long as the window has room for the other's parts: read such texts in threads of
    their own, or with a timeout, whose error says what fills the window.

    Attributes:
        message_id: Its id on the wire.
        channel: Where it comes.
        author: Who it is from, where the peer says so.
        run_id: The run that it belongs to, where the peer names one.
        thread_id: The same for the thread.
    """

    takes_at_once = False

    def __init__(self, bench: Bench, start: Message, message_id: str, settled: Callable[[IncomingText], None]) -> None:
        author = start.payload.get("author")
        self.message_id = message_id
        self.channel = start.channel
        self.author: str | None = author if isinstance(author, str) else None
        self.run_id = start.run_id
        self.thread_id = start.thread_id
        self._bench = bench
        self._settled = settled
        # Guarded by the connection's lock.
        self._frames: deque[Message] = deque((start,))
        self._taker = Taker()
        self._noted: Message | None = None
        self._read: list[str] = []
        self._characters = 0
        self._parts = 0
        self._complete = False
        self._is_discarded = False
        self._failure: str | None = None
        # What was lost first of the peer's frames while it was open, and when: perhaps some of its own.
        self._loss: _Loss | None = None
        # Waits for a frame of it, or for its end.
        self._arrived = bench.new_condition()

    def __repr__(self) -> str:
        state = "complete" if self._complete else self._failure or "open"
        return self._bench.discreet(f"<IncomingText {self.message_id} on {self.channel}: {state}>")

    @property
    def complete(self) -> bool:
        """Whether its END has come: all that is left of it can be read without waiting."""
        self._bench.home.check()
        return self._complete

    def __iter__(self) -> Iterator[str]:
        """Yield its parts as they come, as `parts` without a timeout does."""
        return self.parts()

    def parts(self, timeout: float | None = None) -> Iterator[str]:
        """Yield the parts that were not read yet, as they come; ends with its END.

        Raises `HAIPTimeout` where no part comes within `timeout` seconds (it may be called again), `IncompleteTextError` where
        none will come any more, `DeadlockError` on the dispatch thread unless `timeout` is 0. Where frames of the peer's were
        lost while it was open (`FramesLost`) its END may be among them: ten seconds without a word of it are an
        `IncompleteTextError` then, which names the loss. Should more come after all, it can still be read.
        """
        timeout_s = check_timeout("timeout", timeout)
        while (part := self._next(timeout_s, keep=False)) is not None:
            yield part

    def text(self, timeout: float | None = None, *, max_characters: int = MOST_CHARACTERS) -> str:
        """Wait for its END and return the whole text; without the parts that were read by iterating.

        Raises `HAIPTimeout` where it is not whole within `timeout` seconds: what was read is kept, and it may be called again.
        `IncompleteTextError` (its `text` is what there is) where it never will be, perhaps (see `parts`), or is longer than
        `max_characters`;
        `DeadlockError` on the dispatch thread unless `timeout` is 0.
        """
        timeout_s = check_timeout("timeout", timeout)
        most = check_count("max_characters", max_characters, minimum=1)
        deadline_s = self._bench.deadline(timeout_s)
        while self._next(self._bench.left(deadline_s), keep=True) is not None:
            if self._characters > most:
                raise self._incomplete(f"is longer than {most} characters; iterate it to read it part by part")
        with self._bench.lock:
            return "".join(self._read)

    def discard(self) -> None:
        """Read no more of it: what has come and what will come is given back to the peer unread. Idempotent."""
        self._bench.check()
        with self._bench.lock:
            self._bench.mend()
            self.give_up()

    def _next(self, timeout_s: float | None, *, keep: bool) -> str | None:
        """Take the next part; `keep`: for `text`. None: its END was read. Raises as `parts`."""
        self._bench.check()
        deadline_s = self._bench.deadline(timeout_s)  # of all frames together: a peer may say empty parts for ever
        with self._bench.lock:
            self._bench.mend()
            while True:
                if not self._wait_for_frame(self._bench.left(deadline_s)):
                    what = f"{self._what()} has told nothing more in time; {self._parts} parts of it were read"
                    raise HAIPTimeout(what + self._what_is_in_the_way())
                if not self._frames:
                    if self._complete and not self._is_discarded:
                        return None
                    raise self._incomplete(self._failure or "will not be completed")
                part = self._take_first(keep=keep)
                if part:
                    return part

    def _wait_for_frame(self, timeout_s: float | None) -> bool:
        """Wait for something to read, or an end; return False where `timeout_s` comes first. Raises as `parts`."""
        deadline_s = self._bench.deadline(timeout_s)
        while not self._has_news():
            loss, left_s = self._loss, self._bench.left(deadline_s)
            patience_s = math.inf if loss is None else self._patience_s(loss)
            is_last = left_s is not None and left_s <= patience_s
            wait_s = left_s if is_last or loss is None else patience_s
            is_told = self._bench.wait_until(partial(self._is_other, loss), self._arrived, wait_s, "a part of a text")
            if is_last and not is_told:
                return False
        return True

    def _has_news(self) -> bool:
        return bool(self._frames) or self._complete or self._failure is not None

    def _is_other(self, loss: _Loss | None) -> bool:
        """Return whether there is news, a loss included that was not known."""
        return self._has_news() or self._loss is not loss

    def _patience_s(self, loss: _Loss) -> float:
        """Return how long it may say nothing yet. Raises `IncompleteTextError` where it has for too long."""
        heard_s = loss.since_s if self._noted is None else max(loss.since_s, self._noted.time_s)
        left_s = self._bench.left(heard_s + LOSS_PATIENCE_S)
        if not left_s:
            silence = f"has said nothing for {LOSS_PATIENCE_S:g} s"
            raise self._incomplete(f"{silence}; its END may be among what was lost while it was open: {loss.what}")
        return left_s

    def _take_first(self, *, keep: bool) -> str:
        """Count the first frame as taken and return its part; empty where it has none. Requires the lock."""
        frame = self._frames[0]
        part = _part_of(frame)
        characters = len(part)
        self._bench.take(frame, self._taker)
        if part and self._noted is not frame:
            # Stores and no call, so that no interrupt can come between: a frame that is looked at twice counts once.
            self._parts += 1
            if keep:
                self._characters += characters
                self._read += [part]
            self._noted = frame
        self._frames.popleft()
        self._look_whether_settled()
        return part

    def _what_is_in_the_way(self) -> str:
        """Return why the peer may say no more, where others' frames fill the window. Requires the lock."""
        waiting = self._bench.frames_in_a_full_window(self.channel)
        if not waiting:
            return ""
        return (
            f". The window of {self.channel} is full of {waiting} frames that nobody takes: read, or discard, its other texts too"
        )

    def _look_whether_settled(self) -> None:
        """Tell the subscription once nothing is left to read and nothing will come. Requires the lock."""
        if not self._frames and (self._complete or self._failure is not None):
            self._settled(self)

    def _incomplete(self, what: str) -> IncompleteTextError:
        text = f"{self._what()} {what}. {self._parts} parts of it were read"
        return IncompleteTextError(text, message_id=self.message_id, parts=self._parts, text="".join(self._read))

    def _what(self) -> str:
        return self._bench.discreet(f"the text {self.message_id} on {self.channel}")

    # ---- For the subscription and the connection: all require the lock ---------------------------------------------------------

    def yielded(self) -> None:
        """Count START as taken, where it carries no part: somebody has the text now."""
        if self._frames and self._frames[0].type in STARTS and not _part_of(self._frames[0]):
            self._take_first(keep=False)

    def give_up(self) -> None:
        """Read no more of it."""
        self._is_discarded = True
        self._failure = self._failure or "was discarded"
        self._drop()
        self._look_whether_settled()
        self._arrived.notify_all()

    def arrive(self, message: Message) -> None:
        """Take PART or END in."""
        if self._failure is not None:  # nobody reads on: its credit goes back at once
            self._bench.take(message, Taker())
            return
        self._frames.append(message)
        if message.type in ENDS:
            self._complete = True
        self._arrived.notify_all()

    def missed(self, what: str, now_s: float) -> None:
        """Note that frames of the peer's were lost, perhaps some of its own."""
        self._loss = self._loss or _Loss(what, now_s)
        self._arrived.notify_all()

    def cut_off(self, why: str) -> None:
        """Note that nothing more of it will come; what has come can still be read."""
        if not self._complete:
            self._failure = self._failure or why
        self._look_whether_settled()
        self._arrived.notify_all()

    def _drop(self) -> None:
        while self._frames:
            self._take_first(keep=False)


def _part_of(frame: Message) -> str:
    """Return the piece of the text in a frame; empty where it has none."""
    part = frame.payload.get("text")
    return part if isinstance(part, str) else ""
