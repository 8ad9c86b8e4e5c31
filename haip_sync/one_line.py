"""What somebody else says, made fit to stand in a line of ours: in a log, a list, a title."""

from __future__ import annotations

from typing import Final

_LONGEST: Final = 1_000


def on_one_line(text: str) -> str:
    """Return `text`, cut where it is too long, without a character that could pass for another line or move a cursor."""
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    return cut if cut.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)
