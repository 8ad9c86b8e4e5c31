"""The server's side of one HAIP connection: what arrives, and what is decided about it. No thread, no lock, no socket.

Not thread-safe: the session that owns it calls everything under its lock, and afterwards takes what is to be sent from
its `voice`. Times are seconds on the clock of whoever calls.

A frame is read, paid for, recorded and then handed to the clerk for its type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol
from uuid import uuid4

from haip_sync.testing import wire
from haip_sync.testing.arrival import Arrival, Reader
from haip_sync.testing.audio_clerk import AudioClerk
from haip_sync.testing.calls import CallDesk
from haip_sync.testing.credit_desk import CreditDesk
from haip_sync.testing.flow_clerk import FlowClerk
from haip_sync.testing.greeting import Greeting
from haip_sync.testing.numbering import Sequence
from haip_sync.testing.payloads import HaiPayload
from haip_sync.testing.policies import CreditPolicy
from haip_sync.testing.postbox import Postbox
from haip_sync.testing.records import Archive, ReceivedFrame
from haip_sync.testing.resumption import Lasting
from haip_sync.testing.runs import RunDesk
from haip_sync.testing.settings import ServerSettings
from haip_sync.testing.text_clerk import TextClerk
from haip_sync.testing.till import Till
from haip_sync.testing.transaction_book import TransactionBook
from haip_sync.testing.transactions import TransactionDesk
from haip_sync.testing.voice import Voice

_AT_ONCE: Final = wire.CONTROL_TYPES - {"TRANSACTION_START", "TRANSACTION_END", "TRANSACTION_JOIN"}
"""What does not wait for what is missing before it."""


class Claim(Protocol):
    """Takes over a client's session from the connection that had it last."""

    def __call__(self, session_id: str, *, wants: bool) -> Lasting | None:
        """Return what is gone on with; None where that is not wanted, or there is nothing."""


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
        claim: Claim | None = None,
        may_resume: bool = False,
    ) -> None:
        self.id = str(uuid4())
        self.peer_id: str | None = None
        self.sequence: Sequence[Arrival] = Sequence()
        self.resumed = False
        self._claim = claim
        self.archive = Archive(settings.keep_received)
        self.desk = CreditDesk(settings.initial, policy, by_channel)
        self._postbox = Postbox(self.id, self.sequence, settings.tariff, settings.quirks, settings.replay_frames)
        self.voice = Voice(settings, self._postbox, self.desk)
        self._settings = settings
        self._reader = Reader(self.voice, self.desk)
        self._till = Till(settings, self.voice, self.desk, self.archive)
        self._greeting = Greeting(settings, self.voice, self._reader, admits, may_resume=may_resume)
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

    def begin(self, now: float = 0.0) -> None:
        """Open it: say hello, unless our HAI is to wait."""
        self._greeting.begin(now)

    def due(self) -> float | None:
        """Return when `tick` is wanted next; None: not before the next event."""
        dues = [due for due in (self._greeting.due(), self.desk.due(), self.sequence.due()) if due is not None]
        return min(dues, default=None)

    def tick(self, now: float) -> None:
        """Do what the clock asks for. A call before `due` does no harm."""
        for data in self._greeting.tick(now):
            self.receive(data, now)
        self.voice.give_all(self.desk.tick(now))
        missing, released = self.sequence.tick(now)
        if missing is not None:
            self.voice.tell("REPLAY_REQUEST", {"from_seq": str(missing.from_seq), "to_seq": str(missing.to_seq)})
        for arrival in released:
            self._read(arrival)

    def lasting(self) -> Lasting:
        """Return what goes on over another connection of the same client."""
        return Lasting(self.sequence, self._postbox.sent, self.archive, self.voice.speech)

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
            self._miss(self._awaiting, "a text frame came where a binary frame was due")
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
            self._miss(awaiting, f"the binary frame has {len(data)} bytes, its envelope says {awaiting.envelope.bin_len}")
        else:
            self._take(awaiting._replace(binary=data))

    def _miss(self, announced: Arrival, why: str) -> None:
        """Report a frame whose binary half did not come; its number is taken all the same."""
        envelope = announced.envelope
        self.voice.violation(why, envelope.id)
        for ready in self.sequence.take(int(envelope.seq), envelope.id, announced, announced.now, waits=False)[1:]:
            self._read(ready)

    def _take(self, arrival: Arrival) -> None:
        """Read a frame in its turn; what it fills a gap for follows it."""
        envelope = arrival.envelope
        waits = self.peer_id is not None and envelope.type not in _AT_ONCE
        if self.peer_id is None:
            self._take_first(arrival)
            return
        for ready in self.sequence.take(int(envelope.seq), envelope.id, arrival, arrival.now, waits=waits):
            self._read(ready)

    def _read(self, arrival: Arrival) -> None:
        if arrival.envelope.type in wire.CONTROL_TYPES:
            self._take_control(arrival)
        else:
            self._take_data(arrival)

    def _take_first(self, arrival: Arrival) -> None:
        envelope, hai = arrival.envelope, self._greeting.read(arrival)
        if hai is None:
            self.sequence.take(int(envelope.seq), envelope.id, arrival, arrival.now, waits=False)
            return
        lasting = self._resume(envelope.session, int(envelope.seq), hai)
        self.sequence.take(int(envelope.seq), envelope.id, arrival, arrival.now, waits=False)
        self._record(arrival, cost_bytes=0)
        self.peer_id = envelope.session
        self.desk.open(hai.capabilities.flow_control)
        self.voice.open(self.peer_id, hai, None if lasting is None else self.sequence.ack)
        self._answer_resuming(arrival, hai, lasting)
        self.calls.announce()

    # Going on

    def _resume(self, session_id: str, seq: int, hai: HaiPayload) -> Lasting | None:
        """Take over what an earlier connection of the client had; None where the client does not resume, or cannot."""
        wants = hai.last_rx_seq is not None and self._settings.resumes and not self.voice.greeted
        lasting = None if self._claim is None else self._claim(session_id, wants=wants)
        if lasting is None or lasting.sequence.ack is None:
            return None
        self.resumed, self.sequence, self._till.hai_seq = True, lasting.sequence, seq
        self.sequence.go_on(seq)
        self._postbox.go_on(lasting.sequence, lasting.sent)
        self.archive.go_on(lasting.archive)
        return lasting

    def _answer_resuming(self, arrival: Arrival, hai: HaiPayload, lasting: Lasting | None) -> None:
        """Say again what a client that resumes lacks, or why that is not to be had."""
        if hai.last_rx_seq is None:
            return
        if lasting is None:
            self.voice.error("RESUME_FAILED", "nothing is known here of an earlier connection", arrival.envelope.id)
        elif not self.voice.go_on(lasting.speech, int(hai.last_rx_seq)):
            text = f"what followed {hai.last_rx_seq} is no longer kept"
            self.voice.error("REPLAY_TOO_OLD", text, arrival.envelope.id)

    # Paying

    def _take_control(self, arrival: Arrival) -> None:
        """Take a control frame, whether SYSTEM pays for it or not."""
        cost_bytes = self._till.debit_control(arrival)
        if self._is_supported(arrival):
            self._record(arrival, cost_bytes=cost_bytes)
            self._hand_over(arrival)

    def _take_data(self, arrival: Arrival) -> None:
        envelope = arrival.envelope
        ledger = self._reader.ledger(envelope.channel, arrival)
        if ledger is None:
            return
        cost = self._till.debit(arrival, ledger)
        if cost is None:
            return
        # A type that we do not take was sent and paid for all the same; otherwise the two ledgers would part.
        if self._is_supported(arrival):
            self._record(arrival, cost_bytes=cost.byte_credits)
            self.voice.oddities.after_frame(ledger, (arrival.text, arrival.binary), cost)
            self._hand_over(arrival)
        self.voice.give(ledger.channel, self.desk.after_frame(ledger.channel, arrival.now))

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
