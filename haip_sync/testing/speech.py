"""Data frames that wait to be sent: one queue per channel, sent within the client's credit. Arithmetic only, not thread-safe."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from haip_sync.testing.books import ChannelLedger
from haip_sync.testing.outgoing import Outgoing
from haip_sync.testing.postbox import Postbox, Ready

MAX_PENDING: Final = 1000
"""Texts and single frames that may wait on one channel; one more drops the oldest that has not begun."""


class Speech:
    """What one session has to say. One text of a channel is never mixed into another, nor is a frame into a text."""

    def __init__(self, postbox: Postbox) -> None:
        self._postbox = postbox
        self._pending: dict[str, deque[Outgoing]] = {}
        # What an earlier connection lost, in order: it goes first, whatever its channel, and pays as any frame.
        self._again: deque[tuple[int, Ready]] = deque()
        self.dropped = 0
        """What was never sent: no room in the queue, nothing that the client accepts, or a channel too many."""

    def pending(self, channel: str) -> int:
        """Return how many texts and frames wait on `channel`, the text under way included."""
        return len(self._pending.get(channel, ()))

    def add(self, channel: str, item: Outgoing) -> None:
        """Take a text or a frame; `pump` sends it."""
        queue = self._pending.setdefault(channel, deque())
        queue.append(item)
        if len(queue) > MAX_PENDING:
            del queue[1 if queue[0].begun else 0]
            self.dropped += 1

    @property
    def goes_again(self) -> bool:
        """Whether something of an earlier connection is still to be sent again."""
        return bool(self._again)

    def waits_to_go_again(self, seq: int) -> bool:
        """Whether a frame of an earlier connection is still to be sent again."""
        return any(seq == waiting for waiting, _ in self._again)

    def go_on(self, earlier: Speech, lost: Iterable[tuple[int, Ready]]) -> None:
        """Take over what an earlier connection had to say, and what it said in vain."""
        self._pending, earlier._pending = earlier._pending, {}
        self._again = deque(lost)

    def pump_again(self, ledger_of: Callable[[str], ChannelLedger | None], *, fills: bool) -> Iterable[ChannelLedger]:
        """Send again what it is time for; return the ledgers of what may follow once nothing is left of it.

        `fills`: whether the client takes a PONG in place of a control frame.
        """
        while self._again:
            seq, frame = self._again[0]
            ledger = None if frame.is_control else ledger_of(frame.channel)
            if ledger is not None:
                fresh = self._postbox.write_again(frame)
                if ledger.paused or not ledger.to_client.covers(fresh.cost):
                    return ()
                ledger.to_client.spend(fresh.cost)
                self._postbox.send_again(fresh)
            elif fills:
                self._postbox.fill(seq)
            self._again.popleft()
        return [ledger for channel in self._pending if (ledger := ledger_of(channel)) is not None]

    def pump(self, ledger: ChannelLedger) -> None:
        """Send as many of the channel's frames as its pauses and the client's credit allow."""
        if self._again:
            return
        queue = self._pending.get(ledger.channel)
        while queue and not ledger.paused:
            frame = self._postbox.write_draft(queue[0].next_frame(), ledger.channel)
            if not ledger.to_client.covers(frame.cost):
                return
            ledger.to_client.spend(frame.cost)
            self._postbox.send(frame)
            queue[0].advance()
            if queue[0].done:
                queue.popleft()
