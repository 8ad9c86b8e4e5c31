"""What AUDIO_CHUNK carries beside the sound itself."""

from __future__ import annotations

import sys
from typing import Any

from haip_sync.config import plain_text, told
from haip_sync.errors import ConfigError


def audio_payload(message_id: object, mime: object, data: object, duration_ms: object) -> dict[str, Any]:
    """Return the payload of AUDIO_CHUNK without its sound. Raises `ConfigError` for a wrong argument."""
    named: dict[str, Any] = {"message_id": _text("message_id", message_id), "mime": _text("mime", mime)}
    if not isinstance(data, bytes):
        raise ConfigError(f"data must be bytes, not {type(data).__name__}")
    if duration_ms is None:
        return named
    if isinstance(duration_ms, bool) or not isinstance(duration_ms, (int, float)):
        raise ConfigError(f"duration_ms must be a number or None, not {type(duration_ms).__name__}")
    if not 0 <= duration_ms <= sys.float_info.max:
        raise ConfigError(f"duration_ms must be 0 or more, and finite, not {told(duration_ms)}")
    return named | {"duration_ms": duration_ms}


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{name} must be a string that is not empty, not {told(value)}")
    return plain_text(value)
