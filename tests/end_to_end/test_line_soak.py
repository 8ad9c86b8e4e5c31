"""Thirty-two threads over a line that is delayed, throttled, stalled and cut at random: nothing is lost, nothing comes twice.

`HAIP_SYNC_SOAK_S` makes it longer than 15 seconds, `HAIP_SYNC_SOAK_SEED` repeats the dice of an earlier run, not its
interleaving.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing

import pytest
from support.auditor import Auditor
from support.books import check_books
from support.talkers import CHANNELS, Account, Hearer, Talker
from support.turnstiles import until
from support.vitals import Vitals, Watch
from support.weather import Weather

from haip_sync import Event, FlowControlConfig, FramesLost, HAIPClient, HeartbeatPolicy, ReconnectPolicy, SendUnconfirmed
from haip_sync.testing import DevServer, FaultProxy

THREADS = 32
SOAK_S = float(os.environ.get("HAIP_SYNC_SOAK_S", "15"))
SEED = int(os.environ.get("HAIP_SYNC_SOAK_SEED", random.SystemRandom().randrange(10**9)))
_JOIN_S = 90.0
_MOST_GROWTH_MIB = 24.0
_MOST_GROWTH = 1.25
"""Of the pieces of memory that objects hold: in a short run the windows of what is remembered still fill."""
_MOST_MORE_DESCRIPTORS = 8
_CREDIT = FlowControlConfig(initial_credits=40, max_credits=40, max_credit_bytes=30_000, queue_max_messages=200)
_PATIENT = ReconnectPolicy(initial_delay=0.02, max_delay=0.3)
# The server keeps so many frames of so many lines, for tests to look at: memory grows until it has them.
_KEEP_RECEIVED = 20
_KEEP_SESSIONS = 10
# Above what the weather holds a HAI up: otherwise the server begins anew, and what was under way is indeterminate.
_RESUME_WAIT_S = 20.0
_HEARTBEAT = HeartbeatPolicy(interval=0.5, timeout=1.5)


@pytest.mark.timeout(SOAK_S + 2 * _JOIN_S + 60)
def test_whatever_the_line_goes_through_each_text_is_answered_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Each text is answered once or was reported as not sent, the books agree, memory and descriptors stay as they were."""
    sys.stdout.write(f"HAIP_SYNC_SOAK_SEED={SEED}\n")
    over, account, told = threading.Event(), Account(), list[Event]()
    before = Vitals.now()
    server = DevServer(
        initial_credits=12,
        initial_credit_bytes=6_000,
        keep_received=_KEEP_RECEIVED,
        keep_sessions=_KEEP_SESSIONS,
        resume_wait=_RESUME_WAIT_S,
    )
    with (
        server,
        FaultProxy(server.url, seed=SEED) as proxy,
        closing(HAIPClient(proxy.url, flow_control=_CREDIT, reconnect=_PATIENT, heartbeat=_HEARTBEAT)) as client,
    ):
        client.subscribe(told.append, SendUnconfirmed, FramesLost)
        client.connect()
        weather, hearer = Weather(proxy, SEED, over), Hearer(client, account)
        talkers, watch = [Talker(client, account, number, SEED, over) for number in range(THREADS)], Watch(over)
        auditor = Auditor(server, over)
        for thread in (watch, hearer, weather, auditor, *talkers):
            thread.start()
        over.wait(SOAK_S)
        over.set()
        _join(client, (watch, weather, auditor, *talkers))
        _wait_for_answers(client, server, account)
        for channel in CHANNELS:
            check_books(client, server.sessions[-1], channel)
        lines, history = client.connection_state().epoch, server.client()
        auditor.look()
        client.close()
        _join(client, (hearer,))
    with capsys.disabled():
        sys.stdout.write(f"\n{_figures(talkers, account, weather, watch, lines, before)}\n")
    assert (account.wrong, told, auditor.breaches, history.lost) == ([], [], [], ())
    assert lines > SOAK_S / 6
    _check_flat(watch)


def _join(client: HAIPClient, threads: Sequence[Talker | Weather | Watch | Hearer | Auditor]) -> None:
    """Wait for every thread; say where it hangs if it does, and raise what it raised."""
    deadline_s = time.monotonic() + _JOIN_S
    for thread in threads:
        thread.join(max(0.0, deadline_s - time.monotonic()))
    hanging = [thread.name for thread in threads if thread.is_alive()]
    assert not hanging, f"{hanging} hang: {[str(client.explain(channel)) for channel in CHANNELS]}, {client.connection_state()}"
    for thread in threads:
        if (raised := getattr(thread, "raised", None)) is not None:
            raise raised


def _wait_for_answers(client: HAIPClient, server: DevServer, account: Account) -> None:
    """Wait until nothing is due any more, as long as there are ever fewer; say how both sides stand if there are not."""
    while left := len(account.due):
        try:
            until(lambda n=left: len(account.due) < n)
        except AssertionError as exc:
            books = [(channel, server.sessions[-1].books(channel)) for channel in (*CHANNELS, "AGENT")]
            raise AssertionError(
                f"{left} answers never came: {client.connection_state()}, {books}, {server.sessions[-1]}"
            ) from exc


def _check_flat(watch: Watch) -> None:
    """Check that the last quarter holds no more than the second: the first is for warming up."""
    early, late = watch.quarter(1), watch.quarter(3)
    assert late.rss_mib - early.rss_mib < _MOST_GROWTH_MIB
    assert late.blocks < early.blocks * _MOST_GROWTH
    assert late.descriptors - early.descriptors < _MOST_MORE_DESCRIPTORS


def _figures(talkers: Sequence[Talker], account: Account, weather: Weather, watch: Watch, lines: int, before: Vitals) -> str:
    """Return what happened, in one paragraph."""
    quarters = [watch.quarter(number) for number in range(4)]
    counts = account.counts
    not_sent = {name: count for name, count in sorted(counts.items()) if name != "answered"}
    return (
        f"line soak: {THREADS} threads for {watch.took_s:.0f} s, seed {SEED}: {sum(talker.said for talker in talkers)} sends, "
        f"{counts['answered']} texts answered once each, none lost, none twice; reported as not sent: {not_sent}; "
        f"{lines} lines; "
        f"spells of weather: {dict(weather.spells)}; memory {before.rss_mib:.0f} MiB before, by quarters of the time "
        f"{', '.join(f'{quarter.rss_mib:.0f}' for quarter in quarters)} MiB, pieces that objects hold "
        f"{', '.join(f'{quarter.blocks:,}' for quarter in quarters)}; descriptors {before.descriptors} before, "
        f"{', '.join(str(quarter.descriptors) for quarter in quarters)}; at the end {Vitals.now().descriptors}"
    )
