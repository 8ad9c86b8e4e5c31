"""A conversation of the development server's without a socket."""

from __future__ import annotations

import json
from typing import Any

from haip_sync.testing.books import Credit
from haip_sync.testing.conversation import Conversation
from haip_sync.testing.policies import CreditPolicy, Never
from haip_sync.testing.settings import ServerSettings
from haip_sync.testing.wire import accepted_types

MESSAGE = ("MESSAGE_START", "MESSAGE_PART", "MESSAGE_END")
TEXT = ("TEXT_MESSAGE_START", "TEXT_MESSAGE_PART", "TEXT_MESSAGE_END")


class Line:
    """A conversation and the pen of its client; `get` returns the server's frames since the last call."""

    def __init__(self, pen: Any, *, policy: CreditPolicy | None = None, hai: bool = True, **settings: Any) -> None:
        defaults: dict[str, Any] = {
            "dialect": "both",
            "accept_events": frozenset(accepted_types("both")),
            "initial": Credit(10, 10_000),
            "agent": False,
            "keep_received": 100,
        }
        self.pen = pen
        self.talk = Conversation(ServerSettings(**(defaults | settings)), policy or Never(), {})
        self.talk.begin()
        if hai:
            self.put(pen.hai())
            self.get()

    def put(self, *data: str | bytes) -> None:
        """Let these arrive."""
        for item in data:
            self.talk.receive(item, 0.0)

    def send(self, event_type: str, payload: object, channel: str = "SYSTEM", **members: Any) -> str:
        """Let one well-formed frame arrive; return its id."""
        frame_id, text = self.pen.frame(event_type, payload, channel, **members)
        self.put(text)
        return str(frame_id)

    def get(self) -> list[dict[str, Any]]:
        """Return what the server sent."""
        return [json.loads(text) for text in self.talk.voice.take_outgoing() if isinstance(text, str)]

    def error(self) -> tuple[str, str | None]:
        """Return code and related id of the single frame that was sent, an ERROR."""
        (frame,) = self.get()
        assert frame["type"] == "ERROR"
        return frame["payload"]["code"], frame["payload"].get("related_id")

    def texts(self) -> list[str]:
        """Return the whole texts that arrived."""
        return [text.text for text in self.talk.archive.texts]

    def spent(self, channel: str = "USER") -> tuple[int, int]:
        """Return what the client has spent on a channel."""
        tally = self.talk.desk.known(channel).books().from_client
        return tally.spent, tally.spent_bytes
