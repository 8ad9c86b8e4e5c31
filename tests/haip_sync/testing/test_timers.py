"""Alarms ring in order, not before their time, and on a clock that a test may move by hand."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from haip_sync.errors import ConfigError
from haip_sync.testing.timers import Alarms, ManualClock, SystemClock

TIMEOUT_S = 5.0


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands still."""
    return ManualClock()


@pytest.fixture
def alarms(clock: ManualClock) -> Iterator[Alarms]:
    """Return a running timer on that clock."""
    alarms = Alarms(clock, "test-timer")
    alarms.start()
    yield alarms
    alarms.stop()


def test_alarms_ring_in_the_order_of_their_times(clock: ManualClock, alarms: Alarms) -> None:
    """The nearest rings first, whatever the order in which they were set; equal ones as they were set."""
    rung: SimpleQueue[str] = SimpleQueue()
    for due, name in ((3.0, "d"), (1.0, "a"), (2.0, "b"), (2.0, "c")):
        alarms.at(due, lambda name=name: rung.put(name))
    clock.advance(3.0)
    assert [rung.get(timeout=TIMEOUT_S) for _ in range(4)] == ["a", "b", "c", "d"]


def test_an_alarm_does_not_ring_before_its_time(clock: ManualClock, alarms: Alarms) -> None:
    """A clock that stops short wakes nobody: the later alarm comes after the earlier one only when it is due."""
    rung: SimpleQueue[float] = SimpleQueue()
    alarms.at(2.0, lambda: rung.put(clock.now()))
    alarms.at(1.0, lambda: rung.put(clock.now()))
    clock.advance(1.5)
    assert rung.get(timeout=TIMEOUT_S) == 1.5
    clock.advance(0.5)
    assert rung.get(timeout=TIMEOUT_S) == 2.0


def test_a_nearer_alarm_overtakes_the_one_that_is_waited_for() -> None:
    """On the real clock too, an alarm that is due now does not wait for one that is due in an hour."""
    alarms = Alarms(SystemClock(), "test-timer")
    alarms.start()
    rung = threading.Event()
    alarms.at(SystemClock().now() + 3600, lambda: None)
    alarms.at(SystemClock().now() + 0.01, rung.set)
    assert rung.wait(TIMEOUT_S)
    alarms.stop()


def test_a_stopped_timer_forgets_everything(clock: ManualClock, alarms: Alarms) -> None:
    """After `stop` nothing rings, nothing can be set, and stopping again is no error."""
    rung: list[int] = []
    alarms.at(1.0, lambda: rung.append(1))
    alarms.stop()
    alarms.at(0.0, lambda: rung.append(2))
    clock.advance(5.0)
    alarms.stop()
    assert rung == []


def test_a_callback_may_stop_the_timer(alarms: Alarms) -> None:
    """Stopping from a callback does not wait for itself."""
    done = threading.Event()

    def stop() -> None:
        alarms.stop()
        done.set()

    alarms.at(0.0, stop)
    assert done.wait(TIMEOUT_S)


def test_a_manual_clock_never_goes_back(clock: ManualClock) -> None:
    """A negative step is a `ConfigError`."""
    with pytest.raises(ConfigError):
        clock.advance(-1.0)


def test_a_callback_that_raises_is_reported(alarms: Alarms, caplog: pytest.LogCaptureFixture) -> None:
    """The alarms after it still ring."""
    rung = threading.Event()
    alarms.at(0.0, threading.Lock().release)
    alarms.at(0.0, rung.set)
    assert rung.wait(TIMEOUT_S)
    assert "a timed call failed" in caplog.text
