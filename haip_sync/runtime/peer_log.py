"""What is logged about the peer: bounded, whatever it does, and on one line whatever it says."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from haip_sync.config import WELL_KNOWN_CHANNELS
from haip_sync.one_line import on_one_line
from haip_sync.protocol.envelope import Envelope
from haip_sync.protocol.identifiers import is_seq
from haip_sync.protocol.payloads import is_known
from haip_sync.runtime.entry import Entry

connection_log = logging.getLogger("haip_sync.connection")
wire_log = logging.getLogger("haip_sync.wire")

_LONGEST_NAME: Final = 60


class _Sink(Protocol):
    def log(self, logger: logging.Logger, level: int, text: str) -> None:
        """Have a line logged under no lock."""


class PeerLog:
    """Warnings that a peer can cause as often as it likes: so many in a second, then only how many more there were.

    Every method requires the connection's lock.
    """

    def __init__(
        self, sink: _Sink, clock: Callable[[], float], lines_per_s: int, *, without_secrets: Callable[[str], str] = str
    ) -> None:
        self._sink = sink
        self._without_secrets = without_secrets
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
            self._sink.log(connection_log, logging.WARNING, on_one_line(self._without_secrets(text)))
        else:
            self._suppressed += 1

    def flush(self) -> None:
        """Log how many lines were left out, if any were."""
        suppressed, self._suppressed = self._suppressed, 0
        if suppressed:
            self._sink.log(connection_log, logging.WARNING, f"{suppressed} more suppressed")


class WireLog:
    """Each frame's type, channel, seq and bytes; never its payload, and never an address with a token."""

    def __init__(self, sink: _Sink, without_secrets: Callable[[str], str]) -> None:
        self._sink = sink
        self._without_secrets = without_secrets

    @classmethod
    def if_wanted(cls, sink: _Sink, without_secrets: Callable[[str], str]) -> WireLog | None:
        """Return one where "haip_sync.wire" is logged at DEBUG now, which is asked once per connection."""
        return cls(sink, without_secrets) if wire_log.isEnabledFor(logging.DEBUG) else None

    def received(self, envelope: Envelope, frame_bytes: int) -> None:
        """Log an envelope of the peer's. Without the lock."""
        frame_type = envelope.type if is_known(envelope.type) else self._as_said(envelope.type)
        seq = envelope.seq if is_seq(envelope.seq) else self._as_said(envelope.seq)
        channel = envelope.channel if envelope.channel in WELL_KNOWN_CHANNELS else self._as_said(envelope.channel)
        self._log(f"received {frame_type} on {channel}, seq {seq}, {frame_bytes} bytes")

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

    def _as_said(self, text: str) -> str:
        """Return a word of the peer's own, bounded and without what is secret."""
        return on_one_line(self._without_secrets(text)[:_LONGEST_NAME])

    def _log(self, text: str) -> None:
        self._sink.log(wire_log, logging.DEBUG, text)
