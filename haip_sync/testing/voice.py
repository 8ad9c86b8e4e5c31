"""Everything that the server says on one connection, and what it costs whom. No thread, no lock, no socket.

Not thread-safe; see `Conversation`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from haip_sync.testing import wire
from haip_sync.testing.books import ChannelLedger, Credit
from haip_sync.testing.credit_desk import CreditDesk
from haip_sync.testing.oddities import Oddities
from haip_sync.testing.outgoing import NO_MEMBERS, Draft, Outgoing, OutgoingFrame, OutgoingText
from haip_sync.testing.payloads import HaiPayload
from haip_sync.testing.postbox import Postbox
from haip_sync.testing.settings import ServerSettings
from haip_sync.testing.speech import Speech

CLOSE_PROTOCOL_ERROR: Final = 1002
_TRANSACTIONS_NEED: Final = ("TRANSACTION_START", "MESSAGE")


class Voice:
    """What one connection sends, in the order of its numbers; `take_outgoing` hands it over."""

    def __init__(self, settings: ServerSettings, postbox: Postbox, desk: CreditDesk) -> None:
        self.closing: tuple[int, str] | None = None
        """Close code and reason, once the connection is to end."""
        self.greeted = False
        """Whether our HAI was sent."""
        self.speech = Speech(postbox)
        self.oddities = Oddities(settings.quirks, postbox)
        self._settings = settings
        self._postbox = postbox
        self._desk = desk
        # None until the client's HAI: nobody knows what it accepts before.
        self._peer_accepts: frozenset[str] | None = None
        self._takes_binary = False
        self.transactions: list[str] = []
        """The open transactions that the session takes part in, the newest last."""
        # How our texts travel; None when the client accepts none of our streamed ones.
        self._text_types: tuple[str, str, str] | None = None
        self._takes_transactions = False
        if settings.dialect == "transaction":
            postbox.members = wire.NO_TRANSACTION

    def hello(self, last_rx_seq: int | None = None) -> None:
        """Send our HAI; `last_rx_seq`: what we have of a client that resumes."""
        self.greeted = True
        capabilities: dict[str, Any] = {
            "binary_frames": self._settings.binary_frames,
            "max_concurrent_runs": self._settings.max_concurrent_runs,
        }
        if self._settings.initial is not None:
            capabilities["flow_control"] = {
                "initial_credit_messages": self._settings.initial.messages,
                "initial_credit_bytes": self._settings.initial.byte_credits,
            }
        self.tell(
            "HAI",
            {
                "haip_version": wire.HAIP_VERSION,
                "accept_major": [wire.MAJOR],
                "accept_events": sorted(self._settings.announced),
                "capabilities": capabilities,
                **({} if last_rx_seq is None else {"last_rx_seq": str(last_rx_seq)}),
            },
        )

    def open(self, peer_id: str, hai: HaiPayload, last_rx_seq: int | None = None) -> None:
        """Speak from now on as the client's HAI wants it: only types that it accepts, and the first dialect that fits."""
        peer_accepts = frozenset(hai.accept_events)
        if self._settings.quirks.session_in_frames == "client":
            self._postbox.session_id = peer_id
        if not self.greeted:
            self.hello(last_rx_seq)
        self._peer_accepts = peer_accepts
        self._takes_binary = hai.capabilities.binary_frames
        dialect = self._settings.dialect
        fitting = (types for types in wire.TEXT_TYPES[dialect] if peer_accepts.issuperset(types))
        self._text_types = next(fitting, None)
        self._takes_transactions = dialect in wire.HAS_TRANSACTIONS and peer_accepts.issuperset(_TRANSACTIONS_NEED)
        if self.is_transactional:
            self._postbox.members = wire.NO_TRANSACTION

    @property
    def is_transactional(self) -> bool:
        """Whether what is said goes through transactions, and FLOW_UPDATE too: the client takes no streamed texts of ours."""
        return self._settings.dialect == "transaction" or (self._text_types is None and self._takes_transactions)

    def enter(self, transaction: str) -> None:
        """Take part in an open transaction; once for each."""
        self.transactions.append(transaction)

    def leave(self, transaction: str) -> None:
        """Take part in it no longer."""
        if transaction in self.transactions:
            self.transactions.remove(transaction)

    def accepts(self, event_type: str) -> bool:
        """Whether the client's HAI names `event_type`."""
        return self._peer_accepts is not None and event_type in self._peer_accepts

    def say(self, channel: str, text: str, author: str | None, members: Mapping[str, Any] = NO_MEMBERS) -> None:
        """Queue a text of ours and send as much of it as the client's credit allows; the rest follows with the credit."""
        types = self._text_types
        self._queue(channel, None if types is None else OutgoingText(text, author, types, members))

    def submit(self, channel: str, draft: Draft) -> None:
        """Queue a data frame of ours, behind what waits on the channel; without a type that the client accepts it is dropped.

        Raises `WireError`, nothing queued, for a payload that JSON cannot carry.
        """
        if not isinstance(draft.payload, msgspec.Raw):
            wire.freeze(draft.payload)  # now, and not when its turn comes, for then nobody could be told
        self._queue(channel, OutgoingFrame(draft) if self.accepts(draft.event_type) else None)

    def play(self, channel: str, sound: bytes, payload: Mapping[str, Any]) -> None:
        """Queue audio of ours, as a binary frame if the client takes those and as base64 if not."""
        event_type = "AUDIO" if self.is_transactional else "AUDIO_CHUNK"
        members = {"transaction": self._newest_transaction()}
        if self._takes_binary:
            self.submit(channel, Draft(event_type, payload, sound, {"bin_mime": payload["mime"], **members}))
        else:
            encoded = base64.b64encode(sound).decode()
            self.submit(channel, Draft(event_type, {**payload, "data": encoded}, members=members))

    def _queue(self, channel: str, item: Outgoing | None) -> None:
        ledger = None if item is None else self._desk.ledger(channel)
        if item is None or ledger is None:
            self.speech.dropped += 1
            return
        self.speech.add(channel, item)
        self.pump(ledger)

    def give(self, channel: str, credit: Credit, *, anyway: bool = False) -> None:
        """Grant `credit` by FLOW_UPDATE; nothing when it is empty or the client accepts no FLOW_UPDATE.

        In the transaction dialect a FLOW_UPDATE belongs to a transaction: without an open one nothing is granted but `anyway`.
        """
        ledger = self._desk.ledger(channel)
        if not credit or ledger is None or not self.accepts("FLOW_UPDATE"):
            return
        transaction = self._newest_transaction()
        if self.is_transactional and transaction is None and not anyway:
            return
        ledger.from_client.grant(credit)
        amounts = {"add_messages": credit.messages, "add_bytes": credit.byte_credits}
        payload = {"channel": channel, **{name: value for name, value in amounts.items() if value}}
        self.tell("FLOW_UPDATE", payload, {"transaction": transaction})

    def give_what_waited(self, now: float) -> None:
        """Ask the policies again, now that there is a transaction in which to grant."""
        self.give_all(self._desk.ask_again(now))

    def _newest_transaction(self) -> str | None:
        return self.transactions[-1] if self.is_transactional and self.transactions else None

    def give_all(self, grants: Iterable[tuple[str, Credit]]) -> None:
        """Grant each."""
        for channel, credit in grants:
            self.give(channel, credit)

    def hold(self, channel: str, *, paused: bool) -> None:
        """Send PAUSE_CHANNEL or RESUME_CHANNEL, where the client accepts it, and hold our own texts or let them go."""
        ledger = self._desk.ledger(channel)
        if ledger is not None and ledger.paused_by_server != paused:
            ledger.paused_by_server = paused
            self.tell("PAUSE_CHANNEL" if paused else "RESUME_CHANNEL", {"channel": channel})
            self.pump(ledger)

    def send_frame(self, channel: str, draft: Draft) -> None:
        """Send a well-formed frame at once, whatever the client accepts; a data frame is debited, covered or not."""
        frame = self._postbox.write_draft(draft, channel)
        if draft.event_type not in wire.CONTROL_TYPES and (ledger := self._desk.ledger(channel)) is not None:
            ledger.to_client.spend(frame.cost)
        self._postbox.send(frame)

    def send_raw(self, data: str | bytes) -> None:
        """Send anything at all, outside of every count."""
        self._postbox.send_raw(data)

    def close(self, reason: str, code: int = CLOSE_PROTOCOL_ERROR) -> None:
        """End the connection with a WebSocket close once everything before it is sent. The first reason counts."""
        self.closing = self.closing or (code, reason)

    def take_outgoing(self) -> list[str | bytes]:
        """Return what is to go to the socket, in order."""
        return self._postbox.take()

    def tell(self, event_type: str, payload: Mapping[str, Any], members: Mapping[str, Any] = NO_MEMBERS) -> None:
        """Send a control frame. Before the client's HAI we cannot know what it accepts."""
        if self._peer_accepts is None or event_type in self._peer_accepts:
            self._postbox.send(self._postbox.write(event_type, payload, members=members))

    def refuse(self, code: str, message: str, related_id: str, members: Mapping[str, Any] = NO_MEMBERS) -> None:
        """Send the ERROR that answers a frame that lacks credit, a tool or a transaction; the quirks say whether it is named."""
        self.error(code, message, related_id if self._settings.quirks.names_related_id else None, members)

    def error(self, code: str, message: str, related_id: str | None = None, members: Mapping[str, Any] = NO_MEMBERS) -> None:
        """Send an ERROR; `related_id` is the id of the client's frame that it is about."""
        related = {} if related_id is None else {"related_id": related_id}
        self.tell("ERROR", {"code": code, "message": message, **related}, members)

    def violation(self, message: str, related_id: str | None = None) -> None:
        """Report what cannot be read; as the first frame it ends the connection, for no HAI came."""
        self.error("PROTOCOL_VIOLATION", message, related_id)
        if self._peer_accepts is None:
            self.close("the first frame must be a good HAI")

    def replay(self, from_seq: int, to_seq: int | None) -> bool:
        """Send what was sent under these numbers again; False if it is no longer there.

        Same id, same number, nothing debited: it was paid. What an earlier connection lost is paid when its turn comes.
        """
        kept = self._postbox.sent.between(from_seq, to_seq)
        for seq, frame in kept or ():
            if self.speech.waits_to_go_again(seq):
                continue
            if not frame.is_control:
                self._postbox.send_again(frame)
            elif self.accepts("PONG"):
                self._postbox.fill(seq)
        return kept is not None

    def go_on(self, earlier: Speech, since: int) -> bool:
        """Take over what an earlier connection had to say, and say again what followed number `since`; False: that is gone.

        Our HAI, which has the latest number, is not among it.
        """
        lost = self._postbox.sent.between(since + 1, self._postbox.sent.next_seq - 2)
        self.speech.go_on(earlier, lost or ())
        self._pump_again()
        return lost is not None

    def pump(self, ledger: ChannelLedger) -> None:
        """Send what a channel's pauses and the client's credit allow, after what an earlier connection lost."""
        if self.speech.goes_again:
            self._pump_again()
        self.speech.pump(ledger)

    def _pump_again(self) -> None:
        """Send again what an earlier connection lost, as far as the client's credit goes, and then what waited for that."""
        for ledger in self.speech.pump_again(self._desk.ledger, fills=self.accepts("PONG")):
            self.speech.pump(ledger)
