"""A raw HAIP client for the tests of the server: it has no ledger, no dialect and no manners of its own."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

TIMEOUT_S = 5.0
MESSAGE = ("MESSAGE_START", "MESSAGE_PART", "MESSAGE_END")
TEXT = ("TEXT_MESSAGE_START", "TEXT_MESSAGE_PART", "TEXT_MESSAGE_END")
CONTROL = ("HAI", "PING", "PONG", "ERROR", "FLOW_UPDATE", "PAUSE_CHANNEL", "RESUME_CHANNEL", "REPLAY_REQUEST")


class Pen:
    """Writes the frames of one client, numbered from 1."""

    def __init__(self) -> None:
        self.session = str(uuid.uuid4())
        self.seq = 0

    def frame(self, event_type: str, payload: object, channel: str = "SYSTEM", **members: Any) -> tuple[str, str]:
        """Return the id and the text of the next frame."""
        self.seq += 1
        frame_id = str(uuid.uuid4())
        members = {"session": self.session, "seq": str(self.seq), "ts": "1700000000000", "pv": 1} | members
        text = json.dumps({"id": frame_id, "channel": channel, "type": event_type, "payload": payload, **members})
        return frame_id, text

    def hai(self, accept: tuple[str, ...] = CONTROL + MESSAGE, **members: Any) -> str:
        """Return a HAI that grants 50 messages and 50,000 bytes, unless `members` of the payload say otherwise."""
        flow = {"initial_credit_messages": 50, "initial_credit_bytes": 50_000}
        payload: dict[str, Any] = {
            "haip_version": "1.1.2",
            "accept_major": [1],
            "accept_events": list(accept),
            "capabilities": {"binary_frames": True, "flow_control": flow},
        }
        return self.frame("HAI", payload | members)[1]

    def text(self, text: str, channel: str = "USER", types: tuple[str, str, str] = MESSAGE, message_id: str = "m") -> list[str]:
        """Return START, one PART and END of a text."""
        start, part, end = types
        return [
            self.frame(start, {"message_id": message_id, "author": "me"}, channel)[1],
            self.frame(part, {"message_id": message_id, "text": text}, channel)[1],
            self.frame(end, {"message_id": message_id}, channel)[1],
        ]


class RawClient:
    """One WebSocket connection; every wait has a deadline."""

    def __init__(self, socket: ClientConnection) -> None:
        self.pen = Pen()
        self.socket = socket
        self.seen: list[dict[str, Any]] = []

    def greet(self, **members: Any) -> dict[str, Any]:
        """Send our HAI and return the server's."""
        self.socket.send(self.pen.hai(**members))
        return self.expect("HAI")

    def send(self, event_type: str, payload: object, channel: str = "SYSTEM", **members: Any) -> tuple[str, int]:
        """Send one frame; return its id and its length in bytes."""
        frame_id, text = self.pen.frame(event_type, payload, channel, **members)
        self.socket.send(text)
        return frame_id, len(text.encode())

    def say(self, text: str, channel: str = "USER", **options: Any) -> int:
        """Send a text in three frames; return their length in bytes."""
        frames = self.pen.text(text, channel, **options)
        for frame in frames:
            self.socket.send(frame)
        return sum(len(frame.encode()) for frame in frames)

    def next(self) -> dict[str, Any]:
        """Return the next frame."""
        frame: dict[str, Any] = json.loads(self.socket.recv(TIMEOUT_S))
        self.seen.append(frame)
        return frame

    def expect(self, event_type: str) -> dict[str, Any]:
        """Return the next frame of this type; those before it stay in `seen`."""
        while (frame := self.next())["type"] != event_type:
            pass
        return frame

    def expect_close(self) -> int | None:
        """Read to the end; return the close code that came, None for an abrupt end."""
        try:
            while True:
                self.next()
        except ConnectionClosed as closed:
            return None if closed.rcvd is None else closed.rcvd.code


@pytest.fixture
def pen() -> Pen:
    """Return a writer of frames."""
    return Pen()


@pytest.fixture
def dial() -> Iterator[Callable[[str], RawClient]]:
    """Return a function that connects a raw client; all are closed at the end."""
    with ExitStack() as stack:

        def connect_to(url: str) -> RawClient:
            return RawClient(stack.enter_context(connect(url, compression=None, proxy=None, close_timeout=2)))

        yield connect_to
