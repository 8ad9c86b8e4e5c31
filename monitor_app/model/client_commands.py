"""The commands of a client in this process. Each returns at once and leaves one notice; what would wait runs on a thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from haip_sync import HAIPError
from monitor_app.model.strategy_plan import build_strategy
from monitor_app.model.units import format_credit, format_messages

if TYPE_CHECKING:
    from haip_sync import HAIPClient, PendingSend

_MOST_TESTS: Final = 1_000
"""Test messages that are taken back when the window closes; older ones have long left, or been refused."""


class Host(Protocol):
    """What the commands ask of the source that they belong to."""

    def note_result(self, channel: str | None, action: str, result: str, *, ok: bool) -> None:
        """Leave a notice. From any thread."""

    def run_aside(self, target: Callable[..., None], *arguments: Any) -> None:
        """Run something on a thread of its own, which the source's `close` waits for."""


class ClientCommands:
    """What an operator does to one client.

    Threads: called by the GUI thread, but `_enqueue`, which runs aside and hands over by appending to `_tests`, and
    `_on_test_settled`, which runs on the client's dispatch thread.

    Attributes:
        client: The client; None while there is none.
        is_over: Set by `close`: no test message is left in the queue from then on.
    """

    def __init__(self, host: Host) -> None:
        self.client: HAIPClient | None = None
        self.is_over = False
        self._host = host
        self._tests: deque[PendingSend] = deque(maxlen=_MOST_TESTS)

    def pause(self, channel: str, reason: str | None) -> None:
        """Pause `channel`."""

        def pause(client: HAIPClient) -> str:
            client.pause_channel(channel, reason=reason)
            return f"{channel} is paused"

        self._command(channel, "pause", pause)

    def resume(self, channel: str) -> None:
        """Resume `channel`."""

        def resume(client: HAIPClient) -> str:
            client.resume_channel(channel)
            return f"{channel} is resumed"

        self._command(channel, "resume", resume)

    def request(self, channel: str, messages: int, byte_credits: int) -> None:
        """Ask the peer for credit."""

        def ask(client: HAIPClient) -> str:
            client.request_credits(channel, messages=messages, byte_credits=byte_credits)
            return f"{format_credit(messages, byte_credits)} asked for"

        self._command(channel, "request", ask)

    def clear_queue(self, channel: str) -> None:
        """Take back what is queued in `channel`."""

        def clear(client: HAIPClient) -> str:
            count = client.clear_queue(channel)
            return (
                f"{format_messages(count)} taken back unsent; whoever queued them is told “cleared”"
                if count
                else "nothing waited any longer"
            )

        self._command(channel, "clear queue", clear)

    def use_strategy(self, strategy: str, settings: Mapping[str, int | float]) -> None:
        """Let a strategy ask for credit."""

        def use(client: HAIPClient) -> str:
            client.set_strategy(build_strategy(strategy, settings))
            return f"{strategy} is in use on every channel"

        self._command(None, "strategy", use)

    def send_test_message(self, channel: str, text: str) -> None:
        """Queue `text`: it waits for credit in line like anybody."""
        if self.client is None:
            self._host.note_result(channel, "test message", "There is no connection.", ok=False)
        else:  # aside: the queue of a script may be full, and hold whoever adds to it
            self._host.run_aside(self._enqueue, self.client, channel, text)

    def withdraw_tests(self) -> None:
        """Take back the test messages that still wait."""
        for pending in self._tests:
            pending.cancel()

    def _enqueue(self, client: HAIPClient, channel: str, text: str) -> None:
        try:
            pending = client.enqueue_text_message(channel, text)
        except HAIPError as error:
            self._host.note_result(channel, "test message", str(error), ok=False)
            return
        pending.add_done_callback(self._on_test_settled)
        self._tests.append(pending)
        if self.is_over:
            pending.cancel()

    def _on_test_settled(self, pending: PendingSend) -> None:
        """Note what became of a test message. Runs on the client's dispatch thread."""
        try:
            receipt = pending.result(0)
        except HAIPError as error:
            self._host.note_result(pending.channel, "test message", str(error), ok=False)
        else:
            self._host.note_result(pending.channel, "test message", f"Sent as {receipt.message_id}.", ok=True)

    def _command(self, channel: str | None, action: str, call: Callable[[HAIPClient], str]) -> None:
        """Do something at once; `call` returns what to say of it."""
        if self.client is None:
            self._host.note_result(channel, action, "There is no connection.", ok=False)
            return
        try:
            result = call(self.client)
        except HAIPError as error:
            self._host.note_result(channel, action, str(error), ok=False)
        else:
            self._host.note_result(channel, action, result, ok=True)
