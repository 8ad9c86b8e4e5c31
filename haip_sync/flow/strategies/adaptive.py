"""Asks for what a channel is going to need, by how fast it sends."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, get_args

from haip_sync.config import check_choice, check_count, check_seconds, told
from haip_sync.errors import ConfigError
from haip_sync.flow.strategies.base import ChannelView, CreditRequest, Strategy, clipped

AdaptiveMode = Literal["rate", "round_trip"]

_PACES_S: Final[Mapping[str, tuple[float, float]]] = {"rate": (5.0, 10.0), "round_trip": (1.0, 1.0)}
"""The period and the shortest interval of each mode, in seconds."""
_SHORTEST_LOOK_S: Final = 1e-6
"""What was sent in less is measured with the next look: divided by hardly any time it would be a rate without end."""
_ROUNDING: Final = 1e-6
"""A rate times seconds does not come out whole in binary; what exceeds a whole number by less does not count."""


class RateMeter:
    """How fast one channel sends: an exponential average in real time, of messages and bytes per second.

    It does not matter how often it is looked at: a steady rate is measured exactly, from the first look on, and what was sent
    `time_constant_s` ago counts for 1/e of what is sent now. Until a channel was watched for `settled_s`, it counts as having
    been idle before, so that a burst of a millisecond makes no rate of thousands a second.
    """

    __slots__ = ("_bytes", "_messages", "_time_constant_s", "_weight", "_weight_settled", "asked_s", "at_s", "sent", "sent_bytes")

    def __init__(self, *, time_constant_s: float, settled_s: float) -> None:
        self._time_constant_s = time_constant_s
        self._weight_settled = -math.expm1(-settled_s / time_constant_s)
        self._weight = self._messages = self._bytes = 0.0
        self.start(0, 0, 0.0)

    def start(self, sent: int, sent_bytes: int, now_s: float) -> None:
        """Measure from these counts on; the rate so far is kept."""
        self.sent, self.sent_bytes, self.at_s = sent, sent_bytes, now_s
        self.asked_s = -math.inf

    def measure(self, sent: int, sent_bytes: int, now_s: float) -> None:
        """Take the counts in. A look without time between changes nothing."""
        elapsed_s = now_s - self.at_s
        if elapsed_s < _SHORTEST_LOOK_S:
            return
        share = -math.expm1(-elapsed_s / self._time_constant_s)
        self._weight += share * (1.0 - self._weight)
        self._messages += share * (max(0, sent - self.sent) / elapsed_s - self._messages)
        self._bytes += share * (max(0, sent_bytes - self.sent_bytes) / elapsed_s - self._bytes)
        self.sent, self.sent_bytes, self.at_s = sent, sent_bytes, now_s

    @property
    def messages_per_s(self) -> float:
        """The moving average of messages per second."""
        return self._messages / max(self._weight, self._weight_settled)

    @property
    def bytes_per_s(self) -> float:
        """The moving average of bytes per second."""
        return self._bytes / max(self._weight, self._weight_settled)

    @property
    def bytes_per_message(self) -> float:
        """The average size of a message; 0.0 before the first."""
        return self._bytes / self._messages if self._messages > 0 else 0.0

    def window(self, horizon_s: float) -> tuple[int, int]:
        """Return the messages and bytes that go out in `horizon_s`; nothing where that is less than one message."""
        messages, byte_credits = self.messages_per_s * horizon_s, self.bytes_per_s * horizon_s
        return (math.ceil(messages - _ROUNDING), math.ceil(byte_credits - _ROUNDING)) if messages >= 1 else (0, 0)


class _State:
    __slots__ = ("began_s", "horizon_s", "meters", "retry_s", "tick_s")

    def __init__(self) -> None:
        self.meters: dict[str, RateMeter] = {}
        self.began_s = 0.0
        self.tick_s: float | None = None
        self.retry_s = math.inf
        self.horizon_s = 0.0


@dataclass(frozen=True, eq=False)
class AdaptiveStrategy(Strategy):
    """Asks for what the channel will have sent before the next request can help: its rate times that horizon.

    * Mode "rate": every `period_s`, at most once in `min_interval_s` per channel. The horizon is the two together, the longest
      time from one look to the request after it, so that a steady channel never runs dry in between.
    * Mode "round_trip": whenever less is left than `head_room` x rate x (`round_trip_s` + `min_interval_s`): what goes out until
      the answer to the next possible request is here. For fast channels. An unknown round trip counts as 0.

    It asks for what is missing to that, at most `most` messages, and bytes in the proportion of what was sent. Whoever waits
    without credit is asked for at once, if the interval allows: what the first lacks, and a message of average size for each
    behind it. A channel that neither moves nor waits is not asked for. One object per client. Raises `ConfigError`.
    """

    name: ClassVar[str] = "adaptive"
    mode: AdaptiveMode = "rate"
    period_s: float | None = None
    """Seconds between looks; None: 5 in mode "rate", 1 in mode "round_trip"."""
    min_interval_s: float | None = None
    """Seconds between two requests on one channel; None: 10 in mode "rate", 1 in mode "round_trip"."""
    most: int = 50
    """The most messages in one request; the channel's caps clip it further."""
    time_constant_s: float = 10.0
    """How far the average looks back, in seconds: what was sent so long ago counts for 1/e."""
    head_room: float = 2.0
    """In mode "round_trip", what to multiply the rate by, from 1: it lets a channel speed up that credit held back."""
    _state: _State = field(init=False, repr=False, default_factory=_State)

    def __post_init__(self) -> None:
        check_choice("mode", self.mode, get_args(AdaptiveMode))
        for name, pace_s in zip(("period_s", "min_interval_s"), _PACES_S[self.mode], strict=True):
            value = getattr(self, name)
            object.__setattr__(self, name, check_seconds(name, pace_s if value is None else value, positive=True))
        check_count("most", self.most, minimum=1)
        check_seconds("time_constant_s", self.time_constant_s, positive=True)
        _check_head_room(self.head_room)

    def wake_below(self, channel: str) -> tuple[int, int] | None:
        """Return in mode "round_trip" what goes out within the horizon; mode "rate" goes by the clock."""
        meter = self._state.meters.get(channel)
        if self.mode == "rate" or meter is None:
            return None
        window = meter.window(self._state.horizon_s)
        return window if any(window) else None

    def connected(self, views: Mapping[str, ChannelView], now_s: float) -> Sequence[CreditRequest]:
        """Begin to measure; rates outlive the epoch, counts do not. Ask for those who wait already."""
        state = self._state
        state.began_s, state.tick_s, state.retry_s = now_s, now_s + self._pace_s[0], math.inf
        state.meters = {view.channel: state.meters.get(view.channel) or self._new_meter() for view in views.values()}
        for view in views.values():
            state.meters[view.channel].start(view.sent, view.sent_bytes, now_s)
        return list(self._requests(views, 0.0, now_s))

    def look(
        self, views: Mapping[str, ChannelView], now_s: float, *, round_trip_s: float | None = None
    ) -> Sequence[CreditRequest]:
        """Measure, and ask for the channels that will need it."""
        state = self._state
        is_tick = state.tick_s is None or now_s >= state.tick_s
        if is_tick:
            state.tick_s = now_s + self._pace_s[0]
        if now_s >= state.retry_s:
            state.retry_s = math.inf
        for view in views.values():
            self._meter(view.channel, now_s).measure(view.sent, view.sent_bytes, now_s)
        state.horizon_s = self._horizon_s(round_trip_s)
        return list(self._requests(views, state.horizon_s if is_tick or self.mode == "round_trip" else 0.0, now_s))

    def due_s(self) -> float | None:
        """Return when the period ends, or earlier, when somebody waits for whom it was too soon to ask."""
        tick_s = self._state.tick_s
        return None if tick_s is None else min(tick_s, self._state.retry_s)

    def messages_per_s(self, channel: str) -> float:
        """Return the rate measured for `channel`, in messages per second; 0.0 for one that was never seen."""
        meter = self._state.meters.get(channel)
        return 0.0 if meter is None else meter.messages_per_s

    def _requests(self, views: Mapping[str, ChannelView], horizon_s: float, now_s: float) -> Iterator[CreditRequest]:
        for view in views.values():
            meter = self._meter(view.channel, now_s)
            request = self._request(view, meter, horizon_s)
            if request is None:
                continue
            free_s = meter.asked_s + self._pace_s[1]
            if now_s >= free_s:
                meter.asked_s = now_s
                yield request
            elif view.needed_messages or view.needed_bytes:
                self._state.retry_s = min(self._state.retry_s, free_s)

    def _request(self, view: ChannelView, meter: RateMeter, horizon_s: float) -> CreditRequest | None:
        """Return what `view` will lack within the horizon, or lacks already."""
        messages, byte_credits = meter.window(horizon_s)
        size = meter.bytes_per_message
        behind = max(0, view.waiting - 1)
        lacking = view.needed_messages + behind if view.needed_messages else 0
        lacking_bytes = view.needed_bytes + math.ceil(behind * size) if view.needed_bytes else 0
        missing_bytes = min(byte_credits - view.byte_credits, math.ceil(self.most * size))
        return clipped(view, min(max(lacking, messages - view.credits), self.most), max(lacking_bytes, missing_bytes))

    def _horizon_s(self, round_trip_s: float | None) -> float:
        period_s, interval_s = self._pace_s
        return interval_s + period_s if self.mode == "rate" else self.head_room * (interval_s + (round_trip_s or 0.0))

    @property
    def _pace_s(self) -> tuple[float, float]:
        """The period and the shortest interval, in seconds."""
        period_s, interval_s = _PACES_S[self.mode]
        return self.period_s or period_s, self.min_interval_s or interval_s

    def _meter(self, channel: str, now_s: float) -> RateMeter:
        """Return the channel's meter. One that came up after the beginning is taken to have begun within this period."""
        meter = self._state.meters.get(channel)
        if meter is None:
            meter = self._state.meters[channel] = self._new_meter()
            meter.start(0, 0, max(self._state.began_s, now_s - self._pace_s[0]))
        return meter

    def _new_meter(self) -> RateMeter:
        return RateMeter(time_constant_s=self.time_constant_s, settled_s=self._pace_s[0])


def _check_head_room(value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"head_room must be a number, not {told(value)}")
    if not 1 <= value <= sys.float_info.max:
        raise ConfigError(f"head_room must be a finite number from 1, not {told(value)}")
