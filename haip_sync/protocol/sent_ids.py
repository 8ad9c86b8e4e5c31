"""The ids of our own latest frames, and the sends that they belong to."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from haip_sync.state import Fate

REMEMBERED: Final = 1_000
"""Frames whose refusal is still understood; what is older keeps the outcome that it has."""


class SentIds:
    """The ids of our latest frames: an echo is known by them, whatever session the peer puts on it. Not thread-safe.

    One book for the session, which asks whether a frame is ours, and for the fates, which ask whose: every send enters it.
    """

    def __init__(self) -> None:
        self._ids: OrderedDict[str, Fate | None] = OrderedDict()

    def note(self, frame_id: str, fate: Fate | None = None) -> None:
        """Remember a frame of ours, and what becomes of its send; None: a control frame. Doing it twice changes nothing."""
        ids = self._ids
        ids[frame_id] = fate
        while len(ids) > REMEMBERED:
            ids.popitem(last=False)

    def fate_of(self, frame_id: str) -> Fate | None:
        """Return the fate of the send that a frame belongs to; None: it is none of the latest of ours, or a control frame."""
        return self._ids.get(frame_id)

    def fates(self) -> set[Fate]:
        """Return the fates of the latest sends."""
        return {fate for fate in self._ids.values() if fate is not None}

    def __contains__(self, frame_id: str) -> bool:
        return frame_id in self._ids
