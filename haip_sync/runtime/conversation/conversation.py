"""What a client has under way with its peer: it begins tool calls, runs, transactions and pings, and makes single frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from haip_sync.config import told
from haip_sync.errors import ConfigError, ConnectionClosedError, HAIPTimeout, ProtocolError, UnsupportedByPeerError
from haip_sync.protocol.envelope import encode_json, encode_payload, media_bytes
from haip_sync.protocol.frames import Frame
from haip_sync.protocol.identifiers import new_id
from haip_sync.protocol.names import (
    MEDIA_TYPES,
    PING,
    RUN_FINISHED,
    RUN_STARTED,
    SYSTEM,
    TOOL_CALL,
    TRANSACTION_END,
    TRANSACTION_JOIN,
    TRANSACTION_START,
)
from haip_sync.protocol.transactions import TransactionState
from haip_sync.runtime.connection import Connection
from haip_sync.runtime.conversation.incoming_texts import IncomingTexts, TextDesk
from haip_sync.runtime.conversation.ping import Ping
from haip_sync.runtime.conversation.routes import Handle
from haip_sync.runtime.conversation.run import Run
from haip_sync.runtime.conversation.sender import Sender
from haip_sync.runtime.conversation.tool_call import ToolCall
from haip_sync.runtime.conversation.waiting import Bench
from haip_sync.runtime.parcels import FrameParcel
from haip_sync.runtime.timeouts import Timeout
from haip_sync.runtime.transaction import Transaction
from haip_sync.state import SendReceipt

RUN_LIMIT_EXCEEDED = "RUN_LIMIT_EXCEEDED"


class Labels(msgspec.Struct, frozen=True):
    """What groups a frame with others."""

    run_id: str | None = None
    thread_id: str | None = None


class Conversation:
    """One client's. Every method may be called by any thread, without the lock. Arguments are taken as checked."""

    def __init__(self, connection: Connection, sender: Sender, where: str, resolve: Callable[[Timeout], float | None]) -> None:
        self._connection = connection
        self._where = where
        self._routes = connection.rooms.routes
        self._lock = connection.rooms.parking.lock
        self._sender = sender
        self._resolve = resolve
        self._bench = Bench(connection)
        self._desk = TextDesk(connection.rooms)
        self._routes.texts = self._desk

    def frame(
        self,
        channel: str,
        event_type: str,
        payload: Mapping[str, Any] | str,
        labels: Labels,
        *,
        binary: bytes | None = None,
        binary_mime: str | None = None,
    ) -> Frame:
        """Return one frame, made. Raises `UnsupportedByPeerError`, `ConnectionClosedError`, `ConfigError`."""
        if not self._connection.is_open:
            self._connection.home.check()
            with self._lock:
                self._connection.check_alive()
        session = self._connection.rooms.session
        latest = session.latest
        if latest is None or event_type not in latest.hello.accept_events:  # else there is nothing to refuse
            self._check_accepts(event_type)
        if binary is not None and not self.takes_binary():
            raise UnsupportedByPeerError(f"{self._where} takes no binary frames. Nothing was sent")
        may_be_media = binary is not None or event_type in MEDIA_TYPES
        return session.frames.make(
            channel,
            event_type,
            encode_payload(payload),
            run_id=labels.run_id,
            thread_id=labels.thread_id,
            binary=binary,
            binary_mime=binary_mime,
            media=media_bytes(event_type, payload, None if binary is None else len(binary)) if may_be_media else None,
        )

    def takes_binary(self) -> bool:
        """Return whether the peer's HAI says that it takes binary frames."""
        peer = self._connection.rooms.session.latest
        return peer is not None and peer.hello.capabilities.binary_frames

    def call_tool(self, channel: str, tool: str, params: Mapping[str, Any] | None, labels: Labels, timeout: Timeout) -> ToolCall:
        """Send TOOL_CALL and return its handle, which hears of answers from before the first byte left."""
        call_id = new_id()
        payload = {"call_id": call_id, "tool": tool, "params": {} if params is None else params}
        frame = self.frame(channel, TOOL_CALL, payload, labels)
        call = ToolCall(
            self._bench,
            self._sender,
            self._routes.forget,
            call_id=call_id,
            frame_id=frame.id,
            tool=tool,
            channel=channel,
            labels=(labels.run_id, labels.thread_id),
        )
        call.sent(self._open(call.route, self._parcel(frame), channel, self._resolve(timeout)))
        return call

    def new_run(self, labels: Labels, metadata: Mapping[str, Any] | None, channel: str, timeout: Timeout) -> Run:
        """Return a run that is not begun."""
        return Run(
            self._bench,
            self,
            self._sender,
            run_id=labels.run_id or new_id(),
            thread_id=labels.thread_id,
            metadata=metadata,
            channel=channel,
            timeout=timeout,
        )

    def new_transaction(self, tool: object, params: object, *, send_timeout: float | None, keeps_inbox: bool) -> Transaction:
        """Return one that is still to be opened. Raises `ConfigError`, `UnsupportedByPeerError`, `ConnectionClosedError`."""
        if not isinstance(tool, str) or not tool:
            raise ConfigError(f"tool must be the name of a tool, not {told(tool)}. Nothing was sent")
        if params is not None and not isinstance(params, Mapping):
            raise ConfigError(f"params must be a mapping or None, not {type(params).__name__}. Nothing was sent")
        payload = encode_json({"toolName": tool, "params": dict(params or {})})
        self._check_has_transactions(TRANSACTION_START)
        reference = new_id()
        frame = self._connection.rooms.session.frames.make(SYSTEM, TRANSACTION_START, payload, transaction=reference)
        state = TransactionState(reference, frame.id, tool=tool)
        return Transaction(self._connection, frame, state, send_timeout=send_timeout, keeps_inbox=keeps_inbox)

    def joining_transaction(self, transaction_id: object, *, send_timeout: float | None, keeps_inbox: bool) -> Transaction:
        """Return one that is still to be joined. Raises as `new_transaction`."""
        if not isinstance(transaction_id, str) or transaction_id in ("", "null"):
            raise ConfigError(f"transaction_id must be the id of a transaction, not {told(transaction_id)}. Nothing was sent")
        self._check_has_transactions(TRANSACTION_JOIN)
        frame = self._connection.rooms.session.frames.make(SYSTEM, TRANSACTION_JOIN, b"{}", transaction=transaction_id)
        state = TransactionState(transaction_id, frame.id, tool=None, joins=True)
        return Transaction(self._connection, frame, state, send_timeout=send_timeout, keeps_inbox=keeps_inbox)

    def _check_has_transactions(self, frame_type: str) -> None:
        """Raise `UnsupportedByPeerError` where the peer takes no such frame, or none that ends a transaction."""
        self._connection.check_not_reentered()
        self._connection.check_may_wait()
        with self._lock:
            self._connection.enter()
        session = self._connection.rooms.session
        missing = [name for name in (frame_type, TRANSACTION_END) if not session.accepts(name)]
        if missing:
            what = f"the peer accepts no {' and no '.join(missing)}: it has no transactions"
            raise UnsupportedByPeerError(f"{what}. Nothing was sent")

    def _check_accepts(self, event_type: str) -> None:
        """Raise `UnsupportedByPeerError` where the peer, or on a broken line the latest one, takes no such type."""
        latest = self._connection.rooms.session.latest
        if latest is None or not latest.accepts(event_type):
            raise UnsupportedByPeerError(f"{self._where} does not accept {event_type:.60}. Nothing was sent")

    def start(self, run: Run, payload: dict[str, Any], timeout: Timeout) -> None:
        """Send RUN_STARTED of `run`."""
        timeout_s = self._resolve(timeout)
        frame = self.frame(run.channel, RUN_STARTED, payload, Labels(run.run_id, run.thread_id))
        self._check_accepts(RUN_FINISHED)  # before a run begins that could not be ended
        run.frame_id = frame.id
        parcel = self._parcel(frame)
        try:
            self._open(run, parcel, run.channel, timeout_s)
        finally:
            if parcel.progress.frames:
                run.begun()

    def finish(self, run: Run, payload: dict[str, Any], timeout: Timeout) -> None:
        """Send RUN_FINISHED of `run`."""
        timeout_s = self._resolve(timeout)
        run.last_word = self._parcel(self.frame(run.channel, RUN_FINISHED, payload, Labels(run.run_id, run.thread_id)))
        self._connection.carry(run.channel, run.last_word, timeout_s)

    def forget(self, handle: Handle) -> None:
        """Send a handle nothing any more."""
        with self._lock:
            self._connection.rooms.turnstile.mend()
            self._routes.forget(handle)

    def await_end(self, handle: Handle) -> None:
        """Tell a handle of the connection's end though it may not have begun. Requires the lock."""
        if self._connection.is_over:
            handle.lost(self._connection.failure or ConnectionClosedError(self._connection.ending))
        self._routes.await_end(handle)

    def await_no_more(self, handle: Handle) -> None:
        """Undo one `await_end`. Requires the lock."""
        self._routes.await_no_more(handle)

    def ping(self, timeout_s: float | None) -> float:
        """Send a PING and return the seconds until its PONG."""
        self._bench.check()
        deadline_s = self._bench.deadline(timeout_s)
        nonce = new_id()
        frame = self.frame(SYSTEM, PING, {"nonce": nonce}, Labels())
        ping = Ping(self._bench, nonce, frame.id, time.monotonic())
        try:
            with self._lock:
                self._connection.enter()
                self._routes.add(ping, lambda: True)
            entry = self._connection.post_now(frame, timeout_s)
            round_trip_s = ping.wait(self._bench.left(deadline_s))
        finally:
            self.forget(ping)
        if round_trip_s is None:
            what = (
                "was sent, and no PONG came"
                if entry.is_written
                else "waits behind what the peer does not read, and could not be sent"
            )
            raise HAIPTimeout(f"the PING {what} within {timeout_s:g} s")
        return round_trip_s

    def texts(self, channels: frozenset[str]) -> IncomingTexts:
        """Return a subscription to the peer's texts that is not open yet."""
        return IncomingTexts(self._bench, self._desk, channels)

    def _parcel(self, frame: Frame) -> FrameParcel:
        return FrameParcel(self._connection.rooms.outgoing, self._connection.rooms.session, frame, frame.id)

    def _open(self, handle: Handle, parcel: FrameParcel, channel: str, timeout_s: float | None) -> SendReceipt:
        """Send the frame that begins something, whose handle hears of all that answers it. Not sent: not begun."""
        self._bench.check()
        try:
            self._begin(handle, parcel)
            return self._connection.carry(channel, parcel, timeout_s).receipt(handle.frame_id)
        except BaseException:
            if not parcel.progress.frames:
                self.forget(handle)
            raise

    def _begin(self, handle: Handle, parcel: FrameParcel) -> None:
        with self._lock:
            self._connection.enter_alive()
            if isinstance(handle, Run):
                self._check_run_limit()
            self._routes.add(handle, lambda: parcel.progress.frames > 0)

    def _check_run_limit(self) -> None:
        """Raise `ProtocolError` (local) where the peer's `max_concurrent_runs` are open. Requires the lock."""
        peer = self._connection.rooms.session.latest
        limit = None if peer is None else peer.hello.capabilities.max_concurrent_runs
        if isinstance(limit, int) and self._routes.count(Run) >= limit:
            what = f"{self._where} allows {limit} runs together, and so many of ours are open"
            text = f"{what}. Nothing was sent; end one first"
            raise ProtocolError(text, code=RUN_LIMIT_EXCEEDED, blame="local")
