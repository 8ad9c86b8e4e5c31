"""What a scrape tells of each client and channel: figures by their labels. Pure; nothing here knows prometheus-client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import add, attrgetter
from typing import Any, Final, NamedTuple

import msgspec

from haip_sync.config import WELL_KNOWN_CHANNELS
from haip_sync.flow.metrics import OTHER_CHANNELS, Figures, Histogram
from haip_sync.runtime.account import Account, Balance

OTHER: Final = OTHER_CHANNELS

Labels = tuple[str, str]
"""Client and channel."""
Rows = Mapping[Labels, Balance | Figures]


class Figure(NamedTuple):
    """One family of samples, one for each channel."""

    field: str
    """Of `Balance`, or of `Figures`."""
    name: str
    text: str
    is_counter: bool = False

    def of(self, rows: Rows) -> Iterable[Any]:
        """Return what stands in it, row by row."""
        return map(attrgetter(self.field), rows.values())


Group = tuple[Figure, ...]
"""Figures that are told of the same channels."""

BALANCES: Final = (
    Figure("credits", "haip_credits", "Messages that may be sent now."),
    Figure("byte_credits", "haip_credit_bytes", "Bytes that may be sent now."),
    Figure("max_credits", "haip_max_credits", "The cap on the messages that may be sent."),
    Figure("max_credit_bytes", "haip_max_credit_bytes", "The cap on the bytes that may be sent."),
)
"""Told of every channel."""
QUEUES: Final = (Figure("backlog", "haip_backlog", "Waiting threads and queued messages together."),)
"""Told of those on which something has waited."""
STANDING: Final = (
    Figure("waiting", "haip_waiting_threads", "Threads that wait to send; told where there is a backlog."),
    Figure("oldest_wait", "haip_oldest_wait_seconds", "How long the first in line has waited; told where one does."),
)
"""Told of those on which something waits now: of the others the backlog says that there is nothing to tell."""
HOLDS: Final = (Figure("paused", "haip_paused", "1: we or the peer hold the channel; not told of the others."),)
"""Told of those that are held."""
BREACHES: Final = (
    Figure("receive_breaches", "haip_breaches", "Frames that the peer sent without credit, in this epoch.", is_counter=True),
)
"""Told of those that the peer has sent on."""
CREDIT: Final = (
    Figure("requests", "haip_credit_requests", "Requests for credit that were sent.", is_counter=True),
    Figure("received", "haip_granted_messages", "Messages that the peer has granted.", is_counter=True),
    Figure("received_bytes", "haip_granted_bytes", "Bytes that the peer has granted.", is_counter=True),
)
"""Told of those that have metrics."""


class Given:
    """The labels of one client, and which of its series have begun. What was given stays. Not thread-safe."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.waited: set[Labels] = set()
        """On which something has waited."""
        self.heard: set[Labels] = set()
        """On which the peer has sent."""
        self._own: dict[str, Labels] = {}
        self._rest = (name, OTHER)

    def note(self, account: Account, *, most_channels: int) -> None:
        """Give labels of their own to the best known channels, then to the busiest; note on which something waited or came."""
        if len(self._own) < min(most_channels, len(account.balances)):
            ranked = sorted(account.balances.keys() - self._own, key=lambda each: _rank(each, account.balances[each]))
            self._own.update({each: (self.name, each) for each in ranked[: most_channels - len(self._own)]})
        self.waited.update(self.labels([name for name, counted in account.figures.items() if counted.waits]))
        self.waited.update(self.labels([name for name, balance in account.balances.items() if balance.backlog]))
        heard = [name for name, each in account.balances.items() if each.received_messages or each.receive_breaches]
        self.heard.update(self.labels(heard))

    def labels(self, channels: Iterable[str]) -> Iterable[Labels]:
        """Return what channels are told under."""
        return [self._own.get(channel, self._rest) for channel in channels]


class Scrape:
    """What one scrape has read."""

    def __init__(self) -> None:
        self.lines: dict[str, tuple[int, int]] = {}
        """By client: whether it is connected, and its handshakes after the first."""
        self._balances: dict[Labels, Balance] = {}
        self._figures: dict[Labels, Figures] = {}
        self._waited: set[Labels] = set()
        self._heard: set[Labels] = set()

    def add(self, given: Given, account: Account) -> None:
        """Add one client to what its name stands for."""
        connected, reconnects = self.lines.get(given.name, (0, 0))
        self.lines[given.name] = (connected + account.connected, reconnects + max(0, account.epoch - 1))
        self._waited |= given.waited
        self._heard |= given.heard
        for labels, balance in zip(given.labels(account.balances), account.balances.values(), strict=True):
            before = self._balances.get(labels)
            self._balances[labels] = balance if before is None else _both(before, balance)
        for labels, figures in zip(given.labels(account.figures), account.figures.values(), strict=True):
            known = self._figures.setdefault(labels, figures)
            if known is not figures:
                known.add(figures)

    def rows(self) -> dict[Group, Rows]:
        """Return what is told, and of which channels."""
        balances = self._balances
        return {
            BALANCES: balances,
            QUEUES: {labels: each for labels, each in balances.items() if labels in self._waited},
            STANDING: {labels: each for labels, each in balances.items() if each.backlog},
            HOLDS: {labels: each for labels, each in balances.items() if each.paused},
            BREACHES: {labels: each for labels, each in balances.items() if labels in self._heard},
            CREDIT: self._figures,
        }

    def waits(self) -> Iterator[tuple[Labels, str, Histogram]]:
        """Yield the waits of each channel that are over, by cause."""
        for labels, figures in self._figures.items():
            for cause, histogram in figures.waits.items():
                yield labels, cause.value, histogram


def _both(one: Balance, other: Balance) -> Balance:
    """Return two channels as one: sums, of waits the longest, and held if either is."""
    sums = list(map(add, msgspec.structs.astuple(one), msgspec.structs.astuple(other)))
    both = Balance(*sums)
    return msgspec.structs.replace(both, oldest_wait=max(one.oldest_wait, other.oldest_wait), paused=one.paused or other.paused)


def _rank(channel: str, balance: Balance) -> tuple[bool, int, str]:
    return channel not in WELL_KNOWN_CHANNELS, -(balance.sent_messages + balance.received_messages + balance.backlog), channel
