"""The type of a send's `timeout`: seconds, None for ever, 0 for not at all, or left out."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal


class Default(Enum):
    """Stands for an argument that was left out."""

    SEND_TIMEOUT = "send_timeout"


SEND_TIMEOUT: Final = Default.SEND_TIMEOUT
"""The client's own `send_timeout`."""
Timeout = float | None | Literal[Default.SEND_TIMEOUT]
