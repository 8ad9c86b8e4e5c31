"""The source that stands for a client in this process: one of the monitor's own, or one that a script already has."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from haip_sync import (
    ChannelPaused,
    ChannelResumed,
    Connected,
    ConnectionState,
    CreditGranted,
    CreditRequested,
    Disconnected,
    ErrorReported,
    Event,
    HAIPClient,
    HAIPError,
    HandshakeCompleted,
    HeartbeatPolicy,
    PendingSend,
    RequestExpired,
    SendBlocked,
    Subscription,
    WarningRaised,
)
from monitor_app.model.event_buffer import EventBuffer
from monitor_app.model.failures import complaint_of, failure_of, failure_of_loss
from monitor_app.model.source import Drained, Failure, Notice
from monitor_app.model.units import format_credit

CONNECT_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 1.0
_MOST_TESTS: Final = 1_000
"""Test messages that are taken back when the window closes; older ones have long left, or been refused."""
HEARTBEAT_S: Final = 5.0
"""Often enough for a round trip that people can watch."""

_WATCHED: Final[tuple[type[Event], ...]] = (
    Connected,
    HandshakeCompleted,
    Disconnected,
    CreditGranted,
    CreditRequested,
    RequestExpired,
    SendBlocked,
    ChannelPaused,
    ChannelResumed,
    ErrorReported,
    WarningRaised,
)
"""Marks, log rows, and the moment at which a sender began to wait. Gauges are read from the snapshot, and single admissions
would cost the senders for nothing."""

ClientFactory = Callable[[str, str | None], HAIPClient]


def open_client(url: str, token: str | None) -> HAIPClient:
    """Return an unconnected client of the monitor's own, which only listens. Raises `ConfigError` for a wrong URL."""
    heartbeat = HeartbeatPolicy(interval=HEARTBEAT_S)
    return HAIPClient(url, token=token, inbox="listeners", name="monitor", heartbeat=heartbeat)


class ClientSource:
    """Shows one client. The commands return at once; what would wait runs on a daemon thread with a deadline.

    Threads: everything is called by the GUI thread but `_connect` and `_enqueue`, which run on threads of their own and hand
    over by appending to `_notices` and `_tests` and by setting `_failure` before `_connecting`, and `_on_test_settled` and
    `EventBuffer.put`, which run on the client's dispatch thread.
    """

    def __init__(self, client: HAIPClient | None = None, *, factory: ClientFactory | None = None, name: str = "") -> None:
        self._factory = factory
        self._name = name
        self._notices: deque[Notice] = deque()
        self._threads: list[threading.Thread] = []
        self._tests: deque[PendingSend] = deque(maxlen=_MOST_TESTS)
        self._failure: Failure | None = None
        self._connecting = False
        self._was_connected = False
        self._closed = False
        self._asked: tuple[str, str | None] | None = None
        self._goodbye: Disconnected | None = None
        self._complaint = ""
        self._client: HAIPClient | None = None
        self._subscription: Subscription | None = None
        self._buffer = EventBuffer()
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
        return "" if self._asked is None else _without_secrets(self._asked[0])

    @property
    def connecting(self) -> bool:
        """Whether an attempt to connect is under way."""
        return self._connecting

    @property
    def failure(self) -> Failure | None:
        """Why there is no connection; None while there is one, one is being tried, or none was asked for."""
        if self._connecting:
            return None
        if self._failure is not None:
            return replace(self._failure, text=f"{self._failure.text} {self._complaint}".strip())
        state = self.snapshot()
        if state is None or state.connected:
            return None
        if not self._was_connected and state.epoch == 0:
            return None if self._factory else Failure(title="Not connected", text="The script has not connected this client yet.")
        return failure_of_loss(self.address, state.last_error, self._goodbye)

    @property
    def can_reconnect(self) -> bool:
        """Whether the monitor opens its clients itself."""
        return self._factory is not None

    def snapshot(self) -> ConnectionState | None:
        """Return the client at this moment; None while there is no client."""
        if self._client is None:
            return None
        state = self._client.connection_state()
        self._was_connected = self._was_connected or state.connected
        return state

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
        if self._factory is None or self._connecting or self._closed:
            return
        left = self._leave()
        if left is not None:
            self._run(_close, left)
        self._asked = (url, token)
        self._failure, self._goodbye, self._complaint, self._was_connected = None, None, "", False
        try:
            client = self._factory(url, token)
        except HAIPError as error:
            self._refuse(error, self.address)
            return
        self._follow(client)
        self._connecting = True
        self._run(self._connect, client)

    def reconnect(self) -> None:
        """Try the last address again; a client connects once, so it takes a new one."""
        if self._asked is not None:
            self.connect_to(*self._asked)

    def pause(self, channel: str, reason: str | None) -> None:
        """Pause `channel`."""
        said = f", “{reason}”" if reason else ""
        self._command(channel, "pause", f"asked for{said}", lambda client: client.pause_channel(channel, reason=reason))

    def resume(self, channel: str) -> None:
        """Resume `channel`."""
        self._command(channel, "resume", "asked for", lambda client: client.resume_channel(channel))

    def request(self, channel: str, messages: int, byte_credits: int) -> None:
        """Ask the peer for credit."""
        asked = f"{format_credit(messages, byte_credits)} asked for"
        self._command(
            channel,
            "request",
            asked,
            lambda client: client.request_credits(channel, messages=messages, byte_credits=byte_credits),
        )

    def send_test_message(self, channel: str, text: str) -> None:
        """Queue `text`: it waits for credit in line like anybody, and is taken back when the window closes first."""
        if self._client is None:
            self._note(channel, "test message", "There is no connection.", ok=False)
        else:  # on a thread: the queue of a script may be full, and hold whoever adds to it
            self._run(self._enqueue, self._client, channel, text)

    def close(self) -> None:
        """Stop listening; close the client if it is the monitor's own, and wait for this source's threads."""
        if self._closed:
            return
        self._closed = True
        left = self._leave()
        if left is not None:
            _close(left)
        for thread in self._threads:
            thread.join(CLOSE_TIMEOUT_S)

    def note(self, action: str, result: str, *, ok: bool) -> None:
        """Put a notice of somebody else's into the stream of notices. From any thread."""
        self._note(None, action, result, ok=ok)

    def _follow(self, client: HAIPClient) -> None:
        self._buffer = EventBuffer()
        self._client = client
        self._subscription = client.subscribe(self._buffer.put, *_WATCHED)

    def _leave(self) -> HAIPClient | None:
        """Stop listening; return the client that is now to be closed, if it is ours."""
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None
        for pending in self._tests:
            pending.cancel()
        if self._factory is None:
            return None
        left, self._client = self._client, None
        return left

    def _run(self, target: Callable[..., None], *arguments: Any) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=target, args=arguments, name=f"monitor{target.__name__}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _connect(self, client: HAIPClient) -> None:
        try:
            client.connect(timeout=CONNECT_TIMEOUT_S)
        except HAIPError as error:
            self._refuse(error, client.address)
        else:
            self._note(None, "connect", f"Connected to {client.address}.", ok=True)
        finally:
            self._connecting = False

    def _enqueue(self, client: HAIPClient, channel: str, text: str) -> None:
        try:
            pending = client.enqueue_text_message(channel, text)
        except HAIPError as error:
            self._note(channel, "test message", str(error), ok=False)
            return
        pending.add_done_callback(self._on_test_settled)
        self._tests.append(pending)
        if self._closed:
            pending.cancel()

    def _on_test_settled(self, pending: PendingSend) -> None:
        """Note what became of a test message. Runs on the client's dispatch thread."""
        try:
            receipt = pending.result(0)
        except HAIPError as error:
            self._note(pending.channel, "test message", str(error), ok=False)
        else:
            self._note(pending.channel, "test message", f"Sent as {receipt.message_id}.", ok=True)

    def _command(self, channel: str, action: str, done: str, call: Callable[[HAIPClient], object]) -> None:
        if self._client is None:
            self._note(channel, action, "There is no connection.", ok=False)
            return
        try:
            call(self._client)
        except HAIPError as error:
            self._note(channel, action, str(error), ok=False)
        else:
            self._note(channel, action, done, ok=True)

    def _refuse(self, error: Exception, address: str) -> None:
        self._failure = failure_of(error, address)
        self._note(None, "connect", f"{self._failure.title}. {self._failure.text}", ok=False)

    def _note(self, channel: str | None, action: str, result: str, *, ok: bool) -> None:
        self._notices.append(Notice(time_s=time.monotonic(), channel=channel, action=action, result=result, ok=ok))


def _close(client: HAIPClient) -> None:
    client.close(timeout=CLOSE_TIMEOUT_S)


def _without_secrets(url: str) -> str:
    """Return `url` without what may hold a token: user information, query and fragment."""
    plain = url.split("?", 1)[0].split("#", 1)[0]
    scheme, separator, rest = plain.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else plain.rpartition("@")[2]
