"""A collector for prometheus-client that reads each client's snapshot when it is scraped, and costs nothing otherwise.

```python
from prometheus_client import REGISTRY, start_http_server
from haip_sync.integrations.prometheus import HaipCollector

REGISTRY.register(HaipCollector())
start_http_server(9100)
```

It needs `pip install 'haip-sync[prometheus]'`. The labels are `client` (its name, numbered where two are called the same) and
`channel`, both bounded: what is beyond is summed up as `(other)`, which no channel can be called.

Each line costs a scrape more than reading what stands in it. A series therefore begins when there is something to tell, and then
stays, also at 0: `haip_backlog` of a channel with its first wait, `haip_wait_seconds` of a cause with the first wait for it,
`haip_breaches` with what first comes from the peer. Some go again: `haip_paused` is told of the channels that are held, and
`haip_waiting_threads` and `haip_oldest_wait_seconds` of those whose backlog is not 0, which would say nothing more. A sum over
what may not have begun is `sum(haip_backlog) or vector(0)`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import repeat
from typing import Final
from weakref import WeakKeyDictionary, ref

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from haip_sync import roster
from haip_sync.client import HAIPClient
from haip_sync.config import check_count, told
from haip_sync.errors import ConfigError, HAIPError
from haip_sync.flow.metrics import WAIT_EDGES_S
from haip_sync.flow.parking import ownership
from haip_sync.integrations.series import OTHER, Given, Scrape

__all__ = ["MOST_CHANNELS", "MOST_CLIENTS", "OTHER", "HaipCollector"]

MOST_CHANNELS: Final = 20
"""Channels of a client with labels of their own."""
MOST_CLIENTS: Final = 1_000
"""Clients with labels of their own."""

_WAITS: Final = ("haip_wait_seconds", "How long sends had to wait, by what held them up first.")
_BUCKET, _COUNT, _SUM = (f"{_WAITS[0]}_{part}" for part in ("bucket", "count", "sum"))
_CONNECTED: Final = ("haip_connected", "1: both HAIs were exchanged and the line stands.")
_RECONNECTS: Final = ("haip_reconnects", "Handshakes after the first.")
_EDGES: Final = (*(repr(edge_s) for edge_s in WAIT_EDGES_S), "+Inf")
_make: Final = partial(tuple.__new__, Sample)
"""What the constructor of a sample calls: a scrape makes thousands, and a Python call less for each is worth having."""
_REST: Final = tuple(map(repeat, Sample._field_defaults.values()))
"""The members of samples after name, labels and value."""


class HaipCollector(Collector):
    """What Prometheus is told of these clients; without any: of every client of the process, at each scrape.

    Thread-safe. Clients are held weakly, and those that were closed are told of until nobody holds them. Labels, once given,
    stay: a channel that has its own keeps it, whatever comes later. A signal handler that scrapes in the middle of a scrape of
    the same thread is told of the clients that have labels, and gives none. Raises `ConfigError` for bounds below 1, and for
    what is no client.
    """

    def __init__(
        self,
        clients: Iterable[HAIPClient] | None = None,
        *,
        most_channels: int = MOST_CHANNELS,
        most_clients: int = MOST_CLIENTS,
    ) -> None:
        self._refs = None if clients is None else [ref(client) for client in _check_clients(clients)]
        self._most_channels = check_count("most_channels", most_channels, minimum=1)
        self._most_clients = check_count("most_clients", most_clients, minimum=1)
        # Guards the labels that were given: two scrapes may come at once. Re-entrant because a signal handler may scrape in the
        # middle of one.
        self._lock = threading.RLock()
        self._is_held_here = ownership(threading.Condition(self._lock))
        self._given: WeakKeyDictionary[HAIPClient, Given] = WeakKeyDictionary()

    def describe(self) -> Iterable[Metric]:
        """Return the families without a sample, so that registering reads no client."""
        return _families(Scrape())

    def collect(self) -> Iterable[Metric]:
        """Return every family with the samples of this moment."""
        scrape = Scrape()
        is_nested = self._is_held_here()
        for client in self._clients():
            try:
                account = client.account()
            except HAIPError:  # of a parent process, in its forked child: it is told of there
                continue
            with self._lock:
                given = self._given.get(client) if is_nested else self._given_to(client)
                if given is None:
                    continue
                if not is_nested:  # else somebody is in the middle of it
                    given.note(account, most_channels=self._most_channels)
                scrape.add(given, account)
        return _families(scrape)

    def _clients(self) -> list[HAIPClient]:
        if self._refs is None:
            return roster.clients()
        return [client for each in self._refs if (client := each()) is not None]

    def _given_to(self, client: HAIPClient) -> Given:
        """Return the labels of a client. Requires the lock."""
        given = self._given.get(client)
        if given is None:
            taken = {other.name for other in self._given.values()}
            name, number = client.name, 1
            while name in taken:
                number += 1
                name = f"{client.name} ({number})"
            given = self._given[client] = Given(OTHER if len(taken - {OTHER}) >= self._most_clients else name)
        return given


def _check_clients(clients: object) -> Iterator[HAIPClient]:
    if not isinstance(clients, Iterable):
        raise ConfigError(f"clients must list HAIPClients, or be None for every one, not {told(clients)}")
    for client in clients:
        if not isinstance(client, HAIPClient):
            raise ConfigError(f"each of clients must be a HAIPClient, not {told(client)}")
        yield client


def _families(scrape: Scrape) -> Iterator[Metric]:
    connected, reconnects = GaugeMetricFamily(*_CONNECTED), CounterMetricFamily(*_RECONNECTS)
    for client, (is_connected, handshakes) in scrape.lines.items():
        connected.add_sample(_CONNECTED[0], {"client": client}, is_connected)
        reconnects.add_sample(f"{_RECONNECTS[0]}_total", {"client": client}, handshakes)
    yield from (connected, reconnects)
    for group, rows in scrape.rows().items():
        # Labels are made once for all families of the group: `add_metric` would make them for each.
        labels = [{"channel": channel, "client": client} for client, channel in rows]
        for figure in group:
            family = (CounterMetricFamily if figure.is_counter else GaugeMetricFamily)(figure.name, figure.text)
            name = f"{figure.name}_total" if figure.is_counter else figure.name
            family.samples = _samples(repeat(name), labels, figure.of(rows))
            yield family
    yield _histogram(scrape)


def _histogram(scrape: Scrape) -> Metric:
    family = HistogramMetricFamily(*_WAITS)
    for (client, channel), cause, waits in scrape.waits():
        labels = {"cause": cause, "channel": channel, "client": client}
        buckets = [{**labels, "le": edge} for edge in _EDGES]
        family.samples += _samples(repeat(_BUCKET), buckets, (*waits.reached(), waits.count))
        family.samples += _samples((_COUNT, _SUM), (labels, labels), (waits.count, waits.total_s))
    return family


def _samples(names: Iterable[str], labels: Iterable[dict[str, str]], values: Iterable[float]) -> list[Sample]:
    return list(map(_make, zip(names, labels, values, *_REST, strict=False)))
