"""A scripted peer's texts, frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.scripted_peer import Peer


def after_the_first_text(say: Callable[[Peer], object]) -> Callable[[Peer], None]:
    """Return a script that speaks once the client has sent a text, so that it has subscribed before."""

    def script(speaker: Peer) -> None:
        speaker.greets()
        speaker.hears("MESSAGE_END")
        say(speaker)
        speaker.stays()

    return script


def start(speaker: Peer, message_id: str, channel: str = "AGENT", **more: Any) -> None:
    """Say a START."""
    speaker.says("MESSAGE_START", {"message_id": message_id} | more, channel)


def part(speaker: Peer, message_id: str, text: str, channel: str = "AGENT") -> None:
    """Say a PART."""
    speaker.says("MESSAGE_PART", {"message_id": message_id, "text": text}, channel)


def end(speaker: Peer, message_id: str, channel: str = "AGENT") -> None:
    """Say an END."""
    speaker.says("MESSAGE_END", {"message_id": message_id}, channel)


def whole(speaker: Peer, message_id: str, text: str, channel: str = "AGENT") -> None:
    """Say a text of one part."""
    start(speaker, message_id, channel)
    part(speaker, message_id, text, channel)
    end(speaker, message_id, channel)
