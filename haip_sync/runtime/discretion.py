"""What a peer repeats of what we told it in confidence: struck out of its ERRORs before anybody sees them.

Servers like to say which token they refuse. Data frames are the application's and are left as they came.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from haip_sync.protocol.envelope import Envelope
from haip_sync.protocol.identifiers import is_uuid
from haip_sync.protocol.names import REFUSAL_CODES, SEQ_VIOLATION, UNSUPPORTED_TYPE

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


def discreet_error(envelope: Envelope, without_secrets: Callable[[str], str]) -> Envelope:
    """Return an ERROR without secrets in its payload; HAIP's own codes and ids are left alone. Any thread."""
    payload = envelope.payload
    said = msgspec.json.decode(payload) if isinstance(payload, msgspec.Raw) else payload
    return msgspec.structs.replace(envelope, payload=_struck(said, without_secrets))


def _struck(value: Any, without_secrets: Callable[[str], str]) -> Any:
    """Return a JSON value with every text in it gone through; its depth is bounded by `Limits.max_nesting`."""
    if isinstance(value, str):
        return value if value in _CODES or is_uuid(value) else without_secrets(value)
    if isinstance(value, dict):
        names = {name: name if name in _MEMBERS else without_secrets(name) for name in value}
        return {names[name]: _struck(inner, without_secrets) for name, inner in value.items()}
    if isinstance(value, list):
        return [_struck(inner, without_secrets) for inner in value]
    return value
