"""What a server remembers of its transactions: who takes part, what was said, and how many there may be."""

from __future__ import annotations

from typing import Any, cast

from haip_sync.testing.outgoing import Draft
from haip_sync.testing.transaction_book import MAX_TRANSACTIONS, Said, TransactionBook
from haip_sync.testing.transactions import TransactionDesk


def a_member() -> TransactionDesk:
    """Return something that can take part; the book never looks into it."""
    return cast("TransactionDesk", object())


def said(text: str) -> Said:
    """Return something that was said."""
    return Said("USER", Draft("MESSAGE", text))


def window(book: TransactionBook, name: str) -> list[Any] | None:
    """Return what a joiner is told, None where there is nothing to join."""
    opened = book.join(name, a_member())
    return None if opened is None else [item.draft.payload for item in opened.window]


def test_who_takes_part_is_told_and_who_has_left_is_not() -> None:
    """Each thing that is said returns the members of that moment, in the order in which they came."""
    book, first, second = TransactionBook(), a_member(), a_member()
    assert book.start("t", "echo", {}, first)
    assert book.say("t", said("one"), keep=True) == (first,)
    book.join("t", second)
    book.join("t", second)
    assert book.say("t", said("two"), keep=False) == (first, second)
    book.leave(first)
    assert book.say("t", said("three"), keep=True) == (second,)
    book.leave(second)
    assert window(book, "t") == ["one", "three"]


def test_what_has_ended_is_gone() -> None:
    """Its last members are returned once; nobody can join it or say anything in it."""
    book, member = TransactionBook(), a_member()
    book.start("t", "echo", {}, member)
    assert book.end("t") == (member,)
    assert book.end("t") == ()
    assert book.say("t", said("late"), keep=True) == ()
    assert window(book, "t") is None


def test_the_oldest_without_a_member_makes_room() -> None:
    """Of too many, those in which somebody takes part stay; where all are such, no other can be begun."""
    book, stays, leaves = TransactionBook(), a_member(), a_member()
    for number in range(MAX_TRANSACTIONS):
        assert book.start(str(number), "echo", {}, leaves if number in (3, 5) else stays)
    assert not book.start("more", "echo", {}, stays)
    book.leave(leaves)
    assert book.start("more", "echo", {}, stays)
    assert window(book, "3") is None
    assert window(book, "5") == []
    assert window(book, "0") == []
