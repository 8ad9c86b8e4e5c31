"""The transactions that one session takes part in. No thread, no lock, no socket.

Not thread-safe; see `Conversation`. What concerns other sessions is collected and handed over by the session's owner once its
lock is free: no session is ever touched under the lock of another.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec

from haip_sync.testing.agent import AGENT
from haip_sync.testing.arrival import Arrival, Reader
from haip_sync.testing.audio_clerk import AudioClerk
from haip_sync.testing.call import Call
from haip_sync.testing.calls import CallDesk
from haip_sync.testing.outgoing import Draft
from haip_sync.testing.payloads import TransactionPayload
from haip_sync.testing.records import Archive, ReceivedText, Transaction
from haip_sync.testing.settings import ServerSettings
from haip_sync.testing.transaction_book import Said, TransactionBook
from haip_sync.testing.transaction_reply import TransactionReply
from haip_sync.testing.voice import Voice

Relay = Callable[["TransactionDesk"], None]


class Relayed(NamedTuple):
    """Something to do in another session."""

    member: TransactionDesk
    act: Relay


class TransactionDesk:
    """The transactions of one session.

    How they go, and what we settled where HAIP leaves it open:

    * TRANSACTION_START {toolName, params}, with a temporary id in `transaction`, is answered with TRANSACTION_START
      {referenceId: that id} and the real id in `transaction`, or with ERROR MISSING_TOOL_NAME or TOOL_NOT_FOUND.
    * A MESSAGE in it is given to the tool, one after another; what the tool answers are MESSAGEs on AGENT. MESSAGEs, ours too,
      go to every other session that takes part, under the id that they have; MESSAGE_UPDATE, AUDIO and INFO likewise.
    * TRANSACTION_JOIN with the real id in `transaction` takes part in an open transaction, from any session of this server, that
      of a client that has come back for instance. It is answered with TRANSACTION_JOIN {toolName, params, messages}, and
      its message window follows: the last 1,000 MESSAGEs and MESSAGE_UPDATEs, whoever said them, each with the id that it had
      and with a new seq. They are data and wait for the client's credit.
    * TRANSACTION_END ends it for everybody and is not answered. A session that breaks off ends none.
    * What names no open transaction in which the session takes part is answered with ERROR TRANSACTION_NOT_FOUND.
    """

    def __init__(
        self,
        settings: ServerSettings,
        voice: Voice,
        archive: Archive,
        reader: Reader,
        calls: CallDesk,
        book: TransactionBook,
        audio: AudioClerk,
    ) -> None:
        self._settings = settings
        self._voice = voice
        self._archive = archive
        self._reader = reader
        self._calls = calls
        self._book = book
        self._audio = audio
        self._known: OrderedDict[str, Transaction] = OrderedDict()
        self._relays: list[Relayed] = []
        self.reach: Callable[[Callable[[], None]], None] = lambda step: step()
        """Runs a step in this session, under its lock; its owner sets it."""

    def handlers(self) -> Mapping[str, Callable[[Arrival], None]]:
        """Return what it does, by type."""
        return {
            "TRANSACTION_START": self._on_start,
            "TRANSACTION_JOIN": self._on_join,
            "TRANSACTION_END": self._on_end,
            "MESSAGE": self._on_message,
            "MESSAGE_UPDATE": self._on_update,
            "AUDIO": self._on_audio,
            "INFO": self._on_info,
        }

    def records(self) -> tuple[Transaction, ...]:
        """Return every transaction, in the order in which this session began or joined it, but for old ones that are over."""
        return tuple(self._known.values())

    def take_relays(self) -> list[Relayed]:
        """Return what is to be done in other sessions, each once."""
        relays, self._relays = self._relays, []
        return relays

    # Beginning and end

    def _on_start(self, arrival: Arrival) -> None:
        payload = self._reader.payload(arrival, TransactionPayload)
        if payload is None:
            return
        if not payload.toolName:
            self._error("MISSING_TOOL_NAME", "toolName is missing", arrival)
        elif payload.toolName not in self._settings.transaction_tools:
            self._error("TOOL_NOT_FOUND", f"there is no tool {payload.toolName!r}", arrival)
        else:
            self._start(arrival, payload.toolName, payload.params)

    def _start(self, arrival: Arrival, tool: str, params: Mapping[str, Any]) -> None:
        name, reference = str(uuid4()), arrival.envelope.transaction_id
        if not self._book.start(name, tool, params, self):
            self._error("PROTOCOL_VIOLATION", "too many open transactions", arrival)
            return
        self._open(Transaction(id=name, reference=reference, tool=tool, params=dict(params)))
        self._voice.tell("TRANSACTION_START", {"referenceId": reference}, {"transaction": name})
        self._voice.give_what_waited(arrival.now)

    def _on_join(self, arrival: Arrival) -> None:
        name = arrival.envelope.transaction_id
        opened = None if name is None else self._book.join(name, self)
        if opened is None or name is None:
            self._not_found(arrival)
            return
        if name not in self._voice.transactions:
            self._open(Transaction(id=name, reference=None, tool=opened.tool, params=dict(opened.params)))
        payload = {"toolName": opened.tool, "params": opened.params, "messages": len(opened.window)}
        self._voice.tell("TRANSACTION_JOIN", payload, {"transaction": name})
        for said in opened.window:
            self._voice.submit(said.channel, said.draft)
        self._voice.give_what_waited(arrival.now)

    def _open(self, transaction: Transaction) -> None:
        self._known[transaction.id] = transaction
        self._voice.enter(transaction.id)
        over = next((name for name, known in self._known.items() if not known.open), None)
        if over is not None and len(self._known) > self._settings.keep_received:
            del self._known[over]

    def _on_end(self, arrival: Arrival) -> None:
        transaction = self._taking_part(arrival)
        if transaction is not None:
            self._end(transaction.id, answer=False)

    def end(self, name: str) -> None:
        """End a transaction that this session takes part in, and say so to everybody."""
        if name in self._voice.transactions:
            self._end(name, answer=True)

    def _end(self, name: str, *, answer: bool) -> None:
        for member in self._book.end(name):
            if member is not self:
                self._relays.append(Relayed(member, lambda desk: desk.hear_end(name, answer=True)))
        self.hear_end(name, answer=answer)

    def hear_end(self, name: str, *, answer: bool) -> None:
        """Take part no longer in a transaction that has ended; `answer`: tell the client."""
        known = self._known.get(name)
        if known is not None:
            self._known[name] = msgspec.structs.replace(known, open=False)
        if answer:
            self._voice.tell("TRANSACTION_END", {}, {"transaction": name})
        self._voice.leave(name)
        self._calls.cancel_transaction(name, "its transaction has ended")

    def abandon(self) -> None:
        """Take part in nothing any more: the session is over."""
        self._book.leave(self)

    # What is said

    def _on_message(self, arrival: Arrival) -> None:
        transaction = self._taking_part(arrival)
        if transaction is None:
            return
        envelope = arrival.envelope
        if isinstance(envelope.payload, str):
            self._archive.add_text(
                ReceivedText(
                    message_id=envelope.id,
                    channel=envelope.channel,
                    author=None,
                    text=envelope.payload,
                    transaction=transaction.id,
                )
            )
        self._pass_on(transaction.id, arrival, keep=True)
        tool = self._settings.transaction_tools[transaction.tool]
        reply = TransactionReply(self, self._voice, transaction, envelope.id)
        self._calls.accept(
            Call(envelope.id, transaction.tool, tool, envelope.payload, channel=AGENT, reply=reply, transaction=transaction)
        )

    def _on_update(self, arrival: Arrival) -> None:
        transaction = self._taking_part(arrival)
        if transaction is not None:
            self._pass_on(transaction.id, arrival, keep=True)

    def _on_audio(self, arrival: Arrival) -> None:
        transaction = self._taking_part(arrival)
        if transaction is not None:
            self._audio.read(arrival)
            self._pass_on(transaction.id, arrival, keep=False)

    def _on_info(self, arrival: Arrival) -> None:
        """Pass an INFO on; outside of a transaction it concerns nobody else, and is no fault."""
        name = arrival.envelope.transaction_id
        if name in self._voice.transactions:
            self._pass_on(name, arrival, keep=False)

    def _pass_on(self, name: str, arrival: Arrival, *, keep: bool) -> None:
        envelope = arrival.envelope
        members = {"id": envelope.id, "bin_mime": envelope.bin_mime, "transaction": name}
        self._share(name, Said(envelope.channel, Draft(envelope.type, envelope.payload, arrival.binary, members)), keep=keep)

    def say(self, name: str, channel: str, event_type: str, payload: Any) -> None:
        """Say something of ours in a transaction, to everybody who takes part."""
        members = {"id": str(uuid4()), "transaction": name}
        said = Said(channel, Draft(event_type, payload, members=members))
        self._share(name, said, keep=event_type == "MESSAGE")
        if name in self._voice.transactions:
            self.hear(said)

    def _share(self, name: str, said: Said, *, keep: bool) -> None:
        """Note what was said, and have everybody else hear it."""
        for member in self._book.say(name, said, keep=keep):
            if member is not self:
                self._relays.append(Relayed(member, lambda desk: desk.hear(said)))

    def hear(self, said: Said) -> None:
        """Pass on to the client what was said in a transaction."""
        self._voice.submit(said.channel, said.draft)

    # Helpers

    def _taking_part(self, arrival: Arrival) -> Transaction | None:
        """Return the frame's transaction; None where the session takes part in none such, which was reported then."""
        name = arrival.envelope.transaction_id
        if name is None or name not in self._voice.transactions:
            self._not_found(arrival)
            return None
        return self._known.get(name)

    def _not_found(self, arrival: Arrival) -> None:
        name = arrival.envelope.transaction_id
        self._error("TRANSACTION_NOT_FOUND", f"there is no open transaction {name} here", arrival)

    def _error(self, code: str, message: str, arrival: Arrival) -> None:
        self._voice.refuse(code, message, arrival.envelope.id, {"transaction": arrival.envelope.transaction})
