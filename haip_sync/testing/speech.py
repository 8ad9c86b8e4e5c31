"""Texts that wait to be sent: one queue per channel, streamed within the client's credit. Arithmetic only, not thread-safe."""

from __future__ import annotations

from collections import deque
from typing import Final

from haip_sync.testing.agent import OutgoingText
from haip_sync.testing.books import ChannelLedger
from haip_sync.testing.postbox import Postbox

MAX_PENDING: Final = 1000
"""Texts that may wait on one channel; one more drops the oldest that has not begun."""


class Speech:
    """The texts of one session on their way out. One text of a channel is never mixed into another."""

    def __init__(self, postbox: Postbox) -> None:
        self._postbox = postbox
        self._pending: dict[str, deque[OutgoingText]] = {}
        self.types: tuple[str, str, str] | None = None
        """The dialect of our texts; None when the client accepts none of ours."""
        self.dropped = 0
        """Texts that were never sent: no room in the queue, no dialect in common, or a channel too many."""

    def pending(self, channel: str) -> int:
        """Return how many texts wait on `channel`, the one under way included."""
        return len(self._pending.get(channel, ()))

    def add(self, channel: str, text: OutgoingText) -> None:
        """Take a text; `pump` sends it."""
        if self.types is None:
            self.dropped += 1
            return
        queue = self._pending.setdefault(channel, deque())
        queue.append(text)
        if len(queue) > MAX_PENDING:
            del queue[1 if queue[0].begun else 0]
            self.dropped += 1

    def pump(self, ledger: ChannelLedger) -> None:
        """Send as many frames of the channel's texts as its pauses and the client's credit allow."""
        queue = self._pending.get(ledger.channel)
        while queue and self.types is not None and not ledger.paused:
            event_type, payload = queue[0].next_frame(self.types)
            frame = self._postbox.write(event_type, payload, ledger.channel)
            if not ledger.to_client.covers(frame.cost):
                return
            ledger.to_client.spend(frame.cost)
            self._postbox.send(frame)
            queue[0].advance()
            if queue[0].done:
                queue.popleft()
