"""Puts frame faults into one direction of one connection. Pure."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from haip_sync.testing.fault_frames import Frame, FrameBounds, NoFrameError, Upgrade
from haip_sync.testing.fault_rules import FrameAction, FrameRules

_MOST_HELD_BYTES: Final = 64 << 20


class FrameEditor:
    """Takes the bytes of one direction and returns those that go on, the faulty frames changed.

    While there are no rules it only counts frames and holds nothing back; with rules, a frame waits until it is whole. A frame
    that has begun before there were rules passes as it is.
    """

    def __init__(self, rules: FrameRules, random: Random, *, is_answer: bool) -> None:
        self._rules = rules
        self._random = random
        self._upgrade = Upgrade(is_answer=is_answer)
        self._bounds = FrameBounds()
        self._is_lost = False  # No more frames can be told apart: everything passes.
        self._passing = False  # The frame under way is not ours to change: its beginning has left.
        self._held = bytearray()  # The frame under way, as far as it has come.
        self._behind_next: bytes | None = None  # A frame that is swapped with the next.
        self.frames = 0
        """How many whole frames have come."""
        self.cut: FrameAction | None = None
        """`"cut"` or `"reset"` once the connection ends behind what has been returned; nothing more is then."""

    def use(self, rules: FrameRules) -> bytes:
        """Go by other rules from the next frame on; return what leaves at once because nothing holds it back any more."""
        self._rules = rules
        return b"" if rules else self.finish()

    def finish(self) -> bytes:
        """Return what is held back: nothing more will come, or nothing more will be changed."""
        released = (self._behind_next or b"") + bytes(self._held)
        self._held.clear()
        self._behind_next = None
        return b"" if self.cut else released

    def feed(self, data: bytes) -> bytes:
        """Return what goes on, now that `data` has come."""
        if self.cut:
            return b""
        head = 0
        if not self._upgrade.is_over and not self._upgrade.has_failed:
            head = self._upgrade.take(data)
        if self._is_lost or self._upgrade.has_failed or head == len(data):
            return data
        return data[:head] + self._frames(data[head:])

    def _frames(self, data: bytes) -> bytes:
        has_begun = not self._bounds.between_frames
        try:
            ends = self._bounds.ends(data)
        except NoFrameError:
            self._is_lost = True
            return self.finish() + data
        if not self._rules:
            self.frames += len(ends)
            return data
        # What has begun and is not held has left in part.
        self._passing = has_begun and not self._held
        return self._edited(data, ends)

    def _edited(self, data: bytes, ends: list[int]) -> bytes:
        out: list[bytes] = []
        start = 0
        for end in ends:
            self.frames += 1
            out.append(self._whole(data[start:end]))
            start = end
            if self.cut:
                return b"".join(out)
        rest = data[start:]
        if self._passing:
            out.append(rest)
        else:
            self._held += rest
            if len(self._held) > _MOST_HELD_BYTES:
                out.append(self.finish())
        return b"".join(out)

    def _whole(self, last: bytes) -> bytes:
        """Return what goes on now that `last` has completed a frame."""
        if self._passing:
            self._passing = False
            return last
        frame = Frame(bytes(self._held) + last)
        self._held.clear()
        action = self._rules.action(self.frames, frame, self._random)
        if action in ("cut", "reset"):
            before, self._behind_next = self._behind_next or b"", None
            self.cut = action
            return before
        if action == "swap" and self._behind_next is None:
            self._behind_next = frame.data
            return b""
        changed = frame.data if action is None else _ACTIONS[action](frame, self._random)
        before, self._behind_next = self._behind_next or b"", None
        return changed + before


_ACTIONS: Final[dict[FrameAction, Callable[[Frame, Random], bytes]]] = {
    "drop": lambda _frame, _random: b"",
    "duplicate": lambda frame, _random: frame.data * 2,
    "swap": lambda frame, _random: frame.data,  # It is the one that the frame before it waits for.
    "garble": Frame.garbled,
    "garble_encoding": Frame.garbled_encoding,
    "garble_header": lambda frame, _random: frame.garbled_header(),
    "shorten": lambda frame, _random: frame.shortened(),
    "truncate": lambda frame, _random: frame.truncated(),
}
