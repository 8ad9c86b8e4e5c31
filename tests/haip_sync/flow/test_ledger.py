"""The arithmetic of credit against a model of a few lines."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from haip_sync.flow.ledger import NOTHING, Cost, Credit, Ledger

AMOUNTS = st.integers(0, 50)


class LedgerMachine(RuleBasedStateMachine):
    """Grants, debits, losses, refusals and new epochs in any order, beside plain numbers for each resource."""

    @initialize(caps=st.tuples(st.integers(1, 40), st.integers(1, 40)), first=st.tuples(AMOUNTS, AMOUNTS))
    def open(self, caps: tuple[int, int], first: tuple[int, int]) -> None:
        self.caps = caps
        self.ledger = Ledger.opened(Cost(*first), Cost(*caps))
        self.left, self.granted, self.spent, self.forfeited = list(first), list(first), [0, 0], [0, 0]
        self.peak = [min(left, cap) for left, cap in zip(self.left, caps, strict=True)]

    @rule(amount=st.tuples(AMOUNTS, AMOUNTS))
    def grant(self, amount: tuple[int, int]) -> None:
        self.ledger = self.ledger.grant(Cost(*amount))
        for i in (0, 1):
            self.left[i] += amount[i]
            self.granted[i] += amount[i]
            self.peak[i] = max(self.peak[i], min(self.left[i], self.caps[i]))

    @rule(cost=st.tuples(AMOUNTS, AMOUNTS))
    def spend(self, cost: tuple[int, int]) -> None:
        can = all(c <= min(left, cap) for c, left, cap in zip(cost, self.left, self.caps, strict=True))
        assert self.ledger.covers(Cost(*cost)) is can
        if not can:
            with pytest.raises(ValueError, match="cannot spend"):
                self.ledger.spend(Cost(*cost))
            return
        self.ledger = self.ledger.spend(Cost(*cost))
        for i in (0, 1):
            self.left[i] -= cost[i]
            self.spent[i] += cost[i]

    @precondition(lambda self: any(self.left))
    @rule(cost=st.tuples(AMOUNTS, AMOUNTS))
    def lose(self, cost: tuple[int, int]) -> None:
        self.ledger = self.ledger.lose(Cost(*cost))
        for i in (0, 1):
            gone = min(cost[i], self.left[i])
            self.left[i] -= gone
            self.spent[i] += gone

    @rule()
    def forfeit(self) -> None:
        self.ledger = self.ledger.forfeit_messages()
        self.forfeited[0] += self.left[0]
        self.left[0] = 0

    @rule(first=st.tuples(AMOUNTS, AMOUNTS))
    def open_epoch(self, first: tuple[int, int]) -> None:
        self.open(self.caps, first)

    @invariant()
    def agrees(self) -> None:
        both = (self.ledger.messages, self.ledger.byte_credits)
        for credit, left, granted, spent, forfeited, cap, peak in zip(
            both, self.left, self.granted, self.spent, self.forfeited, self.caps, self.peak, strict=True
        ):
            assert credit.is_conserved()
            assert (credit.spendable, credit.set_aside) == (min(left, cap), max(0, left - cap))
            assert (credit.granted, credit.spent, credit.forfeited, credit.peak) == (granted, spent, forfeited, peak)


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_a_refused_debit_changes_nothing() -> None:
    """What cannot be spent raises, and the credit is what it was."""
    credit = Credit(10).grant(4)
    with pytest.raises(ValueError, match="cannot spend 5 of 4"):
        credit.spend(5)
    with pytest.raises(ValueError, match="cannot spend -1"):
        credit.spend(-1)
    assert credit == Credit(10).grant(4)


def test_a_cap_sets_aside_and_gives_back() -> None:
    """A grant above the cap is set aside, and enters as credit is spent."""
    credit = Credit(10).grant(25)
    assert (credit.spendable, credit.set_aside) == (10, 15)
    credit = credit.spend(4)
    assert (credit.spendable, credit.set_aside) == (10, 11)


def test_the_largest_balance_does_not_count_what_is_set_aside() -> None:
    """What an epoch has ever covered is bounded by the cap."""
    ledger = Ledger.opened(Cost(25, 7), Cost(10, 100)).spend(Cost(10, 7))
    assert ledger.has_ever_covered(Cost(10, 7))
    assert not ledger.has_ever_covered(Cost(11, 7))
    assert ledger.missing(Cost(11, 1)) == Cost(1, 1)
    assert ledger.missing(NOTHING) == NOTHING


def test_books_that_do_not_balance_are_seen() -> None:
    """The check of conservation finds credit out of nothing."""
    assert not Credit(10, granted=5, spendable=6).is_conserved()
    assert not Credit(10, granted=12, spendable=12).is_conserved()
