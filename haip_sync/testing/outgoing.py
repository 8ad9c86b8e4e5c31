"""Data frames on their way out: a text, which is several, or a single frame. No state but a text's own place."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

_PART_CHARS: Final = 40
NO_MEMBERS: Final[Mapping[str, Any]] = MappingProxyType({})


class Draft(NamedTuple):
    """One frame to send, without the numbers that it gets when it leaves."""

    event_type: str
    payload: Any
    binary: bytes | None = None
    members: Mapping[str, Any] = NO_MEMBERS
    """Envelope members beside the usual ones; what is None is left out."""


class Outgoing(Protocol):
    """What waits in a channel's queue, frame by frame."""

    @property
    def begun(self) -> bool:
        """Whether its first frame has left."""

    @property
    def done(self) -> bool:
        """Whether its last frame has left."""

    def next_frame(self) -> Draft:
        """Return the frame that is next, without moving on."""

    def advance(self) -> None:
        """Move on: that frame has left."""


class OutgoingText:
    """One text on its way out: START, one PART for every 40 characters, END."""

    def __init__(
        self, text: str, author: str | None, types: tuple[str, str, str], members: Mapping[str, Any] = NO_MEMBERS
    ) -> None:
        self.message_id = str(uuid.uuid4())
        self._author = author
        self._types = types
        self._members = members
        self._parts = [text[at : at + _PART_CHARS] for at in range(0, len(text), _PART_CHARS)]
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

    def next_frame(self) -> Draft:
        """Return the frame that is next, without moving on."""
        start, part, end = self._types
        if self._at == 0:
            author = {} if self._author is None else {"author": self._author}
            return Draft(start, {"message_id": self.message_id, **author}, members=self._members)
        if self._at <= len(self._parts):
            payload = {"message_id": self.message_id, "text": self._parts[self._at - 1]}
            return Draft(part, payload, members=self._members)
        return Draft(end, {"message_id": self.message_id}, members=self._members)

    def advance(self) -> None:
        """Move on: that frame has left."""
        self._at += 1


class OutgoingFrame:
    """One frame on its way out."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self.done = False
        """Whether it has left."""

    @property
    def begun(self) -> bool:
        """Whether it has left."""
        return self.done

    def next_frame(self) -> Draft:
        """Return the frame."""
        return self._draft

    def advance(self) -> None:
        """Move on: it has left."""
        self.done = True
