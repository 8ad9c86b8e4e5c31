"""A collector for prometheus-client that reads each client's snapshot when it is scraped, and costs nothing otherwise.

```python
from prometheus_client import REGISTRY, start_http_server
from haip_sync.integrations.prometheus import HaipCollector

REGISTRY.register(HaipCollector())
start_http_server(9100)
```

It needs `pip install 'haip-sync[prometheus]'`. The labels are `client` (its name, numbered where two are called the same) and
`channel`, both bounded: what is beyond is summed up as `(other)`, which no channel can be called.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from operator import add, attrgetter
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary, ref

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from haip_sync import roster
from haip_sync.client import HAIPClient
from haip_sync.config import WELL_KNOWN_CHANNELS, check_count
from haip_sync.errors import HAIPError
from haip_sync.flow.metrics import OTHER_CHANNELS, WAIT_EDGES_S, ChannelMetrics
from haip_sync.state import ChannelState, ConnectionState

MOST_CHANNELS: Final = 20
"""Channels of a client with labels of their own."""
MOST_CLIENTS: Final = 1_000
"""Clients with labels of their own."""
OTHER: Final = OTHER_CHANNELS

_Merge = Callable[[Any, Any], Any]


class _Figure(NamedTuple):
    """One family of samples, one for each channel."""

    field: str
    """Of `ChannelState`, or of `ChannelMetrics`."""
    name: str
    text: str
    is_counter: bool = False
    merge: _Merge = add
    """How the channels beyond the bound are put together."""
    is_flag: bool = False
    """Told of those only of which it holds: a line less for all others at each scrape."""


_OF_STATE: Final = (
    _Figure("credits", "haip_credits", "Messages that may be sent now."),
    _Figure("byte_credits", "haip_credit_bytes", "Bytes that may be sent now."),
    _Figure("max_credits", "haip_max_credits", "The cap on the messages that may be sent."),
    _Figure("max_credit_bytes", "haip_max_credit_bytes", "The cap on the bytes that may be sent."),
    _Figure("backlog", "haip_backlog", "Waiting threads and queued messages together."),
    _Figure("waiting", "haip_waiting_threads", "Threads that wait to send."),
    _Figure("oldest_wait", "haip_oldest_wait_seconds", "How long the first in line has waited; 0: nobody waits.", merge=max),
    _Figure("paused", "haip_paused", "1: we or the peer hold the channel; not told of the others.", merge=max, is_flag=True),
    _Figure("receive_breaches", "haip_breaches", "Frames that the peer sent without credit, in this epoch.", is_counter=True),
)
_OF_METRICS: Final = (
    _Figure("credit_requests", "haip_credit_requests", "Requests for credit that were sent.", is_counter=True),
    _Figure("credit_received", "haip_granted_messages", "Messages that the peer has granted.", is_counter=True),
    _Figure("credit_received_bytes", "haip_granted_bytes", "Bytes that the peer has granted.", is_counter=True),
)
_WAITS: Final = ("haip_wait_seconds", "How long sends had to wait, by what held them up first.")
_BUCKET, _COUNT, _SUM = (f"{_WAITS[0]}_{part}" for part in ("bucket", "count", "sum"))
_CONNECTED: Final = ("haip_connected", "1: both HAIs were exchanged and the line stands.")
_RECONNECTS: Final = ("haip_reconnects", "Handshakes after the first.")
_EDGES: Final = (*(repr(edge_s) for edge_s in WAIT_EDGES_S), "+Inf")
_STATE_OF: Final = attrgetter(*(figure.field for figure in _OF_STATE))
_METRICS_OF: Final = attrgetter(*(figure.field for figure in _OF_METRICS))
_Labels = tuple[str, str]
_Rows = dict[_Labels, Sequence[Any]]
_Waits = dict[tuple[str, str, str], Sequence[Any]]


class HaipCollector(Collector):
    """What Prometheus is told of these clients; without any: of every client of the process, at each scrape.

    Thread-safe. Clients are held weakly, and those that were closed are told of until nobody holds them. Labels, once given,
    stay: a channel that has its own keeps it, whatever comes later. Raises `ConfigError` for bounds below 1.
    """

    def __init__(
        self,
        clients: Iterable[HAIPClient] | None = None,
        *,
        most_channels: int = MOST_CHANNELS,
        most_clients: int = MOST_CLIENTS,
    ) -> None:
        self._refs = None if clients is None else [ref(client) for client in clients]
        self._most_channels = check_count("most_channels", most_channels, minimum=1)
        self._most_clients = check_count("most_clients", most_clients, minimum=1)
        # Guards the labels that were given: two scrapes may come at once.
        self._lock = threading.Lock()
        self._names: WeakKeyDictionary[HAIPClient, str] = WeakKeyDictionary()
        self._own: WeakKeyDictionary[HAIPClient, dict[str, str]] = WeakKeyDictionary()

    def describe(self) -> Iterable[Metric]:
        """Return the families without a sample, so that registering reads no client."""
        return self._families({}, {}, {}, {})

    def collect(self) -> Iterable[Metric]:
        """Return every family with the samples of this moment."""
        states: _Rows = {}
        metrics: _Rows = {}
        waits: _Waits = {}
        lines: dict[str, tuple[int, int]] = {}
        for client in self._clients():
            try:
                state, counts = client.connection_state(), client.metrics()
            except HAIPError:  # of a parent process, in its forked child: it is told of there
                continue
            with self._lock:
                name, own = self._name_of(client), self._own_channels(client, state)
            connected, reconnects = lines.get(name, (0, 0))
            lines[name] = (connected + state.connected, reconnects + max(0, state.epoch - 1))
            for channel, of_channel in state.channels.items():
                _merge_in(states, (name, own.get(channel, OTHER)), _STATE_OF(of_channel), _OF_STATE)
            for channel, counted in counts.channels.items():
                labels = (name, own.get(channel, OTHER))
                _merge_in(metrics, labels, _METRICS_OF(counted), _OF_METRICS)
                _add_waits(waits, labels, counted)
        return self._families(states, metrics, waits, lines)

    # ---- Labels ---------------------------------------------------------------------------------------------------------------

    def _clients(self) -> list[HAIPClient]:
        if self._refs is None:
            return roster.clients()
        return [client for each in self._refs if (client := each()) is not None]

    def _name_of(self, client: HAIPClient) -> str:
        name = self._names.get(client)
        if name is None:
            taken = set(self._names.values())
            name, number = client.name, 1
            while name in taken:
                number += 1
                name = f"{client.name} ({number})"
            if len(taken - {OTHER}) >= self._most_clients:
                name = OTHER
            self._names[client] = name
        return name

    def _own_channels(self, client: HAIPClient, state: ConnectionState) -> dict[str, str]:
        """Return the channels of a client that have a label of their own: the best known, then the busiest when first seen."""
        own = self._own.setdefault(client, {})
        if len(own) < min(self._most_channels, len(state.channels)):
            for channel in sorted(state.channels.keys() - own.keys(), key=lambda each: _rank(each, state.channels[each])):
                if len(own) < self._most_channels:
                    own[channel] = channel
        return own

    # ---- Families -------------------------------------------------------------------------------------------------------------

    def _families(
        self,
        states: _Rows,
        metrics: _Rows,
        waits: _Waits,
        lines: dict[str, tuple[int, int]],
    ) -> Iterator[Metric]:
        connected, reconnects = _family(_CONNECTED, is_counter=False), _family(_RECONNECTS, is_counter=True)
        for client, (is_connected, handshakes) in lines.items():
            connected.add_sample(_CONNECTED[0], {"client": client}, is_connected)
            reconnects.add_sample(f"{_RECONNECTS[0]}_total", {"client": client}, handshakes)
        yield from (connected, reconnects)
        yield from _of_channels(_OF_STATE, states)
        yield from _of_channels(_OF_METRICS, metrics)
        yield _histogram(waits)


def _rank(channel: str, state: ChannelState) -> tuple[bool, int, str]:
    return channel not in WELL_KNOWN_CHANNELS, -(state.sent_messages + state.received_messages + state.backlog), channel


def _merge_in(rows: _Rows, labels: _Labels, row: Sequence[Any], figures: Sequence[_Figure]) -> None:
    before = rows.get(labels)
    rows[labels] = row if before is None else [figure.merge(*pair) for figure, *pair in zip(figures, before, row, strict=True)]


def _add_waits(waits: _Waits, labels: _Labels, counted: ChannelMetrics) -> None:
    """Add what one channel has waited: how many up to each edge, how many in all, and for how long."""
    for cause, statistics in counted.waits.items():
        row = (*statistics.reached, statistics.count, statistics.total_s)
        before = waits.get((*labels, cause))
        waits[*labels, cause] = row if before is None else [mine + theirs for mine, theirs in zip(before, row, strict=True)]


def _family(figure: tuple[str, str], *, is_counter: bool) -> Metric:
    return (CounterMetricFamily if is_counter else GaugeMetricFamily)(*figure)


def _of_channels(figures: Sequence[_Figure], rows: _Rows) -> Iterator[Metric]:
    # A sample is made directly, and its labels once for all families: `add_metric` would make them for each.
    labels = [{"channel": channel, "client": client} for client, channel in rows]
    columns = list(zip(*rows.values(), strict=True)) or [()] * len(figures)
    for figure, column in zip(figures, columns, strict=True):
        family = _family((figure.name, figure.text), is_counter=figure.is_counter)
        name = f"{figure.name}_total" if figure.is_counter else figure.name
        if figure.is_flag:
            family.samples = [Sample(name, each, value) for each, value in zip(labels, column, strict=True) if value]
        else:
            family.samples = list(map(Sample, repeat(name), labels, column))
        yield family


def _histogram(waits: _Waits) -> Metric:
    family = HistogramMetricFamily(*_WAITS)
    for (client, channel, cause), (*reached, total_s) in waits.items():
        labels = {"cause": cause, "channel": channel, "client": client}
        for edge, count in zip(_EDGES, reached, strict=True):
            family.samples.append(Sample(_BUCKET, {**labels, "le": edge}, count))
        family.samples.append(Sample(_COUNT, labels, reached[-1]))
        family.samples.append(Sample(_SUM, labels, total_s))
    return family
