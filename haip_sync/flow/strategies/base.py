"""What a credit strategy is: how it sees channels, what it answers, when it is called.

A strategy only *proposes*. What it returns goes over the request desk (`haip_sync.flow.request_desk`), which lets nothing through
that is still outstanding or comes too fast. So a strategy may propose the same thing at every look, until it is granted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple


class ChannelView(NamedTuple):
    """What a strategy sees of a channel, all of one moment. Credits are messages and bytes."""

    channel: str
    credits: int
    """Messages that may be sent now."""
    byte_credits: int
    """Bytes that may be sent now."""
    max_credits: int
    """The cap on `credits`, and on the messages of one request."""
    max_credit_bytes: int
    """The same in bytes."""
    granted: int
    """Messages granted in this epoch, the first balance included."""
    granted_bytes: int
    """The same in bytes."""
    sent: int
    """Message credit spent in this epoch; only grows within one."""
    sent_bytes: int
    """The same in bytes."""
    waiting: int
    """Senders and queued messages that stand in the channel's queue."""
    needed_messages: int
    """How much more than `credits` the first of them needs for all that it sends; 0: it lacks none, or nobody waits."""
    needed_bytes: int
    """How much more than `byte_credits` it needs."""


class CreditRequest(NamedTuple):
    """What to ask the peer for on one channel."""

    channel: str
    messages: int
    """0: none."""
    byte_credits: int
    """0: none."""


class Strategy:
    """Decides when to ask the peer for credit, and for how much. This one never asks; subclass it to write your own.

    All methods are called by one client on its service thread: one after another, never under a lock, and `connected` before any
    other. They must not wait. One that raises, or answers what it may not, is switched off: a warning says so, and the log why.
    `now_s` is in seconds on a monotonic clock. Whoever keeps a state gives each client an object of
    its own: the strategies here with a state are `ConservativeStrategy`, `AggressiveStrategy` and `AdaptiveStrategy`.
    """

    name: ClassVar[str] = "custom"
    """What it is called in logs and windows."""

    def wake_below(self, channel: str) -> tuple[int, int] | None:
        """Return (messages, bytes): `look` is wanted when the balance of either falls below. None: only by the clock.

        Asked again after every call of the other methods, so it may change. It changes nothing, and takes no time.
        """
        del channel
        return None

    def connected(self, views: Mapping[str, ChannelView], now_s: float) -> Sequence[CreditRequest]:
        """Return what to ask for as a credit epoch begins, or as this strategy takes over in the middle of one.

        `views` holds every known channel.
        """
        del views, now_s
        return ()

    def granted(self, view: ChannelView, messages: int, byte_credits: int, now_s: float) -> Sequence[CreditRequest]:
        """Return what to ask for after a grant of the peer's; `view` is the channel with the grant in it."""
        del view, messages, byte_credits, now_s
        return ()

    def look(
        self, views: Mapping[str, ChannelView], now_s: float, *, round_trip_s: float | None = None
    ) -> Sequence[CreditRequest]:
        """Return what to ask for now.

        Called when a balance fell below `wake_below`, a sender had to wait, an unanswered request may be repeated, or `due_s` has
        come. `views` holds at least the channels that changed since the last look; when `due_s` has come, every known one.
        `round_trip_s` is the last measured round trip, None where none was. A look too many does no harm.
        """
        del views, now_s, round_trip_s
        return ()

    def due_s(self) -> float | None:
        """Return when to look again whatever happens, on the clock of `now_s`; None: not before something happens."""
        return None


def clipped(view: ChannelView, messages: int = 0, byte_credits: int = 0) -> CreditRequest | None:
    """Return a request for so much, but no more than the channel's caps; None where nothing positive is left."""
    request = CreditRequest(
        view.channel,
        max(0, min(messages, view.max_credits)),
        max(0, min(byte_credits, view.max_credit_bytes)),
    )
    return request if request.messages or request.byte_credits else None
