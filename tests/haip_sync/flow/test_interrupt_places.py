"""The places where the tests raise interrupts are those where this CPython delivers real signals."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections import Counter
from types import FrameType

import pytest
from support.interrupts import DELIVERS, every_interrupt, interrupted_at, is_library, opcode_name
from support.turnstiles import PATIENCE_S, Bench

ENOUGH = 500
EVERY_S = 5e-5


def places_of_a_send() -> int:
    """Return how many places there are in one uncontended send."""

    def run(place: int) -> bool:
        bench = Bench(messages=1)
        fired, _ = interrupted_at(place, lambda: bench.send("one", timeout_s=0))
        return fired

    return len(list(every_interrupt(run)))


@pytest.mark.skipif(sys.platform == "win32", reason="needs Unix signals")
def test_real_signals_arrive_only_where_the_tests_raise() -> None:
    """Of hundreds of signals at the library's code, each arrives after an instruction that the injector knows."""
    seen: Counter[str] = Counter()

    def note(_signal: int, frame: FrameType | None) -> None:
        if frame is not None and is_library(frame.f_code) and frame.f_code.co_filename != __file__:
            # 3.11 does many a call in PRECALL and skips the CALL behind it; under a trace function it is the CALL that does it.
            seen[opcode_name(frame).removeprefix("PRE")] += 1

    before = signal.signal(signal.SIGALRM, note)
    signal.setitimer(signal.ITIMER_REAL, EVERY_S, EVERY_S)
    deadline_s = time.monotonic() + PATIENCE_S
    try:
        while seen.total() < ENOUGH and time.monotonic() < deadline_s:
            bench = Bench(messages=20)
            for number in range(20):
                bench.send(str(number), timeout_s=0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert seen.total() >= ENOUGH
    assert set(seen) <= DELIVERS, seen


def test_every_place_is_found_beside_another_thread() -> None:
    """A thread that executes the same code meanwhile hides no place from the injector."""
    alone = places_of_a_send()
    over = threading.Event()

    def send_on() -> None:
        while not over.is_set():
            Bench(messages=1).send("other", timeout_s=0)

    other = threading.Thread(target=send_on)
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    other.start()
    try:
        beside = places_of_a_send()
    finally:
        over.set()
        other.join(PATIENCE_S)
        sys.setswitchinterval(interval_s)
    assert alone == beside > 20
