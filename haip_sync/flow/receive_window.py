"""What we grant the peer: the mirror image of the ledger, as pure arithmetic.

A frame that arrives is *received*; once the application has it, it is *taken*, and its cost may be given back. Credit goes back
when half of the window has been taken, or when nothing is left to take: half alone can deadlock on frames that cannot be split
(WIRE.md, point 11). What was not taken is never granted again. In every reachable state, for messages and for bytes alike:

    remaining + waiting + owed = opened

Each method that an interrupted thread might leave half done works its values out first and sets them in plain stores, between
which no interrupt can come.
"""

from __future__ import annotations

import msgspec

from haip_sync.flow.ledger import NOTHING, Cost


class WindowBooks(msgspec.Struct, frozen=True, gc=False):
    """The part of a window that a FLOW_UPDATE of ours changes."""

    granted: Cost
    """All that the peer was ever granted in this epoch, that of our HAI included."""
    opened: Cost
    """The same without what was given back: our HAI's, and what was asked for (a peer may take that for a grant)."""
    owed: Cost
    """What was taken and has not been given back yet."""


class ReceiveWindow:
    """One channel's window in one epoch. Not thread-safe; the runtime holds the connection's lock.

    Attributes:
        books: What was granted and what is owed.
        received: What the peer's frames have cost.
        waiting: What of it was not taken.
        frames_waiting: How many frames that is; with `credit_unit="message"` not all of them cost a message.
        breaches: Frames that came without credit for them.
    """

    def __init__(self, window: Cost, *, granted: Cost) -> None:
        self._window = window
        self._half = Cost(max(1, window.messages // 2), max(1, window.byte_credits // 2))
        self.books = WindowBooks(granted, granted, NOTHING)
        self.received = NOTHING
        self.waiting = NOTHING
        self.frames_waiting = 0
        self.breaches = 0

    @property
    def remaining(self) -> Cost:
        """What the peer may still send; negative when it overran."""
        return self.books.granted.minus(self.received)

    def covers(self, cost: Cost) -> bool:
        """Return whether the peer has credit for a frame of this cost."""
        remaining = self.remaining
        return cost.messages <= remaining.messages and cost.byte_credits <= remaining.byte_credits

    def holds(self, cost: Cost, *, at_least: Cost = NOTHING) -> bool:
        """Return whether a frame may still be kept: what waits to be taken is bounded by the window and what was asked for."""
        open_now, kept = self.remaining.plus(self.waiting), self.waiting.plus(cost)
        most_messages = max(self._window.messages, open_now.messages, at_least.messages)
        most_bytes = max(self._window.byte_credits, open_now.byte_credits, at_least.byte_credits)
        return kept.messages <= most_messages and kept.byte_credits <= most_bytes

    def extended(self, amount: Cost) -> WindowBooks:
        """Return the books after a FLOW_UPDATE that asks for `amount`: the peer may read it as a grant."""
        books = self.books
        return WindowBooks(books.granted.plus(amount), books.opened.plus(amount), books.owed)

    def given_back(self, amount: Cost) -> WindowBooks:
        """Return the books after a FLOW_UPDATE that gives back `amount` of what is owed."""
        books = self.books
        return WindowBooks(books.granted.plus(amount), books.opened, books.owed.minus(amount))

    def taken_back(self, amount: Cost, *, gave_back: bool) -> WindowBooks:
        """Return the books without a FLOW_UPDATE of this amount that the peer has refused."""
        books = self.books
        if gave_back:
            return WindowBooks(books.granted.minus(amount), books.opened, books.owed.plus(amount))
        return WindowBooks(books.granted.minus(amount), books.opened.minus(amount), books.owed)

    def _owing(self, cost: Cost) -> WindowBooks:
        """Return the books with so much more owed."""
        return WindowBooks(self.books.granted, self.books.opened, self.books.owed.plus(cost))

    def receive(self, cost: Cost) -> None:
        """Count a frame that arrived and waits to be taken."""
        received, waiting, frames = self.received.plus(cost), self.waiting.plus(cost), self.frames_waiting + 1
        self.received = received
        self.waiting = waiting
        self.frames_waiting = frames

    def refund(self, cost: Cost) -> None:
        """Count a frame that arrived and that nobody will ever take: what it cost is owed to the peer at once."""
        received, books = self.received.plus(cost), self._owing(cost)
        self.received = received
        self.books = books

    def after_taking(self, cost: Cost) -> tuple[Cost, int, WindowBooks]:
        """Return (waiting, frames_waiting, books) once the application has a frame; for the caller to set, in plain stores."""
        return self.waiting.minus(cost), self.frames_waiting - 1, self._owing(cost)

    def due(self) -> Cost:
        """Return what to give back now: often nothing."""
        owed = self.books.owed
        is_half = owed.messages >= self._half.messages or owed.byte_credits >= self._half.byte_credits
        return owed if is_half or not self.frames_waiting else NOTHING

    def is_conserved(self) -> bool:
        """Return whether the books balance, which they do in every reachable state."""
        accounted = self.remaining.plus(self.waiting).plus(self.books.owed)
        is_sound = all(number >= 0 for cost in (self.waiting, self.books.owed, self.received) for number in cost)
        return is_sound and accounted == self.books.opened and self.frames_waiting >= 0
