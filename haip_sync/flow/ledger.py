"""The arithmetic of credit, and nothing else: no lock, clock or thread.

Every value is immutable and every operation returns a new one, so that a whole debit can take effect in one assignment. In
every reachable state of an epoch, for messages and for bytes alike (WIRE.md, "Flow control"):

    granted = spent + spendable + set_aside + forfeited        and        0 <= spendable <= cap

A cap never destroys credit: what a grant brings above it is set aside and enters as credit is spent.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec


# Structs are made in C, in a third of what a NamedTuple takes, and their members are read in half the time: every frame and every
# grant makes several. They refer to nothing that could refer back, so that the garbage collector need not look at them.
class Cost(msgspec.Struct, frozen=True, gc=False):
    """What something takes or needs, in messages and bytes; may be taken apart, where it is not for every frame."""

    messages: int
    byte_credits: int

    def __iter__(self) -> Iterator[int]:
        return iter((self.messages, self.byte_credits))

    def plus(self, other: Cost) -> Cost:
        """Return the two together."""
        return Cost(self.messages + other.messages, self.byte_credits + other.byte_credits)

    def minus(self, other: Cost) -> Cost:
        """Return what is left of it without `other`; may be negative."""
        return Cost(self.messages - other.messages, self.byte_credits - other.byte_credits)


NOTHING = Cost(0, 0)


class Credit(msgspec.Struct, frozen=True, gc=False):
    """One resource (messages or bytes) of one channel in one epoch."""

    cap: int
    granted: int = 0
    spent: int = 0
    spendable: int = 0
    set_aside: int = 0
    forfeited: int = 0
    peak: int = 0
    """The most that was ever spendable at once in this epoch."""

    def grant(self, amount: int) -> Credit:
        """Add `amount` >= 0: up to the cap it may be spent, the rest is set aside."""
        whole, peak = self.spendable + self.set_aside + amount, self.peak
        spendable = whole if whole < self.cap else self.cap
        aside, granted = whole - spendable, self.granted + amount
        return Credit(self.cap, granted, self.spent, spendable, aside, self.forfeited, spendable if spendable > peak else peak)

    def spend(self, amount: int) -> Credit:
        """Take `amount`, which must be spendable; what was set aside enters in its place."""
        spendable, aside = self.spendable, self.set_aside
        if not 0 <= amount <= spendable:
            raise ValueError(f"cannot spend {amount} of {spendable}")
        left = spendable - amount
        if aside:
            entering = min(amount, aside)
            left, aside = left + entering, aside - entering
        return Credit(self.cap, self.granted, self.spent + amount, left, aside, self.forfeited, self.peak)

    def lose(self, amount: int) -> Credit:
        """Count `amount` as spent, of what is set aside as well: the floor is zero, and nothing is owed below it."""
        whole = self.spendable + self.set_aside
        left = whole - min(amount, whole)
        spendable = min(left, self.cap)
        spent = self.spent + whole - left
        return Credit(self.cap, self.granted, spent, spendable, left - spendable, self.forfeited, self.peak)

    def forfeit(self) -> Credit:
        """Give up all that is spendable or set aside: the peer has said that it counts differently."""
        gone = self.spendable + self.set_aside
        return Credit(self.cap, self.granted, self.spent, 0, 0, self.forfeited + gone, self.peak)

    def is_conserved(self) -> bool:
        """Return whether the books balance, which they do in every reachable state."""
        accounted = self.spent + self.spendable + self.set_aside + self.forfeited
        return self.granted == accounted and 0 <= self.spendable <= self.cap and self.set_aside >= 0


class Ledger(msgspec.Struct, frozen=True, gc=False):
    """Both resources of one channel. Messages and bytes are taken together or not at all."""

    messages: Credit
    byte_credits: Credit

    @classmethod
    def opened(cls, initial: Cost, caps: Cost) -> Ledger:
        """Return the ledger at the beginning of an epoch."""
        return cls(
            Credit(caps.messages).grant(initial.messages),
            Credit(caps.byte_credits).grant(initial.byte_credits),
        )

    @property
    def spendable(self) -> Cost:
        """What may be spent now."""
        return Cost(self.messages.spendable, self.byte_credits.spendable)

    @property
    def set_aside(self) -> Cost:
        """What the caps keep aside."""
        return Cost(self.messages.set_aside, self.byte_credits.set_aside)

    def covers(self, cost: Cost) -> bool:
        """Return whether `cost` may be spent now."""
        return cost.messages <= self.messages.spendable and cost.byte_credits <= self.byte_credits.spendable

    def has_ever_covered(self, cost: Cost) -> bool:
        """Return whether `cost` fits the largest balance of this epoch; what is set aside does not count."""
        return cost.messages <= self.messages.peak and cost.byte_credits <= self.byte_credits.peak

    def missing(self, cost: Cost) -> Cost:
        """Return how much more credit `cost` needs."""
        return Cost(
            max(0, cost.messages - self.messages.spendable),
            max(0, cost.byte_credits - self.byte_credits.spendable),
        )

    def grant(self, amount: Cost) -> Ledger:
        """Return the ledger after a grant."""
        size = amount.byte_credits
        grown = self.byte_credits.grant(size) if size else self.byte_credits  # most peers grant messages only
        return Ledger(self.messages.grant(amount.messages), grown)

    def spend(self, cost: Cost) -> Ledger:
        """Return the ledger after `cost` was spent. Raises `ValueError`, nothing changed, where it does not cover it."""
        return Ledger(self.messages.spend(cost.messages), self.byte_credits.spend(cost.byte_credits))

    def lose(self, cost: Cost) -> Ledger:
        """Return the ledger after a control frame that the peer counts: floor zero."""
        return Ledger(self.messages.lose(cost.messages), self.byte_credits.lose(cost.byte_credits))

    def forfeit_messages(self) -> Ledger:
        """Return the ledger after the peer refused a frame for want of message credit (WIRE.md, point 13)."""
        return Ledger(self.messages.forfeit(), self.byte_credits)

    def is_conserved(self) -> bool:
        """Return whether both resources' books balance."""
        return self.messages.is_conserved() and self.byte_credits.is_conserved()
