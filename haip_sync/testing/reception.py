"""What happens to one connection, from its WebSocket handshake to its end: the gate, its policy, its session, its script."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from websockets.sync.server import ServerConnection

from haip_sync.testing.conversation import Conversation
from haip_sync.testing.gate import CLOSE_POLICY_VIOLATION, Gate
from haip_sync.testing.pause_script import PauseScript
from haip_sync.testing.policies import CreditPolicy
from haip_sync.testing.records import Refusal
from haip_sync.testing.registry import SessionRegistry
from haip_sync.testing.resumption import Lasting, Resumptions
from haip_sync.testing.server_session import ServerSession
from haip_sync.testing.settings import ServerSettings
from haip_sync.testing.timers import Alarms, Clock
from haip_sync.testing.tool_threads import ToolThreads
from haip_sync.testing.transaction_book import TransactionBook
from haip_sync.testing.wire import HAS_TRANSACTIONS

logger = logging.getLogger("haip_sync.testing.devserver")

CLOSE_GOING_AWAY: Final = 1001
_BEARER: Final = "Bearer "


class Reception:
    """Receives every connection of one server. Thread-safe."""

    def __init__(
        self,
        *,
        gate: Gate,
        settings: ServerSettings,
        policy: CreditPolicy,
        script: PauseScript,
        sessions: SessionRegistry,
        alarms: Alarms,
        clock: Clock,
        tool_threads: ToolThreads,
        resume_lifetime: float,
    ) -> None:
        self._resumptions = Resumptions(resume_lifetime)
        self._gate = gate
        self._settings = settings
        # In the transaction dialect a token may stand in the HAI, which is still to come when the WebSocket opens.
        self._reads_auth = settings.dialect in HAS_TRANSACTIONS
        self._transactions = TransactionBook()
        self._script = script
        self._sessions = sessions
        self._alarms = alarms
        self._clock = clock
        self._tool_threads = tool_threads
        # Guards the two below. May be taken under the registry's lock, never the other way round.
        self._lock = threading.Lock()
        self._policy = policy
        self._policy_by_channel: dict[str, CreditPolicy] = {}

    def set_policy(self, policy: CreditPolicy, channel: str | None) -> None:
        """Take a policy for the connections to come, on one channel or on all of them."""
        with self._lock:
            if channel is None:
                self._policy = policy
                self._policy_by_channel.clear()
            else:
                self._policy_by_channel[channel] = policy

    def receive(self, connection: ServerConnection) -> None:
        """Serve one connection to its end, on the thread that the WebSocket library made for it."""
        request = connection.request
        admitted = request is not None and self._gate.admits(request.path, request.headers)
        if not admitted and not self._reads_auth:
            self._sessions.refuse(Refusal(reason="no token, or a wrong one", close_code=CLOSE_POLICY_VIOLATION))
            connection.close(CLOSE_POLICY_VIOLATION, "invalid token")
            return
        session = self._sessions.add(partial(self._new_session, connection, None if admitted else self._admits))
        if session is None:
            connection.close(CLOSE_GOING_AWAY, "server stops")
            return
        try:
            session.serve()
        except Exception:
            # A policy of the user's own may raise; the library, which is kept quiet, would not say so.
            logger.exception("a session failed")
            raise
        finally:
            self._sessions.remove(session, _refusal(session))

    def _admits(self, auth: Any) -> bool:
        """Whether the `auth` of a HAI, an object of any members, shows the token: by itself or with "Bearer" before it."""
        shown = auth.values() if isinstance(auth, dict) else ()
        tokens = [value.removeprefix(_BEARER) for value in shown if isinstance(value, str)]
        return any(self._gate.admits("", {"Authorization": _BEARER + token}) for token in tokens)

    def _new_session(self, connection: ServerConnection, admits: Callable[[Any], bool] | None) -> ServerSession:
        holder: list[ServerSession] = []

        def claim(session_id: str, *, wants: bool) -> Lasting | None:
            return self._resumptions.claim(session_id, holder[0], wants=wants)

        with self._lock:
            conversation = Conversation(
                self._settings,
                self._policy,
                self._policy_by_channel,
                book=self._transactions,
                admits=admits,
                claim=claim,
                may_resume=self._settings.resumes and self._resumptions.any_known(),
            )
        session = ServerSession(
            connection,
            conversation,
            alarms=self._alarms,
            clock=self._clock,
            tool_threads=self._tool_threads,
            on_open=self._on_session_open,
        )
        holder.append(session)
        return session

    def _on_session_open(self, session: ServerSession) -> None:
        self._sessions.open(session)
        logger.info("session %s opened", session.view.id)
        self._play_script(session)

    def _play_script(self, session: ServerSession) -> None:
        """Set an alarm for every pause and resume, and one to begin anew."""
        if session.ended:
            return
        start = self._clock.now()
        for seconds, channel, paused in self._script.moves():
            self._alarms.at(start + seconds, partial(_hold, session, channel, paused=paused))
        if self._script.repeat:
            self._alarms.at(start + self._script.length, partial(self._play_script, session))


def _hold(session: ServerSession, channel: str, *, paused: bool) -> None:
    session.perform(lambda conversation, _: conversation.voice.hold(channel, paused=paused))


def _refusal(session: ServerSession) -> Refusal | None:
    """Return why a connection that is over never became a session; None if it did."""
    if session.number:
        return None
    closing = session.read(lambda conversation: conversation.voice.closing)
    code, reason = closing or (None, "the client left before its HAI")
    return Refusal(reason=reason, close_code=code)
