"""Data frames that wait to be sent: one queue per channel, sent within the client's credit. Arithmetic only, not thread-safe."""

from __future__ import annotations

from collections import deque
from typing import Final

from haip_sync.testing.books import ChannelLedger
from haip_sync.testing.outgoing import Outgoing
from haip_sync.testing.postbox import Postbox

MAX_PENDING: Final = 1000
"""Texts and single frames that may wait on one channel; one more drops the oldest that has not begun."""


class Speech:
    """What one session has to say. One text of a channel is never mixed into another, nor is a frame into a text."""

    def __init__(self, postbox: Postbox) -> None:
        self._postbox = postbox
        self._pending: dict[str, deque[Outgoing]] = {}
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

    def pump(self, ledger: ChannelLedger) -> None:
        """Send as many of the channel's frames as its pauses and the client's credit allow."""
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
