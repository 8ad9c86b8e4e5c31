"""What the server says: the agent's answers, and texts on their way out, cut into frames. No state but a text's own place."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

AGENT: Final = "AGENT"
"""The channel on which the agent answers; what arrives there is never answered, or two agents would talk for ever."""
AGENT_NAME: Final = "agent"
_QUOTED_CHARS: Final = 200
_PART_CHARS: Final = 40


def answer_to(text: str) -> str:
    """Return the agent's answer: what it heard, at most 200 characters of it."""
    quoted = text if len(text) <= _QUOTED_CHARS else text[: _QUOTED_CHARS - 1] + "…"
    return f"You said: {quoted}"


class OutgoingText:
    """One text on its way out: START, one PART for every 40 characters, END."""

    def __init__(self, text: str, author: str | None, part_chars: int = _PART_CHARS) -> None:
        self.message_id = str(uuid.uuid4())
        self._author = author
        self._parts = [text[at : at + part_chars] for at in range(0, len(text), part_chars)]
        # 0 is START, then the parts, then END.
        self._at = 0

    @property
    def begun(self) -> bool:
        """Whether its START has left."""
        return self._at > 0

    @property
    def done(self) -> bool:
        """Whether its END has left."""
        return self._at > len(self._parts) + 1

    def next_frame(self, types: tuple[str, str, str]) -> tuple[str, Mapping[str, Any]]:
        """Return type and payload of the frame that is next, without moving on."""
        start, part, end = types
        if self._at == 0:
            author = {} if self._author is None else {"author": self._author}
            return start, {"message_id": self.message_id, **author}
        if self._at <= len(self._parts):
            return part, {"message_id": self.message_id, "text": self._parts[self._at - 1]}
        return end, {"message_id": self.message_id}

    def advance(self) -> None:
        """Move on: that frame has left."""
        self._at += 1
