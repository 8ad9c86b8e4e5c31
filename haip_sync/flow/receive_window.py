"""What we grant the peer: the mirror image of the ledger, as pure arithmetic.

A frame that arrives is *received*; once the application has it, it is *taken*, and its cost may be given back. Credit goes back
when half of the window has been taken, or when nothing is left to take: half alone can deadlock on frames that cannot be split
(WIRE.md, point 11). What was not taken is never granted again.
"""

from __future__ import annotations

from haip_sync.flow.ledger import NOTHING, Cost


class ReceiveWindow:
    """One channel's window in one epoch. Not thread-safe; the runtime holds the connection's lock.

    Attributes:
        granted: All that the peer was ever granted in this epoch, that of our HAI included.
        received: What its frames have cost.
        owed: What was taken and has not been given back yet.
        waiting: Frames that were received and not taken.
    """

    def __init__(self, window: Cost, *, granted: Cost) -> None:
        self._half = Cost(max(1, window.messages // 2), max(1, window.byte_credits // 2))
        self.granted = granted
        self.received = NOTHING
        self.owed = NOTHING
        self.waiting = 0

    @property
    def remaining(self) -> Cost:
        """What the peer may still send; negative when it overran."""
        return Cost(
            self.granted.messages - self.received.messages,
            self.granted.byte_credits - self.received.byte_credits,
        )

    def extend(self, amount: Cost) -> None:
        """Enlarge the window, once, by what a FLOW_UPDATE of ours named: the peer may have read it as a grant."""
        self.granted = self.granted.plus(amount)

    def receive(self, cost: Cost) -> None:
        """Count a frame that arrived."""
        self.received = self.received.plus(cost)
        self.waiting += 1

    def take(self, cost: Cost) -> Cost:
        """Count a frame that the application has now, and return what to give back at once: often nothing."""
        self.waiting -= 1
        self.owed = self.owed.plus(cost)
        is_half = self.owed.messages >= self._half.messages or self.owed.byte_credits >= self._half.byte_credits
        return self.owed if is_half or self.waiting == 0 else NOTHING

    def give_back(self, amount: Cost) -> None:
        """Count `amount` of what is owed as granted again."""
        self.owed = Cost(self.owed.messages - amount.messages, self.owed.byte_credits - amount.byte_credits)
        self.extend(amount)
