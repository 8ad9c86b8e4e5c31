"""The desk between strategy and wire: which requests for credit may go now, which are outstanding, which nobody answered.

A strategy may propose the same thing at every look. The desk lets it through once: not while it is outstanding, never faster
than a set rate, and with growing gaps while the peer does not answer. Every FLOW_UPDATE that asks may also be read as a grant
(WIRE.md, point 4), so that one too many is not harmless. Pure: no thread, lock or clock; times are monotonic seconds.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from haip_sync.config import check_channel, check_count, check_seconds
from haip_sync.errors import ConfigError
from haip_sync.flow.ledger import NOTHING, Cost
from haip_sync.flow.strategies.base import CreditRequest

MAX_CHANNELS: Final = 1_024
"""The most channels of one connection; what is asked beyond them is dropped."""


class ExpiredRequest(msgspec.Struct, frozen=True):
    """A request, or what of it no grant has come for, that counts as unanswered."""

    channel: str
    messages: int
    byte_credits: int
    age_s: float
    """Seconds since it was made."""


class OutstandingRequest(msgspec.Struct, frozen=True):
    """A request, or what of it no grant has come for yet."""

    channel: str
    messages: int
    byte_credits: int
    asked_s: float
    """When it was made, in seconds on the monotonic clock."""


class _Ask:
    """One resource of one channel."""

    __slots__ = ("_before", "amount", "asked_s", "gap_s")

    def __init__(self) -> None:
        self.amount = 0  # what is outstanding
        self.asked_s = -math.inf
        self.gap_s = 0.0  # from `asked_s` to the next time, if no answer comes
        self._before = (self.asked_s, self.gap_s)

    @property
    def free_s(self) -> float:
        return self.asked_s + self.gap_s

    def ask(self, amount: int, now_s: float, *, first_gap_s: float, max_gap_s: float) -> None:
        self._before = (self.asked_s, self.gap_s)
        self.amount, self.asked_s = amount, now_s
        self.gap_s = min(2 * self.gap_s, max_gap_s) if self.gap_s else first_gap_s

    def take_back(self) -> None:
        """Undo the latest `ask`."""
        self.amount, (self.asked_s, self.gap_s) = 0, self._before

    def drop(self, gap_s: float) -> None:
        """Forget that it is outstanding; the next may come `gap_s` after it."""
        self.amount, self.gap_s = 0, gap_s

    def answer(self) -> bool:
        """Take a grant of this resource for the answer; return whether one was outstanding."""
        was_outstanding, self.amount, self.gap_s = self.amount > 0, 0, 0.0
        return was_outstanding


class _Desk(NamedTuple):
    """One channel."""

    messages: _Ask
    byte_credits: _Ask

    @property
    def last_asked_s(self) -> float:
        return max(self.messages.asked_s, self.byte_credits.asked_s)

    @property
    def is_answered(self) -> bool:
        """Whether grants have come for everything that was asked for last."""
        return all(ask.gap_s == 0.0 for ask in self if ask.asked_s == self.last_asked_s)

    def outstanding(self) -> dict[float, Cost]:
        """Return what is outstanding, by when it was asked for: messages and bytes of one request stay together."""
        found: dict[float, Cost] = {}
        for ask, cost in zip(self, (Cost(self.messages.amount, 0), Cost(0, self.byte_credits.amount)), strict=True):
            if ask.amount:
                found[ask.asked_s] = found.get(ask.asked_s, NOTHING).plus(cost)
        return found


class RequestDesk:
    """Keeps the requests for credit of one connection. Not thread-safe: its owner's lock or thread guards it.

    Whoever owns it calls `expired` when `next_s` has come, and then lets the strategy look again.

    Args:
        min_interval_s: The shortest time between two requests on one channel, the first of which is not answered.
        answered_interval_s: The same once it is answered: a peer that grants at once is asked as often as credit is needed.
        expiry_s: After so long a request counts as unanswered, and may be made again.
        max_interval_s: While nothing is answered, the time from one request to the next doubles, from `expiry_s` up to this.

    Raises `ConfigError` naming a wrong setting.
    """

    def __init__(
        self,
        *,
        min_interval_s: float = 1.0,
        answered_interval_s: float = 0.05,
        expiry_s: float = 5.0,
        max_interval_s: float = 30.0,
    ) -> None:
        self._answered_interval_s = check_seconds("answered_interval_s", answered_interval_s)
        self._min_interval_s = check_seconds("min_interval_s", min_interval_s)
        self._expiry_s = check_seconds("expiry_s", expiry_s, positive=True)
        self._max_interval_s = check_seconds("max_interval_s", max_interval_s, positive=True)
        if max_interval_s < expiry_s:
            raise ConfigError(f"max_interval_s must be at least expiry_s, {expiry_s:g}, not {max_interval_s:g}")
        self._desks: dict[str, _Desk] = {}
        # When what was turned away may be asked for.
        self._held: dict[str, float] = {}
        self._lapsed: deque[ExpiredRequest] = deque(maxlen=MAX_CHANNELS)
        self._is_stopped = False

    @property
    def is_stopped(self) -> bool:
        """Whether `stop_asking` was called in this epoch."""
        return self._is_stopped

    def admit(self, requests: Iterable[CreditRequest], now_s: float) -> list[CreditRequest]:
        """Return what of `requests` is to be sent now, one request a channel at most, and count it as outstanding.

        Of several requests for one channel the larger amounts count. What is outstanding, or comes too soon, is dropped: the
        strategy proposes it again if it still wants it, and `next_s` says when that is worth while. Raises `ConfigError` for a
        request with a wrong channel or amount; nothing of `requests` is admitted then.
        """
        merged = _merged(requests)
        if self._is_stopped:
            return []
        self._expire(now_s)
        admitted = ((channel, self._admit(channel, wanted, now_s)) for channel, wanted in merged.items())
        return [CreditRequest(channel, *cost) for channel, cost in admitted if any(cost)]

    def take_back(self, admitted: Iterable[CreditRequest]) -> None:
        """Undo the latest `admit`, which returned these: they were not sent after all, and may be admitted at once."""
        for channel, *amounts in admitted:
            for ask, amount in zip(self._desks[channel], amounts, strict=True):
                if amount:
                    ask.take_back()

    def dropped(self, channel: str, messages: int, byte_credits: int) -> CreditRequest | None:
        """Take in that the peer has passed over a request, which came too late for its transaction; return what of it is ours.

        That may be asked for again, not sooner than `min_interval_s` after it. None: nothing of it was outstanding.
        """
        desk, amounts = self._desks.get(channel), (messages, byte_credits)
        if desk is None:
            return None
        left = [amount if amount and ask.amount == amount else 0 for ask, amount in zip(desk, amounts, strict=True)]
        for ask, amount in zip(desk, left, strict=True):
            if amount:
                ask.drop(self._min_interval_s)
        return CreditRequest(channel, *left) if any(left) else None

    def granted(self, channel: str, messages: int, byte_credits: int, now_s: float) -> float | None:
        """Take a grant for the answer to what was asked for; return the seconds from request to grant.

        A grant of any size answers, each resource on its own, and ends the growing of the gaps: the wire does not say what a
        grant is for, so one that the peer gave of its own accord counts too. Returns None where nothing of it was outstanding.
        """
        desk = self._desks.get(channel)
        if desk is None:
            return None
        amounts = (messages, byte_credits)
        answered = [ask for ask, amount in zip(desk, amounts, strict=True) if amount > 0 and ask.answer()]
        return max((now_s - ask.asked_s for ask in answered), default=None)

    def expired(self, now_s: float) -> list[ExpiredRequest]:
        """Return the requests that have become unanswered since the last call (the latest 1,024); each is told once."""
        self._expire(now_s)
        self._held = {channel: free_s for channel, free_s in self._held.items() if free_s > now_s}
        told = list(self._lapsed)
        self._lapsed.clear()
        return told

    def next_s(self) -> float | None:
        """Return when to call `expired` and let the strategy look: a request expires, or one held back may go. None: never."""
        asks = (ask for desk in self._desks.values() for ask in desk)
        expiries = (ask.asked_s + self._expiry_s for ask in asks if ask.amount)
        return min((*expiries, *self._held.values()), default=None)

    def outstanding(self) -> list[OutstandingRequest]:
        """Return what was asked for and not yet answered, in the order of asking."""
        found = [
            OutstandingRequest(channel, cost.messages, cost.byte_credits, asked_s)
            for channel, desk in self._desks.items()
            for asked_s, cost in desk.outstanding().items()
        ]
        return sorted(found, key=lambda request: request.asked_s)

    def stop_asking(self) -> None:
        """Admit nothing any more in this epoch, and expect no answer: the peer knows no FLOW_UPDATE. Idempotent."""
        self.reset()
        self._is_stopped = True

    def reset(self) -> None:
        """Begin a new epoch: nothing is outstanding, nothing is held back, asking is allowed."""
        self._desks.clear()
        self._held.clear()
        self._lapsed.clear()
        self._is_stopped = False

    def _admit(self, channel: str, wanted: Cost, now_s: float) -> Cost:
        """Return what of `wanted` may go now; what may go later is held."""
        self._held.pop(channel, None)
        desk = self._desk(channel)
        if desk is None:
            return NOTHING
        free_s = self._free_s(desk)
        sent = [self._ask(ask, amount, free_s, now_s) for ask, amount in zip(desk, wanted, strict=True)]
        turned_away = [ask for ask, amount in zip(desk, wanted, strict=True) if amount and not ask.amount]
        if turned_away:
            free_s = self._free_s(desk)
            self._held[channel] = min(max(free_s, ask.free_s) for ask in turned_away)
        return Cost(*sent)

    def _free_s(self, desk: _Desk) -> float:
        interval_s = self._answered_interval_s if desk.is_answered else self._min_interval_s
        return desk.last_asked_s + min(interval_s, self._min_interval_s)

    def _ask(self, ask: _Ask, amount: int, free_s: float, now_s: float) -> int:
        """Return `amount`, counted as outstanding, or 0 where it must not go now."""
        if ask.amount or not amount or now_s < max(free_s, ask.free_s):
            return 0
        ask.ask(amount, now_s, first_gap_s=self._expiry_s, max_gap_s=self._max_interval_s)
        return amount

    def _desk(self, channel: str) -> _Desk | None:
        """Return the channel's desk, made at its first request; None when there are too many."""
        if channel not in self._desks and len(self._desks) < MAX_CHANNELS:
            self._desks[channel] = _Desk(_Ask(), _Ask())
        return self._desks.get(channel)

    def _expire(self, now_s: float) -> None:
        for channel, desk in self._desks.items():
            for asked_s, cost in desk.outstanding().items():
                if now_s >= asked_s + self._expiry_s:
                    self._lapsed.append(ExpiredRequest(channel, cost.messages, cost.byte_credits, now_s - asked_s))
            for ask in desk:
                if now_s >= ask.asked_s + self._expiry_s:
                    ask.amount = 0


def _merged(requests: Iterable[CreditRequest]) -> dict[str, Cost]:
    """Return what is wanted by channel, checked."""
    merged: dict[str, Cost] = {}
    for request in requests:
        channel = check_channel(request.channel)
        wanted = Cost(check_count("messages", request.messages), check_count("byte_credits", request.byte_credits))
        before = merged.get(channel, NOTHING)
        merged[channel] = Cost(max(before.messages, wanted.messages), max(before.byte_credits, wanted.byte_credits))
    return merged
