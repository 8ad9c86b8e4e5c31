"""What `end` has given up, of which its sender hears that nothing was sent, is not written behind that."""

from __future__ import annotations

import pytest
from support.writing import Desk

from haip_sync import ConnectionClosedError
from haip_sync.runtime.entry import Entry

OVER = ConnectionClosedError("the client was closed")


class Line:
    """Takes everything."""

    def __init__(self) -> None:
        self.taken = b""

    def send_some(self, piece: memoryview, sent: list[int], *, blocking: bool) -> None:
        self.taken += bytes(piece)
        sent.append(len(piece))


@pytest.mark.parametrize("count", [1, 3])
def test_what_was_given_up_is_not_written_any_more(count: int) -> None:
    """Between the end, under the lock, and the shutting of the socket somebody may take the pen: it finds nothing to write."""
    line = Line()
    desk = Desk(line)
    entries = [desk.commit(b"x" * 9) for _ in range(count)]
    with desk.parking.lock:
        desk.outgoing.abandon(OVER)
    assert all(entry.is_unsent for entry in entries), "each sender is told that nothing was sent"
    desk.writer.write_at_once()
    assert line.taken == b""


@pytest.mark.parametrize("count", [1, 3])
def test_what_is_given_up_while_it_is_taken_in_hand_is_written_or_unsent(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never both: who took it first wins, and the other goes by that."""
    line = Line()
    desk = Desk(line)
    entries = [desk.commit(b"x" * 9) for _ in range(count)]
    told: list[bool] = []

    class Deque(type(desk.outgoing.entries)):  # type: ignore[misc]
        def __getitem__(self, place: int) -> Entry:
            found = super().__getitem__(place)
            if not told:  # the end comes between the look and the mark
                desk.outgoing.abandon(OVER)
                told.extend(entry.is_unsent for entry in entries)
            return found  # type: ignore[no-any-return]

    desk.outgoing.entries = Deque(desk.outgoing.entries)
    desk.writer.write_at_once()
    assert told, "the place was not come to"
    assert not (line.taken and all(told)), "told as unsent, and written"
