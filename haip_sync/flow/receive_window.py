"""What we grant the peer: the mirror image of the ledger, as pure arithmetic.

A frame that arrives is *received*; once the application has it, it is *taken*, and its cost may be given back. Credit goes back
when half of the window has been taken, or when nothing is left to take: half alone can deadlock on frames that cannot be split
(WIRE.md, point 11). What was not taken is never granted again.

Each method that an interrupted thread might leave half done works its values out first and sets them in plain stores, between
which no interrupt can come.
"""

from __future__ import annotations

from haip_sync.flow.ledger import NOTHING, Cost


class ReceiveWindow:
    """One channel's window in one epoch. Not thread-safe; the runtime holds the connection's lock.

    Attributes:
        granted: All that the peer was ever granted in this epoch, that of our HAI included.
        received: What its frames have cost.
        owed: What was taken and has not been given back yet.
        waiting: What was received and not taken; its messages are frames.
        breaches: Frames that came without credit for them.
    """

    def __init__(self, window: Cost, *, granted: Cost) -> None:
        self._window = window
        self._half = Cost(max(1, window.messages // 2), max(1, window.byte_credits // 2))
        self.granted = granted
        self.received = NOTHING
        self.owed = NOTHING
        self.waiting = NOTHING
        self.breaches = 0

    @property
    def remaining(self) -> Cost:
        """What the peer may still send; negative when it overran."""
        return self.granted.minus(self.received)

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

    def extended(self, amount: Cost) -> tuple[Cost, Cost]:
        """Return (granted, owed) after a FLOW_UPDATE that asks for `amount`: the peer may read it as a grant."""
        return self.granted.plus(amount), self.owed

    def given_back(self, amount: Cost) -> tuple[Cost, Cost]:
        """Return (granted, owed) after a FLOW_UPDATE that gives back `amount` of what is owed."""
        return self.granted.plus(amount), self.owed.minus(amount)

    def set_books(self, books: tuple[Cost, Cost]) -> None:
        """Set (granted, owed); doing it twice changes nothing."""
        self.granted, self.owed = books

    def receive(self, cost: Cost) -> None:
        """Count a frame that arrived."""
        received, waiting = self.received.plus(cost), self.waiting.plus(cost)
        self.received = received
        self.waiting = waiting

    def after_taking(self, cost: Cost) -> tuple[Cost, Cost]:
        """Return (waiting, owed) once the application has a frame of this cost; for the caller to set, in plain stores."""
        return self.waiting.minus(cost), self.owed.plus(cost)

    def due(self) -> Cost:
        """Return what to give back now: often nothing."""
        is_half = self.owed.messages >= self._half.messages or self.owed.byte_credits >= self._half.byte_credits
        return self.owed if is_half or self.waiting.messages == 0 else NOTHING
