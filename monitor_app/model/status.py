"""What a channel is doing, in one word, from one snapshot."""

from __future__ import annotations

from enum import Enum
from typing import Final

from haip_sync import ChannelState

LOW_SHARE: Final = 0.2
"""Below this share of its window a channel in use is LOW."""
RECENT_USE_S: Final = 10.0
"""LOW is said of channels that sent something this recently; an unused channel with little credit harms nobody."""
FLOWING_S: Final = 2.0
"""How long after its last frame a channel still counts as FLOWING."""


class Status(Enum):
    """The states of a channel; the value is the word that people read."""

    FLOWING = "FLOWING"
    LOW = "LOW"
    STARVED = "STARVED"
    PAUSED_BY_US = "PAUSED by us"
    PAUSED_BY_PEER = "PAUSED by peer"
    OFFLINE = "OFFLINE"
    SILENT = "SILENT"
    DETACHED = "DETACHED"
    IDLE = "IDLE"

    __hash__ = object.__hash__  # members are single things; Enum's own hash runs Python code

    @property
    def severity(self) -> int:
        """How much a person should care: the greater, the worse off the channel."""
        return _SEVERITY[self]

    @property
    def waits(self) -> bool:
        """Whether senders of the channel stand still in this state."""
        return self in _STANDING


LOST: Final = frozenset({Status.OFFLINE, Status.SILENT})
"""States in which nothing new comes because something went wrong."""
STALE: Final = LOST | {Status.DETACHED}
"""States in which values are the last known ones, our own leaving included."""
_STANDING: Final = frozenset({Status.STARVED, Status.PAUSED_BY_US, Status.PAUSED_BY_PEER}) | STALE
_SEVERITY: Final = {
    Status.IDLE: 0,
    Status.FLOWING: 1,
    Status.LOW: 2,
    Status.PAUSED_BY_US: 3,
    Status.PAUSED_BY_PEER: 4,
    Status.STARVED: 5,
    Status.OFFLINE: 6,
    Status.DETACHED: 7,
    Status.SILENT: 8,
}


def is_starved(channel: ChannelState) -> bool:
    """Return whether somebody waits in the channel and the first of them lacks credit."""
    return channel.backlog > 0 and channel.waiting_for in {"messages", "bytes"}


def is_low(channel: ChannelState) -> bool:
    """Return whether one of the balances is below `LOW_SHARE` of its window."""
    return scarce_credit(channel) is not None


def scarce_credit(channel: ChannelState) -> str | None:
    """Return the credit, messages or bytes, of which less than `LOW_SHARE` of its window is left; None when there is enough.

    The window is the cap or, where the peer never granted as much, the largest balance so far: a peer that works
    with ten messages at a time is not low for ever because our cap allows a hundred.
    """
    if channel.credits < min(channel.max_credits, channel.peak_credits) * LOW_SHARE:
        return "messages"
    if channel.byte_credits < min(channel.max_credit_bytes, channel.peak_byte_credits) * LOW_SHARE:
        return "bytes"
    return None


def classify(channel: ChannelState, *, connected: bool, idle_s: float | None) -> Status:
    """Return the state of `channel`; the first rule that holds wins.

    `idle_s` is how long ago the channel last sent something, None when it has not been seen to send.
    """
    if not connected:
        return Status.OFFLINE
    if channel.paused_by_us:
        return Status.PAUSED_BY_US
    if channel.paused_by_peer:
        return Status.PAUSED_BY_PEER
    if is_starved(channel):
        return Status.STARVED
    if idle_s is not None and idle_s <= RECENT_USE_S and is_low(channel):
        return Status.LOW
    return Status.FLOWING if idle_s is not None and idle_s <= FLOWING_S else Status.IDLE
