"""What a frame costs, as this server counts: envelopes or whole texts, control frames or not. No state, no thread.

On purpose nothing of the client's own counting: two independent implementations that agree are the proof that either is right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from haip_sync.config import CreditUnit
from haip_sync.testing import wire
from haip_sync.testing.books import NOTHING, Credit

_GOES_ON: Final = frozenset(name for types in (wire.MESSAGE_TEXT, wire.TEXT_TEXT) for name in types[1:])
"""PART and END: what belongs to a text that its START has paid for, where a credit is a whole message."""
_BASE64: Final = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_MEDIA_TYPES: Final = frozenset({"AUDIO_CHUNK", "AUDIO"})


@dataclass(frozen=True)
class Tariff:
    """How one server counts, in both directions. Immutable."""

    credit_unit: CreditUnit = "envelope"
    """`"envelope"`: each data frame costs one message. `"message"`: a text's START does, its PARTs and END cost bytes only."""
    count_control_frames: bool = False
    """Whether a client's control frame costs one message and its bytes, of SYSTEM. Ours never cost anything."""

    def data(self, *, event_type: str, payload: Any, bin_len: int | None, frame_bytes: int) -> Credit:
        """Return what a data frame costs: its binary part, or its decoded base64, or else the whole text frame."""
        messages = 0 if self.credit_unit == "message" and event_type in _GOES_ON else 1
        return Credit(messages, _media_bytes(event_type, payload, bin_len, frame_bytes))

    def control(self, frame_bytes: int) -> Credit:
        """Return what a control frame of the client's costs; its HAI, which comes before any credit is known, is none."""
        return Credit(1, frame_bytes) if self.count_control_frames else NOTHING


def _media_bytes(event_type: str, payload: Any, bin_len: int | None, frame_bytes: int) -> int:
    if bin_len is not None:
        return bin_len
    data = payload.get("data") if event_type in _MEDIA_TYPES and isinstance(payload, Mapping) else None
    if not isinstance(data, str) or not _BASE64.fullmatch(data):
        return frame_bytes
    # Three bytes for four characters; the padding stands for none.
    return len(data.rstrip("=")) * 3 // 4
