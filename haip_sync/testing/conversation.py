"""The server's side of one HAIP connection: what arrives, and what is decided about it. No thread, no lock, no socket.

Not thread-safe: the session that owns it calls everything under its lock, and afterwards takes what is to be sent from
its `voice`. Times are seconds on the clock of whoever calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from uuid import uuid4

from haip_sync.testing import wire
from haip_sync.testing.agent import AGENT, AGENT_NAME, answer_to
from haip_sync.testing.books import ChannelLedger, Credit
from haip_sync.testing.credit_desk import CreditDesk
from haip_sync.testing.policies import CreditPolicy
from haip_sync.testing.postbox import Postbox, Sequence
from haip_sync.testing.records import Archive, Breach, ReceivedFrame
from haip_sync.testing.settings import ServerSettings
from haip_sync.testing.voice import Voice

_MOST_UNREAD: Final = 1000
"""Frames that may come before a late HAI of ours: memory stays bounded."""


class Conversation:
    """One connection. `begin` opens it; `peer_id` is None until the client's HAI was good."""

    def __init__(self, settings: ServerSettings, policy: CreditPolicy, by_channel: Mapping[str, CreditPolicy]) -> None:
        self.id = str(uuid4())
        self.peer_id: str | None = None
        self.sequence = Sequence()
        self.archive = Archive(settings.keep_received)
        self.desk = CreditDesk(settings.initial, policy, by_channel)
        self.voice = Voice(settings, Postbox(self.id, self.sequence, settings.tariff, settings.quirks), self.desk)
        self._settings = settings
        # With a late HAI: when it is due, and what came before it.
        self._hai_due: float | None = None
        self._unread: list[str | bytes] = []
        # An envelope whose binary frame is still to come, and its text.
        self._awaiting: tuple[wire.Envelope, str] | None = None
        self._on_control: Mapping[str, Callable[[wire.Envelope, float], None]] = {
            "HAI": self._on_second_hai,
            "PING": self._on_ping,
            "FLOW_UPDATE": self._on_flow_update,
            "PAUSE_CHANNEL": self._on_pause,
            "RESUME_CHANNEL": self._on_resume,
            "REPLAY_REQUEST": self._on_replay_request,
        }

    def begin(self) -> None:
        """Open it: say hello, unless our HAI is to wait."""
        if self._settings.quirks.hai == "at_once":
            self.voice.hello()

    def due(self) -> float | None:
        """Return when `tick` is wanted next; None: not before the next event."""
        dues = [due for due in (self._hai_due, self.desk.due()) if due is not None]
        return min(dues, default=None)

    def tick(self, now: float) -> None:
        """Do what the clock asks for. A call before `due` does no harm."""
        if self._hai_due is not None and self._hai_due <= now:
            self._hai_due = None
            self.voice.hello()
            unread, self._unread = self._unread, []
            for data in unread:
                self._read(data, now)
        self.voice.give_all(self.desk.tick(now))

    def receive(self, data: str | bytes, now: float) -> None:
        """Take one WebSocket message."""
        if self._settings.quirks.hai == "late" and not self.voice.greeted:
            self._hold_back(data, now)
        else:
            self._read(data, now)

    def _hold_back(self, data: str | bytes, now: float) -> None:
        if self._hai_due is None:
            self._hai_due = now + self._settings.quirks.hai_delay
        self._unread.append(data)
        if len(self._unread) > _MOST_UNREAD:
            self.voice.close("too much came before our HAI")

    def _read(self, data: str | bytes, now: float) -> None:
        if self.voice.closing is not None:
            return
        if isinstance(data, bytes):
            self._receive_binary(data, now)
        else:
            self._receive_text(data, now)

    def _receive_text(self, text: str, now: float) -> None:
        if self._awaiting is not None:
            self.voice.violation("a text frame came where a binary frame was due", self._awaiting[0].id)
            self._awaiting = None
        try:
            envelope = wire.decode(text)
        except wire.WireError as error:
            self.voice.violation(str(error))
            return
        if envelope.bin_len is None:
            self._frame(envelope, text, None, now)
        else:
            self._awaiting = (envelope, text)

    def _receive_binary(self, data: bytes, now: float) -> None:
        awaiting, self._awaiting = self._awaiting, None
        if awaiting is None:
            self.voice.violation("a binary frame came without an envelope that announces it")
        elif len(data) != awaiting[0].bin_len:
            wanted = awaiting[0].bin_len
            self.voice.violation(f"the binary frame has {len(data)} bytes, its envelope says {wanted}", awaiting[0].id)
        else:
            self._frame(*awaiting, data, now)

    def _frame(self, envelope: wire.Envelope, text: str, binary: bytes | None, now: float) -> None:
        self.sequence.saw(int(envelope.seq))
        if self.peer_id is None:
            self._on_first_frame(envelope, text)
        elif envelope.type in wire.CONTROL_TYPES:
            cost_bytes = self._debit_control(text, now)
            if self._supported(envelope, text):
                self._record(envelope, text, binary, cost_bytes=cost_bytes)
                self._control(envelope, now)
        else:
            self._data(envelope, text, binary, now)

    def _debit_control(self, text: str, now: float) -> int:
        """Debit a control frame where they are counted; return its bytes. It is taken whether SYSTEM pays for it or not."""
        cost = self._settings.tariff.control(len(text.encode()))
        ledger = self.desk.ledger(wire.SYSTEM) if cost else None
        if ledger is None:
            return 0
        lost = ledger.from_client.lose(cost)
        self.voice.give(wire.SYSTEM, self.desk.after_frame(wire.SYSTEM, now))
        return lost.byte_credits

    def _data(self, envelope: wire.Envelope, text: str, binary: bytes | None, now: float) -> None:
        ledger = self._ledger(envelope.channel, envelope.id)
        if ledger is None:
            return
        cost = self._settings.tariff.data(
            event_type=envelope.type,
            payload=envelope.payload,
            bin_len=envelope.bin_len,
            frame_bytes=len(text.encode()),
        )
        if not ledger.take(cost):
            self._breach(envelope, ledger, cost)
            return
        # A type that we do not take was sent and paid for all the same; otherwise the two ledgers would part.
        if self._supported(envelope, text):
            self._record(envelope, text, binary, cost_bytes=cost.byte_credits)
            self.voice.oddities.after_frame(ledger, (text, binary), cost)
            self._deliver(envelope)
        self.voice.give(ledger.channel, self.desk.after_frame(ledger.channel, now))

    def _supported(self, envelope: wire.Envelope, text: str) -> bool:
        if envelope.type not in self._settings.taken:
            self.voice.error("UNSUPPORTED_TYPE", f"{envelope.type} is not accepted here", envelope.id)
            return False
        if envelope.crit and wire.has_unknown_members(text):
            self.voice.error("UNSUPPORTED_TYPE", "a critical frame with members that are not known here", envelope.id)
            return False
        return True

    def _record(self, envelope: wire.Envelope, text: str, binary: bytes | None, *, cost_bytes: int) -> None:
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
                frame_bytes=len(text.encode()),
                cost_bytes=cost_bytes,
                binary=binary,
            )
        )

    def _breach(self, envelope: wire.Envelope, ledger: ChannelLedger, cost: Credit) -> None:
        account = ledger.from_client
        breach = Breach(
            channel=envelope.channel,
            type=envelope.type,
            id=envelope.id,
            seq=envelope.seq,
            cost_bytes=cost.byte_credits,
            balance=account.balance,
            balance_bytes=account.balance_bytes,
        )
        self.archive.add_breach(breach, envelope.payload.get("message_id"))
        self.voice.refuse(
            f"{envelope.channel}: {cost.messages} messages and {cost.byte_credits} bytes came, "
            f"{breach.balance} messages and {breach.balance_bytes} bytes were granted and unspent",
            envelope.id,
        )

    # Texts

    def _deliver(self, envelope: wire.Envelope) -> None:
        for start, part, end in wire.TEXT_TYPES[self._settings.dialect]:
            if envelope.type in (start, part, end):
                self._deliver_text(envelope, begins=envelope.type == start, ends=envelope.type == end)

    def _deliver_text(self, envelope: wire.Envelope, *, begins: bool, ends: bool) -> None:
        payload = self._payload(envelope, wire.TextPayload)
        if payload is None:
            return
        if begins:
            self.archive.begin_text(envelope.channel, payload.message_id, payload.author, payload.text)
        elif ends:
            done = self.archive.end_text(envelope.channel, payload.message_id, payload.text)
            if done is not None and self._settings.agent and done.channel != AGENT:
                self.voice.say(AGENT, answer_to(done.text), AGENT_NAME)
        else:
            self.archive.continue_text(envelope.channel, payload.message_id, payload.text)

    # Control frames

    def _on_first_frame(self, envelope: wire.Envelope, text: str) -> None:
        if envelope.type != "HAI":
            self.voice.violation("the first frame must be HAI", envelope.id)
            return
        payload = self._payload(envelope, wire.HaiPayload)
        if payload is None:
            return
        if wire.MAJOR not in payload.accept_major:
            self.voice.error("VERSION_INCOMPATIBLE", f"we speak MAJOR {wire.MAJOR} only", envelope.id)
            self.voice.close("no protocol version in common")
        else:
            self._record(envelope, text, None, cost_bytes=0)
            self._open(envelope.session, payload)

    def _open(self, peer_id: str, payload: wire.HaiPayload) -> None:
        self.peer_id = peer_id
        self.desk.open(payload.capabilities.flow_control)
        self.voice.open(peer_id, frozenset(payload.accept_events))

    def _control(self, envelope: wire.Envelope, now: float) -> None:
        if (handler := self._on_control.get(envelope.type)) is not None:
            handler(envelope, now)

    def _on_second_hai(self, envelope: wire.Envelope, now: float) -> None:
        del now
        self.voice.violation("HAI came a second time", envelope.id)

    def _on_ping(self, envelope: wire.Envelope, now: float) -> None:
        del now
        nonce = envelope.payload.get("nonce")
        self.voice.tell("PONG", {} if nonce is None else {"nonce": nonce})

    def _on_flow_update(self, envelope: wire.Envelope, now: float) -> None:
        """Read it both ways, for the wire does not tell a grant from a request; `action`, where it is there, does."""
        payload = self._payload(envelope, wire.FlowPayload)
        if payload is None:
            return
        credit = Credit((payload.add_messages or 0) + (payload.credits or 0), payload.add_bytes or 0)
        if not credit:
            self.voice.violation("FLOW_UPDATE without an amount", envelope.id)
        elif (ledger := self._ledger(payload.channel, envelope.id)) is not None:
            self._flow(ledger, credit, payload.action, now)

    def _flow(self, ledger: ChannelLedger, credit: Credit, action: str | None, now: float) -> None:
        if action == "reduce_credits":
            ledger.to_client.withdraw(credit)
        if action in (None, "grant_credits"):
            ledger.to_client.grant(credit)
            self.voice.speech.pump(ledger)
        if action in (None, "request_credits"):
            self.voice.give(ledger.channel, self.desk.after_request(ledger.channel, credit, now))

    def _on_pause(self, envelope: wire.Envelope, now: float) -> None:
        del now
        self._hold(envelope, paused=True)

    def _on_resume(self, envelope: wire.Envelope, now: float) -> None:
        del now
        self._hold(envelope, paused=False)

    def _hold(self, envelope: wire.Envelope, *, paused: bool) -> None:
        payload = self._payload(envelope, wire.ChannelPayload)
        ledger = None if payload is None else self._ledger(payload.channel, envelope.id)
        if ledger is not None:
            ledger.paused_by_client = paused
            self.voice.speech.pump(ledger)

    def _on_replay_request(self, envelope: wire.Envelope, now: float) -> None:
        del now
        payload = self._payload(envelope, wire.ReplayPayload)
        if payload is None:
            return
        to_seq = None if payload.to_seq is None else int(payload.to_seq)
        if not self.voice.replay(int(payload.from_seq), to_seq):
            self.voice.error("REPLAY_TOO_OLD", f"{payload.from_seq} is no longer kept", envelope.id)

    def _payload(self, envelope: wire.Envelope, kind: type[wire.PayloadT]) -> wire.PayloadT | None:
        try:
            return wire.read_payload(envelope.payload, kind)
        except wire.WireError as error:
            self.voice.violation(f"{envelope.type}: {error}", envelope.id)
            return None

    def _ledger(self, channel: str, related_id: str) -> ChannelLedger | None:
        ledger = self.desk.ledger(channel)
        if ledger is None:
            self.voice.violation(f"more than {wire.MAX_CHANNELS} channels on one connection", related_id)
        return ledger
