"""One monitor's connection, on the program's side. For the service's thread only."""

from __future__ import annotations

import socket
from collections import deque
from typing import Final

from haip_sync.events import Event
from haip_sync.observe.carried import StateKey, encoded_events, stands_for, state_key
from haip_sync.observe.feed import Batch
from haip_sync.observe.framing import Frames, framed
from haip_sync.observe.messages import MARKS, MOST_FROM_MONITOR_BYTES
from haip_sync.observe.peers import Peer

FULL_BYTES: Final = 1 << 20
"""From here on a monitor that does not read gets no more snapshots and events, until it has read."""
MOST_MESSAGES_A_SECOND: Final = 500
_READ_BYTES: Final = 64 << 10
_EVENTS_A_FRAME: Final = 500
_QUIETLY: Final = getattr(socket, "MSG_NOSIGNAL", 0)
"""A script may have given SIGPIPE its deadly meaning back."""


class Attachment:
    """What one monitor is to get of one client, and what it has missed because it did not read."""

    def __init__(self, client: str, *, every_event: bool) -> None:
        self.client = client
        self.every_event = every_event
        self._latest: dict[StateKey, Event] = {}
        self._missed = 0

    def hold(self, batch: Batch) -> None:
        """Keep of `batch` the latest states, and count the rest of what the monitor wants to hear."""
        self._missed += batch.dropped + (batch.dropped_others if self.every_event else 0)
        for event in batch.events:
            if not self.every_event and type(event) not in MARKS:
                continue
            key = state_key(event)
            if key is None:
                self._missed += stands_for(event)
            else:
                self._latest.pop(key, None)
                self._latest[key] = event

    def held(self) -> bytes | None:
        """Return what was held as the body of a frame, and hold it no longer; None: nothing was."""
        if not self._latest and not self._missed:
            return None
        body = encoded_events(self.client, self._latest.values(), self._missed)
        self._latest, self._missed = {}, 0
        return body


class Visitor:
    """A connection with its buffers. What `read` and `write` raise (`OSError`, `MalformedError`) ends it."""

    def __init__(self, sock: socket.socket, peer: Peer, now_s: float) -> None:
        self.sock = sock
        self.peer = peer
        self.monitor = ""
        """What it calls itself; empty before its greeting."""
        self.since_s = now_s
        self.heard_s = now_s
        self.said_s = now_s
        self.is_quiet = False
        """Whether it has said nothing for too long, and the log has it."""
        self.leaving_s: float | None = None
        """When the connection is cut at the latest, once it is to end."""
        self.parting = ""
        """Why it is to end."""
        self.interest = 0
        """What the selector looks for on it."""
        self.open_asks = 0
        self.attachments: dict[str, Attachment] = {}
        self._counted = (0, 0)
        self._frames = Frames(MOST_FROM_MONITOR_BYTES)
        self._unsent: deque[memoryview] = deque()
        self._unsent_bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether so much is unread that no more is to be added."""
        return self._unsent_bytes >= FULL_BYTES

    @property
    def has_unsent(self) -> bool:
        """Whether something waits for the monitor to read."""
        return self._unsent_bytes > 0

    def say(self, body: bytes, now_s: float) -> None:
        """Add a message to what is to be written."""
        frame = memoryview(framed(body))
        self._unsent.append(frame)
        self._unsent_bytes += len(frame)
        self.said_s = now_s

    def read(self, now_s: float) -> bool:
        """Take in what is there, up to a bound; return whether the connection still stands."""
        try:
            data = self.sock.recv(_READ_BYTES)
        except BlockingIOError:
            return True
        if data:
            self.heard_s = now_s
            self._frames.add(data)
        return bool(data)

    def next_body(self) -> bytes | None:
        """Return the next message that has come whole. Raises `MalformedError`."""
        return self._frames.take()

    def counts_too_many(self, now_s: float) -> bool:
        """Count a message; return whether there were too many of them within this second."""
        second, count = self._counted
        self._counted = (int(now_s), count + 1 if second == int(now_s) else 1)
        return self._counted[1] > MOST_MESSAGES_A_SECOND

    def write(self) -> None:
        """Write as much as the monitor takes."""
        while self._unsent:
            try:
                sent = self.sock.send(self._unsent[0], _QUIETLY)
            except BlockingIOError:
                return
            self._unsent_bytes -= sent
            if sent < len(self._unsent[0]):
                self._unsent[0] = self._unsent[0][sent:]
            else:
                self._unsent.popleft()


def event_frames(client: str, batch: Batch, *, every_event: bool) -> list[bytes]:
    """Return a batch as bodies of frames, the marks only or every event."""
    events = batch.events if every_event else [event for event in batch.events if type(event) in MARKS]
    dropped = batch.dropped + (batch.dropped_others if every_event else 0)
    bodies = [
        encoded_events(client, events[begin : begin + _EVENTS_A_FRAME], 0 if begin else dropped)
        for begin in range(0, len(events), _EVENTS_A_FRAME)
    ]
    return bodies or ([encoded_events(client, (), dropped)] if dropped else [])
