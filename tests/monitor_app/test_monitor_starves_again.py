"""A channel whose grants are used up at once, again and again: what is said of it is that of its last stop, or of all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from haip_sync import HAIPClient, HAIPError
from haip_sync.testing import Bursty, DevServer, ManualClock
from monitor_app.model.activity import Activity
from monitor_app.model.answer import likely_cause, title_of
from monitor_app.model.client_source import ClientSource
from monitor_app.model.explanations import headline
from monitor_app.model.figures import figures_of
from monitor_app.model.ingest import Ingest
from monitor_app.model.tracker import ChannelTracker
from monitor_app.model.units import format_duration

EVERY_S = 4.0
PATIENCE_S = 20.0


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until something holds; fail where it does not come to hold."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"{what} did not come"


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock that the server grants by."""
    return ManualClock()


@pytest.fixture
def server(clock: ManualClock) -> Iterator[DevServer]:
    """Yield a server that gives back all that was spent, 4 s after the first of it came."""
    with DevServer(policy=Bursty(EVERY_S), agent=False, initial_credits=8, clock=clock) as started:
        yield started


@pytest.fixture
def client(server: DevServer) -> Iterator[HAIPClient]:
    """Yield a client with three senders on USER, whose texts take three messages each; six are granted every 4 s."""
    with HAIPClient(server.url, inbox="listeners") as made:
        senders = [threading.Thread(target=send_on_and_on, args=(made,), name=f"sender-{number}") for number in range(3)]
        for sender in senders:
            sender.start()
        yield made
    for sender in senders:
        sender.join(PATIENCE_S)


def send_on_and_on(client: HAIPClient) -> None:
    """Send texts for as long as the client is open."""
    while True:
        try:
            client.send_text_message("USER", "a text")
        except HAIPError:
            return


def look(client: HAIPClient, server: DevServer, ingest: Ingest, grants: int) -> ChannelTracker:
    """Look when all three stand again after so many grants, and all of those are known; return what is known of USER."""
    session = server.wait_for_session(timeout=PATIENCE_S)

    def stands() -> bool:
        state = client.connection_state().channels["USER"]
        # The server's clock stands still until it has heard all that was sent: what comes later is granted later.
        return (state.sent_messages, state.waiting, session.text_count) == (6 * (grants + 1), 3, 2 * (grants + 1))

    def is_known() -> bool:
        ingest.tick()
        tracker = ingest.tracker("USER")
        return tracker is not None and tracker.grants.count(0.0, float("inf")) == grants

    until(stands, f"a stop after {grants} grants")
    until(is_known, "the grant's event")
    tracker = ingest.tracker("USER")
    assert tracker is not None
    return tracker


def test_sentence_figures_and_explanation_agree_on_stops_that_grants_part(
    client: HAIPClient, server: DevServer, clock: ManualClock
) -> None:
    """No look ever saw the channel send, and yet its stop is no older than the last grant, and the longest is one of three."""
    ingest = Ingest(ClientSource(client))
    look(client, server, ingest, 0)
    for grants in (1, 2):
        clock.advance(EVERY_S)
        tracker = look(client, server, ingest, grants)
    later_s = time.monotonic() + 37.0  # nothing is granted meanwhile
    view = tracker.view(later_s)
    assert view.grant_age_s is not None
    assert view.status_s <= view.grant_age_s == pytest.approx(view.status_s, abs=1.0)
    assert title_of(view) == f"USER is starved of messages for {format_duration(view.status_s)}"
    assert headline(view) == f"STARVED of messages for {format_duration(view.status_s)}"
    assert client.explain("USER").likely_cause == likely_cause(tracker.view(time.monotonic()))
    stops = [run for run in tracker.activity.runs.between(0.0, later_s) if run.state is Activity.NO_MESSAGES]
    figures = figures_of(tracker, ingest.history, stops[0].start_s, stops[-1].end_s)
    assert len(stops) == 3
    assert figures.longest_stop_s == pytest.approx(max(stop.end_s - stop.start_s for stop in stops))
    ingest.source.close()
