"""Control frames of the client's that concern credit, pauses and the line itself. No thread, no lock, no socket.

Not thread-safe; see `Conversation`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from haip_sync.testing.arrival import Arrival, Reader
from haip_sync.testing.books import ChannelLedger, Credit
from haip_sync.testing.credit_desk import CreditDesk
from haip_sync.testing.payloads import ChannelPayload, FlowPayload, ReplayPayload
from haip_sync.testing.voice import Voice


class FlowClerk:
    """Reads FLOW_UPDATE, PAUSE_CHANNEL, RESUME_CHANNEL, PING and REPLAY_REQUEST."""

    def __init__(self, voice: Voice, desk: CreditDesk, reader: Reader) -> None:
        self._voice = voice
        self._desk = desk
        self._reader = reader

    def handlers(self) -> Mapping[str, Callable[[Arrival], None]]:
        """Return what it does, by type."""
        return {
            "HAI": self._on_second_hai,
            "PING": self._on_ping,
            "FLOW_UPDATE": self._on_flow_update,
            "PAUSE_CHANNEL": self._on_pause,
            "RESUME_CHANNEL": self._on_resume,
            "REPLAY_REQUEST": self._on_replay_request,
        }

    def _on_second_hai(self, arrival: Arrival) -> None:
        self._voice.violation("HAI came a second time", arrival.envelope.id)

    def _on_ping(self, arrival: Arrival) -> None:
        nonce = arrival.envelope.payload.get("nonce")
        self._voice.tell("PONG", {} if nonce is None else {"nonce": nonce})

    def _on_flow_update(self, arrival: Arrival) -> None:
        """Read it both ways, for the wire does not tell a grant from a request; `action`, where it is there, does."""
        name = arrival.envelope.transaction_id
        if self._voice.is_transactional and name not in self._voice.transactions:
            text = "FLOW_UPDATE belongs to an open transaction here"
            self._voice.refuse("TRANSACTION_NOT_FOUND", text, arrival.envelope.id, {"transaction": name})
            return
        payload = self._reader.payload(arrival, FlowPayload)
        if payload is None:
            return
        credit = Credit((payload.add_messages or 0) + (payload.credits or 0), payload.add_bytes or 0)
        if not credit:
            self._voice.violation("FLOW_UPDATE without an amount", arrival.envelope.id)
        elif (ledger := self._reader.ledger(payload.channel, arrival)) is not None:
            self._flow(ledger, credit, payload.action, arrival.now)

    def _flow(self, ledger: ChannelLedger, credit: Credit, action: str | None, now: float) -> None:
        if action == "reduce_credits":
            ledger.to_client.withdraw(credit)
        if action in (None, "grant_credits"):
            ledger.to_client.grant(credit)
            self._voice.pump(ledger)
        if action in (None, "request_credits"):
            self._voice.give(ledger.channel, self._desk.after_request(ledger.channel, credit, now))

    def _on_pause(self, arrival: Arrival) -> None:
        self._hold(arrival, paused=True)

    def _on_resume(self, arrival: Arrival) -> None:
        self._hold(arrival, paused=False)

    def _hold(self, arrival: Arrival, *, paused: bool) -> None:
        payload = self._reader.payload(arrival, ChannelPayload)
        ledger = None if payload is None else self._reader.ledger(payload.channel, arrival)
        if ledger is not None:
            ledger.paused_by_client = paused
            self._voice.pump(ledger)

    def _on_replay_request(self, arrival: Arrival) -> None:
        payload = self._reader.payload(arrival, ReplayPayload)
        if payload is None:
            return
        to_seq = None if payload.to_seq is None else int(payload.to_seq)
        if not self._voice.replay(int(payload.from_seq), to_seq):
            self._voice.error("REPLAY_TOO_OLD", f"{payload.from_seq} is no longer kept", arrival.envelope.id)
