"""`HAIPClient`: the face of the library. It checks arguments and holds the rooms together; it holds no logic of theirs."""

from __future__ import annotations

import base64
import importlib
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, Self, get_args

from haip_sync import roster
from haip_sync.auth import AuthSource
from haip_sync.config import (
    DialectChoice,
    FlowControlConfig,
    HeartbeatPolicy,
    InboxMode,
    Limits,
    ReconnectPolicy,
    check_channel,
    check_choice,
    check_count,
    check_seconds,
    check_timeout,
    plain_text,
    told,
)
from haip_sync.errors import ConfigError, ConnectionClosedError, DeadlockError, HAIPTimeout, UnsupportedByPeerError
from haip_sync.events import Event, Listener, Message, Subscription
from haip_sync.flow.ledger import Cost
from haip_sync.flow.metrics import FlowControlMetrics
from haip_sync.flow.pending import PendingSend
from haip_sync.flow.strategies.base import Strategy
from haip_sync.protocol.dialects import TextDialect
from haip_sync.protocol.identifiers import new_id
from haip_sync.protocol.names import (
    AUDIO_CHUNK,
    CONTROL_TYPES,
    SYSTEM,
)
from haip_sync.runtime import log_setup
from haip_sync.runtime.arguments import (
    audio_payload,
    check_frame,
    check_session_id,
    check_thread_id,
    instance_of,
    labels_of,
    monitor_mode,
    opening_timeout,
    optional_mapping,
    optional_text,
)
from haip_sync.runtime.connection import Connection
from haip_sync.runtime.conversation.conversation import Conversation, Labels
from haip_sync.runtime.conversation.incoming_texts import IncomingTexts
from haip_sync.runtime.conversation.run import Run
from haip_sync.runtime.conversation.tool_call import ToolCall
from haip_sync.runtime.parcels import FrameParcel, WaitParcel
from haip_sync.runtime.route import make_route
from haip_sync.runtime.settings import Settings
from haip_sync.runtime.snapshot import connection_state
from haip_sync.runtime.text_parcels import StreamParcel, TextParcel
from haip_sync.runtime.text_stream import TextStream
from haip_sync.runtime.timeouts import SEND_TIMEOUT as _SEND_TIMEOUT
from haip_sync.runtime.timeouts import Timeout as _Timeout
from haip_sync.runtime.transaction import Transaction
from haip_sync.state import ConnectionState, Explanation, SendReceipt

if TYPE_CHECKING:
    from ssl import SSLContext

    from haip_sync.runtime.account import Account

_CLOSE_TIMEOUT_S: Final = 5.0
_OPEN_TIMEOUT_S: Final = 10.0


class _Offering(Protocol):
    """That monitors see the client."""

    def begin(self) -> None:
        """Let them. Idempotent, never waits."""

    def close(self) -> None:
        """No longer. Idempotent, never waits."""


class HAIPClient:
    """A blocking HAIP 1.1.2 client, for any number of threads at once.

    Every method may be called from any thread. Sends on one channel are served in order of arrival; they wait until the
    peer has granted credit for them, or their timeout has passed. Times are seconds; a timeout of None waits for ever, 0 never
    waits.

    A line that breaks is followed by another (`ReconnectPolicy`). Until that stands the client is offline: sends wait, keeping
    their place and deadline, messages are queued, `receive` waits; what needs the peer at once raises. WIRE.md, "Reconnecting".

    A child process that is forked from the client's must make one of its own: there every call raises `ForkedError`. Close it,
    or use it in a `with` block; a program that ends without has up to two seconds longer for what is queued, and tells in one
    line of the log what did not leave.

    Raises `ConfigError` for a wrong argument, before anything is opened. What `token`, `auth`, `proxy` and `headers` hold appears
    in no log, error, event or repr.

    ```python
    context = ssl.create_default_context(cafile="authority.pem")  # an authority of our own
    context.load_cert_chain("client.pem", "client.key")  # where the server wants to see a certificate of ours
    with HAIPClient("wss://agents.example/haip", ssl=context, auth=BearerToken("...")) as client:
        client.send_text_message("USER", "hello", timeout=5)
    ```
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        auth: AuthSource | None = None,
        session_id: str | None = None,
        flow_control: FlowControlConfig | None = None,
        strategy: Strategy | None = None,
        reconnect: ReconnectPolicy | None = None,
        heartbeat: HeartbeatPolicy | None = None,
        transport: Literal["websocket"] = "websocket",
        dialect: DialectChoice = "auto",
        inbox: InboxMode = "queue",
        send_timeout: float | None = None,
        stall_warning: float | None = 5.0,
        ssl: SSLContext | None = None,
        proxy: str | None = None,
        headers: Mapping[str, str] | None = None,
        name: str | None = None,
        limits: Limits | None = None,
        monitor: Literal["steer"] | bool | None = None,
    ) -> None:
        """Check the settings; nothing is opened before `connect`.

        Args:
            url: Where the server is: ws://host:port/path, or wss:// for TLS.
            token: Short for `auth=QueryToken(token)`: sent as `?token=` in the URL.
            auth: Who we are: a `QueryToken`, `BearerToken`, `SubprotocolToken` or `HelloAuth` (a mapping is short for that), or a
                function that returns one. It is called for each attempt to connect, by the thread that connects (a thread of the
                client's own once the line has broken) and counting against its timeout, without any lock.
            session_id: A UUID to keep over several clients; None: a new one.
            flow_control: What we grant, hold and count; see `FlowControlConfig`.
            strategy: Asks the peer for credit by itself; None: nobody does but `request_credits`. See `set_strategy`.
            reconnect: What to do when the line breaks; see `ReconnectPolicy`. None: connect again, as its defaults say.
            heartbeat: When to look whether the peer is there; see `HeartbeatPolicy`.
            transport: Only "websocket" exists.
            dialect: "auto" takes what the peer accepts, "message" before "text" before "transaction".
            inbox: "queue": messages are taken by `receive()`; "listeners": they are taken when their listeners have run.
            send_timeout: What sends use that name no timeout.
            stall_warning: Seconds without progress after which a waiting channel is told of in the log; None: never.
            ssl: A context that says whom TLS trusts and what certificate of ours it shows, as above; None: it trusts the system's
                authorities, checks the name in the server's certificate, and shows none.
            proxy: "http://host:port" or "http://user:password@host:port" (https:// where the proxy itself speaks TLS): the HTTP
                proxy to go through, with CONNECT. None: what the environment says (`https_proxy` for wss://, `http_proxy` for
                ws://, `all_proxy`, `no_proxy`), never to this machine itself. "": none.
            headers: Sent with the WebSocket's HTTP request. Host may be among them, what the WebSocket itself needs may not.
            name: For threads, logs and windows.
            limits: What a peer may cost at most; see `Limits`.
            monitor: True: from `connect` to `close`, monitors in other processes of the same user may watch this client (see
                `haip_sync.observe`); "steer": they may also pause, resume, ask for credit, clear queues, change the strategy and
                send test messages, each of which is logged. None: what HAIP_SYNC_MONITOR says (1, steer, or nothing: False).

        """
        log_setup.set_up_once()
        check_choice("transport", transport, ("websocket",))
        check_choice("inbox", inbox, get_args(InboxMode))
        route = make_route(url, token=token, auth=auth, context=ssl, proxy=proxy, headers=headers)
        self._send_timeout = check_timeout("send_timeout", send_timeout)
        self._config = instance_of("flow_control", flow_control, FlowControlConfig)
        self._settings = Settings(
            route=route,
            session_id=check_session_id(session_id),
            flow_control=self._config,
            reconnect=instance_of("reconnect", reconnect, ReconnectPolicy),
            heartbeat=instance_of("heartbeat", heartbeat, HeartbeatPolicy),
            dialect=check_choice("dialect", dialect, get_args(DialectChoice)),
            keeps_inbox=inbox == "queue",
            stall_warning_s=None if stall_warning is None else check_seconds("stall_warning", stall_warning, positive=True),
            name=optional_text("name", name) or f"haip-{route.address.host}:{route.address.port}",
            limits=instance_of("limits", limits, Limits),
        )
        self._settings.limits.check_channels(self._config)
        self._connection = Connection(self._settings)
        self._conversation = Conversation(self._connection, self, self._settings.address.text, self._timeout)
        self._monitor = monitor_mode(monitor)
        self._offering: _Offering | None = None
        self.set_strategy(strategy)
        roster.enter(self)

    def __repr__(self) -> str:
        state = "connected" if self._connection.is_open else "not connected"
        state = "left in the parent process" if self._connection.home.is_left else state
        return f"<HAIPClient {self._settings.name!r} {self._settings.address.text} {state}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Refuse to be copied or pickled, as for the processes of `multiprocessing`."""
        raise TypeError(
            "a HAIPClient cannot be copied or pickled: it is one connection. Make a client of its own in each process"
        )

    # ---- Beginning and end ----------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """What the client is called in threads, logs and windows."""
        return self._settings.name

    @property
    def address(self) -> str:
        """Scheme, host and port: safe to show, never a token."""
        return self._settings.address.text

    def connect(self, timeout: float = 10.0) -> None:
        """Open the connection; returns after both HAIs.

        `timeout` bounds everything: looking the name up, a proxy, TLS, the handshakes. After a `ConnectError` it may be called
        again; after anything later the client is over. It tries once; each attempt to connect again, once a line has stood and
        broken, has the same time. Raises `ConnectError` (not reached, or not trusted; it says why),
        `AuthError` (token refused), `VersionError`, `HandshakeError`, `HAIPTimeout`, `ConnectionClosedError` (closed meanwhile,
        or connected before), `ConfigError` (what the environment or `auth` says cannot be used).
        """
        timeout_s = check_seconds("timeout", timeout, positive=True)
        self._offer_to_monitors()  # first: a script that is stuck here is one that people look for
        self._connection.open(timeout_s)

    def close(self, timeout: float = _CLOSE_TIMEOUT_S) -> None:
        """End the connection. Idempotent.

        What was admitted is written first, as far as `timeout` goes; whoever waits gets `ConnectionClosedError`, nothing of
        theirs sent.
        Always back within `timeout` and 0.2 s, whatever other threads, listeners or the peer do. Raises `ConfigError`, and
        `ForkedError` in a forked child, whose parent's connection goes on.
        """
        timeout_s = check_seconds("timeout", timeout)
        try:
            self._connection.close(timeout_s)
        finally:
            if self._offering is not None:
                self._offering.close()

    def _offer_to_monitors(self) -> None:
        if self._monitor == "off" or self._connection.is_over:
            return
        if self._offering is None:  # imported here: whoever wants no monitor pays nothing for it
            offering = importlib.import_module("haip_sync.observe.offering")
            self._offering = offering.Offering(self, may_steer=self._monitor == "steer")
        self._offering.begin()

    def flush(self, timeout: float | None = None) -> None:
        """Wait until everything that is queued or admitted is handed to the operating system; offline, for the next line too.

        Raises `HAIPTimeout`; `ConnectionClosedError` where the connection ends before, and once it has ended with something
        unsent, which whoever holds a handle or waits is told; `ConfigError`.
        """
        checked = check_timeout("timeout", timeout)
        if self._connection.wait_until_written(checked):
            return
        self._connection.check_not_over()
        raise HAIPTimeout(f"not everything was written within {checked:g} s")

    def __enter__(self) -> Self:
        """Connect, unless that was done: `with connect(url) as client:`. Raises as `connect`."""
        self._connection.home.check()
        if self._connection.phase not in ("open", "offline"):
            self.connect()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close: after a clean exit with what is queued sent first, as far as the timeout goes; after an exception at once.

        In a forked child it does nothing: the block is the parent's.
        """
        if self._connection.home.is_left:
            return
        if kind is not None:
            self.close(0.0)
            return
        deadline_s = time.monotonic() + _CLOSE_TIMEOUT_S
        self._connection.wait_until_written(_CLOSE_TIMEOUT_S)
        self.close(max(0.0, deadline_s - time.monotonic()))

    # ---- Sending --------------------------------------------------------------------------------------------------------------

    def send_text_message(
        self,
        channel: str,
        text: str,
        author: str | None = None,
        run_id: str | None = None,
        thread_id: str | None = None,
        *,
        timeout: _Timeout = _SEND_TIMEOUT,
    ) -> SendReceipt:
        """Send `text` as START, PART and END, waiting for credit.

        They go together where they fit the largest balance that the channel has held in this epoch; a longer text streams in
        parts cut to the credit (never with timeout 0). No other text of the channel comes between. HAIP 1.1.2. The call returns
        once the last frame was handed to the operating system, or gathers with those that follow: see `SendReceipt.outcome`.

        Raises:
            FlowControlError: With timeout 0: it cannot go now. Nothing was sent.
            FlowControlTimeout: Not admitted in time. Nothing was sent; `cause` says what was missing: credit, or a line.
            PartialSendError: Stopped in mid-stream, by the deadline or by a loss after which the session did not go on; says how
                many parts were sent.
            MessageTooLargeError: Not even one character of it fits `max_credit_bytes`. Nothing was sent.
            UnsupportedByPeerError: The peer accepts texts in no dialect of ours, or in a `transaction` only. Nothing was sent.
            ConnectionClosedError: Not connected, closed, or lost; says whether anything was sent. A line that is lost while the
                client reconnects is none as long as the text can still be sent: then the call goes on waiting.
            DeadlockError: Called from a listener with a timeout other than 0, or by a signal handler in the middle of another
                call of the same thread. Nothing was sent.
            ConfigError: A wrong argument. Nothing was sent.

        """
        timeout_s = self._timeout(timeout)
        parcel, message_id = self._text_parcel(channel, text, (author, run_id, thread_id), may_stream=timeout_s != 0)
        return self._connection.carry(channel, parcel, timeout_s).receipt(message_id)

    def enqueue_text_message(
        self,
        channel: str,
        text: str,
        author: str | None = None,
        run_id: str | None = None,
        thread_id: str | None = None,
    ) -> PendingSend:
        """Queue `text` and return its handle at once; it leaves when credit and its turn come, in line with the sends that wait.

        Each channel's queue is bounded (`queue_max_messages`, `queue_max_bytes`); beyond it `overflow` decides: "block" holds the
        caller until there is room, the others return at once. What the handle's `result` raises says what became of it.

        Raises `QueueFullError` (`overflow="raise"`, or larger than the whole queue), `MessageTooLargeError`,
        `UnsupportedByPeerError`, `ConnectionClosedError`, `DeadlockError` (a listener that would be held), `ConfigError`; nothing
        was queued then.
        """
        parcel, message_id = self._text_parcel(channel, text, (author, run_id, thread_id), may_stream=True)
        return self._connection.enqueue(parcel, channel, message_id)

    def queue_length(self, channel: str) -> int:
        """Return how many queued messages of `channel` have not left, the first in line included. Raises `ConfigError`."""
        return self._connection.outbox.length(check_channel(channel))

    def clear_queue(self, channel: str) -> int:
        """Take back what is queued on `channel` and not admitted; return how many. Their handles raise `NotSentError`.

        Raises `ConfigError`, `DeadlockError` (a signal handler in the middle of another call; nothing was taken back).
        """
        return self._connection.clear_queue(check_channel(channel))

    def _text_parcel(
        self, channel: str, text: str, labels: tuple[str | None, str | None, str | None], *, may_stream: bool
    ) -> tuple[TextParcel, str]:
        """Return a text, checked and encoded, and its id."""
        checked = check_channel(channel)
        if not isinstance(text, str):
            raise ConfigError(f"text must be a string, not {type(text).__name__}")
        members, dialect = self._text_members(labels)
        rooms = self._connection.rooms
        parcel = TextParcel(
            rooms.outgoing, rooms.session, dialect, members, channel=checked, text=plain_text(text), may_stream=may_stream
        )
        return parcel, members["message_id"]

    def text_stream(
        self,
        channel: str,
        author: str | None = None,
        run_id: str | None = None,
        thread_id: str | None = None,
        *,
        timeout: _Timeout = _SEND_TIMEOUT,
    ) -> TextStream:
        """Send the START of a text and return it open, for a `with` block: `write` sends a piece at once, the block's end END.

        For texts that come into being slowly. It keeps its place: nothing else of the channel passes it while it is open.
        `timeout` is that of START. Raises as `send_text_message`.
        """
        timeout_s = self._timeout(timeout)
        checked = check_channel(channel)
        members, dialect = self._text_members((author, run_id, thread_id))
        rooms = self._connection.rooms
        parcel = StreamParcel(rooms.outgoing, rooms.session, dialect, members, checked)
        stream = TextStream(self._connection, parcel, checked, members["message_id"], resolve=self._timeout)
        try:
            stream.open(timeout_s)
        except BaseException:
            stream.forget()  # an interrupt may strike behind START, and whoever looks at its traceback holds on to all of it
            raise
        return stream

    def _text_members(self, labels: tuple[str | None, str | None, str | None]) -> tuple[dict[str, Any], TextDialect]:
        """Return what stands in a text's frames, with a new id, and how texts travel."""
        author, run_id, thread_id = labels
        members = {
            "message_id": new_id(),
            "author": optional_text("author", author),
            "run_id": optional_text("run_id", run_id),
            "thread_id": check_thread_id(thread_id),
        }
        self._check_alive()
        peer = self._connection.rooms.session.latest
        if peer is None or peer.dialect is None:
            where = "in no dialect of ours"
            if peer is not None and peer.needs_transaction:
                where = "inside a transaction only: use client.transaction(...)"
            elif self._settings.dialect != "auto":
                where = (
                    f'not in the dialect "{self._settings.dialect}" that it was asked for: leave dialect= out to take what fits'
                )
            raise UnsupportedByPeerError(f"{self.address} accepts texts {where}. Nothing was sent")
        return members, peer.dialect

    def send(
        self,
        channel: str,
        event_type: str,
        payload: Any,
        *,
        run_id: str | None = None,
        thread_id: str | None = None,
        binary: bytes | None = None,
        binary_mime: str | None = None,
        timeout: _Timeout = _SEND_TIMEOUT,
    ) -> SendReceipt:
        """Send one frame, waiting for credit; `binary` follows it as a WebSocket frame of its own.

        `payload` is a mapping that JSON can carry (for MESSAGE anything that JSON can carry, but null). That of a type which
        HAIP 1.1.2 lists must have the members that it lists, or `ProtocolError` (local) names the one that is wrong; nothing was
        sent then. Control types (PING, ERROR and the like) wait for no credit and cost none; `timeout` is then how long to wait
        for a peer that does not read, after which the frame keeps its place and leaves once the peer does. Those that have a
        method of their own are refused. Otherwise raises as `send_text_message`.
        """
        timeout_s = self._timeout(timeout)
        checked = check_channel(channel)
        event_type = check_frame(event_type, payload, binary)
        frame = self._conversation.frame(
            checked,
            event_type,
            payload,
            labels_of(run_id, thread_id),
            binary=binary,
            binary_mime=None if binary_mime is None else optional_text("binary_mime", binary_mime),
        )
        named = payload.get("message_id") if type(payload) is dict or isinstance(payload, Mapping) else None
        message_id = named if isinstance(named, str) else frame.id
        if event_type in CONTROL_TYPES:
            return self._connection.post_now(frame, timeout_s).receipt(message_id)
        rooms = self._connection.rooms
        parcel = FrameParcel(rooms.outgoing, rooms.session, frame, message_id)
        return self._connection.carry(checked, parcel, timeout_s).receipt(message_id)

    def send_audio_chunk(
        self,
        channel: str,
        message_id: str,
        mime: str,
        data: bytes,
        *,
        duration_ms: float | None = None,
        run_id: str | None = None,
        thread_id: str | None = None,
        timeout: _Timeout = _SEND_TIMEOUT,
    ) -> SendReceipt:
        """Send one AUDIO_CHUNK, waiting for credit: one message, and the bytes of `data`.

        It goes as a binary frame where the peer takes them, otherwise as base64; that costs the same (WIRE.md, point 2). Chunks
        of one recording share a `message_id`. Raises as `send_text_message`, but that a chunk is never split.
        """
        named = audio_payload(message_id, mime, data, duration_ms)
        self._check_alive()
        has_binary = self._conversation.takes_binary()
        return self.send(
            channel,
            AUDIO_CHUNK,
            named if has_binary else named | {"data": base64.b64encode(data).decode("ascii")},
            run_id=run_id,
            thread_id=thread_id,
            binary=data if has_binary else None,
            binary_mime=mime if has_binary else None,
            timeout=timeout,
        )

    # ---- What is under way with the peer --------------------------------------------------------------------------------------

    def call_tool(
        self,
        channel: str,
        tool: str,
        params: Mapping[str, Any] | None = None,
        *,
        run_id: str | None = None,
        thread_id: str | None = None,
        timeout: _Timeout = _SEND_TIMEOUT,
    ) -> ToolCall:
        """Send TOOL_CALL, waiting for credit, and return its handle: `result()` waits for what the tool says.

        `timeout` is that of sending. What the peer tells of the call goes to the handle and not to `receive()`, and costs it no
        credit for long: nobody has to call `receive()`. At most 10,000 calls, runs and pings may be open (`ProtocolError`,
        local). Otherwise raises as `send`: the tool was not called then.
        """
        if not isinstance(tool, str) or not tool:
            raise ConfigError(f"tool must be the name of a tool, not {told(tool)}")
        checked = check_channel(channel)
        return self._conversation.call_tool(
            checked, plain_text(tool), optional_mapping("params", params), labels_of(run_id, thread_id), self._timeout(timeout)
        )

    def run(
        self,
        *,
        thread_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        channel: str = SYSTEM,
        timeout: _Timeout = _SEND_TIMEOUT,
    ) -> Run:
        """Return a run for a `with` block, which sends RUN_STARTED on the way in and RUN_FINISHED on the way out.

        Both are data frames of `channel` and cost credit there; `timeout` is that of sending each. A peer that allows no more
        runs together (`max_concurrent_runs` in its HAI) is a `ProtocolError` (local, RUN_LIMIT_EXCEEDED) on the way in.
        Otherwise the block raises as `send`; this call `ConfigError` only.
        """
        self._connection.home.check()
        labels = Labels(None, check_thread_id(thread_id))
        return self._conversation.new_run(labels, optional_mapping("metadata", metadata), check_channel(channel), timeout)

    def texts(self, *channels: str) -> IncomingTexts:
        """Return a subscription, for a `with` block, to the texts that the peer begins on these channels (none: on all).

        They come there, part by part or whole, and not to `receive()`. Raises `ConfigError`.
        """
        self._connection.home.check()
        return self._conversation.texts(frozenset(check_channel(channel) for channel in channels))

    def ping(self, timeout: float | None = 10.0) -> float:
        """Send a PING and return the seconds until its PONG; waits for no credit.

        Raises `HAIPTimeout`; `ConnectionClosedError` (offline too); `UnsupportedByPeerError`; `ProtocolError` (local: 10,000
        calls, runs and pings are open; remote: the peer's ERROR about it); `DeadlockError` in a listener; `ConfigError`.
        """
        timeout_s = check_timeout("timeout", timeout)
        if self._connection.rooms.dispatcher.is_current():
            raise DeadlockError("a listener must not wait for a PONG: use another thread. Nothing was sent")
        return self._conversation.ping(timeout_s)

    def wait_for_credits(self, channel: str, *, messages: int = 1, byte_credits: int = 0, timeout: float | None = None) -> None:
        """Wait in line until so much may be spent on `channel`; takes nothing.

        Raises `FlowControlTimeout` (with timeout 0 `FlowControlError`), `MessageTooLargeError` (more bytes than the cap),
        `ConnectionClosedError`, `DeadlockError`, `ConfigError`.
        """
        timeout_s = self._timeout(timeout)
        checked = check_channel(channel)
        needed = Cost(check_count("messages", messages), check_count("byte_credits", byte_credits))
        cap = self._config.caps_for(checked)[0]
        if needed.messages > cap:
            raise ConfigError(f"messages must be at most max_credits of {checked}, {cap}, not {needed.messages}")
        self._connection.check_not_reentered()
        self._connection.rooms.turnstile.pass_through(checked, WaitParcel(needed), timeout_s)

    def _timeout(self, timeout: _Timeout) -> float | None:
        if timeout is _SEND_TIMEOUT:
            checked = self._send_timeout
        else:
            checked = None if timeout is None else check_seconds("timeout", timeout)
        if checked != 0:
            self._connection.check_may_wait()
        return checked

    def _check_alive(self) -> None:
        self._connection.home.check()
        with self._connection.rooms.parking.lock:
            self._connection.check_alive()

    # ---- Transactions ---------------------------------------------------------------------------------------------------------

    def transaction(
        self, tool: str, params: Mapping[str, Any] | None = None, *, timeout: float | None = _OPEN_TIMEOUT_S
    ) -> Transaction:
        """Open a transaction with `tool` on the peer's side, for use in a `with` block; returns once the peer has answered.

        `params` is a mapping that JSON can carry. `timeout` is in seconds, None waits for ever. WIRE.md, "Transactions".

        Raises:
            HAIPTimeout: No answer in time; should one come later, the transaction is ended at once.
            ProtocolError: The peer refused it, with this `code`.
            UnsupportedByPeerError: The peer has no transactions. Nothing was sent.
            ConnectionClosedError: Not connected, offline, closed, or lost before the answer. A transaction ends with its line.
            DeadlockError: Called from a listener. Nothing was sent.
            ConfigError: A wrong argument. Nothing was sent.

        """
        timeout_s = opening_timeout(timeout)
        transaction = self._conversation.new_transaction(
            tool, params, send_timeout=self._send_timeout, keeps_inbox=self._settings.keeps_inbox
        )
        try:
            transaction.open(timeout_s)
        except BaseException:
            transaction.leave()  # as in `text_stream`; not in a function of its own, which an interrupt may strike as it ends
            raise
        return transaction

    def join_transaction(self, transaction_id: str, *, timeout: float | None = _OPEN_TIMEOUT_S) -> Transaction:
        """Join a transaction that was begun elsewhere (or by us, before), as `transaction` otherwise.

        What the peer replays of it comes as its first messages, and costs credit as any. Raises as `transaction`; `ConfigError`
        where it is open here already.
        """
        timeout_s = opening_timeout(timeout)
        transaction = self._conversation.joining_transaction(
            transaction_id, send_timeout=self._send_timeout, keeps_inbox=self._settings.keeps_inbox
        )
        try:
            transaction.open(timeout_s)
        except BaseException:
            transaction.leave()  # as in `text_stream`; not in a function of its own, which an interrupt may strike as it ends
            raise
        return transaction

    # ---- Flow control ---------------------------------------------------------------------------------------------------------

    def request_credits(self, channel: str, *, messages: int = 0, byte_credits: int = 0) -> None:
        """Ask the peer for more credit on `channel`; returns at once.

        The FLOW_UPDATE that asks also grants the peer as much, because the wire does not tell the two apart (WIRE.md, point 4).
        At least one amount must be positive, or it is a `ConfigError`. Raises `FlowControlError` while the client is offline (a
        new line brings new credit), `UnsupportedByPeerError` where the peer accepts no FLOW_UPDATE, or one inside a transaction
        only and none is open; `ConnectionClosedError`; nothing was sent then.
        """
        amount = Cost(check_count("messages", messages), check_count("byte_credits", byte_credits))
        if not any(amount):
            raise ConfigError("request at least 1 message or 1 byte of credit: messages and byte_credits are both 0")
        self._connection.request(check_channel(channel), amount)

    def send_flow_update(self, channel: str, add_messages: int = 0, add_bytes: int = 0) -> None:
        """Do what `request_credits` does, under the SDK's name."""
        # Checked under the names that the caller used.
        messages, byte_credits = check_count("add_messages", add_messages), check_count("add_bytes", add_bytes)
        self.request_credits(channel, messages=messages, byte_credits=byte_credits)

    def pause_channel(self, channel: str, *, reason: str | None = None) -> None:
        """Hold our sends on `channel` from now on, and tell the peer to hold its own; returns at once. Idempotent.

        It stands until `resume_channel`, over broken lines too: each new peer is told.
        Where the peer accepts no PAUSE_CHANNEL it holds ours only, and a warning says so. `reason` is for logs and events. Raises
        `ConnectionClosedError`, `ConfigError`.
        """
        self._connection.pause(check_channel(channel), optional_text("reason", reason))

    def resume_channel(self, channel: str) -> None:
        """Lift our hold on `channel`, and tell the peer; returns at once. Idempotent; the peer's own hold stays.

        Raises `ConnectionClosedError`, `ConfigError`.
        """
        self._connection.resume(check_channel(channel))

    def set_strategy(self, strategy: Strategy | None) -> None:
        """Let `strategy` ask the peer for credit from now on, at any time; None: nobody.

        It runs on the client's own thread, never under a lock. One that raises, or answers what it may not, is switched off,
        with a warning. Raises `ConfigError` for what is no strategy.
        """
        if strategy is not None and not isinstance(strategy, Strategy):
            raise ConfigError(f"strategy must be a Strategy or None, not {type(strategy).__name__}")
        self._connection.use_strategy(strategy)

    def metrics(self) -> FlowControlMetrics:
        """Return requests, grants and waits since the client was made or `reset_metrics`, per channel and in all."""
        return self._connection.metrics().snapshot()

    def reset_metrics(self) -> None:
        """Begin all figures of `metrics` at zero again."""
        self._connection.reset_metrics()

    def explain(self, channel: str) -> Explanation:
        """Return why `channel` stands still, or that it does not; `str()` of it is a sentence or two for a person.

        Raises `ConfigError`, and `DeadlockError` by a signal handler in the middle of another call of the same thread.
        """
        checked = check_channel(channel)
        self._connection.check_not_reentered()
        with self._connection.rooms.parking.lock:
            self._connection.rooms.turnstile.mend()
            return self._connection.rooms.turnstile.explain(checked)

    def connection_state(self) -> ConnectionState:
        """Return one consistent snapshot of everything, at any time."""
        return connection_state(self._connection, time.monotonic())

    def account(self) -> Account:
        """Return the figures alone of `connection_state` and `metrics`, of one moment, at any time.

        It takes a third of their time: for whoever reads many clients often, as `HaipCollector` does.
        """
        # Imported here: whoever is not scraped pays nothing for it.
        module = importlib.import_module("haip_sync.runtime.account")
        taken: Account = module.account(self._connection, time.monotonic())
        return taken

    # ---- Receiving and listening ----------------------------------------------------------------------------------------------

    def receive(self, timeout: float | None = None) -> Message:
        """Return the next data frame and give its credit back to the peer when it is time; offline it waits for the next line.

        Frames that had arrived are still returned after the end. Raises `HAIPTimeout`; `ConnectionClosedError` once nothing is
        left; `ConfigError` with `inbox="listeners"`; `DeadlockError` in a listener unless `timeout` is 0.
        """
        message = self._next_message(check_timeout("timeout", timeout))
        if message is None:
            raise ConnectionClosedError(f"nothing more will arrive: {self._connection.ending}") from self._connection.failure
        return message

    def messages(self) -> Iterator[Message]:
        """Yield data frames as `receive` returns them, until the connection is over.

        Ends when that was in good order, raises `ConnectionClosedError` otherwise; `ConfigError`, `DeadlockError` as `receive`.
        """
        while (message := self._next_message(None)) is not None:
            yield message
        if self._connection.failure is not None:
            raise ConnectionClosedError(str(self._connection.failure)) from self._connection.failure

    def _next_message(self, timeout_s: float | None) -> Message | None:
        if not self._settings.keeps_inbox:
            raise ConfigError('with inbox="listeners" messages come to listeners: use subscribe() or on("message", ...)')
        if timeout_s != 0 and self._connection.rooms.dispatcher.is_current():
            raise DeadlockError("a listener must not wait for a message: use timeout=0, or another thread")
        return self._connection.take_message(timeout_s)

    def subscribe(self, listener: Listener, *event_types: type[Event]) -> Subscription:
        """Have `listener(event)` run for events of these types, or for all; see `haip_sync.events` for the contract."""
        return self._connection.rooms.dispatcher.subscribe(listener, event_types)

    def on(self, name: str, handler: Listener) -> Subscription:
        """Have `handler(event)` run for the events that `name` stands for: "message", "flow_update", "blocked" and so on.

        "message" is every frame of the peer's, as a `Message`. Raises `ConfigError` naming the names for an unknown one.
        """
        return self._connection.rooms.dispatcher.subscribe_by_name(name, handler)


def connect(url: str, *, timeout: float = 10.0, **settings: Any) -> HAIPClient:
    """Return a connected client; `settings` are those of `HAIPClient`. Raises as its constructor and its `connect`.

    A `with` block closes it, as it does one that it has connected itself.
    """
    client = HAIPClient(url, **settings)
    client.connect(timeout)
    return client
