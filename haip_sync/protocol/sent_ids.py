"""The ids of our own latest frames."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

_REMEMBERED: Final = 1_000


class SentIds:
    """The ids of our latest frames: an echo is known by them, whatever session the peer puts on it. Not thread-safe."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def note(self, frame_id: str) -> None:
        """Remember a frame of ours. Doing it twice changes nothing."""
        self._ids[frame_id] = None
        while len(self._ids) > _REMEMBERED:
            self._ids.popitem(last=False)

    def __contains__(self, frame_id: str) -> bool:
        return frame_id in self._ids
