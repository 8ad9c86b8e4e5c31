"""A real HAIP 1.1.2 development server, in this process or on its own (`haip-devserver`)."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, ip_address
from types import TracebackType
from typing import Final, Self

from haip_sync.config import (
    DEFAULT_INITIAL_CREDIT_BYTES,
    DEFAULT_INITIAL_CREDITS,
    CreditUnit,
    check_count,
    check_flag,
    check_seconds,
)
from haip_sync.errors import ConfigError
from haip_sync.testing.arguments import check_host, check_text
from haip_sync.testing.commands import ServerCommands
from haip_sync.testing.gate import Gate
from haip_sync.testing.listener import Listener
from haip_sync.testing.pause_script import PauseScript, PauseStep, check_pause_script
from haip_sync.testing.policies import CreditPolicy
from haip_sync.testing.postbox import REPLAY_FRAMES
from haip_sync.testing.quirks import Quirks
from haip_sync.testing.reception import CLOSE_GOING_AWAY, Reception
from haip_sync.testing.registry import KEEP_SESSIONS, SessionRegistry
from haip_sync.testing.settings import RESUME_WAIT_S, check_settings, choose_policy
from haip_sync.testing.timers import Alarms, Clock, SystemClock, check_clock
from haip_sync.testing.tool_threads import ToolThreads
from haip_sync.testing.tools import Tool, ToolFunction
from haip_sync.testing.wire import Dialect

logger = logging.getLogger("haip_sync.testing.devserver")

_STOP_GRACE_S: Final = 1.0
_MAX_PORT: Final = 65_535
_KEEP_RECEIVED: Final = 100_000
_TOOL_THREADS: Final = 8
_RESUME_LIFETIME_S: Final = 300.0


class DevServer(ServerCommands):
    """A HAIP 1.1.2 server that several clients may use at once. Every method may be called by any thread.

    ```python
    with DevServer(policy=Paced(50)) as server:
        run_my_client(server.url)
        session = server.wait_for_session()
        session.wait_for(lambda s: s.text_count == 10, what="ten texts")
        assert session.books("USER").breaches == 0
    ```

    It keeps books per session and channel: each data frame costs one message and the UTF-8 length of its whole text frame
    (media: the binary or decoded length); control frames cost nothing. `credit_unit` and `count_control_frames` make it count as
    other servers do. A frame without credit for it is a breach: it is counted, answered with
    `ERROR{FLOW_CONTROL_VIOLATION}`, not delivered, and debits nothing.

    What it sends on its own (an agent's answer to each text, `send_text`) keeps within the credit that the client grants and
    waits while the channel is paused by either side. The methods that act on sessions return how many they reached:
    with `session=None` every live one, that is every one whose HAI has arrived. A client may be through its own handshake a
    moment before that, so `wait_for_session` first. A session that is over is reached by nothing.

    Args:
        host: Address to listen on; any path is accepted there.
        port: TCP port, 0 for a free one.
        token: Where given, a client must show it as `?token=...`, as a bearer token or as a subprotocol; who does not is
            closed with 1008. Where there are transactions it may also stand in the `auth` object of the HAI, under any name,
            after "Bearer " or not.
        ssl_context: Where given, everything goes through TLS, and `url` begins with wss://. A server's context, with its
            certificate loaded; it may ask for the client's.
        dialect: Which texts it accepts and sends: `"message"` (MESSAGE_START...), `"text"` (TEXT_MESSAGE_START...),
            `"both"`, `"transaction"` (a MESSAGE in a transaction, as the present published server wants it) or `"all"`. Where
            there are several the client chooses, and we write as the first of message, text, transaction that its HAI lets us.
            Transactions run a tool: `"echo"`, `"agent"` or one of `tools`. Where all goes through transactions, PAUSE_CHANNEL is
            not accepted, a FLOW_UPDATE belongs to an open transaction (of ours, what the policy owes waits for one; `grant`
            does not), and `transaction` is "null" in what belongs to none.
        policy: When credit is given back, as a policy or as `parse_policy` reads it; default `RenewAtHalf()`, or
            `Never()` where the quirks say so.
        initial_credits: First message credit per channel, from 0. None: our HAI names none, in bytes neither; the policies
            then take the client's own as the window, and nothing counts as a breach.
        initial_credit_bytes: The same in bytes.
        credit_unit: What one message credit pays, in both directions: each data frame (`"envelope"`), or a whole text
            (`"message"`: START costs one message, PART and END none; bytes are paid by all three).
        count_control_frames: Whether each control frame of the client's after its HAI debits one message, and its bytes, of
            SYSTEM, as published servers do. The floor is zero, no control frame is ever refused for credit, and the
            policy gives back what they cost. Ours are free. Books that touch the floor while a grant is under way may
            differ from the client's: each side then sees the two in another order.
        agent: Whether each text outside of AGENT is answered on AGENT, in parts. At most 1,000 texts wait there per
            session; of more, the oldest that has not begun is dropped (`Session.texts_dropped`).
        pause_script: `(after_seconds, channel, for_seconds)` from each session's handshake on.
        repeat_pauses: Whether the script starts anew when its last pause is over.
        accept_events: What our HAI accepts, in place of what the dialect gives.
        keep_received: How many frames, texts and breaches each session remembers, the oldest forgotten first.
        keep_sessions: How many sessions, and refused connections, are remembered; of more, the oldest that are over go.
            Each connection of a client that comes back again and again is a session.
        binary_frames: Whether our HAI announces them. If not, a frame with `bin_len` is paid for, not taken and answered with
            PROTOCOL_VIOLATION: audio must come as base64 then.
        tools: What TOOL_CALL may call, by name: functions of `(params, call)` that run on threads of the server's (see
            `ToolInvocation`), or `Tool`s. TOOL_LIST goes to each client that has come, and answers a TOOL_LIST of its own, as
            TOOL_SCHEMA does. None: nobody answers TOOL_CALL, unless the test does it with `send_frame`.
        tool_threads: How many calls may run at a time; TOOL_UPDATE tells the others that they are QUEUED.
        max_concurrent_runs: How many runs may be open in a session before RUN_STARTED is answered with RUN_LIMIT_EXCEEDED.
        quirks: How it differs from the specification, `Quirks.published()` for instance; None: not at all.
        resumes: Whether a client that comes back and names `last_rx_seq` goes on where its last connection stopped: our HAI says
            what we have, and what the client lacks is said again, within its new credit; its numbers and ours run on, texts under
            way too. What the client says again takes of its credit what there is, and is no breach. If not, it is answered with
            RESUME_FAILED and begins anew.
        resume_wait: For how many seconds our HAI waits for that of a client that comes while there is one that may resume. If the
            client's takes longer on the way, ours says nothing of an earlier connection, and the client begins anew.
        resume_lifetime: For how many seconds after the end of a connection that can be.
        replay_frames: How many of our latest frames are kept to be said again; what is asked for beyond is REPLAY_TOO_OLD.
        clock: What policies and scripts go by; a `ManualClock` makes them testable without waiting.
        name: What its threads are called.

    Raises `ConfigError` for a wrong argument. Nothing listens before `start` (or `with`).
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        token: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        dialect: Dialect = "both",
        policy: CreditPolicy | str | None = None,
        initial_credits: int | None = DEFAULT_INITIAL_CREDITS,
        initial_credit_bytes: int = DEFAULT_INITIAL_CREDIT_BYTES,
        credit_unit: CreditUnit = "envelope",
        count_control_frames: bool = False,
        agent: bool = True,
        pause_script: Iterable[tuple[float, str, float] | PauseStep] = (),
        repeat_pauses: bool = False,
        accept_events: Iterable[str] | None = None,
        keep_received: int = _KEEP_RECEIVED,
        keep_sessions: int = KEEP_SESSIONS,
        binary_frames: bool = True,
        tools: Mapping[str, ToolFunction | Tool] | None = None,
        tool_threads: int = _TOOL_THREADS,
        max_concurrent_runs: int = 1,
        quirks: Quirks | None = None,
        resumes: bool = True,
        resume_wait: float = RESUME_WAIT_S,
        resume_lifetime: float = _RESUME_LIFETIME_S,
        replay_frames: int = REPLAY_FRAMES,
        clock: Clock | None = None,
        name: str = "haip-devserver",
    ) -> None:
        self._host = check_host(host)
        self._port = _check_port(port)
        self._gate = Gate(token)
        self._ssl_context = _check_ssl_context(ssl_context)
        settings = check_settings(
            dialect=dialect,
            accept_events=accept_events,
            initial_credits=initial_credits,
            initial_credit_bytes=initial_credit_bytes,
            credit_unit=credit_unit,
            count_control_frames=count_control_frames,
            agent=agent,
            keep_received=keep_received,
            binary_frames=binary_frames,
            tools=tools,
            max_concurrent_runs=max_concurrent_runs,
            quirks=quirks,
            resumes=resumes,
            replay_frames=replay_frames,
            resume_wait=resume_wait,
        )
        script = PauseScript(check_pause_script(pause_script), repeat=check_flag("repeat_pauses", repeat_pauses))
        self._name = check_text("name", name)
        clock = SystemClock() if clock is None else check_clock(clock)
        self._alarms = Alarms(clock, f"{name}-timer")
        self._tool_threads = ToolThreads(check_count("tool_threads", tool_threads, minimum=1), f"{name}-tool")
        sessions = SessionRegistry(check_count("keep_sessions", keep_sessions, minimum=1))
        reception = Reception(
            gate=self._gate,
            settings=settings,
            policy=choose_policy(policy, settings.quirks),
            script=script,
            sessions=sessions,
            alarms=self._alarms,
            clock=clock,
            tool_threads=self._tool_threads,
            resume_lifetime=check_seconds("resume_lifetime", resume_lifetime),
        )
        super().__init__(sessions, reception)
        # Guards the two below.
        self._lock = threading.Lock()
        self._listener: Listener | None = None
        self._stopping = False
        self._stopped = threading.Event()

    def __repr__(self) -> str:
        connected, opened = len(self._sessions.connected()), len(self._sessions.opened())
        return f"<DevServer {self._address()}: {connected} connected, {opened} sessions>"

    # Life

    def start(self) -> Self:
        """Listen. Idempotent. Raises `OSError` when the address cannot be had, `RuntimeError` after `stop`."""
        with self._lock:
            if self._stopping:
                raise RuntimeError("this server has stopped; make another one, on the same port if you like")
            if self._listener is not None:
                return self
            # Binds and starts threads but waits for nothing: under the lock, or two would start, or stop come between.
            self._listener = Listener(
                self._host,
                self._port,
                self._reception.receive,
                self._name,
                subprotocol=self._gate.subprotocol,
                ssl_context=self._ssl_context,
            )
            self._listener.start()
            self._alarms.start()
        logger.info("listening on %s", self._address())
        return self

    def stop(self) -> None:
        """Close every session with code 1001, cut what has not closed after a second, end every thread, wake every waiter.

        Idempotent; a second caller waits for the first. Returns within about two seconds, whatever the clients do; a tool that
        does not look at `call.cancelled` is waited for one second more and then left behind, which the log says.
        """
        with self._lock:
            first, self._stopping = not self._stopping, True
            listener = self._listener
        if not first:
            self._stopped.wait()
            return
        try:
            self._sessions.close()
            self._alarms.stop()
            if listener is not None:
                for session in self._sessions.connected():
                    session.perform(lambda conversation, _: conversation.voice.close("server stops", CLOSE_GOING_AWAY))
                listener.stop(_STOP_GRACE_S)
            self._tool_threads.stop(_STOP_GRACE_S)
        finally:
            self._stopped.set()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None) -> None:
        """Stop."""
        self.stop()

    @property
    def port(self) -> int:
        """The TCP port that it listens on; what the constructor was given before `start`."""
        with self._lock:
            return self._port if self._listener is None else self._listener.port

    @property
    def url(self) -> str:
        """Where a client finds it, without any token. Raises `RuntimeError` before `start`."""
        with self._lock:
            if self._listener is None:
                raise RuntimeError("the server has no address before start()")
        return self._address()

    def _address(self) -> str:
        host = _reachable(self._host)
        scheme = "ws" if self._ssl_context is None else "wss"
        return f"{scheme}://[{host}]:{self.port}/" if ":" in host else f"{scheme}://{host}:{self.port}/"


def _reachable(host: str) -> str:
    """Return where a client finds what listens on `host`: nobody can connect to "every address", but to this machine."""
    try:
        address = ip_address(host)
    except ValueError:
        return host or "127.0.0.1"
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if isinstance(address, IPv4Address) else "::1"


def _check_ssl_context(context: object) -> ssl.SSLContext | None:
    if context is not None and not (isinstance(context, ssl.SSLContext) and context.protocol == ssl.PROTOCOL_TLS_SERVER):
        raise ConfigError("ssl_context must be None or a server's: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)")
    return context


def _check_port(port: int) -> int:
    if check_count("port", port) > _MAX_PORT:
        raise ConfigError(f"port must be at most {_MAX_PORT}, not {port}")
    return port
