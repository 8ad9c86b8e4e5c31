"""Frames of the peer's on their way through the session: as they came, and what they come to.

Structs, which are made in C: every frame makes both.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from haip_sync.protocol.envelope import Envelope
from haip_sync.protocol.frames import Frame
from haip_sync.protocol.happenings import Happening


class Incoming(msgspec.Struct):
    """A frame as it came."""

    envelope: Envelope
    frame_bytes: int
    """The text frame's bytes."""
    binary: bytes | None = None
    """The binary frame that belongs to it."""

    @property
    def wire_bytes(self) -> int:
        """What it took on the wire."""
        return self.frame_bytes + len(self.binary or b"")


class Received(msgspec.Struct):
    """What one frame of the peer's comes to."""

    happenings: Sequence[Happening] = ()
    replies: Sequence[Frame] = ()
    deliver: bool = False
    """False for a frame that nobody will be handed: a duplicate, one that cannot be read; and for one that is held."""
    is_data: bool = False
    """Whether it is for the application and costs the peer of our grants. A duplicate costs nothing: it was paid once."""
    cost_messages: int = 0
    cost_bytes: int = 0
    is_echo: bool = False
    """Whether it is a frame of our own that came back."""
    incoming: Incoming | None = None
    """The frame; None where there is none that could be read, or where it is the time that brought this."""
    is_held: bool = False
    """Something is missing before it: it counts as received now, and will come again with `was_held`."""
    was_held: bool = False
    """It has counted as received already."""
