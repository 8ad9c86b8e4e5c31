"""What is logged about the peer: bounded, whatever it does, and on one line whatever it says."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from haip_sync.protocol.envelope import Envelope
from haip_sync.runtime.outgoing import Entry

connection_log = logging.getLogger("haip_sync.connection")
wire_log = logging.getLogger("haip_sync.wire")

_LONGEST_LINE: Final = 1_000
_LONGEST_NAME: Final = 60


class _Sink(Protocol):
    def log(self, logger: logging.Logger, level: int, text: str) -> None:
        """Have a line logged under no lock."""


class PeerLog:
    """Warnings that a peer can cause as often as it likes: so many in a second, then only how many more there were.

    Every method requires the connection's lock.
    """

    def __init__(self, sink: _Sink, clock: Callable[[], float], lines_per_s: int) -> None:
        self._sink = sink
        self._clock = clock
        self._lines_per_s = lines_per_s
        self._second_began_s = float("-inf")
        self._lines = 0
        self._suppressed = 0

    def warn(self, text: str) -> None:
        """Log a line, or count it."""
        now_s = self._clock()
        if now_s - self._second_began_s >= 1:
            self.flush()
            self._second_began_s, self._lines = now_s, 0
        self._lines += 1
        if self._lines <= self._lines_per_s:
            self._sink.log(connection_log, logging.WARNING, on_one_line(text))
        else:
            self._suppressed += 1

    def flush(self) -> None:
        """Log how many lines were left out, if any were."""
        suppressed, self._suppressed = self._suppressed, 0
        if suppressed:
            self._sink.log(connection_log, logging.WARNING, f"{suppressed} more suppressed")


class WireLog:
    """Each frame's type, channel, seq and bytes; never its payload, and never an address with a token."""

    def __init__(self, sink: _Sink) -> None:
        self._sink = sink

    @classmethod
    def if_wanted(cls, sink: _Sink) -> WireLog | None:
        """Return one where "haip_sync.wire" is logged at DEBUG now, which is asked once per connection."""
        return cls(sink) if wire_log.isEnabledFor(logging.DEBUG) else None

    def received(self, envelope: Envelope, frame_bytes: int) -> None:
        """Log an envelope of the peer's. Without the lock."""
        frame_type, seq = (on_one_line(text[:_LONGEST_NAME]) for text in (envelope.type, envelope.seq))
        self._log(f"received {frame_type} on {envelope.channel}, seq {seq}, {frame_bytes} bytes")

    def received_unreadable(self, frame_bytes: int) -> None:
        """Log what was no envelope. Without the lock."""
        self._log(f"received {frame_bytes} bytes that cannot be read")

    def sending(self, entries: Iterable[Entry]) -> None:
        """Log what goes to the operating system next. Without the lock."""
        for entry in entries:
            for seq, frame in enumerate(entry.frames, entry.first_seq):
                size = frame.size(seq, entry.ack)
                attached = "" if frame.binary is None else f" and {len(frame.binary)} binary"
                self._log(f"sending {frame.type} on {frame.channel}, seq {seq}, {size} bytes{attached}")

    def _log(self, text: str) -> None:
        self._sink.log(wire_log, logging.DEBUG, text)


def on_one_line(text: str) -> str:
    """Return `text`, cut where it is too long, without a character that could pass for another line or move a cursor."""
    cut = text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]}..."
    return cut if cut.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)
