"""What a peer repeats of what we told it in confidence: struck out of all that it says before anybody sees it.

Servers like to say which token they refuse; a hostile one repeats it wherever a frame has room. What leaves here is what the
session, events, logs, errors and our own answers are made of. The payloads of data frames are the application's: they are left
as they came, and so are the labels `run_id` and `thread_id`.
"""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import quote, quote_plus

import msgspec

from haip_sync.auth import SHORTEST_SECRET
from haip_sync.config import WELL_KNOWN_CHANNELS
from haip_sync.protocol.envelope import Envelope
from haip_sync.protocol.identifiers import is_seq, is_uuid
from haip_sync.protocol.names import CONTROL_TYPES, ERROR, REFUSAL_CODES, SEQ_VIOLATION, UNSUPPORTED_TYPE
from haip_sync.protocol.payloads import is_known

_CODES: Final = REFUSAL_CODES | {
    SEQ_VIOLATION,
    UNSUPPORTED_TYPE,
    "PROTOCOL_VIOLATION",
    "VERSION_INCOMPATIBLE",
    "RUN_LIMIT_EXCEEDED",
    "RESUME_FAILED",
    "REPLAY_TOO_OLD",
}
"""The codes of HAIP: a secret that is a part of one does not change what it says."""
_MEMBERS: Final = frozenset({"code", "message", "related_id", "detail"})
_SHORTEST_IN_NAMES: Final = 20
"""What is shorter may be a part of an honest peer's channel, type or id: these are left alone for it."""
_SHORTEST_ENCODED: Final = 8
_MOST_EARLIER: Final = 16
"""Secrets of earlier lines that a peer may still repeat: a function for `auth` may return another for each."""
_STRUCK: Final = "***"
_STRUCK_CHANNEL: Final = "___"
"""A legal name of a channel."""


def _spellings(secret: str) -> Iterable[str]:
    """Yield a secret as a peer may write it: as it is, percent-encoded, and in base64, by itself or inside of more."""
    yield secret
    for percent in (quote_plus(secret), quote(secret, safe="")):
        yield percent
        yield percent.lower() if percent != secret else secret
    data = secret.encode(errors="replace")
    if len(data) < _SHORTEST_ENCODED:
        return
    for before in range(3):  # the bits of three bytes are four characters: what begins in their middle is written differently
        first, last = -(-8 * before // 6), 8 * (before + len(data)) // 6
        for encode in (b64encode, urlsafe_b64encode):
            yield encode(bytes(before) + data).decode()[first:last]


class Discretion:
    """The secrets that the peers of one client were told. Immutable; any thread."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._told = tuple(dict.fromkeys(secrets))
        spelled = {spelling for secret in self._told if len(secret) >= SHORTEST_SECRET for spelling in _spellings(secret)}
        self._secrets = tuple(sorted(spelled, key=len, reverse=True))  # what holds another goes first
        self._in_names = tuple(secret for secret in self._secrets if len(secret) >= _SHORTEST_IN_NAMES)

    def __repr__(self) -> str:
        return "Discretion(...)"

    def and_also(self, secrets: Iterable[str]) -> Discretion:
        """Return what strikes these as well: of a new line, whose peer may have been told others on lines before."""
        more = tuple(secrets)
        return Discretion((*more, *[secret for secret in self._told if secret not in more][:_MOST_EARLIER]))

    def text(self, text: str) -> str:
        """Return what the peer said to be read without the secrets in it."""
        for secret in self._secrets:
            text = text.replace(secret, _STRUCK)
        return text

    def name(self, name: str, struck: str = _STRUCK) -> str:
        """Return a name of the peer's (of a channel, a type, a frame) without the long secrets in it."""
        for secret in self._in_names:
            name = name.replace(secret, struck)
        return name

    def envelope(self, envelope: Envelope) -> Envelope:
        """Return a frame of the peer's without secrets, but for the payload of a data frame."""
        if not self._secrets:
            return envelope
        changed = self._changed_members(envelope)
        if envelope.type == ERROR:
            changed["payload"] = _struck(_read(envelope), self._said)
        elif envelope.type in CONTROL_TYPES and self._in_names:
            changed["payload"] = _struck(_read(envelope), self.name)
        return msgspec.structs.replace(envelope, **changed) if changed else envelope

    def _changed_members(self, envelope: Envelope) -> dict[str, Any]:
        """Return the members that have a secret in them, struck."""
        said: dict[str, str | None] = {"id": self.name(envelope.id)}
        if not is_known(envelope.type):
            said["type"] = self.name(envelope.type)
        if envelope.channel not in WELL_KNOWN_CHANNELS:
            said["channel"] = self.name(envelope.channel, _STRUCK_CHANNEL)
        if not is_seq(envelope.seq):
            said["seq"] = self.text(envelope.seq)
        if not is_uuid(envelope.session) or envelope.session in self._secrets:
            said["session"] = self.text(envelope.session)
        if envelope.transaction is not None:
            said["transaction"] = self.name(envelope.transaction)
        return {member: text for member, text in said.items() if text != getattr(envelope, member)}

    def _said(self, text: str) -> str:
        """Return a text of an ERROR; HAIP's own codes and ids are left alone."""
        is_ours = text in _CODES or (is_uuid(text) and text not in self._secrets)
        return text if is_ours else self.text(text)


Confide = Callable[[Iterable[str]], Discretion]
"""Takes note of what a new line's peer is told in confidence; returns what strikes it out."""


def _read(envelope: Envelope) -> Any:
    return msgspec.json.decode(envelope.payload) if isinstance(envelope.payload, msgspec.Raw) else envelope.payload


def _struck(value: Any, strike: Callable[[str], str]) -> Any:
    """Return a JSON value with every text in it gone through; its depth is bounded by `Limits.max_nesting`."""
    if isinstance(value, str):
        return strike(value)
    if isinstance(value, dict):
        return {name if name in _MEMBERS else strike(name): _struck(inner, strike) for name, inner in value.items()}
    if isinstance(value, list):
        return [_struck(inner, strike) for inner in value]
    return value
