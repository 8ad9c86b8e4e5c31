"""One channel as the window shows it: the snapshot, and what can be said about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from haip_sync import ChannelState
from monitor_app.model.forecast import Forecast
from monitor_app.model.status import Status

WELL_KNOWN: Final = ("USER", "AGENT", "SYSTEM", "AUDIO_IN", "AUDIO_OUT")
"""The channels that HAIP names, in the order in which they are shown."""

_NEARLY_ALL: Final = 0.9


def in_order(names: Iterable[str]) -> list[str]:
    """Return channel names as they are shown: HAIP's own first, then the others as they come."""
    return sorted(names, key=lambda name: WELL_KNOWN.index(name) if name in WELL_KNOWN else len(WELL_KNOWN))


@dataclass(frozen=True, kw_only=True)
class ChannelView:
    """A channel at one moment. Ages and durations are seconds before that moment."""

    name: str
    state: ChannelState
    status: Status
    status_s: float
    """How long the channel has been in `status`."""
    idle_s: float | None
    """How long ago it last sent something; None when it was not seen to send."""
    grant_age_s: float | None
    """How long ago the peer's last grant was; None when none was seen."""
    last_grant: tuple[int, int]
    """What that grant was, in messages and bytes."""
    pause_reason: str | None
    """The reason that was given for the pause that stands, if any."""
    rate_messages: float
    """Message credit spent in a second, over the last seconds."""
    rate_bytes: float
    """The same in bytes."""
    forecast: Forecast | None = None
    """What is to be expected; None where nothing is spent, or the channel stands already."""
    request_age_s: float | None = None
    """How long the oldest request of ours is unanswered; None when a grant came after every one."""
    given_back: tuple[int, int] = (0, 0)
    """What we gave the peer back in this epoch, in messages and bytes: what was taken of what it sent."""
    starved_share: float = 0.0
    """How much of the last half minute, or of what is known of it, senders stood for want of credit."""
    starved_span_s: float = 0.0
    """Of how many seconds `starved_share` is a part."""
    is_over: bool = False
    """Whether all this is of a connection or a program that is gone and does not come back by itself."""

    @property
    def is_past(self) -> bool:
        """Whether this is how it was when it was last heard of: that it still is so nobody knows, or nobody waits any more."""
        return self.is_over or self.status in {Status.SILENT, Status.DETACHED}

    @property
    def starves_again(self) -> bool:
        """Whether grants only part one stop from the next: it starved nearly all the time, and most of that before this stop."""
        is_most = self.starved_share * self.starved_span_s > 2 * self.status_s
        return self.status is Status.STARVED and self.starved_share >= _NEARLY_ALL and is_most

    @property
    def needed_messages(self) -> int:
        """What the first in the queue needs in all, in messages; 0 when it does not wait for messages."""
        return self.state.credits + self.state.missing if self.state.waiting_for == "messages" else 0

    @property
    def needed_bytes(self) -> int:
        """The same in bytes."""
        return self.state.byte_credits + self.state.missing if self.state.waiting_for == "bytes" else 0


def worst_off(channels: list[ChannelView]) -> ChannelView | None:
    """Return the channel that a person should look at first; the longer wait decides between equals."""
    return max(channels, key=lambda view: (view.status.severity, view.state.oldest_wait), default=None)


def useful_request(view: ChannelView) -> tuple[int, int]:
    """Return the request that would serve what waits now, in (messages, bytes); (0, 0) when nobody waits for credit.

    Only the head's frame is known in bytes, and those behind it are taken to be as large; of messages each waiter needs at least
    one. No more than the cap lets in, unless the head alone needs it.
    """
    if view.status is not Status.STARVED:
        return 0, 0
    messages_to_cap, bytes_to_cap = request_to_cap(view)
    if view.state.waiting_for == "messages":
        return max(view.state.missing, min(view.state.backlog - view.state.credits, messages_to_cap)), 0
    wanted = view.state.missing + (view.state.backlog - 1) * view.needed_bytes
    return 0, max(view.state.missing, min(wanted, bytes_to_cap))


def request_to_cap(view: ChannelView) -> tuple[int, int]:
    """Return the request that would fill the channel to its caps, in (messages, bytes)."""
    state = view.state
    return (
        max(0, state.max_credits - state.credits - state.set_aside),
        max(0, state.max_credit_bytes - state.byte_credits - state.set_aside_bytes),
    )
