"""A server and a client that is connected to it, and what the tests of the page ask of both. Nothing here sleeps or polls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from haip_sync import ChannelState, Event, FlowControlConfig, HAIPClient
from haip_sync.testing import DevServer, Session

PATIENCE_S = 20.0
"""Far longer than anything here takes: only a hang reaches it."""
MIB = 1024 * 1024
CHANNELS = ("USER", "AGENT", "SYSTEM")
"""The channels that the page names."""
TOKEN = "your-jwt-token"
RUN_ID = "6f0f6a0e-3c51-4a56-9d0f-0d8c4d1a7f10"
ADVANCED = FlowControlConfig(
    initial_credits={"USER": 20, "AGENT": 10, "SYSTEM": 5},
    initial_credit_bytes={"USER": 2 * MIB, "AGENT": 5 * MIB, "SYSTEM": MIB},
    max_credits={"USER": 50, "AGENT": 25, "SYSTEM": 10},
    max_credit_bytes={"USER": 10 * MIB, "AGENT": 20 * MIB, "SYSTEM": 5 * MIB},
)


class Stage:
    """Both sides of one connection. Hears every event of the client's from before it connects."""

    def __init__(self, server: DevServer, client: HAIPClient) -> None:
        self.server = server
        self.client = client
        # Guards the events; waits for the next one, because whatever changes in the client is an event.
        self._heard = threading.Condition()
        self._events: list[Event] = []
        client.subscribe(self._hear)

    def _hear(self, event: Event) -> None:
        with self._heard:
            self._events.append(event)
            self._heard.notify_all()

    @property
    def session(self) -> Session:
        """The client's session, as the server sees it."""
        return self.server.wait_for_session(timeout=PATIENCE_S)

    def events(self, *kinds: type[Event]) -> list[Any]:
        """Return the client's events of these kinds so far."""
        return [event for event in tuple(self._events) if isinstance(event, kinds)]

    def until(self, is_so: Callable[[], object]) -> None:
        """Return once `is_so()` is true of the client; it is asked again after each event."""
        with self._heard:
            assert self._heard.wait_for(is_so, PATIENCE_S), f"what the test waits for never came: {self.events()[-5:]}"

    def channel(self, name: str = "USER") -> ChannelState:
        """Return the client's side of a channel."""
        return self.client.connection_state().channels[name]

    def fill(self, channel: str, count: int) -> None:
        """Send `count` texts, each of them three envelopes, that must not have to wait."""
        for number in range(count):
            self.client.send_text_message(channel, f"Message {number}", timeout=0)

    def texts(self, count: int, channel: str = "USER") -> list[str]:
        """Return the texts that the server received on a channel, once there are `count`."""
        self.session.wait_for(lambda s: len(s.texts(channel)) >= count, PATIENCE_S, what=f"{count} texts on {channel}")
        return [text.text for text in self.session.texts(channel)]

    def control(self, count: int, *types: str) -> list[dict[str, Any]]:
        """Return the payloads of the frames of these types that the server received, once there are `count`."""

        def payloads(session: Session) -> list[dict[str, Any]]:
            return [frame.payload for frame in session.received if frame.type in types]

        self.session.wait_for(lambda s: len(payloads(s)) >= count, PATIENCE_S, what=f"{count} of {types}")
        return payloads(self.session)

    def settled(self, channel: str = "USER") -> ChannelState:
        """Return the client's side once all that was sent has arrived, checked against the server's to the message and byte.

        For a client that sends no more, and whose credit is in envelopes, as the server's is.
        """
        sent = self.channel(channel).sent_messages
        self.session.wait_for(
            lambda s: s.books(channel).from_client.spent >= sent, PATIENCE_S, what=f"{sent} frames on {channel}"
        )
        granted = self.session.books(channel).from_client
        self.until(lambda: (self.channel(channel).granted, self.channel(channel).granted_bytes) == _granted(granted))
        ours, books = self.channel(channel), self.session.books(channel)
        theirs = books.from_client
        assert (books.breaches, self.session.out_of_order) == (0, 0)
        assert (ours.sent_messages, ours.sent_bytes) == (theirs.spent, theirs.spent_bytes)
        assert (ours.credits + ours.set_aside, ours.byte_credits + ours.set_aside_bytes) == (theirs.balance, theirs.balance_bytes)
        assert ours.granted == ours.sent_messages + ours.credits + ours.set_aside + ours.forfeited
        return ours


def _granted(tally: Any) -> tuple[int, int]:
    return tally.granted, tally.granted_bytes


def amounts(states: Sequence[ChannelState]) -> list[tuple[int, int, int, int]]:
    """Return of each channel what may be spent and what is set aside: messages, messages, bytes, bytes."""
    return [(state.credits, state.set_aside, state.byte_credits, state.set_aside_bytes) for state in states]


@contextmanager
def stage(*, server: dict[str, Any] | None = None, **client: Any) -> Iterator[Stage]:
    """Start a server (by default one that grants nothing by itself and never answers) and a client with these settings."""
    options: dict[str, Any] = {"policy": "never", "agent": False} | (server or {})
    # A send that hangs must fail its test, not the whole run.
    settings = {"send_timeout": PATIENCE_S} | client
    with DevServer(**options) as running:
        built = Stage(running, HAIPClient(running.url, **settings))
        with built.client:
            running.wait_for_session(timeout=PATIENCE_S)
            yield built


def bytes_of(*texts: str) -> int:
    """Return what these texts of the page's integration test cost as the first of a connection: six envelopes for two."""
    with stage() as s:
        for text in texts:
            s.client.send_text_message("USER", text, "user", "run-1", timeout=0)
        return s.settled().sent_bytes
