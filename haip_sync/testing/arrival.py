"""One frame of the client's, as it came, and how its payload is read. Not thread-safe; see `Conversation`."""

from __future__ import annotations

from typing import NamedTuple

from haip_sync.testing import wire
from haip_sync.testing.books import ChannelLedger
from haip_sync.testing.credit_desk import CreditDesk
from haip_sync.testing.payloads import PayloadT, read_payload
from haip_sync.testing.voice import Voice


class Arrival(NamedTuple):
    """A frame whose envelope is good."""

    envelope: wire.Envelope
    text: str
    binary: bytes | None
    """The binary frame that belongs to it, where there is one."""
    now: float
    """When it came, in seconds on the server's clock."""

    @property
    def frame_bytes(self) -> int:
        """The UTF-8 length of the whole text frame."""
        return len(self.text.encode())


class Reader:
    """Reads what a frame carries, and answers for what cannot be read."""

    def __init__(self, voice: Voice, desk: CreditDesk) -> None:
        self._voice = voice
        self._desk = desk

    def payload(self, arrival: Arrival, kind: type[PayloadT]) -> PayloadT | None:
        """Return the payload as `kind`; None where it is something else, which was reported to the client then."""
        try:
            return read_payload(arrival.envelope.payload, kind)
        except wire.WireError as error:
            self._voice.violation(f"{arrival.envelope.type}: {error}", arrival.envelope.id)
            return None

    def ledger(self, channel: str, arrival: Arrival) -> ChannelLedger | None:
        """Return a channel's ledger; None where it would be one too many, which was reported to the client then."""
        ledger = self._desk.ledger(channel)
        if ledger is None:
            self._voice.violation(f"more than {wire.MAX_CHANNELS} channels on one connection", arrival.envelope.id)
        return ledger
