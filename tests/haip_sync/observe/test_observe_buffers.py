"""What is kept for monitors, and how much of it: bounded, and never without the latest state."""

from __future__ import annotations

import msgspec
from support.observed import CONNECTED, StandIn

from haip_sync.events import ChannelPaused, ChannelResumed, Event, PongReceived, WarningRaised
from haip_sync.observe.feed import EVENTS_A_ROUND, Batch, Feed
from haip_sync.observe.messages import Happened, from_program
from haip_sync.observe.ring import Ring
from haip_sync.observe.visitor import Attachment, event_frames
from haip_sync.observe.watched import MOST_EVENTS, Offset, Watched


def warning(time_s: float) -> Event:
    """Return an event that may be dropped."""
    return WarningRaised(time_s=time_s, text="w")


def pause(time_s: float, channel: str = "USER") -> Event:
    """Return an event that may not."""
    return ChannelPaused(time_s=time_s, channel=channel, by="us", peer_told=True)


def resume(time_s: float) -> Event:
    """Return what ends it."""
    return ChannelResumed(time_s=time_s, channel="USER", by="us", still_paused=False)


def test_a_feed_gives_what_came_in_order() -> None:
    """Each event once."""
    feed, events = Feed(), [warning(1.0), pause(2.0), warning(3.0)]
    for event in events:
        feed.put(event)
    assert feed.take() == Batch(events, 0)
    assert feed.take() == Batch([], 0)


def test_a_full_feed_counts_what_it_drops_and_keeps_the_latest_states() -> None:
    """Of pauses and resumptions the last of each channel comes, however many there were."""
    feed = Feed(most_events=2)
    for event in [warning(1.0), warning(2.0), warning(3.0), pause(4.0), resume(5.0), pause(6.0, "AGENT"), warning(7.0)]:
        feed.put(event)
    assert feed.take() == Batch([warning(1.0), warning(2.0), resume(5.0), pause(6.0, "AGENT")], 2)
    feed.put(warning(8.0))
    assert feed.take() == Batch([warning(8.0)], 0)


def test_a_warning_that_is_dropped_counts_for_all_that_it_told_of() -> None:
    """In the feed, for a monitor that does not read, and on the monitor's side."""
    lost = WarningRaised(time_s=1.0, text="listeners were too slow and missed 40 events", missed=40)
    feed = Feed(most_events=0)
    feed.put(lost)
    assert feed.take().dropped == 41
    attachment = Attachment("c", every_event=False)
    attachment.hold(Batch([lost], 1))
    body = attachment.held()
    assert body is not None
    said = from_program(body)
    assert isinstance(said, Happened)
    assert said.dropped == 42
    watched = Watched(every_event=False)
    watched.take_in(Happened(client="c", events=(lost,) * (MOST_EVENTS + 2), dropped=1), Offset())
    assert watched.drain(1).dropped == 1 + 2 * 41


def test_a_state_never_overtakes_one_that_came_before_it() -> None:
    """Once a state has overflowed, later ones follow it, though there is room again."""
    feed = Feed(most_events=1)
    feed.put(warning(1.0))
    feed.put(pause(2.0))
    feed._events.clear()  # the service is in the middle of taking
    feed.put(resume(3.0))
    assert feed.take() == Batch([resume(3.0)], 0)


def test_a_feed_listens_only_while_somebody_watches() -> None:
    """The listener is changed before the old one goes, so that nothing is missed in between, and what came late is forgotten."""
    client, feed = StandIn(), Feed()
    feed.follow(client, every_event=False)
    client.emit(warning(1.0), PongReceived(time_s=2.0, round_trip_s=0.1))
    feed.follow(client, every_event=False)
    feed.follow(client, every_event=True)
    assert len(client.listening) == 1
    client.emit(PongReceived(time_s=3.0, round_trip_s=0.1))
    assert [event.time_s for event in feed.take().events] == [1.0, 3.0]
    client.emit(warning(4.0))
    feed.leave()
    feed.leave()
    assert client.listening == []
    assert feed.take() == Batch([], 0)


def test_who_does_not_read_gets_the_latest_states_and_a_count_later() -> None:
    """What was held comes as one message, once."""
    attachment = Attachment("c", every_event=False)
    assert attachment.held() is None
    attachment.hold(Batch([warning(1.0), pause(2.0), warning(3.0), resume(4.0)], 5))
    attachment.hold(Batch([pause(6.0)], 0))
    body = attachment.held()
    assert body is not None
    said = from_program(body)
    assert isinstance(said, Happened)
    assert said.events == (pause(6.0),)
    assert said.dropped == 7
    assert attachment.held() is None


def test_a_large_batch_travels_in_several_messages() -> None:
    """No message grows with what happened; a batch of drops alone is a message too."""
    bodies = event_frames("c", Batch([warning(float(n)) for n in range(1_200)], 3), every_event=True)
    said = [from_program(body) for body in bodies]
    assert [len(each.events) for each in said if isinstance(each, Happened)] == [500, 500, 200]
    assert [each.dropped for each in said if isinstance(each, Happened)] == [3, 0, 0]
    (alone,) = event_frames("c", Batch([], 2), every_event=True)
    assert from_program(alone) == Happened(client="c", events=(), dropped=2)
    assert event_frames("c", Batch([], 0), every_event=True) == []


def test_what_only_others_want_is_not_counted_as_missed() -> None:
    """A flood of gauges for one monitor is no loss of another's, which is told of marks alone."""
    feed = Feed(most_events=1)
    for event in [warning(1.0), warning(2.0), *[PongReceived(time_s=3.0, round_trip_s=0.1) for _ in range(5)]]:
        feed.put(event)
    batch = feed.take()
    assert (batch.dropped, batch.dropped_others) == (1, 5)
    dropped = {every: from_program(event_frames("c", batch, every_event=every)[0]).dropped for every in (False, True)}
    assert dropped == {False: 1, True: 6}
    for every, missed in ((False, 2), (True, 8)):
        attachment = Attachment("c", every_event=every)
        attachment.hold(Batch([warning(1.0), PongReceived(time_s=3.0, round_trip_s=0.1)], 1, 5))
        body = attachment.held()
        assert body is not None
        assert from_program(body).dropped == missed


def test_an_event_that_two_subscriptions_tell_is_kept_once() -> None:
    """While one takes the other's place both are there for a moment."""
    feed, event = Feed(), warning(1.0)
    for each in (event, event, warning(1.0)):
        feed.put(each)
    assert feed.take().events == [event, warning(1.0)]


def test_the_ring_forgets_what_is_too_old() -> None:
    """It holds the last so many seconds, oldest first, and what is drawn of each."""
    ring = Ring(span_s=10.0)
    for second in range(25):
        channel = msgspec.structs.replace(CONNECTED.channels["USER"], credits=second)
        ring.add(float(second), msgspec.structs.replace(CONNECTED, channels={"USER": channel}))
    samples = ring.samples()
    assert [sample.time_s for sample in samples] == [float(second) for second in range(14, 25)]
    assert [sample.channels["USER"].credits for sample in samples] == list(range(14, 25))
    assert all(sample.connected for sample in samples)


def test_the_ring_is_bounded_in_bytes() -> None:
    """With a thousand channels it goes back less far."""
    many = msgspec.structs.replace(CONNECTED, channels={f"C{n}": CONNECTED.channels["USER"] for n in range(1_000)})
    ring = Ring(most_bytes=200_000)
    for second in range(100):
        ring.add(float(second), many)
    times = [sample.time_s for sample in ring.samples()]
    assert times[-1] == 99.0
    assert 1 <= len(times) < 20


def test_a_flood_is_thinned_out_after_its_first_burst() -> None:
    """What comes faster than anybody reads is counted, and the room comes back by and by."""
    feed = Feed(most_events=2 * EVENTS_A_ROUND)

    def rush() -> tuple[int, int]:
        for number in range(3 * EVENTS_A_ROUND):
            feed.put(warning(float(number)))
        batch = feed.take()
        return len(batch.events), batch.dropped

    assert rush() == (2 * EVENTS_A_ROUND, EVENTS_A_ROUND)
    assert rush() == (EVENTS_A_ROUND, 2 * EVENTS_A_ROUND)
    feed.take()
    assert rush() == (2 * EVENTS_A_ROUND, EVENTS_A_ROUND)
