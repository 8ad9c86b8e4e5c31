"""Asks for as much again as was granted, once half of it is gone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from haip_sync.config import check_seconds
from haip_sync.flow.strategies.base import ChannelView, CreditRequest, Strategy, clipped


class _Watch(NamedTuple):
    """One resource of one channel since its last grant."""

    amount: int
    """What was granted."""
    ready_s: float
    """From when on to look at the balance."""
    is_first: bool
    """It is the balance that was there at first, no grant that was seen."""

    def renewed(self, amount: int, now_s: float, delay_s: float) -> _Watch:
        """Return the watch after a grant; grants within one delay count as one, or a dribble would never be half gone."""
        if amount <= 0:
            return self
        if now_s < self.ready_s and not self.is_first:
            return self._replace(amount=self.amount + amount)
        return _Watch(amount, now_s + delay_s, is_first=False)

    def request(self, balance: int, needed: int, now_s: float) -> int:
        """Return how much to ask for; `needed` is what the first in line lacks."""
        is_wanted = 2 * balance <= self.amount or needed > 0
        return max(self.amount, needed) if is_wanted and now_s >= self.ready_s else 0

    def wake_below(self, looked_s: float) -> int:
        """Return the balance below which to look; 0 while it is too early, or nothing was granted."""
        return self.amount // 2 + 1 if self.amount and self.ready_s <= looked_s else 0


class _Watches(NamedTuple):
    messages: _Watch
    byte_credits: _Watch


class _State:
    __slots__ = ("channels", "looked_s")

    def __init__(self) -> None:
        self.channels: dict[str, _Watches] = {}
        self.looked_s = float("-inf")


@dataclass(frozen=True, eq=False)
class ConservativeStrategy(Strategy):
    """Asks late and little: `delay_s` after a grant at the earliest, once the balance is at half of it or below, for as much.

    It goes on watching when more than half is left after the delay. The balance that a channel begins with counts as a grant: a
    peer that gives only what it is asked for would otherwise never be asked. Where the first in line lacks credit although more
    than half is left, it asks too, for at least what is lacking. Messages and bytes each on its own, clipped to the caps. One
    object per client. Raises `ConfigError` for a `delay_s` that is no positive number of seconds.
    """

    name: ClassVar[str] = "conservative"
    delay_s: float = 1.0
    """Seconds from a grant (or the beginning of an epoch) to the first look at what is left of it."""
    _state: _State = field(init=False, repr=False, default_factory=_State)

    def __post_init__(self) -> None:
        object.__setattr__(self, "delay_s", check_seconds("delay_s", self.delay_s, positive=True))

    def wake_below(self, channel: str) -> tuple[int, int] | None:
        """Return half of the last grant, for what has waited out the delay."""
        watches = self._state.channels.get(channel)
        if watches is None:
            return None
        messages, byte_credits = (watch.wake_below(self._state.looked_s) for watch in watches)
        return (messages, byte_credits) if messages or byte_credits else None

    def connected(self, views: Mapping[str, ChannelView], now_s: float) -> Sequence[CreditRequest]:
        """Take every balance for a grant, and ask for nothing yet."""
        self._state.channels = {view.channel: self._first(view, now_s) for view in views.values()}
        self._state.looked_s = now_s
        return ()

    def granted(self, view: ChannelView, messages: int, byte_credits: int, now_s: float) -> Sequence[CreditRequest]:
        """Note the grant; what to ask is seen after the delay."""
        old = self._state.channels.get(view.channel) or self._first(view, now_s)
        self._state.channels[view.channel] = _Watches(
            old.messages.renewed(messages, now_s, self.delay_s),
            old.byte_credits.renewed(byte_credits, now_s, self.delay_s),
        )
        return ()

    def look(
        self, views: Mapping[str, ChannelView], now_s: float, *, round_trip_s: float | None = None
    ) -> Sequence[CreditRequest]:
        """Ask for as much again where half of a grant is gone."""
        del round_trip_s
        self._state.looked_s = now_s
        return list(self._requests(views, now_s))

    def due_s(self) -> float | None:
        """Return when the next grant has waited out the delay."""
        watches = (watch for channel in self._state.channels.values() for watch in channel)
        return min((watch.ready_s for watch in watches if watch.ready_s > self._state.looked_s), default=None)

    def _requests(self, views: Mapping[str, ChannelView], now_s: float) -> Iterator[CreditRequest]:
        for view in views.values():
            watches = self._state.channels.setdefault(view.channel, self._first(view, now_s))
            messages = watches.messages.request(view.credits, view.needed_messages, now_s)
            byte_credits = watches.byte_credits.request(view.byte_credits, view.needed_bytes, now_s)
            if (request := clipped(view, messages, byte_credits)) is not None:
                yield request

    def _first(self, view: ChannelView, now_s: float) -> _Watches:
        ready_s = now_s + self.delay_s
        return _Watches(_Watch(view.credits, ready_s, is_first=True), _Watch(view.byte_credits, ready_s, is_first=True))
