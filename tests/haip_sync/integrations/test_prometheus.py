"""What Prometheus is told: figures that are the client's own, in a form that its parsers take, with labels that are bounded."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest, openmetrics, parser
from prometheus_client.openmetrics import exposition as _exposition
from prometheus_client.openmetrics import parser as _parser
from support.turnstiles import PATIENCE_S, until

from haip_sync import WAIT_EDGES_S, ConfigError, FlowControlConfig, FlowControlTimeout, HAIPClient, roster
from haip_sync.integrations.prometheus import OTHER, HaipCollector
from haip_sync.integrations.series import Given
from haip_sync.testing import DevServer, OnRequest

URL = "ws://localhost:1"


@pytest.fixture
def server() -> Iterator[DevServer]:
    """Yield a server that grants three messages, and more when it is asked."""
    with DevServer(agent=False, initial_credits=3, policy=OnRequest()) as running:
        yield running


def scraped(collector: HaipCollector) -> dict[tuple[str, ...], float]:
    """Return the samples by name and label values, as Prometheus reads them."""
    registry = CollectorRegistry()
    registry.register(collector)
    text = generate_latest(registry).decode()
    return {
        (
            sample.name,
            *(sample.labels[name] for name in ("client", "channel", "cause", "le") if name in sample.labels),
        ): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


def blocked(client: HAIPClient, channel: str = "USER") -> None:
    """Have one send wait in vain for a moment."""
    with pytest.raises(FlowControlTimeout):
        client.send(channel, "TOOL_UPDATE", {"call_id": "c", "status": "RUNNING"}, timeout=0.01)


def test_the_figures_are_the_clients_own(server: DevServer) -> None:
    """Balances, caps, waits, grants and requests of each channel, as its snapshot and metrics have them."""
    config = FlowControlConfig(max_credits=50, max_credit_bytes=2 << 20)
    with HAIPClient(server.url, name="sender", flow_control=config) as client:
        client.send_text_message("USER", "x", timeout=PATIENCE_S)
        blocked(client)
        client.request_credits("USER", messages=20)
        client.wait_for_credits("USER", messages=20, timeout=PATIENCE_S)
        client.pause_channel("AGENT")
        seen = scraped(HaipCollector([client]))
        user, metrics = client.connection_state().channels["USER"], client.metrics().channels["USER"]
    waits = metrics.waits["messages"]
    expected = {
        "haip_credits": user.credits,
        "haip_credit_bytes": user.byte_credits,
        "haip_max_credits": 50,
        "haip_max_credit_bytes": 2 << 20,
        "haip_backlog": 0,
        "haip_credit_requests_total": 1,
        "haip_granted_messages_total": 20,
        "haip_granted_bytes_total": 0,
    }
    assert {name: seen[name, "sender", "USER"] for name in expected} == expected
    assert [labels[1:] for labels in seen if labels[0] == "haip_paused"] == [("sender", "AGENT")]
    assert seen["haip_paused", "sender", "AGENT"] == 1
    unsaid = {"haip_breaches_total", "haip_waiting_threads", "haip_oldest_wait_seconds"}
    assert not any(labels[0] in unsaid for labels in seen), "the peer has sent nothing, and nobody waits"
    assert (seen["haip_connected", "sender"], seen["haip_reconnects_total", "sender"]) == (1, 0)
    assert seen["haip_wait_seconds_count", "sender", "USER", "messages"] == waits.count >= 1
    assert seen["haip_wait_seconds_sum", "sender", "USER", "messages"] == pytest.approx(waits.total_s)
    reached = [seen["haip_wait_seconds_bucket", "sender", "USER", "messages", repr(edge_s)] for edge_s in WAIT_EDGES_S]
    assert reached == list(waits.reached) == sorted(reached)
    assert seen["haip_wait_seconds_bucket", "sender", "USER", "messages", "+Inf"] == waits.count


def test_a_blocked_script_is_seen(server: DevServer) -> None:
    """Threads that wait, the backlog, and since when."""
    with HAIPClient(server.url, name="sender") as client:
        client.send_text_message("USER", "x", timeout=PATIENCE_S)
        waiting = threading.Thread(target=lambda: client.wait_for_credits("USER", messages=5, timeout=PATIENCE_S))
        waiting.start()
        until(lambda: client.connection_state().channels["USER"].oldest_wait > 0)
        seen = scraped(HaipCollector([client]))
        assert (seen["haip_waiting_threads", "sender", "USER"], seen["haip_backlog", "sender", "USER"]) == (1, 1)
        assert seen["haip_oldest_wait_seconds", "sender", "USER"] > 0
        client.request_credits("USER", messages=5)
        waiting.join(PATIENCE_S)
    assert scraped(HaipCollector([client]))["haip_connected", "sender"] == 0


@pytest.mark.parametrize("name", ["plain", 'a "quoted" \\ name', "two\nlines", "grün {a=b}, # HELP"])
def test_the_exposition_passes_the_librarys_own_parsers(server: DevServer, name: str) -> None:
    """Both of them, whatever a client is called."""
    registry = CollectorRegistry()
    with HAIPClient(server.url, name=name) as client:
        client.send_text_message("USER", "x", timeout=PATIENCE_S)
        blocked(client)
        registry.register(HaipCollector([client]))
        classic = list(parser.text_string_to_metric_families(generate_latest(registry).decode()))
        modern = list(_parser.text_string_to_metric_families(_exposition.generate_latest(registry).decode()))
    assert {family.name for family in classic} == {family.name for family in modern}
    for families in (classic, modern):
        (histogram,) = [family for family in families if family.type == "histogram"]
        assert {sample.labels["cause"] for sample in histogram.samples} == {"messages"}
        assert {sample.labels["client"] for family in families for sample in family.samples} == {name}
    assert openmetrics


def test_without_clients_it_tells_of_all_that_there_are() -> None:
    """Also of those that are made later; one that nobody holds any more is gone at the next scrape."""
    collector = HaipCollector()
    first = HAIPClient(URL, name="all first")
    assert ("haip_connected", "all first") in scraped(collector)
    second = HAIPClient(URL, name="all second")
    assert {("haip_connected", "all first"), ("haip_connected", "all second")} <= scraped(collector).keys()
    del first
    gc.collect()
    seen = scraped(collector)
    assert ("haip_connected", "all first") not in seen
    assert ("haip_connected", "all second") in seen
    assert second in roster.clients()


def test_clients_of_one_name_are_told_apart() -> None:
    """Two series of the same labels would cost Prometheus the whole scrape; the name that one has stays when another goes."""
    clients = [HAIPClient(URL, name="twin") for _ in range(3)]
    collector = HaipCollector(clients)
    names = ["twin", "twin (2)", "twin (3)"]
    assert [key[1] for key in scraped(collector) if key[0] == "haip_connected"] == names
    del clients[0]
    gc.collect()
    assert [key[1] for key in scraped(collector) if key[0] == "haip_connected"] == names[1:]


def test_channels_beyond_the_bound_are_summed_up() -> None:
    """The well-known ones come first; what had a label keeps it, and the rest is one series whose sums are true."""
    config = FlowControlConfig(max_credits={f"C{number:02}": number for number in range(1, 31)})
    client = HAIPClient(URL, name="many", flow_control=config)
    collector = HaipCollector([client], most_channels=7)
    for _ in range(2):
        caps = {key[2]: value for key, value in scraped(collector).items() if key[0] == "haip_max_credits"}
        assert set(caps) == {"USER", "AGENT", "SYSTEM", "AUDIO_IN", "AUDIO_OUT", "C01", "C02", OTHER}
        assert caps[OTHER] == sum(range(3, 31))


def test_clients_beyond_the_bound_are_summed_up() -> None:
    """As one client, channel by channel."""
    clients = [HAIPClient(URL, name=f"c{number}") for number in range(5)]
    seen = scraped(HaipCollector(clients, most_clients=2))
    assert {key[1] for key in seen} == {"c0", "c1", OTHER}
    assert seen["haip_max_credits", OTHER, "USER"] == 300
    assert seen["haip_max_credits", "c0", "USER"] == 100


@pytest.mark.parametrize("bounds", [{"most_channels": 0}, {"most_clients": -1}, {"most_channels": "5"}])
def test_a_bound_must_be_a_number_from_one(bounds: dict[str, int]) -> None:
    """It is a setting like any other."""
    with pytest.raises(ConfigError, match=next(iter(bounds))):
        HaipCollector(**bounds)


@pytest.mark.parametrize("clients", [True, 5, [1], "xy", [HAIPClient]])
def test_what_is_no_client_is_refused(clients: Any) -> None:
    """What lists no clients is refused by the argument's name."""
    with pytest.raises(ConfigError, match="clients must"):
        HaipCollector(clients)


def test_one_client_is_no_list_of_clients() -> None:
    """The client itself in place of a list of clients is refused."""
    clients: Any = HAIPClient(URL)
    with pytest.raises(ConfigError, match="clients must list HAIPClients"):
        HaipCollector(clients)


def test_registering_reads_no_client() -> None:
    """The families are described without a sample, under the names that they are collected under."""
    client = HAIPClient(URL, name="described")
    collector = HaipCollector([client])
    described, collected = list(collector.describe()), list(collector.collect())
    assert [(family.name, family.type) for family in described] == [(family.name, family.type) for family in collected]
    assert all(not family.samples for family in described)


def test_scrapes_at_once_agree() -> None:
    """Several of them, while clients come and go."""
    collector = HaipCollector()
    over = threading.Event()

    def stir() -> None:
        while not over.is_set():
            HAIPClient(URL, name="stirred")

    stirring = threading.Thread(target=stir)
    kept = HAIPClient(URL, name="kept for scrapes")
    stirring.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            seen = list(pool.map(lambda _: scraped(collector), range(20)))
    finally:
        over.set()
        stirring.join(PATIENCE_S)
    assert all(("haip_credits", kept.name, "USER") in each for each in seen)


@pytest.mark.parametrize("place", ["note", "labels"])
def test_a_scrape_in_the_middle_of_another_of_the_same_thread(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a signal handler has it: it comes back, tells of whom has labels already, and the interrupted one tells of all."""
    known, fresh = (HAIPClient(URL, name=name) for name in ("known", "fresh"))
    clients = [known]
    monkeypatch.setattr(roster, "clients", lambda: list(clients))
    collector = HaipCollector()
    scraped(collector)
    clients.append(fresh)
    nested: list[set[str]] = []
    plain = getattr(Given, place)

    def interrupted(given: Given, *arguments: Any, **more: Any) -> Any:
        if not nested:
            nested.append(set())  # first: the scrape in the middle comes by here too
            nested[0] |= {labels[1] for labels in scraped(collector)}
        return plain(given, *arguments, **more)

    monkeypatch.setattr(Given, place, interrupted)
    seen: list[set[str]] = []
    scraping = threading.Thread(target=lambda: seen.append({labels[1] for labels in scraped(collector)}), daemon=True)
    scraping.start()
    scraping.join(PATIENCE_S)
    assert (nested, seen) == ([{"known"}], [{"known", "fresh"}])


def test_the_library_does_not_load_it() -> None:
    """Free when not used, and not needed to be installed."""
    code = "import sys, haip_sync; print('prometheus_client' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S, check=True)  # noqa: S603
    assert ran.stdout.strip() == "False"


def test_a_forked_child_tells_of_its_own_clients_only() -> None:
    """Its parent's are told of by the parent."""
    code = """
import os, sys
from prometheus_client import CollectorRegistry, generate_latest
from haip_sync import HAIPClient
from haip_sync.integrations.prometheus import HaipCollector
registry = CollectorRegistry()
registry.register(HaipCollector())
parents = HAIPClient("ws://localhost:1", name="parents")
child = os.fork()
if child:
    os.waitpid(child, 0)
else:
    own = HAIPClient("ws://localhost:1", name="own")
    os.write(1, generate_latest(registry))
    os._exit(0)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S, check=True)  # noqa: S603
    assert 'haip_connected{client="own"} 0.0' in ran.stdout
    assert "parents" not in ran.stdout
