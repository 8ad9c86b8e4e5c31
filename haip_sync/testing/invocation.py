"""A tool at work: what its function is given, and the thread's part of a call."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from haip_sync.config import check_choice, told
from haip_sync.errors import ConfigError
from haip_sync.testing import wire
from haip_sync.testing.call import Call

if TYPE_CHECKING:
    from haip_sync.testing.records import Transaction
    from haip_sync.testing.server_session import ServerSession
    from haip_sync.testing.session import Session

logger = logging.getLogger("haip_sync.testing.devserver")

UpdateStatus = Literal["QUEUED", "RUNNING", "CANCELLING"]


class ToolInvocation:
    """One call of a tool, as its function sees it. Every method may be called by any thread.

    In the transaction dialect each MESSAGE is a call of its own: `params` is its payload, and the result, if it is not None,
    the MESSAGE that answers it. What it says goes out on the channel of the call (in a transaction on AGENT), within the
    credit that the client grants and behind what waits there; nothing here waits for it.
    """

    def __init__(self, call: Call, session: ServerSession) -> None:
        self._call = call
        self._session = session

    def __repr__(self) -> str:
        return f"<ToolInvocation {self.call_id} of {self.tool}>"

    @property
    def call_id(self) -> str:
        """The id that the client gave it."""
        return self._call.call_id

    @property
    def tool(self) -> str:
        """The name of the tool."""
        return self._call.name

    @property
    def channel(self) -> str:
        """The channel on which it was called."""
        return self._call.channel

    @property
    def run_id(self) -> str | None:
        """The run that it belongs to."""
        return self._call.run_id

    @property
    def transaction(self) -> Transaction | None:
        """The transaction that it belongs to, as it was when the message came; None for a TOOL_CALL."""
        return self._call.transaction

    @property
    def session(self) -> Session:
        """The session that called."""
        return self._session.view

    @property
    def cancelled(self) -> threading.Event:
        """Set once the call is to end: by TOOL_CANCEL, with its run, or with the session. Wait for it, or look at it."""
        return self._call.cancelled

    @property
    def reason(self) -> str | None:
        """Why it is to end; None while `cancelled` is not set."""
        return self._call.reason

    def update(self, *, progress: float | None = None, partial: Any = None, status: UpdateStatus = "RUNNING") -> bool:
        """Send TOOL_UPDATE with a progress of 0 to 100 and a partial result; return False, nothing sent, once the call is over.

        In a transaction it is an INFO with the same members.
        Raises `ConfigError` for a wrong value and for a partial result that JSON cannot carry.
        """
        check_choice("status", status, get_args(UpdateStatus))
        payload: dict[str, Any] = {"status": status}
        if progress is not None:
            payload["progress"] = _check_progress(progress)
        if partial is not None:
            payload["partial"] = _freeze("partial", partial)
        self._session.perform(lambda conversation, _: conversation.calls.update(self._call, payload))
        return not self._call.is_over

    def send(self, payload: Any) -> bool:
        """Send a part of the answer: a MESSAGE in a transaction, else TOOL_UPDATE with `payload` as its partial result.

        Returns False, nothing sent, once the call is over. Raises `ConfigError` for what JSON cannot carry, and for None.
        """
        if payload is None:
            raise ConfigError("payload must not be None")
        frozen = _freeze("payload", payload)
        self._session.perform(lambda conversation, _: conversation.calls.send(self._call, frozen))
        return not self._call.is_over


def run_tool(session: ServerSession, call: Call) -> None:
    """Run a call to its end, on the thread of the caller."""
    session.perform(lambda conversation, _: conversation.calls.begin(call))
    if call.is_over:
        return
    status, result = _outcome(call, ToolInvocation(call, session))
    session.perform(lambda conversation, _: conversation.calls.finish(call, status, result))


def _outcome(call: Call, invocation: ToolInvocation) -> tuple[str, Any]:
    try:
        result = call.tool.function(call.params, invocation)
        wire.freeze(result)
    except wire.WireError as error:
        return "ERROR", {"error": f"the result {error}"}
    except BaseException as error:  # noqa: BLE001 - whatever a tool raises, SystemExit too, is what comes of the call
        logger.info("tool %s failed: %r", call.name, error)
        return "ERROR", {"error": f"{type(error).__name__}: {error}"}
    return "OK", result


def _freeze(name: str, value: object) -> msgspec.Raw:
    try:
        return wire.freeze(value)
    except wire.WireError as error:
        raise ConfigError(f"{name} {error}") from error


def _check_progress(progress: object) -> float:
    if isinstance(progress, bool) or not isinstance(progress, (int, float)) or not 0 <= progress <= 100:  # noqa: PLR2004
        raise ConfigError(f"progress must be a number from 0 to 100, not {told(progress)}")
    return progress
