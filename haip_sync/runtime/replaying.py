"""Sending again what the peer asks for on a live line: a little at a time, as the peer reads it."""

from __future__ import annotations

from typing import Final, Protocol

from haip_sync.protocol.frames import Frame
from haip_sync.protocol.happenings import ReplayAsked
from haip_sync.protocol.names import ERROR, REPLAY_TOO_OLD
from haip_sync.runtime.entry import Entry
from haip_sync.runtime.outgoing import ROOM_BYTES
from haip_sync.runtime.rooms import Rooms

_PIECE_BYTES: Final = 64 << 10
"""About how much is sent again at a time, so that what is new need not wait for all of it."""


class Host(Protocol):
    """What is asked of the connection. Every method requires the lock."""

    def post(self, frame: Frame) -> Entry:
        """Commit a control frame and have it written soon."""

    def post_again(self, entry: Entry) -> None:
        """Commit an entry whose numbers were given before, and have it written soon."""


class Replaying:
    """One replay under way, and one more that stands by. Every method requires the connection's lock.

    A peer that asks again and again costs no more than that: what is asked for meanwhile is put together into one range.

    Attributes:
        under_way: The first and the last number that are still to be said again. None: nothing is left, or stands by either.
    """

    def __init__(self, host: Host, rooms: Rooms) -> None:
        self._host = host
        self._rooms = rooms
        self.under_way: tuple[int, int] | None = None
        self._next: tuple[int, int] | None = None

    def begin_line(self) -> None:
        """Forget what the peer of an earlier line has asked for: the next one says itself what it lacks."""
        self.under_way = self._next = None

    def ask(self, asked: ReplayAsked) -> None:
        """Have these numbers sent again, or say that they are not kept any more."""
        oldest_seq = self._rooms.outgoing.replay.oldest_seq
        if asked.first_seq < oldest_seq:
            self._refuse(asked, oldest_seq)
            return
        first, last = self._next or (asked.first_seq, asked.last_seq)
        self._next = (min(first, asked.first_seq), max(last, asked.last_seq))
        self.go_on()

    def _refuse(self, asked: ReplayAsked, oldest_seq: int) -> None:
        session = self._rooms.session
        if session.accepts(ERROR):
            text = f"{asked.first_seq} is not kept any more; the oldest that is kept is {oldest_seq}"
            self._host.post(session.error(REPLAY_TOO_OLD, text, asked.request_id))

    def go_on(self) -> None:
        """Put more of it into the write order, once what stands there is written."""
        while (at := self._at()) is not None and self._rooms.outgoing.has_room(ROOM_BYTES):
            self._send_some(*at)

    def _at(self) -> tuple[int, int] | None:
        """Return what is to be sent again next; None: nothing."""
        if self.under_way is None:
            self.under_way, self._next = self._next, None
        return self.under_way

    def _send_some(self, first: int, last: int) -> None:
        size, next_seq = 0, last + 1
        for resend in self._rooms.outgoing.replay.walk(first, last):
            if size >= _PIECE_BYTES:
                next_seq = resend.seq
                break
            entry = self._rooms.outgoing.plan_again(resend)
            if entry is not None:
                self._host.post_again(entry)
                size += entry.wire_bytes
        self.under_way = None if next_seq > last else (next_seq, last)
