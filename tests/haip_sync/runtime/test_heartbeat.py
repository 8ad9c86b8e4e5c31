"""The heartbeat, fed with a clock."""

from __future__ import annotations

from haip_sync import HeartbeatPolicy
from haip_sync.runtime.heartbeat import Heartbeat


def beating() -> Heartbeat:
    """Return a heartbeat that has asked at 30 s."""
    heartbeat = Heartbeat(HeartbeatPolicy(interval=30, timeout=10), 0.0)
    heartbeat.asked("n", 30.0)
    return heartbeat


def test_it_asks_at_its_interval() -> None:
    """A PING is due once per interval."""
    heartbeat = Heartbeat(HeartbeatPolicy(interval=30, timeout=10), 0.0)
    assert not heartbeat.is_due(29.9)
    assert heartbeat.is_due(30.0)
    assert heartbeat.next_s() == 30.0
    heartbeat.asked("n", 30.0)
    assert not heartbeat.is_due(60.0), "one that is open is not asked again"
    heartbeat.ponged("n", 30.1)
    assert not heartbeat.is_due(59.9)
    assert heartbeat.is_due(60.0)


def test_the_answer_gives_the_round_trip() -> None:
    """Only the PONG of the last PING counts, once."""
    heartbeat = beating()
    assert heartbeat.ponged("other", 30.1) is None
    assert heartbeat.ponged("n", 30.25) == 0.25
    assert heartbeat.ponged("n", 31.0) is None
    assert heartbeat.round_trip_s == 0.25
    assert not heartbeat.is_lost(100.0)


def test_silence_after_a_ping_is_a_loss() -> None:
    """Nothing at all within the timeout gives the peer up, and the time to look again is known."""
    heartbeat = beating()
    assert heartbeat.next_s() == 40.0
    assert not heartbeat.is_lost(39.9)
    assert heartbeat.is_lost(40.0)


def test_a_ping_that_waits_in_our_own_line_is_not_overdue() -> None:
    """While the peer takes what stands before the PING its time has not begun; what it takes afterwards proves nothing."""
    heartbeat = beating()
    heartbeat.written(38.0, ping_has_left=False)
    assert not heartbeat.is_lost(47.9)
    heartbeat.written(45.0, ping_has_left=True)
    heartbeat.written(54.0, ping_has_left=True)
    assert heartbeat.is_lost(55.0)


def test_a_ping_that_cannot_be_sent_is_put_off() -> None:
    """Where the peer accepts no PING the next look is an interval later, not at once."""
    heartbeat = Heartbeat(HeartbeatPolicy(interval=30, timeout=10), 0.0)
    heartbeat.skip(30.0)
    assert heartbeat.next_s() == 60.0


def test_any_frame_is_a_sign_of_life() -> None:
    """A PONG may stand behind a flood: whatever else arrived proves that the peer is there."""
    heartbeat = beating()
    heartbeat.heard(35.0)
    assert not heartbeat.is_lost(44.9)
    assert heartbeat.next_s() == 45.0
    assert heartbeat.is_lost(45.0), "and then it has to give another"
