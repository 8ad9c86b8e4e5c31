"""The hand-over between the client's threads and the window."""

from __future__ import annotations

import threading

from haip_sync import CreditRequested, WarningRaised
from monitor_app.model.event_buffer import EventBuffer


def event(number: int) -> WarningRaised:
    """Return an event that can be told from others."""
    return WarningRaised(time_s=float(number), text=str(number))


def test_events_come_out_in_their_order_and_no_more_than_asked_for() -> None:
    """A drain takes the oldest first and leaves what is above its limit."""
    buffer = EventBuffer()
    for number in range(5):
        buffer.put(event(number))
    first, second = buffer.drain(3), buffer.drain(3)
    assert [taken.text for taken in (*first.events, *second.events)] == ["0", "1", "2", "3", "4"]
    assert (first.oldest_s, first.dropped, second.dropped) == (0.0, 0, 0)
    assert buffer.drain(3).oldest_s is None


def test_what_a_full_buffer_evicts_is_counted() -> None:
    """The newest events stay, and the number of the lost is exact."""
    buffer = EventBuffer(capacity=3)
    for number in range(10):
        buffer.put(event(number))
    drained = buffer.drain(10)
    assert [taken.text for taken in drained.events] == ["7", "8", "9"]
    assert drained.dropped == 7


def test_nothing_is_lost_uncounted_between_two_threads() -> None:
    """Taken and dropped add up to what was put in, with a writer and a reader at the same time."""
    buffer = EventBuffer(capacity=50)
    total = 20_000

    def write() -> None:
        for number in range(total):
            buffer.put(event(number))

    writer = threading.Thread(target=write)
    writer.start()
    taken = dropped = 0
    while writer.is_alive() or taken + dropped < total:
        drained = buffer.drain(100)
        taken += len(drained.events)
        dropped += drained.dropped
    writer.join()
    assert taken + dropped == total


def test_no_flood_of_grants_washes_a_state_change_away() -> None:
    """What changes a state stays while grants are evicted around it, and comes out in its place among them."""
    buffer = EventBuffer(capacity=3)
    buffer.put(event(0))
    for number in range(1, 100):
        buffer.put(CreditRequested(time_s=float(number), channel="USER", add_messages=1, add_bytes=0, gives_back=True))
    buffer.put(event(100))
    drained = buffer.drain(10)
    assert [taken.time_s for taken in drained.events] == [0.0, 97.0, 98.0, 99.0, 100.0]
    assert drained.dropped == 96
