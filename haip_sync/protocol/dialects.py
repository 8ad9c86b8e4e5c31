"""How a text travels: the dialects of published peers, and the choice between them.

In the transaction dialect it travels as one MESSAGE inside a transaction; `transactions` has the rest of it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec

from haip_sync.protocol.names import MESSAGE, TRANSACTION_END, TRANSACTION_START


class TextDialect(msgspec.Struct, frozen=True):
    """The three event types of a streamed text."""

    name: str
    start: str
    part: str
    end: str


DIALECTS: Final = (
    TextDialect("message", "MESSAGE_START", "MESSAGE_PART", "MESSAGE_END"),
    TextDialect("text", "TEXT_MESSAGE_START", "TEXT_MESSAGE_PART", "TEXT_MESSAGE_END"),
)
"""In order of preference, where a peer accepts both (WIRE.md)."""

TRANSACTION_DIALECT: Final = "transaction"
"""The name of the dialect that is chosen where no other fits."""
_TRANSACTION_TYPES: Final = frozenset({TRANSACTION_START, TRANSACTION_END, MESSAGE})


CONTINUATION_TYPES: Final = frozenset(name for dialect in DIALECTS for name in (dialect.part, dialect.end))
"""What follows the START of a text; with `credit_unit="message"` START alone pays a message (WIRE.md, point 1)."""


def choose_dialect(accept_events: Collection[str], choice: str = "auto") -> TextDialect | None:
    """Return the dialect to speak with a peer that accepts these types, or None where none that is allowed fits."""
    for dialect in DIALECTS:
        if choice in ("auto", dialect.name) and {dialect.start, dialect.part, dialect.end} <= set(accept_events):
            return dialect
    return None


def takes_transactions(accept_events: Collection[str]) -> bool:
    """Return whether a peer that accepts these types can be sent texts inside a transaction."""
    return set(accept_events) >= _TRANSACTION_TYPES


def speaks_in_transactions(accept_events: Collection[str], choice: str = "auto") -> bool:
    """Return whether texts and FLOW_UPDATE go to such a peer inside a transaction only: chosen, or all that it accepts."""
    is_wanted = choice == TRANSACTION_DIALECT or choose_dialect(accept_events) is None
    return is_wanted and takes_transactions(accept_events)
