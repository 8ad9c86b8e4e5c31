"""The server's books are exact arithmetic: granted is spent plus balance, and a breach changes nothing but its count."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from haip_sync.testing.books import NOTHING, Account, ChannelLedger, Credit

amounts = st.builds(Credit, st.integers(0, 50), st.integers(0, 5000))


def a_ledger(messages: int = 3, byte_credits: int = 300, *, metered: bool = True) -> ChannelLedger:
    """Return a ledger with a window of three messages, and seven for us."""
    return ChannelLedger("USER", window=Credit(messages, byte_credits), to_client=Credit(7, 700), metered=metered)


def test_a_new_ledger_holds_the_first_credits_of_both_sides() -> None:
    """The window is the client's first balance, the client's own word is ours."""
    books = a_ledger().books()
    assert (books.from_client.granted, books.from_client.balance_bytes) == (3, 300)
    assert (books.to_client.granted, books.to_client.balance_bytes) == (7, 700)
    assert (books.window, books.window_bytes, books.breaches, books.breach_bytes) == (3, 300, 0, 0)


def test_a_frame_is_debited_in_messages_and_bytes() -> None:
    """A frame that is covered costs exactly what it costs."""
    ledger = a_ledger()
    assert ledger.take(Credit(1, 120))
    tally = ledger.books().from_client
    assert (tally.spent, tally.spent_bytes, tally.balance, tally.balance_bytes) == (1, 120, 2, 180)


def test_the_last_byte_may_be_spent() -> None:
    """A frame that costs exactly the balance is no breach."""
    ledger = a_ledger(1, 120)
    assert ledger.take(Credit(1, 120))
    assert ledger.books().from_client.balance_bytes == 0


def test_a_breach_in_bytes_debits_nothing() -> None:
    """One byte too many is a breach, is counted, and leaves the balance."""
    ledger = a_ledger()
    assert not ledger.take(Credit(1, 301))
    books = ledger.books()
    assert (books.breaches, books.breach_bytes) == (1, 301)
    assert (books.from_client.spent, books.from_client.balance, books.from_client.balance_bytes) == (0, 3, 300)


def test_a_breach_in_messages_debits_nothing() -> None:
    """A frame without a message credit left is a breach, however small."""
    ledger = a_ledger(0)
    assert not ledger.take(Credit(1, 1))
    assert ledger.books().breaches == 1


def test_what_is_not_metered_is_never_a_breach() -> None:
    """When our HAI named no first credit the balance may fall below zero."""
    ledger = a_ledger(0, 0, metered=False)
    assert ledger.take(Credit(1, 10))
    books = ledger.books()
    assert (books.breaches, books.from_client.balance, books.metered) == (0, -1, False)


def test_owed_is_what_the_balance_lacks_to_the_window() -> None:
    """An explicit grant above the window leaves nothing owed until the balance is below the window again."""
    ledger = a_ledger()
    ledger.take(Credit(1, 100))
    assert ledger.owed() == Credit(1, 100)
    ledger.from_client.grant(Credit(5, 0))
    assert ledger.owed() == Credit(0, 100)


def test_withdrawing_stops_at_zero() -> None:
    """What is spent cannot be taken back."""
    account = Account(Credit(5, 500))
    account.spend(Credit(3, 100))
    account.withdraw(Credit(9, 100))
    assert (account.balance, account.balance_bytes) == (0, 300)


def test_losing_stops_at_zero_in_each_resource() -> None:
    """What cannot be paid is not owed."""
    account = Account(Credit(2, 50))
    assert account.lose(Credit(1, 120)) == Credit(1, 50)
    assert account.lose(Credit(1, 120)) == Credit(1, 0)
    assert account.lose(Credit(1, 120)) == NOTHING
    assert (account.balance, account.balance_bytes) == (0, 0)


def test_either_pause_holds_the_channel() -> None:
    """Pausing is both ways: sending needs both flags clear."""
    ledger = a_ledger()
    ledger.paused_by_server = True
    assert ledger.paused
    ledger.paused_by_server, ledger.paused_by_client = False, True
    assert ledger.paused


@given(st.lists(st.tuples(st.booleans(), amounts), max_size=60))
def test_granted_is_always_spent_plus_balance(steps: list[tuple[bool, Credit]]) -> None:
    """Whatever is granted and taken, nothing is lost, nothing is made, and a metered balance never falls below zero."""
    ledger = a_ledger()
    for is_grant, amount in steps:
        if is_grant:
            ledger.from_client.grant(amount)
        else:
            ledger.take(amount)
        tally = ledger.books().from_client
        assert tally.granted == tally.spent + tally.balance
        assert tally.granted_bytes == tally.spent_bytes + tally.balance_bytes
        assert min(tally.balance, tally.balance_bytes) >= 0


@given(amounts)
def test_single_shares_add_up_to_the_whole(owed: Credit) -> None:
    """Given back one message at a time, all the bytes come back too, not one more or less."""
    messages = byte_credits = 0
    left = owed
    while left:
        part = left.share(1)
        assert part
        messages, byte_credits = messages + part.messages, byte_credits + part.byte_credits
        left = Credit(left.messages - part.messages, left.byte_credits - part.byte_credits)
    assert Credit(messages, byte_credits) == owed


def test_nothing_is_false() -> None:
    """Credit is true when there is any of it."""
    assert not NOTHING
    assert Credit(0, 1)
