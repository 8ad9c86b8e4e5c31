"""What happened in a span, in figures: one column a channel, one row a figure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from monitor_app.model.activity import Activity
from monitor_app.model.grants import Delays
from monitor_app.model.history import COUNTERS, METRICS, ROWS, History, Window
from monitor_app.model.tracker import ChannelTracker
from monitor_app.model.units import NONE, format_duration, format_number, format_rate, format_share

_ENDS: Final = {"least": "min", "mean": "mean", "most": "max"}
_AT_ONCE_S: Final = 0.01
"""What is shorter nobody has measured: between two looks it is only seen that a grant is used up."""
_WHOLE: Final = 0.95
"""Of how much of a span something is known where its shares are told as those of the whole."""
_AWAY: Final = frozenset({Activity.OFFLINE, Activity.SILENT, Activity.DETACHED})
_STANDS: Final = tuple(activity for activity in Activity if activity.stands and activity not in _AWAY)


@dataclass(frozen=True)
class Spread:
    """A gauge over a span. The mean is over time, that of the columns' middles."""

    least: float
    mean: float
    most: float


@dataclass(frozen=True, kw_only=True)
class SpanFigures:
    """One channel over one span."""

    channel: str
    seconds: float
    """How long the span is."""
    known_s: float
    """Of how much of it something is known."""
    gauges: tuple[Spread | None, ...]
    """One for each of `METRICS`; None where nothing was recorded."""
    counted: tuple[float, ...]
    """How much each of `COUNTERS` grew."""
    grants: int
    delays: Delays | None
    shares: dict[Activity, float]
    """Parts of what is known of the span; they add up to 1."""
    longest_stop_s: float

    def count(self, name: str) -> float:
        """Return how much a counter grew."""
        return self.counted[COUNTERS.index(name)]


def figures_of(tracker: ChannelTracker, history: History, from_s: float, to_s: float) -> SpanFigures:
    """Return the figures of one channel between two times."""
    window = history.window(from_s, to_s)
    runs = tracker.activity.runs
    seconds = runs.seconds(from_s, to_s)
    known_s = sum(seconds.values())
    return SpanFigures(
        channel=tracker.name,
        seconds=to_s - from_s,
        known_s=known_s,
        gauges=tuple(_spread(window, metric, tracker.name, from_s, to_s) for metric in range(len(METRICS))),
        counted=tuple(_growth(history, name, tracker.name, from_s, to_s) for name in COUNTERS),
        grants=tracker.grants.count(from_s, to_s),
        delays=tracker.grants.delays(from_s, to_s),
        shares={activity: spent_s / (known_s or 1.0) for activity, spent_s in seconds.items()},
        longest_stop_s=runs.longest_s(_STANDS, from_s, to_s),
    )


def _spread(window: Window, metric: int, channel: str, from_s: float, to_s: float) -> Spread | None:
    if channel not in window.channels:
        return None
    inside = (window.times_s > from_s - window.width_s) & (window.times_s <= to_s)
    values = window.row(metric, channel)[inside]
    return Spread(float(values.min()), float(np.mean(values)), float(values.max())) if values.size else None


def _growth(history: History, counter: str, channel: str, from_s: float, to_s: float) -> float:
    if channel not in history.channels:
        return 0.0
    metric = ROWS.index(counter)
    window = history.window(from_s, to_s)
    first, last = window.value_at(metric, channel, from_s), window.value_at(metric, channel, to_s)
    if last is None:
        return 0.0
    if first is None:
        row = window.row(metric, channel)
        first = float(row[0])
    return max(0.0, last - first)


def span_words(seconds: float, seen_s: float = math.inf, *, selected: bool = False) -> str:
    """Return which span a figure or a share is of, and of how much of it where less was seen."""
    length = format_duration(seconds)
    seen = f"{format_duration(seen_s)} of {length} seen" if is_short(seconds, seen_s) else length
    return f"{'selected' if selected else 'visible'} span, {seen}"


def span_captions(seconds: float, seen_s: float) -> tuple[str, str]:
    """Return the words of the visible span, and the fewest that still say of how much a share is."""
    short = f"{format_duration(seen_s)} seen" if is_short(seconds, seen_s) else "visible span"
    return span_words(seconds, seen_s), short


def is_short(seconds: float, seen_s: float) -> bool:
    """Return whether so much less of a span was seen that its shares are those of another; the newest moment never was."""
    return seen_s < _WHOLE * seconds


def _end(spread: Spread | None, end: str) -> str:
    return NONE if spread is None else format_number({"least": spread.least, "mean": spread.mean, "most": spread.most}[end])


def _delay(delays: Delays | None, *, p95: bool) -> str:
    if delays is None:
        return NONE
    return _brief(delays.p95_s if p95 else delays.median_s)


def _brief(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else format_duration(seconds)


def _ratio(granted: float, sent: float) -> str:
    return f"{granted / sent:.2f}" if sent else NONE


def _size(figures: SpanFigures, counter: str) -> str:
    return format_number(figures.count(counter) / figures.grants) if figures.grants else NONE


def _rate(figures: SpanFigures, counter: str) -> str:
    return format_rate(figures.count(counter) / figures.known_s) if figures.known_s else NONE


def _share(figures: SpanFigures, *activities: Activity) -> str:
    return format_share(sum(figures.shares[activity] for activity in activities))


def _gauge_rows(name: str, metric: int) -> list[tuple[str, Callable[[SpanFigures], str]]]:
    return [(f"{name}, {word}", partial(_gauge_cell, metric, end)) for end, word in _ENDS.items()]


def _gauge_cell(metric: int, end: str, figures: SpanFigures) -> str:
    return _end(figures.gauges[metric], end)


def rows_of(figures: Sequence[SpanFigures]) -> list[tuple[str, list[str]]]:
    """Return (label, one cell a channel) for every figure."""
    makers: list[tuple[str, Callable[[SpanFigures], str]]] = [  # what tells of a stop comes first, a small window shows no more
        ("Starved", lambda f: _share(f, Activity.NO_MESSAGES, Activity.NO_BYTES)),
        ("Longest stop", lambda f: _brief(f.longest_stop_s) if f.longest_stop_s else NONE),
        ("Grant delay, p50", lambda f: _delay(f.delays, p95=False)),
        ("Granted ÷ sent", lambda f: _ratio(f.count("granted"), f.count("sent"))),
        ("the same of KiB", lambda f: _ratio(f.count("granted_kib"), f.count("sent_kib"))),
        ("Grant delay, p95", lambda f: _delay(f.delays, p95=True)),
        ("Sent, msg", lambda f: format_number(f.count("sent"))),
        ("Granted, msg", lambda f: format_number(f.count("granted"))),
        ("Sent, KiB", lambda f: format_number(f.count("sent_kib"))),
        ("Granted, KiB", lambda f: format_number(f.count("granted_kib"))),
        ("Grants", lambda f: format_number(f.grants)),
        ("Mean grant, msg", lambda f: _size(f, "granted")),
        ("Mean grant, KiB", lambda f: _size(f, "granted_kib")),
        ("Rate, msg/s", lambda f: _rate(f, "sent")),
        ("Rate, KiB/s", lambda f: _rate(f, "sent_kib")),
        ("Rate, max msg/s", lambda f: _end(f.gauges[3], "most")),
        *_gauge_rows("Msg credit", 0),
        *_gauge_rows("KiB credit", 1),
        ("Backlog, max", lambda f: _end(f.gauges[2], "most")),
        ("Seen", lambda f: _brief(f.known_s)),
        ("Sending", lambda f: _share(f, Activity.SENDING)),
        ("Paused", lambda f: _share(f, Activity.PAUSED_BY_US, Activity.PAUSED_BY_PEER)),
        ("Offline", lambda f: _share(f, Activity.OFFLINE)),
        ("Silent", lambda f: _share(f, Activity.SILENT)),
        ("Detached", lambda f: _share(f, Activity.DETACHED)),
    ]
    return [(label, [make(one) for one in figures]) for label, make in makers]


def grants_against_spend(figures: SpanFigures) -> str:
    """Return how long a grant lasts and how often one comes, in a sentence; empty where none came or nothing was sent.

    It lasts as long as the channel sends at the rate that it sends at when it may. Of the two credits the one is told of that
    the channel starved of, or else the one that is spent first. A channel whose grants come less often than they last starves.
    """
    sent, sent_kib, grants = figures.count("sent"), figures.count("sent_kib"), figures.grants
    sending_s = figures.shares[Activity.SENDING] * figures.known_s
    if not grants or not sent or not sent_kib or not sending_s:
        return ""
    by_messages, by_bytes = figures.count("granted") / sent, figures.count("granted_kib") / sent_kib
    lack = figures.shares[Activity.NO_BYTES] - figures.shares[Activity.NO_MESSAGES]
    of_bytes = lack > 0 or (lack == 0 and by_bytes < by_messages)
    size = f"{_size(figures, 'granted_kib')} KiB" if of_bytes else f"{_size(figures, 'granted')} msg"
    lasts_s = (by_bytes if of_bytes else by_messages) * sending_s / grants
    lasts = "is used up at once" if lasts_s < _AT_ONCE_S else f"lasts {_brief(lasts_s)}"
    return f"a grant of {size} {lasts}, one comes every {_brief(figures.known_s / grants)}"
