"""When a series begins, that it stays, and that the names are what Prometheus's own linter asks for."""

from __future__ import annotations

import re

import msgspec
from prometheus_client.core import Metric

from haip_sync import WaitCause
from haip_sync.flow.metrics import MetricsRecorder
from haip_sync.integrations.prometheus import HaipCollector
from haip_sync.integrations.series import BALANCES, BREACHES, CREDIT, HOLDS, OTHER, QUEUES, STANDING, Given, Group, Scrape
from haip_sync.runtime.account import Account, Balance

_CALM = Balance(
    credits=100,
    byte_credits=512 * 1024,
    max_credits=100,
    max_credit_bytes=512 * 1024,
    backlog=0,
    waiting=0,
    oldest_wait=0.0,
    paused=False,
    sent_messages=0,
    received_messages=0,
    receive_breaches=0,
)


def make_channel(**changes: object) -> Balance:
    """Return a calm channel, changed as asked."""
    return msgspec.structs.replace(_CALM, **changes)


def told(given: Given, *, counts: MetricsRecorder | None = None, **channels: Balance) -> Scrape:
    """Return what a scrape of a client in this state has read."""
    account, scrape = Account(True, 1, channels, (counts or MetricsRecorder()).channels), Scrape()
    given.note(account, most_channels=2)
    scrape.add(given, account)
    return scrape


def having(scrape: Scrape, group: Group) -> dict[str, tuple[float, ...]]:
    """Return the rows of one group by channel."""
    rows = scrape.rows()[group]
    return dict(zip((channel for _, channel in rows), zip(*(figure.of(rows) for figure in group), strict=True), strict=True))


def test_the_series_of_a_queue_begin_with_what_first_waits_and_stay() -> None:
    """Whether it stands there at the scrape, or has come and gone before it; the first may leave no trace in the metrics."""
    given, counts = Given("client"), MetricsRecorder()
    assert having(told(given, USER=make_channel(), AGENT=make_channel()), QUEUES) == {}
    queued = make_channel(backlog=2, oldest_wait=1.5)
    assert having(told(given, USER=queued, AGENT=make_channel()), QUEUES) == {"USER": (2,)}
    counts.waited("AGENT", WaitCause.BYTES, 0.25)
    later = told(given, counts=counts, USER=make_channel(), AGENT=make_channel())
    assert having(later, QUEUES) == {"USER": (0,), "AGENT": (0,)}


def test_threads_and_their_wait_are_told_while_something_stands() -> None:
    """A backlog of 0 says it all of the others."""
    given = Given("client")
    queued = make_channel(backlog=2, oldest_wait=1.5)
    assert having(told(given, USER=queued, AGENT=make_channel()), STANDING) == {"USER": (0, 1.5)}
    assert having(told(given, USER=make_channel(), AGENT=make_channel()), STANDING) == {}


def test_breaches_are_told_of_channels_that_the_peer_sends_on() -> None:
    """From its first frame on, before there is a breach: Prometheus sees a counter grow only if it knew it before."""
    given = Given("client")
    heard = make_channel(received_messages=1)
    assert having(told(given, USER=make_channel(), AGENT=heard), BREACHES) == {"AGENT": (0,)}
    again = make_channel(receive_breaches=3)
    assert having(told(given, USER=again, AGENT=make_channel()), BREACHES) == {"USER": (3,), "AGENT": (0,)}


def test_holds_are_told_while_they_last() -> None:
    """Balances are told of all channels at all times."""
    given = Given("client")
    scrape = told(given, USER=make_channel(paused=True), AGENT=make_channel())
    assert having(scrape, HOLDS) == {"USER": (True,)}
    assert set(having(scrape, BALANCES)) == {"USER", "AGENT"}
    assert having(told(given, USER=make_channel(), AGENT=make_channel()), HOLDS) == {}


def test_what_is_beyond_the_bound_is_put_together_figure_by_figure() -> None:
    """Sums, and of waits the longest; a channel that never waited adds nothing."""
    given = Given("client")
    scrape = told(
        given,
        USER=make_channel(),
        AGENT=make_channel(),
        A=make_channel(credits=1, backlog=1, waiting=1, oldest_wait=2.0),
        B=make_channel(credits=2, backlog=3, waiting=1, oldest_wait=1.0),
        C=make_channel(credits=4),
    )
    assert having(scrape, QUEUES) == {OTHER: (4,)}
    assert having(scrape, STANDING) == {OTHER: (2, 2.0)}
    assert having(scrape, BALANCES)[OTHER][0] == 7


def test_what_was_counted_beyond_the_bound_is_put_together() -> None:
    """Grants, and waits cause by cause; what each client counts stays its own."""
    given, counts = Given("client"), MetricsRecorder()
    for channel, wait_s in (("A", 0.25), ("B", 2.0), ("USER", 9.0)):
        counts.received(channel, 5, 50)
        counts.waited(channel, WaitCause.BYTES, wait_s)
    counts.waited("B", WaitCause.SOCKET, 1.0)
    scrape = told(given, counts=counts.copy(), **dict.fromkeys(("USER", "AGENT", "A", "B"), make_channel()))
    assert having(scrape, CREDIT) == {"USER": (0, 5, 50), OTHER: (0, 10, 100)}
    waits = {(channel, cause): (each.count, each.total_s) for (_, channel), cause, each in scrape.waits()}
    assert waits == {("USER", "bytes"): (1, 9.0), (OTHER, "bytes"): (2, 2.25), (OTHER, "socket"): (1, 1.0)}


def test_the_names_are_as_the_linter_of_prometheus_asks() -> None:
    """`promtool check metrics`: base units, no type in the name, `_total` for counters only, no reserved endings, a help text."""
    families: list[Metric] = list(HaipCollector([]).describe())
    assert len(families) == 15
    for family in families:
        assert re.fullmatch(r"haip(_[a-z]+)+", family.name)
        assert family.documentation.endswith(".")
        assert not re.search(r"_(total|count|sum|bucket|info)$", family.name), "the library adds them"
        assert not re.search(r"_(gauge|counter|histogram|summary|metric)(_|$)", family.name)
        assert not re.search(r"_(s|ms|us|sec|secs|millis|milliseconds|minutes|kb|mb|kilobytes|b)(_|$)", family.name)
        assert family.type in {"gauge", "counter", "histogram"}
