"""The server's own counting of the client's numbers."""

from __future__ import annotations

from haip_sync.testing.numbering import PATIENCE_S, Missing, Sequence


class Client:
    """A client whose frames are their numbers; `read` is what was read, in order."""

    def __init__(self) -> None:
        self.sequence: Sequence[int] = Sequence()
        self.read: list[int] = []
        self.now = 0.0

    def sends(self, *numbers: int, waits: bool = True) -> None:
        for number in numbers:
            self.read += self.sequence.take(number, f"id{number}", number, self.now, waits=waits)

    def lets_pass(self, seconds: float) -> Missing | None:
        self.now += seconds
        missing, released = self.sequence.tick(self.now)
        self.read += released
        return missing


def test_what_comes_too_early_waits() -> None:
    """It is read in its turn, and acknowledged then."""
    client = Client()
    client.sends(5, 8, 7)
    assert (client.read, client.sequence.ack) == ([5], 5)
    client.sends(6)
    assert (client.read, client.sequence.ack) == ([5, 6, 7, 8], 8)
    assert client.sequence.due() is None


def test_what_must_not_wait_is_read_at_once_and_once() -> None:
    """A control frame above a gap is read when it comes; its number is taken."""
    client = Client()
    client.sends(1)
    client.sends(3, waits=False)
    client.sends(3, waits=False)
    client.sends(2)
    assert (client.read, client.sequence.ack, client.sequence.duplicates) == ([1, 3, 2], 3, 1)


def test_what_is_missing_is_asked_for_and_then_given_up() -> None:
    """Each gap after its half second, and after another one it is lost."""
    client = Client()
    client.sends(1, 4, 7)
    assert client.lets_pass(PATIENCE_S - 0.1) is None
    assert client.lets_pass(0.1) == Missing(2, 3)
    client.sends(3)
    assert client.lets_pass(PATIENCE_S) is None
    assert (client.read, client.sequence.lost) == ([1, 3, 4], [Missing(2, 2)])
    assert client.lets_pass(PATIENCE_S) == Missing(5, 6)
    client.sends(5, 6)
    assert client.read == [1, 3, 4, 5, 6, 7]
    assert client.sequence.lost == [Missing(2, 2)]


def test_gaps_have_their_half_second_at_the_same_time() -> None:
    """Those that opened together are asked for one after the other as they close; one that opened later keeps its own time."""
    client = Client()
    client.sends(1, 3, 5)
    client.now += 0.3
    client.sends(7)
    assert client.lets_pass(PATIENCE_S - 0.3) == Missing(2, 2)
    client.sends(2)
    assert client.lets_pass(0.0) == Missing(4, 4)
    client.sends(4)
    assert client.lets_pass(0.2) is None
    assert client.lets_pass(0.2) == Missing(6, 6)
    client.sends(6)
    assert (client.read, client.sequence.lost) == ([1, 2, 3, 4, 5, 6, 7], [])


def test_too_much_that_waits_gives_the_gap_up() -> None:
    """What waits is bounded."""
    client = Client()
    client.sends(1, *range(3, 1004))
    assert client.read == [1, *range(3, 1004)]
    assert client.sequence.lost == [Missing(2, 2)]


def test_a_number_with_another_id_is_read() -> None:
    """A client that does not count as we do loses nothing."""
    client = Client()
    client.sends(1, 2)
    assert client.sequence.take(2, "another", 22, 0.0, waits=True) == [22]


def test_what_a_resuming_client_owes_is_not_asked_for_before_something_waits() -> None:
    """It may have to wait for credit to say it again."""
    client = Client()
    client.sends(1, 2, 5)
    client.sequence.go_on(8)
    client.sends(8, waits=False)
    assert client.sequence.due() is None
    client.sends(3, 4, 5, 6, 7, 9)
    assert client.read == [1, 2, 8, 3, 4, 5, 6, 7, 9]
    assert (client.sequence.ack, client.sequence.duplicates) == (9, 0)
    client.sequence.go_on(12)
    client.sends(12, waits=False)
    client.sends(13)
    assert client.lets_pass(PATIENCE_S) == Missing(10, 11)
