"""Our side for real: a client, a socket, and a WebSocket server that says what a conversation tells it to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

from haip_sync import (
    ErrorReported,
    FlowControlConfig,
    HAIPClient,
    HAIPError,
    HAIPTimeout,
    Limits,
    Message,
    Transaction,
    TransactionEndedError,
    WarningRaised,
)
from support.conversations import OURS, Conversation
from support.scripted_peer import Peer, peer
from support.turnstiles import PATIENCE_S, until


class Live:
    """A client that connects on a thread of its own, and the server's end of its connection."""

    def __init__(
        self, client: HAIPClient, connection: ServerConnection, connecting: threading.Thread, failures: list[HAIPError]
    ) -> None:
        self._failures = failures
        self._client = client
        self._connection = connection
        self._connecting = connecting
        self._said: list[dict[str, Any]] = []
        self._opened: Future[Transaction] = Future()
        self._has_asked = False
        self._told: SimpleQueue[str] = SimpleQueue()
        # The clock by which gaps are waited for stands still but for `wait`.
        self._now_s = 1e6
        client._connection._reception._clock = lambda: self._now_s
        client.subscribe(lambda event: self._told.put(f"{event.reported_by}:{event.code}"), ErrorReported)
        client.subscribe(lambda _: self._told.put("warning"), WarningRaised)

    def hear(self, data: bytes | str) -> None:
        self._connection.send(data, text=True)

    def hear_binary(self, data: bytes) -> None:
        self._connection.send(data)

    def do(self, command: list[Any]) -> None:
        client = self._client
        match command:
            case ["send", channel, frame_type, payload]:
                client.send(channel, frame_type, payload, timeout=0)
            case ["text", channel, text]:
                client.send_text_message(channel, text, timeout=0)
            case ["request", channel, messages, byte_credits]:
                client.request_credits(channel, messages=messages, byte_credits=byte_credits)
            case ["pause", channel]:
                client.pause_channel(channel)
            case ["resume", channel]:
                client.resume_channel(channel)
            case _:
                self._do_in_transaction(client, command)

    def wait(self, seconds: float) -> None:
        self._now_s += seconds
        self._client._connection.look_for_gaps()

    def _do_in_transaction(self, client: HAIPClient, command: list[Any]) -> None:
        match command:
            case ["begin" | "join" as verb, name]:
                self._open(client.transaction if verb == "begin" else client.join_transaction, name)
            case ["begin and give up", tool]:
                client.transaction(tool, timeout=0.001)
            case ["say", channel, text]:
                self._transaction().send_text_message(channel, text, timeout=0)
            case ["end"]:
                self._transaction().end()
            case _:
                raise ValueError(command)

    def _open(self, ask: Callable[..., Transaction], name: str) -> None:
        """Ask for a transaction on a thread of its own, which waits for the answer; back once it has asked."""
        session, opened = self._client._connection.rooms.session, Future[Transaction]()
        before = session.last_seq

        def wait() -> None:
            try:
                opened.set_result(ask(name, timeout=PATIENCE_S))
            except HAIPError as exc:
                opened.set_exception(exc)

        self._opened, self._has_asked = opened, True
        threading.Thread(target=wait, daemon=True).start()
        until(lambda: session.last_seq > before)

    def _transaction(self) -> Transaction:
        """Return the transaction that was opened last. Raises what came instead."""
        return self._opened.result(PATIENCE_S)

    def settle(self, *, greeted: bool, ends: str | None) -> None:
        """Wait for the client's answer to a WebSocket ping: it stands behind everything else in the write order."""
        if greeted or ends:
            self._connecting.join(PATIENCE_S)
            assert not self._connecting.is_alive()
            assert [type(failure).__name__ for failure in self._failures] == ([ends] if ends else []), self._failures
        if ends:
            self._drain(None)
            return
        assert self._connection.ping().wait(PATIENCE_S)
        # What is sent again waits for what stands there to be written, and so may stand behind it: `said` asks once more.
        until(lambda: self._client._connection.replaying.under_way is None)
        self._drain(0)
        book = self._client._connection.rooms.session.transactions
        until(lambda: not self._has_asked or self._opened.done() or book._asked)  # an answer that came has been taken in
        told_all = threading.Event()
        self._client._connection.rooms.dispatcher.call_soon(told_all.set)
        assert told_all.wait(PATIENCE_S)

    def _drain(self, timeout_s: float | None) -> None:
        try:
            while True:
                data = self._connection.recv(PATIENCE_S if timeout_s is None else timeout_s)
                self._said.append(json.loads(data) if isinstance(data, str) else {"binary": data.hex()})
        except (TimeoutError, ConnectionClosed):
            return

    def said(self) -> list[dict[str, Any]]:
        # What the application took may just have given credit back.
        if not self._failures:
            assert self._connection.ping().wait(PATIENCE_S)
        self._drain(0)
        said, self._said = self._said, []
        return said

    def told(self) -> list[str]:
        told = []
        while not self._told.empty():
            told.append(self._told.get())
        return told

    def delivered(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        self._receive_all(self._client.receive, found)
        if self._opened.done() and self._opened.exception() is None:
            self._receive_all(self._transaction().receive, found)
        return found

    def _receive_all(self, receive: Callable[[float], Message], found: list[dict[str, Any]]) -> None:
        try:
            while True:
                m = receive(0)
                names = ("type", "channel", "payload", "id", "seq", "is_echo")
                found.append({name: getattr(m, name) for name in names} | {"messages": m.message_credits, "bytes": m.frame_bytes})
        except (HAIPTimeout, TransactionEndedError):
            return

    def credit(self, channel: str) -> dict[str, int]:
        state = self._client.connection_state().channels[channel]
        return {"messages": state.credits, "bytes": state.byte_credits, "aside": state.set_aside}

    def paused(self, channel: str) -> list[str]:
        state = self._client.connection_state().channels[channel]
        return [name for name, is_held in (("peer", state.paused_by_peer), ("us", state.paused_by_us)) if is_held]

    def window(self, channel: str) -> dict[str, int]:
        state = self._client.connection_state().channels[channel]
        return {"messages": state.receive_window, "bytes": state.receive_window_bytes}


@contextmanager
def live(conversation: Conversation) -> Iterator[Live]:
    """Yield a client in mid-handshake: it has sent its HAI and waits for the peer's."""
    ends: SimpleQueue[ServerConnection] = SimpleQueue()
    done = threading.Event()

    def script(speaker: Peer) -> None:
        ends.put(speaker.connection)
        done.wait(PATIENCE_S * 4)

    with peer(script) as url:
        client = HAIPClient(
            url,
            session_id=OURS,
            flow_control=FlowControlConfig(**conversation.settings),
            dialect=conversation.dialect,  # type: ignore[arg-type]
            limits=Limits(max_log_lines_per_s=1),
        )
        failures: list[HAIPError] = []

        def connect() -> None:
            try:
                client.connect(PATIENCE_S)
            except HAIPError as exc:
                failures.append(exc)

        connecting = threading.Thread(target=connect)
        connecting.start()
        try:
            yield Live(client, ends.get(timeout=PATIENCE_S), connecting, failures)
        finally:
            client.close()
            done.set()
            connecting.join(PATIENCE_S)
