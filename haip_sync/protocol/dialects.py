"""How a text travels: the dialects of published peers, and the choice between them.

The transaction dialect has its own room to come; a peer that accepts nothing else is sent no texts.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple


class TextDialect(NamedTuple):
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


CONTINUATION_TYPES: Final = frozenset(name for dialect in DIALECTS for name in (dialect.part, dialect.end))
"""What follows the START of a text; with `credit_unit="message"` START alone pays a message (WIRE.md, point 1)."""


def choose_dialect(accept_events: Collection[str], choice: str = "auto") -> TextDialect | None:
    """Return the dialect to speak with a peer that accepts these types, or None where none that is allowed fits."""
    for dialect in DIALECTS:
        if choice in ("auto", dialect.name) and {dialect.start, dialect.part, dialect.end} <= set(accept_events):
            return dialect
    return None
