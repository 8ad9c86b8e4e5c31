"""What a test sees of a development server, and what it can have it do: to one session, or to every live one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, Literal, get_args
from uuid import uuid4

from haip_sync.config import check_channel, check_choice, check_count, check_timeout, told
from haip_sync.errors import ConfigError
from haip_sync.testing import wire
from haip_sync.testing.agent import AGENT_NAME
from haip_sync.testing.arguments import check_bytes, check_text, optional_text
from haip_sync.testing.books import Credit
from haip_sync.testing.conversation import Conversation
from haip_sync.testing.history import ClientHistory
from haip_sync.testing.outgoing import Draft
from haip_sync.testing.policies import CreditPolicy
from haip_sync.testing.policy_names import check_policy
from haip_sync.testing.reception import Reception
from haip_sync.testing.records import Refusal, Run
from haip_sync.testing.registry import SessionRegistry
from haip_sync.testing.server_session import ServerSession
from haip_sync.testing.session import Session

_CLOSE_CODES: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})

_HAI_S: Final = 1.0
"""How long a command waits for a HAI that is on its way: a client may be through its own handshake already."""

RunStatus = Literal["OK", "CANCELLED", "ERROR"]
Step = Callable[[Conversation, float], None]


class ServerCommands:
    """The sessions of a `DevServer` and its commands, which return how many they reached. Any thread may call any of them.

    A client is connected once the server's HAI has come; the server may not have read the client's by then, and no command
    reaches a session before. `wait_for_session` waits for it.
    """

    def __init__(self, sessions: SessionRegistry, reception: Reception) -> None:
        self._sessions = sessions
        self._reception = reception

    # What there is to see

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The sessions in order of arrival, ended ones included; of more than 1,000 the oldest ended ones are forgotten."""
        return tuple(session.view for session in self._sessions.opened())

    def client(self, session_id: str | None = None) -> ClientHistory:
        """Return one client over all of its connections so far; None: the only one. Raises `ConfigError` where there is none."""
        sessions = self.sessions
        known = {session.id for session in sessions}
        if session_id is None and len(known) != 1:
            raise ConfigError(f"session_id must say which client is meant: {len(known)} have come")
        return ClientHistory(tuple(session for session in sessions if session_id in (None, session.id)))

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """The latest `keep_sessions` connections that never became a session: wrong token, no HAI, no common version."""
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
        return self._act(lambda conversation, _: conversation.voice.give(name, credit, anyway=True), session)

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
        if check_count("code", code) not in _CLOSE_CODES:
            raise ConfigError(f"code must be a WebSocket close code (1000 to 1014, 3000 to 4999), not {told(code)}")
        return self._act(lambda conversation, _: conversation.voice.close("dropped", code), session)

    def send_text(
        self,
        channel: str,
        text: str,
        author: str | None = AGENT_NAME,
        *,
        transaction: str | None = None,
        session: Session | None = None,
    ) -> int:
        """Send a text (START, a PART for every 40 characters, END) as the client's credit and the pauses allow; never waits.

        In the transaction dialect it is one MESSAGE in `transaction`, or in the newest one that is open, and goes to everybody
        who takes part; without such a one it is dropped and counted. Raises `ConfigError` for what is no text.
        """
        name = check_channel(channel)
        _check_text(text)
        optional_text("author", author)
        optional_text("transaction", transaction)
        return self._act(lambda conversation, _: conversation.say(name, text, author, transaction), session)

    def end_transaction(self, transaction: str, *, session: Session | None = None) -> int:
        """End a transaction with TRANSACTION_END for everybody who takes part; nothing where it is not open."""
        check_text("transaction", transaction)
        return self._act(lambda conversation, _: conversation.transactions.end(transaction), session)

    def send_audio(
        self,
        channel: str,
        sound: bytes,
        mime: str = "audio/pcm",
        *,
        message_id: str | None = None,
        session: Session | None = None,
    ) -> int:
        """Send an AUDIO_CHUNK as the client's credit and the pauses allow; never waits.

        It is a binary frame where the client's HAI announces those, else base64.
        """
        name = check_channel(channel)
        data = check_bytes("sound", sound)
        payload = {"message_id": optional_text("message_id", message_id) or str(uuid4()), "mime": check_text("mime", mime)}
        return self._act(lambda conversation, _: conversation.voice.play(name, data, payload), session)

    def start_run(
        self,
        run_id: str | None = None,
        *,
        thread_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        session: Session | None = None,
    ) -> int:
        """Begin a run of ours and announce it with RUN_STARTED. Without `run_id` each session's run has an id of its own.

        What this and the three below send is data on SYSTEM, within the client's credit; `Session.runs` shows the runs.
        """
        optional_text("run_id", run_id)
        optional_text("thread_id", thread_id)

        def begin(conversation: Conversation, now: float) -> None:
            del now
            chosen = run_id or str(uuid4())
            conversation.runs.start(Run(run_id=chosen, thread_id=thread_id, metadata=metadata, by="server"))

        return self._act(begin, session)

    def finish_run(
        self, run_id: str, status: RunStatus = "OK", summary: str | None = None, *, session: Session | None = None
    ) -> int:
        """End a run, whoever began it, with RUN_FINISHED; nothing where it is over."""
        check_text("run_id", run_id)
        check_choice("status", status, get_args(RunStatus))
        optional_text("summary", summary)
        changes = {"status": status, "summary": summary}
        payload = {name: value for name, value in changes.items() if value is not None}
        return self._act(lambda conversation, _: conversation.runs.end(run_id, "RUN_FINISHED", payload, changes), session)

    def cancel_run(self, run_id: str, *, session: Session | None = None) -> int:
        """End a run, whoever began it, with RUN_CANCEL, and the calls of tools that belong to it; nothing where it is over."""
        check_text("run_id", run_id)
        changes = {"status": "CANCELLED"}
        return self._act(lambda conversation, _: conversation.runs.end(run_id, "RUN_CANCEL", {}, changes), session)

    def fail_run(self, run_id: str, code: str, message: str = "", *, session: Session | None = None) -> int:
        """End a run, whoever began it, with RUN_ERROR; nothing where it is over."""
        check_text("run_id", run_id)
        check_text("code", code)
        optional_text("message", message)
        changes = {"status": "ERROR", "code": code, "summary": message}
        payload = {"code": code, "message": message}
        return self._act(lambda conversation, _: conversation.runs.end(run_id, "RUN_ERROR", payload, changes), session)

    def send_frame(
        self,
        event_type: str,
        payload: Any,
        channel: str = "SYSTEM",
        *,
        binary: bytes | None = None,
        run_id: str | None = None,
        thread_id: str | None = None,
        transaction: str | None = None,
        session: Session | None = None,
    ) -> int:
        """Send one well-formed frame at once, without regard to credit, pauses and what the client accepts.

        A data frame is debited, so `Books.to_client` may fall below zero. With `binary` a binary frame follows. The three
        ids go into the envelope.
        """
        name = check_channel(channel)
        check_text("event_type", event_type)
        binary = None if binary is None else check_bytes("binary", binary)
        members = {"run_id": run_id, "thread_id": thread_id, "transaction": transaction}
        draft = Draft(event_type, payload, binary, members)
        return self._act(lambda conversation, _: conversation.voice.send_frame(name, draft), session)

    def send_raw(self, data: str | bytes, *, session: Session | None = None) -> int:
        """Send anything as one WebSocket message, text or binary: numbered, counted and checked by nobody."""
        if not isinstance(data, str):
            data = check_bytes("data, if it is no text,", data)
        return self._act(lambda conversation, _: conversation.voice.send_raw(data), session)

    # Helpers

    def _act(self, step: Step, session: Session | None) -> int:
        targets = self._targets(session)
        try:
            for target in targets:
                target.perform(step)
        except wire.WireError as error:
            raise ConfigError(f"what is to be sent {error}") from error
        return len(targets)

    def _targets(self, session: Session | None) -> tuple[ServerSession, ...]:
        """Return the live sessions that are meant, those too whose HAI comes within a moment."""
        if session is not None and not isinstance(session, Session):
            raise ConfigError(f"session must be a Session of this server or None, not {told(session)}")
        meant = [target for target in self._sessions.connected() if session in (None, target.view)]
        deadline_s = time.monotonic() + _HAI_S
        for target in meant:
            target.wait_until_live(deadline_s)
        return tuple(sorted((target for target in meant if target.live), key=lambda target: target.number))


def _check_text(text: object) -> None:
    try:
        wire.freeze(text)
    except wire.WireError as error:
        raise ConfigError(f"the text {error}") from error
    if not isinstance(text, str):
        raise ConfigError(f"the text must be a str, not {told(text)}")
