"""Peers that go on with a session, or do not."""

from __future__ import annotations

from typing import Any

from support.scripted_peer import TYPES, Peer

MANY = [*TYPES, "TOOL_CALL", "TOOL_UPDATE", "TOOL_DONE", "TOOL_LIST", "RUN_STARTED", "RUN_FINISHED", "REPLAY_REQUEST"]


def hears_text(talk: Peer) -> list[Any]:
    """Return the frames of the next text; a HAI before it is passed over."""
    frames = [talk.hears_any()]
    while not frames[-1]["type"].endswith("_END"):
        frames.append(talk.hears_any())
    return [frame for frame in frames if frame["type"] != "HAI"]


def resumes(talk: Peer, last_rx_seq: int, **changes: Any) -> Any:
    """Hear the client's HAI and answer with one that says what is here; return the client's."""
    hello = talk.hears_frame("HAI")
    talk.greets(last_rx_seq=str(last_rx_seq), accept_events=MANY, **changes)
    return hello


def greets_many(talk: Peer) -> None:
    """Greet with a HAI that accepts calls and runs too, and hear the client's."""
    talk.greets(accept_events=MANY)
    talk.hears("HAI")
