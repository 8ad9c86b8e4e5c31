"""How the peer answers: from a request to the grant that came after it, and what a window can carry at all."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from monitor_app.model.channel_view import ChannelView
from monitor_app.model.units import format_bytes, format_count, format_messages, format_rate

_MOST_ANSWERS: Final = 1_000
_MOST_GRANTS: Final = 4_000
_BUSY: Final = 0.5
_STARVED_SHARE: Final = 0.1


@dataclass(frozen=True)
class Delays:
    """From requests to grants, in seconds."""

    median_s: float
    p95_s: float
    count: int


def delays_of(seconds: Sequence[float]) -> Delays | None:
    """Return median and 95th percentile, each one of the values; None for none."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return Delays(ordered[last // 2], ordered[min(last, -(-95 * len(ordered) // 100) - 1)], len(ordered))


class GrantBook:
    """Requests and grants of one channel, bounded. HAIP does not say which grant answers which request: the next one does."""

    def __init__(self) -> None:
        self._asked_s: float | None = None
        self._answers: deque[tuple[float, float]] = deque(maxlen=_MOST_ANSWERS)
        self._grants: deque[tuple[float, int, int]] = deque(maxlen=_MOST_GRANTS)

    def request(self, time_s: float) -> None:
        """Take a request of ours; the first that is unanswered counts."""
        if self._asked_s is None:
            self._asked_s = time_s

    def grant(self, time_s: float, messages: int, byte_count: int) -> None:
        """Take a grant of the peer's."""
        self._grants.append((time_s, messages, byte_count))
        if self._asked_s is not None:
            self._answers.append((time_s, max(0.0, time_s - self._asked_s)))
            self._asked_s = None

    def forget_request(self) -> None:
        """Take the end of an epoch: what was asked for in it nobody answers any more."""
        self._asked_s = None

    @property
    def asked_s(self) -> float | None:
        """When the oldest unanswered request was made; None when every one was followed by a grant."""
        return self._asked_s

    def delays(self, from_s: float, to_s: float) -> Delays | None:
        """Return how long the grants between two times had been waited for."""
        return delays_of([delay_s for time_s, delay_s in self._answers if from_s <= time_s <= to_s])

    def count(self, from_s: float, to_s: float) -> int:
        """Return how many grants came between two times; of the 4,000 that are remembered."""
        return sum(from_s <= time_s <= to_s for time_s, _, _ in self._grants)


@dataclass(frozen=True)
class Window:
    """What a channel's window allows, and how it is used."""

    messages: int
    """The largest balance that the peer has allowed in this epoch."""
    byte_count: int
    round_trip_s: float
    rate_messages: float
    rate_bytes: float
    starved_share: float
    """How much of the last half minute senders stood for want of credit."""


def window_of(view: ChannelView, round_trip_s: float) -> Window:
    """Return what the window of a channel allows now."""
    state = view.state
    return Window(
        messages=min(state.max_credits, state.peak_credits),
        byte_count=min(state.max_credit_bytes, state.peak_byte_credits),
        round_trip_s=round_trip_s,
        rate_messages=view.rate_messages,
        rate_bytes=view.rate_bytes,
        starved_share=view.starved_share,
    )


def window_hint(window: Window) -> str | None:
    """Return a sentence where the window is smaller than rate times round trip; None where it is not what holds the channel."""
    if window.round_trip_s <= 0.0 or window.starved_share < _STARVED_SHARE:
        return None
    at = f"at {window.round_trip_s * 1000:.0f} ms round trip"
    most, most_bytes = window.messages / window.round_trip_s, window.byte_count / window.round_trip_s
    if window.messages and window.rate_messages >= _BUSY * most:
        return f"The window of {format_messages(window.messages)} allows at most {format_rate(most)}/s {at}."
    if window.byte_count and window.rate_bytes >= _BUSY * most_bytes:
        size = format_bytes(window.byte_count)
        return f"The window of {size} allows at most {format_count(round(most_bytes / 1024))} KiB/s {at}."
    return None
