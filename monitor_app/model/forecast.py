"""When a channel will stand still: a range, from how fast credit is spent and granted and how much both vary.

Spend and grants are measured in steps of half a second and averaged with weights that fade: over three seconds where grants
come often, over one and a half times the usual pause between two grants where they come in lumps. The balance is expected to
fall by their difference; how much the difference has varied makes the range. A fall that is smaller than its own error is
none: a peer that renews its window in lumps is stable, though its balance falls between two of them.

All that is of a mean, and grants that come unevenly are not told by theirs. So a channel that stood still a while ago may do so
again: if it would run out, spent as fast as lately, before a grant comes that takes as long as the last famine did, then the
range begins there. It has no late end where the mean expects none, because grants may as well come as they do now.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Final

from monitor_app.model.famine import Famines

STEP_S: Final = 0.5
LEAST_FADE_S: Final = 3.0
MOST_FADE_S: Final = 20.0
_FADE_OF_PAUSE: Final = 1.5
_NEW_PAUSE: Final = 0.3
"""How much the latest pause between two grants counts against the usual one."""
HORIZON_S: Final = 600.0
"""Nobody plans for what lies further away: beyond, a channel is stable."""
VAGUE_HORIZON_S: Final = 30.0
"""The same where nobody can say when it would be at the latest."""
_LEAST_STEPS: Final = 4
_SURE: Final = 1.5
"""How many times its error a fall must be to be one."""
_SILENT: Final = 2.0
"""A peer that has granted nothing for so many of its usual pauses may never grant again."""
_LEAST_ERROR: Final = 0.1
"""No forecast is better than this share of itself."""
_LATELY: Final = 40
"""Over so many steps the fastest spend is looked for: that of a channel that stands still now and then is no mean of its own."""
_WIDE: Final = 8.0
"""A range of which the end is so many times the beginning has no end worth naming."""


class Outlook(Enum):
    """What is to be expected; the value is the word that people read."""

    STARVES = "starves"
    STABLE = "stable"
    RECOVERING = "recovering"


@dataclass(frozen=True)
class Forecast:
    """What is to be expected of a channel."""

    outlook: Outlook
    credit: str
    """messages or bytes: what runs out first, or recovers."""
    from_s: float = math.inf
    """Seconds until it starves, at the earliest; infinity where it does not."""
    to_s: float = math.inf
    """At the latest; infinity where that cannot be said."""


@dataclass(frozen=True)
class Books:
    """One credit at one moment. All three only ever grow or shrink by what is spent and granted."""

    spent: float
    granted: float
    balance: float


class Trend:
    """How one credit moves. Times are seconds on any clock that does not go back."""

    def __init__(self) -> None:
        self._begun_s: float | None = None
        self._first_s = self._now_s = 0.0
        self._books = Books(0.0, 0.0, 0.0)
        self._seen_granted = 0.0
        self._granted_s: float | None = None
        self._pause_s = 0.0
        self._silent = False
        self._steps = 0
        self._spend = 0.0
        self._fall = 0.0
        self._variance = 0.0
        self._spends: deque[float] = deque(maxlen=_LATELY)
        self._famines = Famines()

    def update(self, now_s: float, books: Books, *, lacks: bool = False) -> None:
        """Take the books at `now_s`, and whether somebody waits for this credit; books that went back begin anew."""
        self._now_s = now_s
        if self._begun_s is None or books.spent < self._books.spent or books.granted < self._books.granted:
            self._begin(now_s, books)
            return
        self._note_grant(now_s, books)
        self._famines.update(now_s, self._last_grant_s, lacks=lacks)
        passed_s = now_s - self._begun_s
        if passed_s >= STEP_S:
            self._step(passed_s, books)
            self._begun_s, self._books = now_s, books

    def _begin(self, now_s: float, books: Books) -> None:
        self._begun_s, self._books, self._seen_granted = now_s, books, books.granted
        self._steps, self._spend, self._fall, self._variance = 0, 0.0, 0.0, 0.0
        self._granted_s, self._pause_s, self._silent = None, 0.0, False
        self._first_s = now_s
        self._spends.clear()
        self._famines = Famines()

    @property
    def _last_grant_s(self) -> float:
        """When the last grant was seen; before there was one, when the books were opened."""
        return self._first_s if self._granted_s is None else self._granted_s

    def _note_grant(self, now_s: float, books: Books) -> None:
        if books.granted > self._seen_granted:
            self._seen_granted = books.granted
            if self._granted_s is not None:
                pause_s = now_s - self._granted_s
                self._pause_s += (_NEW_PAUSE if self._pause_s else 1.0) * (pause_s - self._pause_s)
            self._granted_s = now_s
        self._silent = self._granted_s is not None and now_s - self._granted_s > _SILENT * max(self._pause_s, STEP_S)

    def _weight(self, passed_s: float) -> float:
        fade_s = min(MOST_FADE_S, max(LEAST_FADE_S, _FADE_OF_PAUSE * self._pause_s))
        return max(1 - math.exp(-passed_s / fade_s), 1 / self._steps)

    def _step(self, passed_s: float, books: Books) -> None:
        spend = (books.spent - self._books.spent) / passed_s
        fall = spend - (books.granted - self._books.granted) / passed_s
        self._steps += 1
        self._spends.append(spend)
        weight = self._weight(passed_s)
        off = fall - self._fall
        self._spend += weight * (spend - self._spend)
        self._fall += weight * off
        self._variance = (1 - weight) * (self._variance + weight * off * off)

    @property
    def fall(self) -> float:
        """How much the balance falls in a second; negative when it rises."""
        return self._fall

    def time_to(self, balance: float) -> tuple[float, float] | None:
        """Return how many seconds `balance` lasts, at least and at most; None when it does not run out in time to matter."""
        expected, from_s = self._expected(balance), self._in_a_famine(balance)
        if from_s is None:
            return expected
        return (from_s, math.inf) if expected is None else (min(from_s, expected[0]), expected[1])

    def _in_a_famine(self, balance: float) -> float | None:
        """Return how many seconds `balance` lasts at least if a famine like those of late has begun; None: it outlasts one."""
        fastest, famine_s = max(self._spends, default=0.0), self._famines.longest_s(self._now_s)
        if self._spend <= 0.0 or not fastest or not famine_s:
            return None
        since_s = self._now_s - self._last_grant_s
        left_s = famine_s - since_s if since_s < famine_s else famine_s  # what is overdue may take as long once more
        return balance / fastest if balance / fastest < left_s else None

    def _expected(self, balance: float) -> tuple[float, float] | None:
        """Return the same by the mean of what is spent and granted."""
        if self._steps < _LEAST_STEPS or self._spend <= 0.0:
            return None
        weight = self._weight(STEP_S)
        error = max(math.sqrt(self._variance * weight / (2 - weight)), self._fall * _LEAST_ERROR)
        if self._fall <= _SURE * error:
            return None
        fastest = max(self._fall + error, self._spend) if self._silent else self._fall + error
        from_s, to_s = balance / fastest, balance / (self._fall - error)
        to_s = to_s if to_s <= _WIDE * max(from_s, 1.0) else math.inf
        return None if from_s > (HORIZON_S if math.isfinite(to_s) else VAGUE_HORIZON_S) else (from_s, to_s)


class Forecaster:
    """The outlook of one channel, over both credits."""

    def __init__(self) -> None:
        self._trends = {"messages": Trend(), "bytes": Trend()}
        self._balances = {"messages": 0.0, "bytes": 0.0}

    def update(self, now_s: float, messages: Books, byte_credits: Books, lacks: str | None = None) -> None:
        """Take the books of both credits at `now_s`, and for which of them somebody waits, if for either."""
        for credit, books in (("messages", messages), ("bytes", byte_credits)):
            self._trends[credit].update(now_s, books, lacks=credit == lacks)
            self._balances[credit] = books.balance

    def forecast(self, scarce: str | None) -> Forecast:
        """Return the outlook. `scarce` is the credit of which little is left, or that was lacking a moment ago, if any is."""
        times = {credit: trend.time_to(self._balances[credit]) for credit, trend in self._trends.items()}
        first = min(times, key=lambda credit: (times[credit] or (math.inf, math.inf))[0])
        ends = times[first]
        if ends is not None:
            return Forecast(Outlook.STARVES, first, *ends)
        if scarce is not None and self._trends[scarce].fall < 0:
            return Forecast(Outlook.RECOVERING, scarce)
        return Forecast(Outlook.STABLE, scarce or "messages")


def format_range(forecast: Forecast) -> str:
    """Return the range of a forecast that starves: "14-20 s", "in 12 s or later"; the word of the others."""
    if forecast.outlook is not Outlook.STARVES:
        return str(forecast.outlook.value)
    low = _seconds(forecast.from_s)
    if math.isinf(forecast.to_s):
        return f"{low}+ s"
    high = _seconds(forecast.to_s)
    return f"{low} s" if low == high else f"{low}\N{EN DASH}{high} s"


def _seconds(seconds: float) -> str:
    return str(round(seconds))
