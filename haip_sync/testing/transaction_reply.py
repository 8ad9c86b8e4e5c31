"""How a tool answers in a transaction. No state, no thread; not thread-safe, see `Conversation`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from haip_sync.testing import wire
from haip_sync.testing.voice import Voice

if TYPE_CHECKING:
    from haip_sync.testing.call import Call
    from haip_sync.testing.records import Transaction
    from haip_sync.testing.transactions import TransactionDesk


class TransactionReply:
    """Says what a tool says as MESSAGE, how it gets on as INFO, and what went wrong as ERROR{TOOL_ERROR}."""

    def __init__(self, desk: TransactionDesk, voice: Voice, transaction: Transaction, message_id: str) -> None:
        self._desk = desk
        self._voice = voice
        self._transaction = transaction
        self._message_id = message_id

    def note(self, call: Call, status: str) -> None:
        """Say nothing: a transaction has no frame for what becomes of a single message."""

    def update(self, call: Call, payload: Mapping[str, Any]) -> None:
        """Say how it gets on."""
        self._desk.say(self._transaction.id, call.channel, "INFO", payload)

    def send(self, call: Call, payload: Any) -> None:
        """Say something more than the result."""
        self._desk.say(self._transaction.id, call.channel, "MESSAGE", payload)

    def done(self, call: Call) -> None:
        """Say what it came to, if that is anything."""
        if call.status == "ERROR":
            members = {"transaction": self._transaction.id}
            self._voice.error("TOOL_ERROR", str(call.result["error"]), self._message_id, members)
        elif call.result is not None:
            self.send(call, wire.freeze(call.result))
