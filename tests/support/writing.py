"""A writer with everything round it, for tests of what it writes to."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from haip_sync.flow.parking import Parking
from haip_sync.protocol.session import Session
from haip_sync.runtime.entry import Entry
from haip_sync.runtime.outgoing import Outgoing
from haip_sync.runtime.writer import Writer
from support.turnstiles import in_thread, until


class Desk:
    """A writer with everything round it."""

    def __init__(self, line: Any) -> None:
        self.parking = Parking()
        self.session = Session("11111111-2222-4333-8444-555555555555")
        self.outgoing = Outgoing(self.session)
        self.written = 0
        self.pokes = 0
        self.losses: list[OSError] = []
        self.writer = Writer(
            self.parking,
            self.outgoing,
            after_write=self._after_write,
            mend=lambda: None,
            poke=self._poke,
            on_loss=lambda _line, exc: self.losses.append(exc),
        )
        self.writer.line = line

    def _after_write(self) -> None:
        self.written += 1

    def _poke(self) -> None:
        self.pokes += 1

    def commit(self, data: bytes) -> Entry:
        with self.parking.lock:
            entry = self.outgoing.plan_raw(data)
            self.outgoing.commit(entry)
        return entry


class Taking:
    """A line that takes all it is given."""

    def __init__(self) -> None:
        self.taken = bytearray()

    def send_some(self, piece: memoryview, sent: list[int], *, blocking: bool) -> None:
        del blocking
        sent.extend(map(self._take, (piece,)))

    def _take(self, piece: memoryview) -> int:
        self.taken += piece
        return len(piece)


class Full(Taking):
    """A line that takes nothing of who does not wait."""

    def send_some(self, piece: memoryview, sent: list[int], *, blocking: bool) -> None:
        if not blocking:
            raise BlockingIOError
        super().send_some(piece, sent, blocking=blocking)

    def wait_until_writable(self, timeout_s: float) -> None:
        """Return at once: who waits tries until his time is over."""


class Busy(Full):
    """A line that another sender comes to during its first write, with `late`: it stands by before that goes on.

    Attributes:
        is_full: It takes no more of who does not wait; the first write is taken in any case.
    """

    def __init__(self, late: bytes) -> None:
        super().__init__()
        self.sender: Future[None] | None = None
        self.desk = Desk(self)
        self.is_full = True
        self._late = late

    def send_some(self, piece: memoryview, sent: list[int], *, blocking: bool) -> None:
        is_first = self.sender is None
        if is_first:
            writer = self.desk.writer
            self.sender = in_thread(lambda: writer.write_through(self.desk.commit(self._late)))
            until(lambda: bool(writer._standing_by))
        super().send_some(piece, sent, blocking=blocking or is_first or not self.is_full)
