"""What is asked of a client that is offered to monitors: no more than its public face."""

from __future__ import annotations

from typing import Protocol

from haip_sync.events import Event, Listener, Subscription
from haip_sync.flow.metrics import FlowControlMetrics
from haip_sync.flow.strategies import Strategy
from haip_sync.state import ConnectionState, Explanation, SendReceipt


class Subject(Protocol):
    """`HAIPClient`, as far as a monitor sees it."""

    @property
    def name(self) -> str:
        """What the client is called."""

    @property
    def address(self) -> str:
        """Scheme, host and port; never a token."""

    def connection_state(self) -> ConnectionState:
        """Return one consistent snapshot."""

    def metrics(self) -> FlowControlMetrics:
        """Return requests, grants and waits."""

    def explain(self, channel: str) -> Explanation:
        """Return why a channel stands still."""

    def subscribe(self, listener: Listener, *event_types: type[Event]) -> Subscription:
        """Have `listener` run for events."""

    def pause_channel(self, channel: str, *, reason: str | None = None) -> None:
        """Hold our sends."""

    def resume_channel(self, channel: str) -> None:
        """Lift our hold."""

    def request_credits(self, channel: str, *, messages: int = 0, byte_credits: int = 0) -> None:
        """Ask the peer for credit."""

    def clear_queue(self, channel: str) -> int:
        """Take back what is queued."""

    def set_strategy(self, strategy: Strategy | None) -> None:
        """Change who asks for credit."""

    def send_text_message(self, channel: str, text: str, *, timeout: float) -> SendReceipt:
        """Send a text, waiting for `timeout` seconds at most."""
