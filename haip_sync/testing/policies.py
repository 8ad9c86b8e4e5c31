"""When the server gives credit back: seven policies, each a small frozen description that any thread may share.

A policy is asked about one channel of one session at a time, through the `ChannelPolicy` that its `start` returns. That
object is pure arithmetic, fed with events and a clock, so that each policy is tested without waiting. It is told what is
*owed*: what the client's balance lacks to its window (the first credit of the HAI), in messages and in bytes. It never
gives more than that, so no policy lifts a balance above the window; only `OnRequest` may, because it gives what is asked.

Every policy but `Never` gives bytes back as well as messages (`OnRequest` when they are asked for), and every policy but
those two goes on until the whole window is restored: a client that needs three frames at once and has a window of at
least three frames never hangs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import ceil, floor
from typing import ClassVar, Final

from haip_sync.config import check_seconds, told
from haip_sync.errors import ConfigError
from haip_sync.testing.books import NOTHING, Credit

_PACED_STEP_S: Final = 0.02
"""A fast pace gives several messages at a time rather than wake the timer more often than this."""
_FASTEST: Final = 1e9
"""More messages a second than any server takes."""
_ROUNDING: Final = 1e-6
"""Seconds times rate does not come out whole in binary; what lacks less than this is there."""


class ChannelPolicy:
    """One channel of one session. Each method returns what to grant now.

    Called under the session's lock, one call at a time: it must neither wait nor call the server. One that raises ends its
    session (close code 1011; abruptly from `tick`) and is logged.

    `owed` is what the balance lacks to the window, the event that is reported included; `now` is in seconds on any
    monotonic clock. This base class never gives anything.
    """

    def after_frame(self, owed: Credit, now: float) -> Credit:
        """Answer a data frame that was received and paid for; also called once when the policy takes over a channel."""
        del owed, now
        return NOTHING

    def after_request(self, asked: Credit, owed: Credit, now: float) -> Credit:
        """Answer a FLOW_UPDATE of the client's, read as a request for `asked`."""
        del asked, owed, now
        return NOTHING

    def tick(self, owed: Credit, now: float) -> Credit:
        """Answer the clock. A call before `due` gives nothing and does no harm."""
        del owed, now
        return NOTHING

    def due(self) -> float | None:
        """Return when `tick` wants to be called, in seconds on the clock of `now`; None: not before the next event."""
        return None


@dataclass(frozen=True)
class CreditPolicy(ABC):
    """How a server gives credit back. Immutable; to write your own, return a `ChannelPolicy` of yours from `start`."""

    name: ClassVar[str]
    """As the command line spells it."""

    @abstractmethod
    def start(self, window: Credit) -> ChannelPolicy:
        """Return the state for one channel of one session whose first credit is `window`."""


@dataclass(frozen=True)
class Generous(CreditPolicy):
    """Gives everything that was spent back at once, after every single frame: a client never waits."""

    name = "generous"

    def start(self, window: Credit) -> ChannelPolicy:
        """Return the state for one channel."""
        del window
        return _GenerousChannel()


class _GenerousChannel(ChannelPolicy):
    def after_frame(self, owed: Credit, now: float) -> Credit:
        del now
        return owed


@dataclass(frozen=True)
class OnRequest(CreditPolicy):
    """Grants exactly what a FLOW_UPDATE asks for, at once and above the window too; nothing else. Bytes only when asked."""

    name = "on-request"

    def start(self, window: Credit) -> ChannelPolicy:
        """Return the state for one channel."""
        del window
        return _OnRequestChannel()


class _OnRequestChannel(ChannelPolicy):
    def after_request(self, asked: Credit, owed: Credit, now: float) -> Credit:
        del owed, now
        return asked


@dataclass(frozen=True)
class RenewAtHalf(CreditPolicy):
    """Gives back all that was spent as soon as that is half of the window, in messages or in bytes.

    Half alone would hang a client that needs more than what is left: with a window of three and one frame spent, a text
    of three frames waits for ever. So a channel on which nothing came for `idle` seconds is given the rest as well.
    Raises `ConfigError` for an `idle` that is no positive number of seconds.
    """

    name = "renewing"
    idle: float = 0.1

    def __post_init__(self) -> None:
        check_seconds("idle", self.idle, positive=True)

    def start(self, window: Credit) -> ChannelPolicy:
        """Return the state for one channel."""
        return _RenewingChannel(window, self.idle)


class _RenewingChannel(ChannelPolicy):
    def __init__(self, window: Credit, idle: float) -> None:
        self._window = window
        self._idle = idle
        self._due: float | None = None

    def after_frame(self, owed: Credit, now: float) -> Credit:
        if self._half_is_spent(owed):
            self._due = None
            return owed
        self._due = now + self._idle if owed else None
        return NOTHING

    def tick(self, owed: Credit, now: float) -> Credit:
        if self._due is None or now < self._due:
            return NOTHING
        self._due = None
        return owed

    def due(self) -> float | None:
        return self._due

    def _half_is_spent(self, owed: Credit) -> bool:
        messages, byte_credits = owed.messages, owed.byte_credits
        return (messages > 0 and 2 * messages >= self._window.messages) or (
            byte_credits > 0 and 2 * byte_credits >= self._window.byte_credits
        )


@dataclass(frozen=True)
class Paced(CreditPolicy):
    """Gives back at most `per_second` messages a second, each with its share of the bytes that are owed.

    It counts from the first frame that is owed and saves nothing up: an idle time, or a timer that came late, is not made
    good by a burst. Steps are one message, or a fiftieth of a second's worth where the pace is above fifty a second.
    Raises `ConfigError` for a rate that is no positive number.
    """

    name = "paced"
    per_second: float = 20.0

    def __post_init__(self) -> None:
        rate = self.per_second
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate <= _FASTEST:
            raise ConfigError(f"per_second must be a number above 0 and at most {_FASTEST:g}, not {told(rate)}")

    def start(self, window: Credit) -> ChannelPolicy:
        """Return the state for one channel."""
        del window
        return _PacedChannel(float(self.per_second))


class _PacedChannel(ChannelPolicy):
    def __init__(self, per_second: float) -> None:
        self._rate = per_second
        self._step_s = max(1 / per_second, _PACED_STEP_S)
        self._step = max(1, ceil(per_second * self._step_s - _ROUNDING))
        # Up to when the allowance is used; None while nothing is owed.
        self._counted_to: float | None = None

    def after_frame(self, owed: Credit, now: float) -> Credit:
        if owed and self._counted_to is None:
            self._counted_to = now
        return NOTHING

    def tick(self, owed: Credit, now: float) -> Credit:
        if self._counted_to is None or now < self._counted_to + self._step_s:
            return NOTHING
        allowed = max(1, floor((now - self._counted_to) * self._rate + _ROUNDING))
        given = owed.share(min(allowed, self._step))
        if given == owed:
            self._counted_to = None
        else:
            self._counted_to = now if allowed > self._step else self._counted_to + allowed / self._rate
        return given

    def due(self) -> float | None:
        return None if self._counted_to is None else self._counted_to + self._step_s


@dataclass(frozen=True)
class Bursty(CreditPolicy):
    """Gives all that was spent back in one grant, `every` seconds after the first frame since the last such grant.

    Raises `ConfigError` for an `every` that is no positive number of seconds.
    """

    name = "bursty"
    every: float = 1.0

    def __post_init__(self) -> None:
        check_seconds("every", self.every, positive=True)

    def start(self, window: Credit) -> ChannelPolicy:
        """Return the state for one channel."""
        del window
        return _BurstyChannel(self.every)


class _BurstyChannel(ChannelPolicy):
    def __init__(self, every: float) -> None:
        self._every = every
        self._due: float | None = None

    def after_frame(self, owed: Credit, now: float) -> Credit:
        if owed and self._due is None:
            self._due = now + self._every
        return NOTHING

    def tick(self, owed: Credit, now: float) -> Credit:
        if self._due is None or now < self._due:
            return NOTHING
        self._due = None
        return owed

    def due(self) -> float | None:
        return self._due


@dataclass(frozen=True)
class Stingy(CreditPolicy):
    """Gives only to the starving, and one message at a time.

    Nothing while frames come in. Once nothing came for `every` seconds it gives one message with its share of the bytes
    that are owed, and another after each further `every` seconds of silence, until the window is whole again. A client
    that needs `n` frames at once therefore waits for at most `n` times `every`, if its window holds as many.
    Raises `ConfigError` for an `every` that is no positive number of seconds.
    """

    name = "stingy"
    every: float = 0.1

    def __post_init__(self) -> None:
        check_seconds("every", self.every, positive=True)

    def start(self, window: Credit) -> ChannelPolicy:
        """Return the state for one channel."""
        del window
        return _StingyChannel(self.every)


class _StingyChannel(ChannelPolicy):
    def __init__(self, every: float) -> None:
        self._every = every
        self._due: float | None = None

    def after_frame(self, owed: Credit, now: float) -> Credit:
        self._due = now + self._every if owed else None
        return NOTHING

    def tick(self, owed: Credit, now: float) -> Credit:
        if self._due is None or now < self._due:
            return NOTHING
        given = owed.share(1)
        self._due = None if given == owed else now + self._every
        return given

    def due(self) -> float | None:
        return self._due


@dataclass(frozen=True)
class Never(CreditPolicy):
    """Grants nothing after the first window, whatever is asked; `DevServer.grant` still does."""

    name = "never"

    def start(self, window: Credit) -> ChannelPolicy:
        """Return the state for one channel."""
        del window
        return ChannelPolicy()
