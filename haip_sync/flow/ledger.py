"""The arithmetic of credit, and nothing else: no lock, clock or thread.

Every value is immutable and every operation returns a new one, so that a whole debit can take effect in one assignment. In
every reachable state of an epoch, for messages and for bytes alike (WIRE.md, "Flow control"):

    granted = spent + spendable + set_aside + forfeited        and        0 <= spendable <= cap

A cap never destroys credit: what a grant brings above it is set aside and enters as credit is spent.
"""

from __future__ import annotations

from typing import NamedTuple

_make = tuple.__new__
"""What a NamedTuple's constructor calls: every send makes several, and one Python call less for each is worth having."""


class Cost(NamedTuple):
    """What something takes or needs, in messages and bytes."""

    messages: int
    byte_credits: int

    def plus(self, other: Cost) -> Cost:
        """Return the two together."""
        return Cost(self.messages + other.messages, self.byte_credits + other.byte_credits)

    def minus(self, other: Cost) -> Cost:
        """Return what is left of it without `other`; may be negative."""
        return Cost(self.messages - other.messages, self.byte_credits - other.byte_credits)


NOTHING = Cost(0, 0)


class Credit(NamedTuple):
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
        cap, granted, spent, spendable, set_aside, forfeited, peak = self
        whole = spendable + set_aside + amount
        spendable = min(whole, cap)
        return _make(Credit, (cap, granted + amount, spent, spendable, whole - spendable, forfeited, max(peak, spendable)))

    def spend(self, amount: int) -> Credit:
        """Take `amount`, which must be spendable; what was set aside enters in its place."""
        cap, granted, spent, spendable, set_aside, forfeited, peak = self
        if not 0 <= amount <= spendable:
            raise ValueError(f"cannot spend {amount} of {spendable}")
        entering = min(amount, set_aside) if set_aside else 0
        left = spendable - amount + entering
        return _make(Credit, (cap, granted, spent + amount, left, set_aside - entering, forfeited, peak))

    def lose(self, amount: int) -> Credit:
        """Count `amount` as spent, of what is set aside as well: the floor is zero, and nothing is owed below it."""
        whole = self.spendable + self.set_aside
        left = whole - min(amount, whole)
        spendable = min(left, self.cap)
        return self._replace(spent=self.spent + whole - left, spendable=spendable, set_aside=left - spendable)

    def forfeit(self) -> Credit:
        """Give up all that is spendable or set aside: the peer has said that it counts differently."""
        gone = self.spendable + self.set_aside
        return Credit(self.cap, self.granted, self.spent, 0, 0, self.forfeited + gone, self.peak)

    def is_conserved(self) -> bool:
        """Return whether the books balance, which they do in every reachable state."""
        accounted = self.spent + self.spendable + self.set_aside + self.forfeited
        return self.granted == accounted and 0 <= self.spendable <= self.cap and self.set_aside >= 0


class Ledger(NamedTuple):
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
        messages, byte_credits = self
        return cost[0] <= messages.spendable and cost[1] <= byte_credits.spendable

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
        messages, byte_credits = self
        number, size = amount
        # Most peers grant messages only.
        grown = byte_credits.grant(size) if size else byte_credits
        cap, granted, spent, spendable, aside, forfeited, peak = messages
        if aside or spendable + number > cap:
            return _make(Ledger, (messages.grant(number), grown))
        # Nearly always: all of it may be spent. In one place, because every grant comes here.
        spendable += number
        ours = (cap, granted + number, spent, spendable, aside, forfeited, spendable if spendable > peak else peak)
        return _make(Ledger, (_make(Credit, ours), grown))

    def spend(self, cost: Cost) -> Ledger:
        """Return the ledger after `cost` was spent. Raises `ValueError`, nothing changed, where it does not cover it."""
        messages, byte_credits = self
        number, size = cost
        # In one place, because every send comes here.
        cap, granted, spent, spendable, aside, forfeited, peak = messages
        cap_b, granted_b, spent_b, spendable_b, aside_b, forfeited_b, peak_b = byte_credits
        if aside or aside_b or not (0 <= number <= spendable and 0 <= size <= spendable_b):
            return _make(Ledger, (messages.spend(number), byte_credits.spend(size)))
        # Nearly always: nothing enters, so that what is spent is the only change.
        ours = (cap, granted, spent + number, spendable - number, aside, forfeited, peak)
        theirs = (cap_b, granted_b, spent_b + size, spendable_b - size, aside_b, forfeited_b, peak_b)
        return _make(Ledger, (_make(Credit, ours), _make(Credit, theirs)))

    def lose(self, cost: Cost) -> Ledger:
        """Return the ledger after a control frame that the peer counts: floor zero."""
        return Ledger(self.messages.lose(cost.messages), self.byte_credits.lose(cost.byte_credits))

    def forfeit_messages(self) -> Ledger:
        """Return the ledger after the peer refused a frame for want of message credit (WIRE.md, point 13)."""
        return Ledger(self.messages.forfeit(), self.byte_credits)

    def is_conserved(self) -> bool:
        """Return whether both resources' books balance."""
        return self.messages.is_conserved() and self.byte_credits.is_conserved()
