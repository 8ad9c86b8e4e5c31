"""Peers that take runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.scripted_peer import TYPES, Peer

RUN_TYPES = [*TYPES, "RUN_STARTED", "RUN_FINISHED", "RUN_CANCEL", "TOOL_CALL", "AUDIO_CHUNK"]


def say_nothing(speaker: Peer, started: Any) -> None:
    """Leave a run alone."""


class Listening:
    """A peer that notes every frame, and says what `then` has it say once RUN_STARTED came."""

    def __init__(self, then: Callable[[Peer, Any], object] = say_nothing, **hello: Any) -> None:
        self.frames: list[Any] = []
        self._then = then
        self._hello = {"accept_events": RUN_TYPES} | hello

    def __call__(self, speaker: Peer) -> None:
        speaker.greets(**self._hello)
        while True:
            frame = speaker.hears_any()
            self.frames.append(frame)
            if frame["type"] == "RUN_STARTED":
                self._then(speaker, frame)

    def of(self, frame_type: str) -> list[Any]:
        return [frame["payload"] for frame in self.frames if frame["type"] == frame_type]
