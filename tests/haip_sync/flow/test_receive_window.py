"""What is given back to the peer, and when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from haip_sync.flow.ledger import NOTHING, Cost
from haip_sync.flow.receive_window import ReceiveWindow


def window(messages: int, size: int) -> ReceiveWindow:
    """Return a window all of which is granted."""
    return ReceiveWindow(Cost(messages, size), granted=Cost(messages, size))


def take_one(books: ReceiveWindow, cost: Cost) -> Cost:
    """Take a frame and return what is due."""
    books.waiting, books.frames_waiting, books.books = books.after_taking(cost)
    assert books.is_conserved()
    return books.due()


def test_credit_goes_back_at_half_the_window() -> None:
    """While frames wait, nothing goes back until half of the window was taken."""
    books = window(4, 1_000)
    for _ in range(4):
        books.receive(Cost(1, 10))
    assert take_one(books, Cost(1, 10)) == NOTHING
    assert take_one(books, Cost(1, 10)) == Cost(2, 20)


def test_half_of_the_bytes_is_half_too() -> None:
    """Half of the byte window gives back, however few messages it took."""
    books = window(100, 100)
    books.receive(Cost(1, 60))
    books.receive(Cost(1, 10))
    assert take_one(books, Cost(1, 60)) == Cost(1, 60)


def test_credit_goes_back_when_nothing_waits() -> None:
    """The last frame taken gives back what is owed: half alone can deadlock on frames that cannot be split."""
    books = window(100, 1_000)
    books.receive(Cost(1, 10))
    assert take_one(books, Cost(1, 10)) == Cost(1, 10)


def test_a_window_of_zero_gives_back_what_a_request_brought() -> None:
    """A peer that took our request for a grant gets back what it used of it."""
    books = window(0, 0)
    books.books = books.extended(Cost(2, 50))
    books.receive(Cost(1, 50))
    assert books.remaining == Cost(1, 0)
    assert take_one(books, Cost(1, 50)) == Cost(1, 50)


@given(st.integers(1, 20), st.lists(st.booleans(), max_size=60))
def test_what_was_not_taken_is_never_granted_again(size: int, moves: list[bool]) -> None:
    """Granted never exceeds the window plus what the application has taken."""
    books, taken, waiting = window(size, 1_000_000), 0, 0
    for arrives in moves:
        if arrives and books.remaining.messages > 0:
            books.receive(Cost(1, 1))
            waiting += 1
        elif not arrives and waiting:
            taken, waiting = taken + 1, waiting - 1
            books.books = books.given_back(take_one(books, Cost(1, 1)))
        assert books.books.granted.messages <= size + taken
        assert books.books.granted.messages + books.books.owed.messages == size + taken
        assert books.is_conserved()


def test_an_overrun_is_seen_and_what_is_kept_is_bounded() -> None:
    """A frame without credit is no breach of memory while less than the window waits, and is not kept beyond it."""
    books = window(2, 100)
    books.receive(Cost(1, 10))
    assert books.covers(Cost(1, 90))
    assert not books.covers(Cost(1, 91))
    take_one(books, Cost(1, 10))
    books.receive(Cost(1, 10))
    assert not books.covers(Cost(2, 1))
    assert books.holds(Cost(1, 10)), "one of two waits"
    books.receive(Cost(1, 10))
    assert not books.holds(Cost(1, 10)), "the window is full of what nobody takes"
