"""The source that stands for a client in this process: one of the monitor's own, or one that a script already has."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import haip_sync
from haip_sync import ConnectionState, Disconnected, ErrorReported, HAIPError, HeartbeatPolicy, Message, SendAdmitted
from monitor_app.model.addresses import without_secrets
from monitor_app.model.attempt import Attempt, cancelled
from monitor_app.model.client_commands import ClientCommands
from monitor_app.model.event_buffer import WATCHED, EventBuffer
from monitor_app.model.failures import NOT_CONNECTED_YET, complaint_of, failure_of, failure_of_loss, told_of_failure
from monitor_app.model.queue_book import QUEUE_EVENTS, QueueBook
from monitor_app.model.source import Drained, Failure, Notice, QueuedMessage

if TYPE_CHECKING:
    from haip_sync import HAIPClient, Subscription

CONNECT_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 1.0
HEARTBEAT_S: Final = 5.0
"""Often enough for a round trip that people can watch."""

ClientFactory = Callable[[str, str | None], "HAIPClient"]


def open_client(url: str, token: str | None) -> HAIPClient:
    """Return an unconnected client of the monitor's own, which only listens. Raises `ConfigError` for a wrong URL.

    Only here is the client imported: the window is there before somebody connects.
    """
    heartbeat = HeartbeatPolicy(interval=HEARTBEAT_S)
    return haip_sync.HAIPClient(url, token=token, inbox="listeners", name="monitor", heartbeat=heartbeat)


class ClientSource:
    """Shows one client. The commands return at once; what would wait runs on a daemon thread with a deadline.

    Threads: everything is called by the GUI thread but `_connect`, which runs on a thread of its own and hands over by appending
    to `_notices` and by setting `_failure` before its attempt is over, `EventBuffer.put` and `QueueBook.put`, which run on the
    client's dispatch thread, and `note_result`, which anybody may call.
    """

    def __init__(self, client: HAIPClient | None = None, *, factory: ClientFactory | None = None, name: str = "") -> None:
        self._factory = factory
        self._name = name
        self._notices: deque[Notice] = deque()
        self._threads: list[threading.Thread] = []
        self._failure: Failure | None = None
        self._attempt: Attempt | None = None
        self._was_connected = False
        self._closed = False
        self._asked: tuple[str, str | None] | None = None
        self._goodbye: Disconnected | None = None
        self._complaint = ""
        self._commands = ClientCommands(self)
        self._wants_messages = False
        self._messages: Subscription | None = None
        self._subscriptions: list[Subscription] = []
        self._buffer = EventBuffer()
        self._book = QueueBook()
        if client is not None:
            self._follow(client)

    @property
    def name(self) -> str:
        """What the window is called."""
        return self._name or (self._client.name if self._client is not None else "")

    @property
    def address(self) -> str:
        """Scheme, host and port; never a token."""
        if self._client is not None:
            return self._client.address
        return "" if self._asked is None else without_secrets(self._asked[0])

    @property
    def connecting(self) -> bool:
        """Whether an attempt to connect is under way."""
        return self._attempt is not None and not self._attempt.is_over

    @property
    def failure(self) -> Failure | None:
        """Why there is no connection; None while there is one, one is being tried, or none was asked for."""
        if self.connecting:
            return None
        if self._failure is not None:
            return replace(self._failure, text=f"{self._failure.text} {self._complaint}".strip())
        state = self.snapshot()
        if state is None or state.connected or state.phase == "offline":
            return None
        if not self._was_connected and state.epoch == 0:
            return None if self._factory else NOT_CONNECTED_YET
        return failure_of_loss(self.address, state.last_error, self._goodbye, of_script=self._factory is None)

    @property
    def can_reconnect(self) -> bool:
        """Whether the monitor opens its clients itself."""
        return self._factory is not None

    @property
    def silent_s(self) -> float | None:
        """None: a client in this process is never out of earshot."""
        return None

    @property
    def can_detach(self) -> bool:
        """False: the client is in this process."""
        return False

    @property
    def can_attach_again(self) -> bool:
        """False, for the same reason."""
        return False

    @property
    def steering_refused(self) -> str | None:
        """None: a client in this process takes commands."""
        return None

    def snapshot(self) -> ConnectionState | None:
        """Return the client at this moment; None while there is no client."""
        if self._client is None:
            return None
        state = self._client.connection_state()
        self._was_connected = self._was_connected or state.connected
        return state

    def take_past(self) -> Sequence[tuple[float, ConnectionState]]:
        """Return nothing: a client remembers no past."""
        return ()

    def drain(self, limit: int) -> Drained:
        """Take at most `limit` events out of the buffer."""
        drained = self._buffer.drain(limit)
        for event in drained.events:
            if isinstance(event, Disconnected):
                self._goodbye = event
            elif isinstance(event, ErrorReported):
                self._complaint = complaint_of(event)
        return drained

    def take_notices(self) -> Sequence[Notice]:
        """Take the results of commands that have ended since the last call."""
        taken: list[Notice] = []
        while self._notices:
            taken.append(self._notices.popleft())
        return taken

    def connect_to(self, url: str, token: str | None) -> None:
        """Leave the present client and connect a new one to `url`."""
        if self._factory is None or self.connecting or self._closed:
            return
        if (left := self._leave()) is not None:
            self.run_aside(_close, left)
        self._asked = (url, token)
        self._failure, self._goodbye, self._complaint, self._was_connected = None, None, "", False
        try:
            client = self._factory(url, token)
        except HAIPError as error:
            self._fail(failure_of(error, self.address))
            return
        self._follow(client)
        self._attempt = Attempt(client)
        self.run_aside(self._connect, self._attempt)

    def reconnect(self) -> None:
        """Try the last address again; a client connects once, so it takes a new one."""
        if self._asked is not None:
            self.connect_to(*self._asked)

    def cancel_connect(self) -> None:
        """Let the attempt be over at once; its thread ends as soon as its socket is shut."""
        attempt = self._attempt
        if attempt is not None and attempt.claim():
            self._fail(cancelled(self.address))
            attempt.end()
            self.run_aside(_close, attempt.client)

    def detach(self) -> None:
        """Do nothing: nothing is attached to."""

    def attach_again(self) -> None:
        """Do nothing."""

    def pause(self, channel: str, reason: str | None) -> None:
        """Pause `channel`."""
        self._commands.pause(channel, reason)

    def resume(self, channel: str) -> None:
        """Resume `channel`."""
        self._commands.resume(channel)

    def request(self, channel: str, messages: int, byte_credits: int) -> None:
        """Ask the peer for credit."""
        self._commands.request(channel, messages, byte_credits)

    def send_test_message(self, channel: str, text: str) -> None:
        """Queue `text`: it waits for credit in line like anybody, and is taken back when the window closes first."""
        self._commands.send_test_message(channel, text)

    def clear_queue(self, channel: str, reason: str | None) -> None:
        """Take back what is queued in `channel`."""
        del reason  # the audit trail has it
        self._commands.clear_queue(channel)

    def use_strategy(self, strategy: str, settings: Mapping[str, int | float], reason: str | None) -> None:
        """Let a strategy ask for credit."""
        del reason  # the audit trail has it
        self._commands.use_strategy(strategy, settings)

    def queued(self, channel: str) -> Sequence[QueuedMessage]:
        """Return what is known of the messages in the queue of `channel`."""
        state = self.snapshot()
        count = state.channels[channel].queued if state is not None and channel in state.channels else 0
        return self._book.of(channel, count)

    def watch_messages(self, *, wanted: bool) -> bool:
        """Listen to single messages, received and sent, or no longer; another client is listened to in the same way."""
        self._wants_messages = wanted
        if self._messages is not None:
            self._messages.close()
            self._messages = None
        if wanted and self._client is not None:
            self._messages = self._client.subscribe(self._buffer.put, Message, SendAdmitted)
        return wanted

    def close(self) -> None:
        """Stop listening; close the client if it is the monitor's own, and wait for this source's threads."""
        if self._closed:
            return
        self._closed = self._commands.is_over = True
        left = self._leave()
        if left is not None:
            _close(left)
        for thread in self._threads:
            thread.join(CLOSE_TIMEOUT_S)

    def _follow(self, client: HAIPClient) -> None:
        self._buffer, self._book = EventBuffer(), QueueBook()
        self._commands.client = client
        self._subscriptions = [client.subscribe(self._buffer.put, *WATCHED), client.subscribe(self._book.put, *QUEUE_EVENTS)]
        self.watch_messages(wanted=self._wants_messages)

    @property
    def _client(self) -> HAIPClient | None:
        return self._commands.client

    def _leave(self) -> HAIPClient | None:
        """Stop listening; return the client that is now to be closed, if it is ours."""
        for subscription in (*self._subscriptions, self._messages):
            if subscription is not None:
                subscription.close()
        self._subscriptions, self._messages = [], None
        self._commands.withdraw_tests()
        if self._factory is None:
            return None
        left, self._commands.client = self._client, None
        return left

    def run_aside(self, target: Callable[..., None], *arguments: Any) -> None:
        """Run something on a thread of its own, which `close` waits for."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=target, args=arguments, name=f"monitor{target.__name__}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _connect(self, attempt: Attempt) -> None:
        client = attempt.client
        try:
            client.connect(timeout=CONNECT_TIMEOUT_S)
        except HAIPError as error:
            if attempt.claim():
                self._fail(failure_of(error, client.address))
        else:
            if attempt.claim():
                self.note_result(None, "connect", f"Connected to {client.address}.", ok=True)
        finally:
            attempt.end()

    def _fail(self, failure: Failure) -> None:
        self._failure = failure
        self.note_result(None, "connect", told_of_failure(failure), ok=False, is_ours=failure.is_ours)

    def note_result(self, channel: str | None, action: str, result: str, *, ok: bool, is_ours: bool = False) -> None:
        """Leave a notice. From any thread."""
        notice = Notice(time_s=time.monotonic(), channel=channel, action=action, result=result, ok=ok, is_ours=is_ours)
        self._notices.append(notice)


def _close(client: HAIPClient) -> None:
    client.close(timeout=CLOSE_TIMEOUT_S)
