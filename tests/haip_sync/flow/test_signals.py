"""Real SIGINTs, by the ten thousand, at a main thread that waits for credit."""

from __future__ import annotations

import gc
import mmap
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from support.pest import ABOUT_TO_SLEEP, pestered
from support.turnstiles import PATIENCE_S, Bench, Sender

import haip_sync
from haip_sync.flow.parking import Bell, Parking

SIGNALS = 50_000
# Only a hang reaches it: how long the signals take is the machine's affair.
DEADLINE_S = 500.0
LIBRARY = str(Path(haip_sync.__file__).parent) + os.sep
SWALLOWS = ("_weakrefset.py", "weakref.py")
"""Where the garbage collector calls back: CPython swallows what is raised there, and reports it."""


class TellingParking(Parking):
    """Tells the pest that somebody is about to sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.shared: mmap.mmap | None = None

    def wait(self, condition: Bell, timeout_s: float | None) -> None:
        if self.shared is not None:
            self.shared[ABOUT_TO_SLEEP] = 1
        super().wait(condition, timeout_s)


class Interrupts:
    """A SIGINT handler as Python's own, but that it spares the test's own lines; the signals, and now and then a grant."""

    def __init__(self) -> None:
        self.delivered = 0
        self.in_a_wait = 0
        self.granted = 0
        self._over = threading.Event()

    def handle(self, _signal: int, frame: FrameType | None) -> None:
        self.delivered += 1
        if frame is not None and frame.f_code.co_filename.endswith(SWALLOWS):
            return
        while frame is not None:
            if frame.f_code.co_filename.startswith(LIBRARY):
                self.in_a_wait += frame.f_code.co_filename.endswith("parking.py")
                raise KeyboardInterrupt
            frame = frame.f_back

    def _grant(self, bench: Bench) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))  # they are meant for the main thread
        while not self._over.wait(0.002):
            bench.grant(1, 10)
            self.granted += 1

    @contextmanager
    def at_work(self, bench: Bench, parking: TellingParking, directory: Path) -> Iterator[None]:
        """Let it rain signals, and now and then a grant."""
        granter = threading.Thread(target=self._grant, args=(bench,))
        interval_s = sys.getswitchinterval()
        before = signal.signal(signal.SIGINT, self.handle)
        sys.setswitchinterval(1e-5)
        # Hypothesis hangs itself into the garbage collector, which swallows an interrupt there and reports it.
        callbacks, gc.callbacks[:] = gc.callbacks[:], []
        granter.start()
        try:
            with pestered(directory) as parking.shared:
                yield
        finally:
            parking.shared = None
            self._over.set()
            granter.join(PATIENCE_S)
            gc.callbacks[:] = callbacks
            sys.setswitchinterval(interval_s)
            signal.signal(signal.SIGINT, before)


def _what_came_of(bench: Bench, interrupts: Interrupts) -> tuple[dict[str, str], Counter[str]]:
    """Send one message after the other until enough signals were delivered; return what each was told, and how often what."""
    told: dict[str, str] = {}
    counts: Counter[str] = Counter()
    deadline_s = time.monotonic() + DEADLINE_S
    while interrupts.delivered < SIGNALS and time.monotonic() < deadline_s:
        label = f"m{len(told)}"
        try:
            bench.send(label)
        except BaseException as exc:
            told[label] = " ".join(getattr(exc, "__notes__", []))
            counts[repr(exc)] += 1
        else:
            told[label] = "returned"
            counts["returned"] += 1
    return told, counts


def _check_told(told: dict[str, str], labels: list[str]) -> None:
    """Check that nothing left twice, that all that returned has left, and that every interrupt told the truth."""
    left = set(labels)
    assert len(left) == len(labels)
    for label, what in told.items():
        if what.endswith(("returned", "it is sent.")):
            assert label in left, f"{label} did not leave: {what}"
        elif what.endswith("nothing was sent."):
            assert label not in left, f"{label} left: {what}"


@pytest.mark.skipif(sys.platform == "win32", reason="needs Unix signals")
@pytest.mark.timeout(600)
def test_fifty_thousand_interrupts_of_a_wait(tmp_path: Path) -> None:
    """After 50,000 SIGINTs at a thread that waits for credit the lock is free, the books balance and the next sender enters."""
    parking = TellingParking()
    bench = Bench(messages=0, byte_credits=0, parking=parking)
    interrupts = Interrupts()
    with interrupts.at_work(bench, parking, tmp_path):
        told, counts = _what_came_of(bench, interrupts)
    sys.stdout.write(f"{interrupts.delivered} SIGINTs delivered, {interrupts.in_a_wait} in a wait; {dict(counts)}\n")
    assert interrupts.delivered >= SIGNALS, "the signals are too slow"
    assert interrupts.in_a_wait >= SIGNALS / 2, "most must strike a thread that waits"
    assert set(counts) == {"KeyboardInterrupt()", "returned"}
    _check_told(told, bench.outlet.labels)

    following = Sender(bench, "next")
    following.start()
    bench.grant(1, 10)
    assert following.finish() is None
    with pytest.raises(RuntimeError, match="un-acquired"):
        parking.lock.release()
    bench.grant(1, 10)
    bench.send("last", timeout_s=0)
    assert bench.outlet.labels[-1] == "last"
    assert [cargo.seq for cargo in bench.outlet.committed] == list(range(1, len(bench.outlet.committed) + 1))
    ledger = bench.ledger()
    assert ledger.is_conserved()
    assert ledger.messages.spent == len(bench.outlet.committed)
    assert ledger.messages.granted == interrupts.granted + 2
    assert bench.waiting() == 0
    assert not bench.turnstile.gate("USER").queue
