"""What the client's frames cost, taken from what it was granted. Not thread-safe; see `Conversation`."""

from __future__ import annotations

from haip_sync.testing import wire
from haip_sync.testing.arrival import Arrival
from haip_sync.testing.books import ChannelLedger, Credit
from haip_sync.testing.credit_desk import CreditDesk
from haip_sync.testing.records import Archive, Breach
from haip_sync.testing.settings import ServerSettings
from haip_sync.testing.voice import Voice


class Till:
    """Where the frames of one connection are paid for; one that is not is refused.

    Attributes:
        hai_seq: The number of a resuming client's HAI: what is below it is said again.
    """

    def __init__(self, settings: ServerSettings, voice: Voice, desk: CreditDesk, archive: Archive) -> None:
        self.hai_seq = 0
        self._settings = settings
        self._voice = voice
        self._desk = desk
        self._archive = archive

    def debit_control(self, arrival: Arrival) -> int:
        """Debit a control frame where they are counted; return the bytes that it took."""
        cost = self._settings.tariff.control(arrival.frame_bytes)
        ledger = self._desk.ledger(wire.SYSTEM) if cost else None
        if ledger is None:
            return 0
        lost = ledger.from_client.lose(cost)
        self._voice.give(wire.SYSTEM, self._desk.after_frame(wire.SYSTEM, arrival.now))
        return lost.byte_credits

    def debit(self, arrival: Arrival, ledger: ChannelLedger) -> Credit | None:
        """Debit a data frame and return what it cost; None: there was too little for it, and it was refused."""
        envelope = arrival.envelope
        cost = self._settings.tariff.data(
            event_type=envelope.type,
            payload=envelope.payload,
            bin_len=envelope.bin_len,
            frame_bytes=arrival.frame_bytes,
        )
        if int(envelope.seq) < self.hai_seq:
            ledger.from_client.lose(cost)  # said again: it waits for no credit, and takes what there is
        elif not ledger.take(cost):
            self._refuse(arrival, ledger, cost)
            return None
        return cost

    def _refuse(self, arrival: Arrival, ledger: ChannelLedger, cost: Credit) -> None:
        envelope, account = arrival.envelope, ledger.from_client
        breach = Breach(
            channel=envelope.channel,
            type=envelope.type,
            id=envelope.id,
            seq=envelope.seq,
            cost_bytes=cost.byte_credits,
            balance=account.balance,
            balance_bytes=account.balance_bytes,
        )
        payload = envelope.payload
        self._archive.add_breach(breach, payload.get("message_id") if isinstance(payload, dict) else None)
        self._voice.refuse(
            self._settings.quirks.refusal,
            f"{envelope.channel}: {cost.messages} messages and {cost.byte_credits} bytes came, "
            f"{breach.balance} messages and {breach.balance_bytes} bytes were granted and unspent",
            envelope.id,
        )
