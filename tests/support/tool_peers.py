"""Peers that take tool calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.scripted_peer import TYPES, Peer

TOOL_TYPES = [*TYPES, "TOOL_CALL", "TOOL_CANCEL"]


def answers(*frames: tuple[str, dict[str, Any]]) -> Callable[[Peer], None]:
    """Return a script that answers the first tool call with these frames."""

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=TOOL_TYPES)
        call_id = speaker.hears("TOOL_CALL")["call_id"]
        for frame_type, payload in frames:
            speaker.says(frame_type, {"call_id": call_id} | payload, channel="AGENT")
        speaker.stays()

    return script
