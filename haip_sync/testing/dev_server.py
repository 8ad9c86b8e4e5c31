"""A real HAIP 1.1.2 development server, in this process or on its own (`haip-devserver`)."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, ip_address
from types import TracebackType
from typing import Any, Final, Self

from haip_sync.config import (
    DEFAULT_INITIAL_CREDIT_BYTES,
    DEFAULT_INITIAL_CREDITS,
    check_channel,
    check_choice,
    check_count,
    check_flag,
    check_timeout,
)
from haip_sync.errors import ConfigError
from haip_sync.testing.agent import AGENT_NAME
from haip_sync.testing.books import Credit
from haip_sync.testing.conversation import Conversation
from haip_sync.testing.gate import Gate
from haip_sync.testing.listener import Listener
from haip_sync.testing.pause_script import PauseScript, PauseStep, check_pause_script
from haip_sync.testing.policies import CreditPolicy, RenewAtHalf, check_policy
from haip_sync.testing.reception import CLOSE_GOING_AWAY, Reception
from haip_sync.testing.records import Refusal
from haip_sync.testing.registry import SessionRegistry
from haip_sync.testing.server_session import ServerSession
from haip_sync.testing.session import Session
from haip_sync.testing.timers import Alarms, Clock, SystemClock
from haip_sync.testing.voice import ServerSettings
from haip_sync.testing.wire import DIALECTS, Dialect, accepted_types

logger = logging.getLogger("haip_sync.testing.devserver")

_STOP_GRACE_S: Final = 1.0
_MAX_PORT: Final = 65_535
_CLOSE_CODES: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})
_KEEP_RECEIVED: Final = 100_000

Step = Callable[[Conversation, float], None]


class DevServer:
    """A HAIP 1.1.2 server that several clients may use at once. Every method may be called by any thread.

    ```python
    with DevServer(policy=Paced(50)) as server:
        run_my_client(server.url)
        session = server.wait_for_session()
        session.wait_for(lambda s: s.text_count == 10, what="ten texts")
        assert session.books("USER").breaches == 0
    ```

    It keeps books per session and channel: each data frame costs one message and the UTF-8 length of its whole text frame
    (media: the binary or decoded length); control frames cost nothing. A frame without credit for it is a breach: it is
    counted, answered with `ERROR{FLOW_CONTROL_VIOLATION}`, not delivered, and debits nothing.

    What it sends on its own (an agent's answer to each text, `send_text`) keeps within the credit that the client grants and
    waits while the channel is paused by either side. The methods that act on sessions return how many they reached:
    with `session=None` every live one, that is every one whose HAI has arrived. A client may be through its own handshake a
    moment before that, so `wait_for_session` first. A session that is over is reached by nothing.

    Args:
        host: Address to listen on; any path is accepted there.
        port: TCP port, 0 for a free one.
        token: Where given, a client must show it as `?token=...`, as a bearer token or as a subprotocol; who does not is
            closed with 1008.
        ssl_context: Where given, everything goes through TLS, and `url` begins with wss://. A server's context, with its
            certificate loaded; it may ask for the client's.
        dialect: Which texts it accepts and sends: `"message"` (MESSAGE_START...), `"text"` (TEXT_MESSAGE_START...), or
            `"both"`; the client chooses then, and we write as `message` if its HAI lets us.
        policy: When credit is given back, as a policy or as `parse_policy` reads it; default `RenewAtHalf()`.
        initial_credits: First message credit per channel, from 0. None: our HAI names none, in bytes neither; the policies
            then take the client's own as the window, and nothing counts as a breach.
        initial_credit_bytes: The same in bytes.
        agent: Whether each text outside of AGENT is answered on AGENT, in parts. At most 1,000 texts wait there per
            session; of more, the oldest that has not begun is dropped (`Session.texts_dropped`).
        pause_script: `(after_seconds, channel, for_seconds)` from each session's handshake on.
        repeat_pauses: Whether the script starts anew when its last pause is over.
        accept_events: What our HAI accepts, in place of what the dialect gives.
        keep_received: How many frames, texts and breaches each session remembers, the oldest forgotten first.
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
        agent: bool = True,
        pause_script: Iterable[tuple[float, str, float] | PauseStep] = (),
        repeat_pauses: bool = False,
        accept_events: Iterable[str] | None = None,
        keep_received: int = _KEEP_RECEIVED,
        clock: Clock | None = None,
        name: str = "haip-devserver",
    ) -> None:
        self._host = host
        self._port = _check_port(port)
        self._gate = Gate(token)
        self._ssl_context = _check_ssl_context(ssl_context)
        check_choice("dialect", dialect, DIALECTS)
        settings = ServerSettings(
            dialect=dialect,
            accept_events=frozenset(accepted_types(dialect) if accept_events is None else accept_events),
            initial=_check_initial(initial_credits, initial_credit_bytes),
            agent=check_flag("agent", agent),
            keep_received=check_count("keep_received", keep_received, minimum=1),
        )
        script = PauseScript(check_pause_script(pause_script), repeat=check_flag("repeat_pauses", repeat_pauses))
        self._name = name
        clock = clock or SystemClock()
        self._alarms = Alarms(clock, f"{name}-timer")
        self._sessions = SessionRegistry()
        self._reception = Reception(
            gate=self._gate,
            settings=settings,
            policy=RenewAtHalf() if policy is None else check_policy(policy),
            script=script,
            sessions=self._sessions,
            alarms=self._alarms,
            clock=clock,
        )
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

        Idempotent; a second caller waits for the first. Returns within about two seconds, whatever the clients do.
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

    # What there is to see

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The sessions in order of arrival, ended ones included; of more than 1,000 the oldest ended ones are forgotten."""
        return tuple(session.view for session in self._sessions.opened())

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """The connections that never became a session, at most the last 1,000: wrong token, no HAI, no common version."""
        return self._sessions.refusals()

    def wait_for_session(self, number: int = 1, *, timeout: float | None = 5.0) -> Session:
        """Return the session that opened as number `number` (from 1), waiting for its HAI if need be.

        Raises `HAIPTimeout`, which is a `TimeoutError`, after `timeout` seconds (None: never) and at `stop`.
        """
        number = check_count("number", number, minimum=1)
        return self._sessions.wait_opened(number, check_timeout("timeout", timeout)).view

    def wait_for_refusal(self, number: int = 1, *, timeout: float | None = 5.0) -> Refusal:
        """Return the refusal of this number (from 1), waiting for it if need be. Raises as `wait_for_session` does."""
        number = check_count("number", number, minimum=1)
        return self._sessions.wait_refused(number, check_timeout("timeout", timeout))

    # What can be done

    def set_policy(self, policy: CreditPolicy | str, channel: str | None = None, *, session: Session | None = None) -> int:
        """Change when credit is given back, at once: on one channel or on all, in one session or in all and those to come.

        For all channels it also takes the place of what was set for single ones. Raises `ConfigError`.
        """
        chosen = check_policy(policy)
        name = None if channel is None else check_channel(channel)
        if session is None:
            self._reception.set_policy(chosen, name)
        # Connections whose HAI is still to come were made with the old policy, so they are told too.
        targets = self._sessions.connected() if session is None else self._targets(session)
        for target in targets:
            target.perform(lambda conversation, now: conversation.voice.give_all(conversation.desk.set_policy(chosen, name, now)))
        return sum(target.live for target in targets)

    def grant(self, channel: str, messages: int = 0, byte_credits: int = 0, *, session: Session | None = None) -> int:
        """Grant credit by FLOW_UPDATE, beyond what the policy gives. Both zero, or a negative one: `ConfigError`."""
        credit = Credit(check_count("messages", messages), check_count("byte_credits", byte_credits))
        if not credit:
            raise ConfigError("grant messages or byte_credits, at least 1 of either")
        name = check_channel(channel)
        return self._act(lambda conversation, _: conversation.voice.give(name, credit), session)

    def pause(self, channel: str, *, session: Session | None = None) -> int:
        """Send PAUSE_CHANNEL and hold our own texts there. What still arrives is no breach. Twice is once."""
        name = check_channel(channel)
        return self._act(lambda conversation, _: conversation.voice.hold(name, paused=True), session)

    def resume(self, channel: str, *, session: Session | None = None) -> int:
        """Send RESUME_CHANNEL; nothing where the channel is not paused by us."""
        name = check_channel(channel)
        return self._act(lambda conversation, _: conversation.voice.hold(name, paused=False), session)

    def drop(self, *, session: Session | None = None, code: int | None = None) -> int:
        """End connections: abruptly, or with a WebSocket close of `code` once what is under way has been written.

        Raises `ConfigError` for a code that no endpoint may send.
        """
        if code is None:
            targets = self._targets(session)
            for target in targets:
                target.abort()
            return len(targets)
        if code not in _CLOSE_CODES:
            raise ConfigError(f"code must be a WebSocket close code (1000 to 1014, 3000 to 4999), not {code!r}")
        return self._act(lambda conversation, _: conversation.voice.close("dropped", code), session)

    def send_text(self, channel: str, text: str, author: str | None = AGENT_NAME, *, session: Session | None = None) -> int:
        """Send a text (START, a PART for every 40 characters, END) as the client's credit and the pauses allow; never waits."""
        name = check_channel(channel)
        return self._act(lambda conversation, _: conversation.voice.say(name, text, author), session)

    def send_frame(
        self,
        event_type: str,
        payload: Mapping[str, Any],
        channel: str = "SYSTEM",
        *,
        binary: bytes | None = None,
        session: Session | None = None,
    ) -> int:
        """Send one well-formed frame at once, without regard to credit, pauses and what the client accepts.

        A data frame is debited, so `Books.to_client` may fall below zero. With `binary` a binary frame follows.
        """
        name = check_channel(channel)
        return self._act(lambda conversation, _: conversation.voice.send_frame(event_type, payload, name, binary), session)

    def send_raw(self, data: str | bytes, *, session: Session | None = None) -> int:
        """Send anything as one WebSocket message, text or binary: numbered, counted and checked by nobody."""
        return self._act(lambda conversation, _: conversation.voice.send_raw(data), session)

    # Helpers

    def _act(self, step: Step, session: Session | None) -> int:
        targets = self._targets(session)
        for target in targets:
            target.perform(step)
        return len(targets)

    def _targets(self, session: Session | None) -> tuple[ServerSession, ...]:
        """Return the live sessions that are meant."""
        if session is not None and not isinstance(session, Session):
            raise ConfigError(f"session must be a Session of this server or None, not {session!r}")
        meant = [target for target in self._sessions.connected() if session in (None, target.view)]
        return tuple(sorted((target for target in meant if target.live), key=lambda target: target.number))

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


def _check_initial(initial_credits: int | None, initial_credit_bytes: int) -> Credit | None:
    byte_credits = check_count("initial_credit_bytes", initial_credit_bytes)
    return None if initial_credits is None else Credit(check_count("initial_credits", initial_credits), byte_credits)
