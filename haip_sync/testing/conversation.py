"""The server's side of one HAIP connection: what arrives, and what is decided about it. No thread, no lock, no socket.

Not thread-safe: the session that owns it calls everything under its lock, and afterwards takes what is to be sent from
its `voice`. Times are seconds on the clock of whoever calls.

A frame is read, paid for, recorded and then handed to the clerk for its type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from haip_sync.testing import wire
from haip_sync.testing.arrival import Arrival, Reader
from haip_sync.testing.audio_clerk import AudioClerk
from haip_sync.testing.books import ChannelLedger, Credit
from haip_sync.testing.calls import CallDesk
from haip_sync.testing.credit_desk import CreditDesk
from haip_sync.testing.flow_clerk import FlowClerk
from haip_sync.testing.greeting import Greeting
from haip_sync.testing.policies import CreditPolicy
from haip_sync.testing.postbox import Postbox, Sequence
from haip_sync.testing.records import Archive, Breach, ReceivedFrame
from haip_sync.testing.runs import RunDesk
from haip_sync.testing.settings import ServerSettings
from haip_sync.testing.text_clerk import TextClerk
from haip_sync.testing.transaction_book import TransactionBook
from haip_sync.testing.transactions import TransactionDesk
from haip_sync.testing.voice import Voice


class Conversation:
    """One connection. `begin` opens it; `peer_id` is None until the client's HAI was good."""

    def __init__(
        self,
        settings: ServerSettings,
        policy: CreditPolicy,
        by_channel: Mapping[str, CreditPolicy],
        *,
        book: TransactionBook | None = None,
        admits: Callable[[Any], bool] | None = None,
    ) -> None:
        self.id = str(uuid4())
        self.peer_id: str | None = None
        self.sequence = Sequence()
        self.archive = Archive(settings.keep_received)
        self.desk = CreditDesk(settings.initial, policy, by_channel)
        self.voice = Voice(settings, Postbox(self.id, self.sequence, settings.tariff, settings.quirks), self.desk)
        self._settings = settings
        self._reader = Reader(self.voice, self.desk)
        self._greeting = Greeting(settings, self.voice, self._reader, admits)
        self.calls = CallDesk(settings, self.voice, self._reader)
        self.runs = RunDesk(settings, self.voice, self._reader, self.calls.cancel_run)
        audio = AudioClerk(self.voice, self.archive, self._reader)
        self.transactions = TransactionDesk(
            settings, self.voice, self.archive, self._reader, self.calls, book or TransactionBook(), audio
        )
        # A frame whose binary part is still to come.
        self._awaiting: Arrival | None = None
        self._handlers: Mapping[str, Callable[[Arrival], None]] = {
            **FlowClerk(self.voice, self.desk, self._reader).handlers(),
            **TextClerk(settings, self.voice, self.archive, self._reader).handlers(),
            **audio.handlers(),
            **self.calls.handlers(),
            **self.runs.handlers(),
            **self.transactions.handlers(),
        }

    # What happens to it

    def begin(self) -> None:
        """Open it: say hello, unless our HAI is to wait."""
        self._greeting.begin()

    def due(self) -> float | None:
        """Return when `tick` is wanted next; None: not before the next event."""
        dues = [due for due in (self._greeting.due(), self.desk.due()) if due is not None]
        return min(dues, default=None)

    def tick(self, now: float) -> None:
        """Do what the clock asks for. A call before `due` does no harm."""
        for data in self._greeting.tick(now):
            self.receive(data, now)
        self.voice.give_all(self.desk.tick(now))

    def receive(self, data: str | bytes, now: float) -> None:
        """Take one WebSocket message."""
        if self.voice.closing is not None or self._greeting.holds_back(data, now):
            return
        if isinstance(data, bytes):
            self._receive_binary(data)
        else:
            self._receive_text(data, now)

    def say(self, channel: str, text: str, author: str | None, transaction: str | None = None) -> None:
        """Queue a text of ours: in a transaction (None: the newest that is open) where there are such, else streamed."""
        open_ones = self.voice.transactions
        if not self.voice.is_transactional:
            self.voice.say(channel, text, author)
        elif transaction in open_ones or (transaction is None and open_ones):
            self.transactions.say(transaction or open_ones[-1], channel, "MESSAGE", text)
        else:
            self.voice.speech.dropped += 1

    def abandon(self) -> None:
        """End what goes on: the session is over."""
        self.calls.abandon("the session is over")
        self.transactions.abandon()

    # Reading

    def _receive_text(self, text: str, now: float) -> None:
        if self._awaiting is not None:
            self.voice.violation("a text frame came where a binary frame was due", self._awaiting.envelope.id)
            self._awaiting = None
        try:
            arrival = Arrival(wire.decode(text), text, None, now)
        except wire.WireError as error:
            self.voice.violation(str(error))
            return
        if arrival.envelope.bin_len is None:
            self._take(arrival)
        else:
            self._awaiting = arrival

    def _receive_binary(self, data: bytes) -> None:
        awaiting, self._awaiting = self._awaiting, None
        if awaiting is None:
            self.voice.violation("a binary frame came without an envelope that announces it")
        elif len(data) != awaiting.envelope.bin_len:
            wanted = awaiting.envelope.bin_len
            self.voice.violation(f"the binary frame has {len(data)} bytes, its envelope says {wanted}", awaiting.envelope.id)
        else:
            self._take(awaiting._replace(binary=data))

    def _take(self, arrival: Arrival) -> None:
        self.sequence.saw(int(arrival.envelope.seq))
        if self.peer_id is None:
            self._take_first(arrival)
        elif arrival.envelope.type in wire.CONTROL_TYPES:
            self._take_control(arrival)
        else:
            self._take_data(arrival)

    def _take_first(self, arrival: Arrival) -> None:
        hai = self._greeting.read(arrival)
        if hai is None:
            return
        self._record(arrival, cost_bytes=0)
        self.peer_id = arrival.envelope.session
        self.desk.open(hai.capabilities.flow_control)
        self.voice.open(self.peer_id, hai)
        self.calls.announce()

    # Paying

    def _take_control(self, arrival: Arrival) -> None:
        """Take a control frame, whether SYSTEM pays for it or not."""
        cost_bytes = self._debit_control(arrival)
        if self._is_supported(arrival):
            self._record(arrival, cost_bytes=cost_bytes)
            self._hand_over(arrival)

    def _debit_control(self, arrival: Arrival) -> int:
        """Debit a control frame where they are counted; return the bytes that it took."""
        cost = self._settings.tariff.control(arrival.frame_bytes)
        ledger = self.desk.ledger(wire.SYSTEM) if cost else None
        if ledger is None:
            return 0
        lost = ledger.from_client.lose(cost)
        self.voice.give(wire.SYSTEM, self.desk.after_frame(wire.SYSTEM, arrival.now))
        return lost.byte_credits

    def _take_data(self, arrival: Arrival) -> None:
        envelope = arrival.envelope
        ledger = self._reader.ledger(envelope.channel, arrival)
        if ledger is None:
            return
        cost = self._settings.tariff.data(
            event_type=envelope.type,
            payload=envelope.payload,
            bin_len=envelope.bin_len,
            frame_bytes=arrival.frame_bytes,
        )
        if not ledger.take(cost):
            self._refuse(arrival, ledger, cost)
            return
        # A type that we do not take was sent and paid for all the same; otherwise the two ledgers would part.
        if self._is_supported(arrival):
            self._record(arrival, cost_bytes=cost.byte_credits)
            self.voice.oddities.after_frame(ledger, (arrival.text, arrival.binary), cost)
            self._hand_over(arrival)
        self.voice.give(ledger.channel, self.desk.after_frame(ledger.channel, arrival.now))

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
        self.archive.add_breach(breach, payload.get("message_id") if isinstance(payload, dict) else None)
        self.voice.refuse(
            self._settings.quirks.refusal,
            f"{envelope.channel}: {cost.messages} messages and {cost.byte_credits} bytes came, "
            f"{breach.balance} messages and {breach.balance_bytes} bytes were granted and unspent",
            envelope.id,
        )

    # What becomes of it

    def _is_supported(self, arrival: Arrival) -> bool:
        envelope = arrival.envelope
        if envelope.type not in self._settings.taken:
            self.voice.error("UNSUPPORTED_TYPE", f"{envelope.type} is not accepted here", envelope.id)
            return False
        if envelope.bin_len is not None and not self._settings.binary_frames:
            self.voice.violation("binary frames are not announced here", envelope.id)
            return False
        if envelope.crit and wire.has_unknown_members(arrival.text):
            self.voice.error("UNSUPPORTED_TYPE", "a critical frame with members that are not known here", envelope.id)
            return False
        return True

    def _record(self, arrival: Arrival, *, cost_bytes: int) -> None:
        envelope = arrival.envelope
        self.archive.add_frame(
            ReceivedFrame(
                type=envelope.type,
                channel=envelope.channel,
                payload=envelope.payload,
                id=envelope.id,
                session=envelope.session,
                seq=envelope.seq,
                ack=envelope.ack,
                run_id=envelope.run_id,
                thread_id=envelope.thread_id,
                transaction=envelope.transaction_id,
                frame_bytes=arrival.frame_bytes,
                cost_bytes=cost_bytes,
                binary=arrival.binary,
            )
        )

    def _hand_over(self, arrival: Arrival) -> None:
        handler = self._handlers.get(arrival.envelope.type)
        if handler is not None:
            handler(arrival)
