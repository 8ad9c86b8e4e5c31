"""What the server's agent says. No state."""

from __future__ import annotations

from typing import Final

AGENT: Final = "AGENT"
"""The channel on which the agent answers; what arrives there is never answered, or two agents would talk for ever."""
AGENT_NAME: Final = "agent"
_QUOTED_CHARS: Final = 200


def answer_to(text: str) -> str:
    """Return the agent's answer: what it heard, at most 200 characters of it."""
    quoted = text if len(text) <= _QUOTED_CHARS else text[: _QUOTED_CHARS - 1] + "…"
    return f"You said: {quoted}"
