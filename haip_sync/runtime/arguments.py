"""Arguments of the client's methods, checked: what does not raise `ConfigError` here is usable everywhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeVar

from haip_sync.config import check_seconds, plain_text, told
from haip_sync.errors import ConfigError
from haip_sync.protocol.identifiers import is_uuid, new_id
from haip_sync.protocol.names import (
    FLOW_UPDATE,
    HAI,
    MESSAGE,
    PAUSE_CHANNEL,
    RESUME_CHANNEL,
    TRANSACTION_END,
    TRANSACTION_JOIN,
    TRANSACTION_START,
)
from haip_sync.protocol.payloads import check_outgoing
from haip_sync.runtime.conversation.conversation import Labels

_OWN_METHODS: Final = {
    HAI: "connect()",
    FLOW_UPDATE: "request_credits()",
    PAUSE_CHANNEL: "pause_channel()",
    RESUME_CHANNEL: "resume_channel()",
    TRANSACTION_START: "transaction()",
    TRANSACTION_JOIN: "join_transaction()",
    TRANSACTION_END: "Transaction.end()",
}
_LONGEST_THREAD_ID: Final = 128
MonitorMode = Literal["off", "watch", "steer"]
_MONITOR_ENVIRONMENT: Final = "HAIP_SYNC_MONITOR"
_MONITOR_WORDS: Final[Mapping[str, MonitorMode]] = {"": "off", "0": "off", "1": "watch", "steer": "steer"}
_T = TypeVar("_T")
_NO_LABELS: Final = Labels(None, None)


def optional_text(name: str, value: object) -> str | None:
    """Return `value` if it is a string or None."""
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"{name} must be a string or None, not {type(value).__name__}")
    return None if value is None else plain_text(value)


def monitor_mode(value: object, environment: Mapping[str, str] = os.environ) -> MonitorMode:
    """Return what monitors may do: what the argument says or, where that is None, the environment variable HAIP_SYNC_MONITOR."""
    if value is None:
        said = environment.get(_MONITOR_ENVIRONMENT, "").strip().lower()
        if said not in _MONITOR_WORDS:
            raise ConfigError(f"the environment variable {_MONITOR_ENVIRONMENT} must be 1, steer or 0, not {said!r:.60}")
        return _MONITOR_WORDS[said]
    if value == "steer":
        return "steer"
    if not isinstance(value, bool):
        raise ConfigError(f'monitor must be True, False, "steer" or None, not {told(value)}')
    return "watch" if value else "off"


def opening_timeout(value: object) -> float | None:
    """Return `value` if it is a positive number of seconds, or None: for ever."""
    return None if value is None else check_seconds("timeout", value, positive=True)


def check_thread_id(value: object) -> str | None:
    """Return `value` if it is None or a string of at most 128 characters (HAIP 1.1.2)."""
    text = optional_text("thread_id", value)
    if text is not None and len(text) > _LONGEST_THREAD_ID:
        raise ConfigError(f"thread_id must have at most {_LONGEST_THREAD_ID} characters, not {len(text)}")
    return text


def labels_of(run_id: object, thread_id: object) -> Labels:
    """Return what groups a frame."""
    if run_id is None and thread_id is None:
        return _NO_LABELS
    return Labels(optional_text("run_id", run_id), check_thread_id(thread_id))


def optional_mapping(name: str, value: object) -> Mapping[str, Any] | None:
    """Return `value` if it is a mapping or None."""
    if value is not None and not isinstance(value, Mapping):
        raise ConfigError(f"{name} must be a mapping or None, not {type(value).__name__}")
    return value


def check_session_id(value: object) -> str:
    """Return `value` if it is a UUID, or a new one where it is None."""
    text = optional_text("session_id", value)
    if text is not None and not is_uuid(text):
        raise ConfigError(f"session_id must be a UUID, not {text!r:.60}")
    return text or new_id()


def instance_of(name: str, value: object, kind: type[_T]) -> _T:
    """Return `value`, or the defaults where it is None."""
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise ConfigError(f"{name} must be a {kind.__name__}, not {type(value).__name__}")
    return value


def check_frame(event_type: object, payload: object, binary: object) -> str:
    """Return the type of a frame for `send`.

    Raises `ConfigError` for what is none, `ProtocolError` (local) for a payload that its type does not have.
    """
    if not isinstance(event_type, str) or not event_type:
        raise ConfigError(f"event_type must be the name of an event type, not {told(event_type)}")
    if event_type in _OWN_METHODS:
        raise ConfigError(f"{event_type} is sent by {_OWN_METHODS[event_type]}, which keeps the books; nothing was sent")
    # The first question is the cheap one: what Mapping asks of a type costs as much as encoding it.
    if type(payload) is not dict and not isinstance(payload, Mapping) and (event_type != MESSAGE or payload is None):
        raise ConfigError(f"the payload of {event_type:.60} must be a mapping, not {type(payload).__name__}")
    if binary is not None and not isinstance(binary, bytes):
        raise ConfigError(f"binary must be bytes, not {type(binary).__name__}")
    check_outgoing(event_type, payload)
    return event_type if type(event_type) is str else plain_text(event_type)


def audio_payload(message_id: object, mime: object, data: object, duration_ms: object) -> dict[str, Any]:
    """Return the payload of AUDIO_CHUNK without its sound. Raises `ConfigError` for a wrong argument."""
    named: dict[str, Any] = {"message_id": _some_text("message_id", message_id), "mime": _some_text("mime", mime)}
    if not isinstance(data, bytes):
        raise ConfigError(f"data must be bytes, not {type(data).__name__}")
    if duration_ms is None:
        return named
    if isinstance(duration_ms, bool) or not isinstance(duration_ms, (int, float)):
        raise ConfigError(f"duration_ms must be a number or None, not {type(duration_ms).__name__}")
    if not 0 <= duration_ms <= sys.float_info.max:
        raise ConfigError(f"duration_ms must be 0 or more, and finite, not {told(duration_ms)}")
    return named | {"duration_ms": duration_ms}


def _some_text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{name} must be a string that is not empty, not {told(value)}")
    return plain_text(value)
