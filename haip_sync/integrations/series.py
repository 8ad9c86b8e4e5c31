"""What a scrape tells of each client and channel: rows of figures by their labels. Pure; nothing here knows prometheus-client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import add, attrgetter
from typing import Any, Final, NamedTuple

from haip_sync.config import WELL_KNOWN_CHANNELS
from haip_sync.flow.metrics import OTHER_CHANNELS, ChannelMetrics, FlowControlMetrics
from haip_sync.state import ChannelState, ConnectionState

OTHER: Final = OTHER_CHANNELS

Labels = tuple[str, str]
"""Client and channel."""
Rows = dict[Labels, Sequence[Any]]
Waits = dict[tuple[str, str, str], Sequence[Any]]
"""By client, channel and cause: how many waited up to each edge, how many in all, and for how long."""


class Figure(NamedTuple):
    """One family of samples, one for each channel."""

    field: str
    """Of `ChannelState`, or of `ChannelMetrics`."""
    name: str
    text: str
    is_counter: bool = False
    merge: Callable[[Any, Any], Any] = add
    """How the channels beyond the bound are put together."""


class Group:
    """Figures that are told of the same channels, so that they are read in one step."""

    def __init__(self, *figures: Figure) -> None:
        self.figures = figures
        read = attrgetter(*(figure.field for figure in figures))
        self._row: Callable[[Any], Sequence[Any]] = read if len(figures) > 1 else lambda source: (read(source),)

    def add_to(self, rows: Rows, labels: Sequence[Labels], sources: Iterable[ChannelState | ChannelMetrics]) -> None:
        """Add channels to what their labels stand for."""
        read = list(map(self._row, sources))
        new = dict(zip(labels, read, strict=True))
        if len(new) == len(labels) and rows.keys().isdisjoint(new):  # nearly always: each has labels of its own
            rows.update(new)
            return
        for each, row in zip(labels, read, strict=True):
            before = rows.get(each)
            merged = before and [figure.merge(*pair) for figure, *pair in zip(self.figures, before, row, strict=True)]
            rows[each] = merged or row


BALANCES: Final = Group(
    Figure("credits", "haip_credits", "Messages that may be sent now."),
    Figure("byte_credits", "haip_credit_bytes", "Bytes that may be sent now."),
    Figure("max_credits", "haip_max_credits", "The cap on the messages that may be sent."),
    Figure("max_credit_bytes", "haip_max_credit_bytes", "The cap on the bytes that may be sent."),
)
"""Told of every channel."""
QUEUES: Final = Group(Figure("backlog", "haip_backlog", "Waiting threads and queued messages together."))
"""Told of those on which something has waited."""
STANDING: Final = Group(
    Figure("waiting", "haip_waiting_threads", "Threads that wait to send; told where there is a backlog."),
    Figure("oldest_wait", "haip_oldest_wait_seconds", "How long the first in line has waited; told where one does.", merge=max),
)
"""Told of those on which something waits now: of the others the backlog says that there is nothing to tell."""
HOLDS: Final = Group(Figure("paused", "haip_paused", "1: we or the peer hold the channel; not told of the others.", merge=max))
"""Told of those that are held."""
BREACHES: Final = Group(
    Figure("receive_breaches", "haip_breaches", "Frames that the peer sent without credit, in this epoch.", is_counter=True)
)
"""Told of those that the peer has sent on."""
CREDIT: Final = Group(
    Figure("credit_requests", "haip_credit_requests", "Requests for credit that were sent.", is_counter=True),
    Figure("credit_received", "haip_granted_messages", "Messages that the peer has granted.", is_counter=True),
    Figure("credit_received_bytes", "haip_granted_bytes", "Bytes that the peer has granted.", is_counter=True),
)
"""Told of those that have metrics."""
GROUPS: Final = (BALANCES, QUEUES, STANDING, HOLDS, BREACHES, CREDIT)


class Given:
    """The labels of one client, and which of its series have begun. What was given stays. Not thread-safe."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._own: set[str] = set()
        self._waited: set[str] = set()
        self._heard: set[str] = set()

    def note(self, state: ConnectionState, counts: FlowControlMetrics, *, most_channels: int) -> None:
        """Give labels of their own to the best known channels, then to the busiest; note on which something waited or came."""
        if len(self._own) < min(most_channels, len(state.channels)):
            ranked = sorted(state.channels.keys() - self._own, key=lambda each: _rank(each, state.channels[each]))
            self._own.update(ranked[: most_channels - len(self._own)])
        self._waited.update(name for name, counted in counts.channels.items() if counted.waits)
        self._waited.update(name for name, channel in state.channels.items() if channel.backlog)
        self._heard.update(
            name for name, channel in state.channels.items() if channel.received_messages or channel.receive_breaches
        )

    def labels(self, channels: Iterable[str]) -> list[Labels]:
        """Return what channels are told under."""
        return [(self.name, channel if channel in self._own else OTHER) for channel in channels]

    def told(self, channels: Mapping[str, ChannelState]) -> Iterator[tuple[Group, list[str]]]:
        """Yield what is told of channels' states, and of which."""
        yield BALANCES, list(channels)
        yield QUEUES, [name for name in channels if name in self._waited]
        yield STANDING, [name for name, channel in channels.items() if channel.backlog]
        yield HOLDS, [name for name, channel in channels.items() if channel.paused_by_us or channel.paused_by_peer]
        yield BREACHES, [name for name in channels if name in self._heard]


class Scrape:
    """What one scrape has read."""

    def __init__(self) -> None:
        self.rows: dict[Group, Rows] = {group: {} for group in GROUPS}
        self.waits: Waits = {}
        self.lines: dict[str, tuple[int, int]] = {}
        """By client: whether it is connected, and its handshakes after the first."""

    def add(self, given: Given, state: ConnectionState, counts: FlowControlMetrics) -> None:
        """Add one client to what its name stands for."""
        connected, reconnects = self.lines.get(given.name, (0, 0))
        self.lines[given.name] = (connected + state.connected, reconnects + max(0, state.epoch - 1))
        for group, names in given.told(state.channels):
            if names:
                group.add_to(self.rows[group], given.labels(names), map(state.channels.__getitem__, names))
        CREDIT.add_to(self.rows[CREDIT], given.labels(counts.channels), counts.channels.values())
        waited = {channel: counted for channel, counted in counts.channels.items() if counted.waits}
        for labels, counted in zip(given.labels(waited), waited.values(), strict=True):
            self._add_waits(labels, counted)

    def _add_waits(self, labels: Labels, counted: ChannelMetrics) -> None:
        for cause, statistics in counted.waits.items():
            row = (*statistics.reached, statistics.count, statistics.total_s)
            before = self.waits.get((*labels, cause))
            self.waits[*labels, cause] = row if before is None else [mine + new for mine, new in zip(before, row, strict=True)]


def _rank(channel: str, state: ChannelState) -> tuple[bool, int, str]:
    return channel not in WELL_KNOWN_CHANNELS, -(state.sent_messages + state.received_messages + state.backlog), channel
