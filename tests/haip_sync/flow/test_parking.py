"""How threads wait: whatever strikes, who comes back from a wait holds the lock."""

from __future__ import annotations

import sys
from itertools import count
from types import FrameType
from typing import Any

from support.interrupts import every_interrupt, interrupted_at

from haip_sync.flow.parking import Parking


class _StruckBeforeSleep:
    """A condition whose waiter is interrupted in the one gap that `threading.Condition` has: lock let go, not yet asleep."""

    def __init__(self, parking: Parking) -> None:
        self._parking = parking

    def notify(self, n: int = 1) -> None:
        raise NotImplementedError

    notify_all = notify

    def wait(self, timeout: float | None = None) -> bool:
        self._parking.lock.release()
        raise KeyboardInterrupt("first")


def _nothing() -> None:
    """Do nothing."""


_BEFORE = (_StruckBeforeSleep.wait.__code__, _nothing.__code__)
"""What is entered before the first interrupt."""


class _Second:
    """Interrupts once more, on entering the n-th function that `Parking.wait` calls, itself or by others."""

    def __init__(self, place: int) -> None:
        self._left = place
        self.fired = False

    def trace(self, frame: FrameType, event: str, _arg: Any) -> None:
        if event == "call" and not self.fired and frame.f_code not in _BEFORE and _is_in_wait(frame):
            self._left -= 1
            if self._left < 0:
                self.fired = True
                raise KeyboardInterrupt("second")


def _is_in_wait(frame: FrameType) -> bool:
    callers = []
    while frame.f_back is not None:
        frame = frame.f_back
        callers.append(frame.f_code)
    return Parking.wait.__code__ in callers


def _interrupt_of_a_wait(parking: Parking, second: _Second) -> BaseException | None:
    """Wait, with two interrupts; return what came out."""
    before = sys.gettrace()
    sys.settrace(second.trace)
    try:
        parking.wait(_StruckBeforeSleep(parking), None)
    except BaseException as exc:
        return exc
    finally:
        sys.settrace(before)
    return None


def test_a_second_interrupt_on_the_way_out_of_a_wait() -> None:
    """A waiter struck in the gap before sleep holds the lock on its way out, wherever a second interrupt strikes it there."""
    for place in count():
        parking = Parking()
        parking.before_sleep = _nothing
        second = _Second(place)
        parking.lock.acquire()
        assert str(_interrupt_of_a_wait(parking, second)) == "first"
        assert parking.is_held_here()
        if not second.fired:
            assert place > 1
            return


def test_a_bell_rings_once() -> None:
    """A bell that is rung before anybody waits, however often, wakes the next wait and no other."""
    parking = Parking()
    bell = parking.new_bell()
    with parking.lock:
        bell.notify()
        bell.notify()
        parking.wait(bell, None)
        assert not bell.wait(0.0)
        assert parking.is_held_here()


def test_an_interrupt_anywhere_in_a_wait_on_a_bell() -> None:
    """Wherever an interrupt strikes a wait on a bell, who comes out of it holds the lock, once."""

    def run(place: int) -> bool:
        parking = Parking()
        bell = parking.new_bell()
        parking.lock.acquire()
        bell.notify()
        fired, raised = interrupted_at(place, lambda: parking.wait(bell, None))
        assert isinstance(raised, KeyboardInterrupt) == fired
        assert parking.is_held_here()
        parking.lock.release()
        assert not parking.is_held_here()
        return fired

    assert len(list(every_interrupt(run))) > 5
