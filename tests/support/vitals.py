"""What a process holds: memory, descriptors, threads. Where the system does not say, nothing."""

from __future__ import annotations

import os
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import Final, NamedTuple

_PROC: Final = Path("/proc/self")
_SAMPLE_S: Final = 0.5


class Vitals(NamedTuple):
    """What a process holds at one moment."""

    rss_mib: float
    """What the system counts: pages that the allocator keeps, and pieces between objects, too."""
    blocks: int
    """How many pieces of memory Python's objects hold."""
    descriptors: int
    threads: int

    @classmethod
    def now(cls) -> Vitals:
        """Return them as they are."""
        if not (_PROC / "statm").exists():
            return cls(0.0, sys.getallocatedblocks(), 0, threading.active_count())
        pages = int((_PROC / "statm").read_text().split()[1])
        rss_mib = pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
        return cls(rss_mib, sys.getallocatedblocks(), len(os.listdir(_PROC / "fd")), threading.active_count())


class Watch(threading.Thread):
    """Looks at the process twice a second until `over` is set."""

    def __init__(self, over: threading.Event) -> None:
        super().__init__(name="watch", daemon=True)
        self.samples: list[Vitals] = []
        self.took_s = 0.0
        self._over = over

    def run(self) -> None:
        began_s = time.monotonic()
        while not self._over.wait(_SAMPLE_S):
            self.samples.append(Vitals.now())
        self.took_s = time.monotonic() - began_s

    def quarter(self, number: int) -> Vitals:
        """Return the medians of one quarter of the time, from 0."""
        size = max(1, len(self.samples) // 4)
        part = self.samples[number * size : (number + 1) * size] or self.samples
        rss, *counts = zip(*part, strict=True)
        return Vitals(statistics.median(rss), *(int(statistics.median(count)) for count in counts))
