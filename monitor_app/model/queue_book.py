"""What is known of the messages that stand in a client's queue: their ids, sizes and times, never their content."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from haip_sync import Event, MessageDequeued, MessageDropped, MessageQueued
from monitor_app.model.source import QueuedMessage

MOST_KNOWN: Final = 20_000
"""Messages of one channel that are kept; what is queued beyond is counted by the snapshot and not known in detail."""
QUEUE_EVENTS: Final = (MessageQueued, MessageDequeued, MessageDropped)


class QueueBook:
    """Follows the queue by its events. One writer (the client's dispatch thread), one reader (the GUI thread)."""

    def __init__(self) -> None:
        # Guards the books: a dictionary must not grow while the GUI thread lists it.
        self._lock = threading.Lock()
        self._known: defaultdict[str, dict[str, QueuedMessage]] = defaultdict(dict)

    def put(self, event: Event) -> None:
        """Take an event of the queue. Called by the dispatch thread, in the order of the ledger."""
        with self._lock:
            match event:
                case MessageQueued():
                    self._add(event)
                case MessageDequeued() | MessageDropped():
                    self._known[event.channel].pop(event.message_id, None)

    def _add(self, event: MessageQueued) -> None:
        known = self._known[event.channel]
        if len(known) < MOST_KNOWN:
            known[event.message_id] = QueuedMessage(event.message_id, event.message_bytes, event.time_s)

    def of(self, channel: str, count: int) -> Sequence[QueuedMessage]:
        """Return what is known of the `count` messages that stand in `channel`, oldest first.

        A busy client may drop the event that one has left; the queue is in order, so the newest are those that stand.
        """
        with self._lock:
            known = self._known[channel]
            for message_id in list(known)[: max(0, len(known) - count)]:
                del known[message_id]
            return tuple(known.values())
