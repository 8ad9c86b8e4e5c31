"""Why a connection did not come about or ended, and how to go on, in words for a person."""

from __future__ import annotations

from typing import Final

from haip_sync import (
    AuthError,
    ConfigError,
    ConnectError,
    Disconnected,
    ErrorReported,
    HAIPTimeout,
    HandshakeError,
    ProtocolError,
    VersionError,
)
from monitor_app.model.source import Failure
from monitor_app.model.wording import begins_with_address, cause_first

_ADVICE: tuple[tuple[type[Exception], str, str], ...] = (
    (ConfigError, "The address cannot be used", "Write it as ws://host:port, or wss://host:port for TLS."),
    (AuthError, "The server refused the token", "Give another one in File, Connect… or with --token at the start."),
    (VersionError, "The server speaks another version of HAIP", "No version is in common; nothing was sent."),
    (ProtocolError, "The server does not keep to HAIP", "Is this the address of a HAIP server?"),
    (HandshakeError, "The handshake failed", "Is this the address of a HAIP server?"),
    (HAIPTimeout, "The server does not answer", "It may be busy, or not be a HAIP server."),
    (ConnectError, "The server cannot be reached", "Check that it runs and that the address is right."),
)
_NOT_AGAIN: Final = frozenset({ConfigError, AuthError, VersionError})
NOT_CONNECTED_YET: Final = Failure(
    title="Not connected", text="The script has not connected this client yet. Its channels move as soon as it does."
)


def failure_of(error: Exception, address: str) -> Failure:
    """Return what to say when connecting to `address` failed with `error`."""
    for kind, title, advice in _ADVICE:
        if isinstance(error, kind):
            text = f"{_sentence(error, address)} {advice}".strip()
            return Failure(title=title, text=text, wants_another=kind in _NOT_AGAIN)
    return Failure(title="No connection", text=_sentence(error, address))


def failure_of_loss(address: str, last_error: str | None, goodbye: Disconnected | None, *, of_script: bool = False) -> Failure:
    """Return what to say when a connection that stood is over; `of_script`: a script's, which only the script can mend."""
    reason = last_error or (goodbye.reason if goodbye is not None else "the connection is closed")
    who = " Only the script can connect again." if of_script else ""
    return Failure(title="The connection is over", text=f"{_end(reason, address)} What is shown are the last known values.{who}")


def told_of_failure(failure: Failure) -> str:
    """Return a failure for the log and the audit trail, which have one line for it: the cause first, and once."""
    if failure.is_ours or not begins_with_address(failure.text):
        return f"{failure.title}. {failure.text}"
    text = cause_first(failure.text)
    return f"{text[:1].upper()}{text[1:]}"


def complaint_of(event: ErrorReported) -> str:
    """Return what else went wrong, as one sentence: an ERROR of the peer's, or a frame that could not be read."""
    who = "It answered" if event.reported_by == "peer" else "What it sent could not be read"
    return _end(f"{who}: {event.message}", "")


def _sentence(error: Exception, address: str) -> str:
    return _end(str(error) or type(error).__name__, address)


def _end(text: str, address: str) -> str:
    """Return `text` as a sentence that names the address, once."""
    named = text if not address or address in text else f"{address}: {text}"
    return named if named.endswith((".", "!", "?", "…")) else f"{named}."
