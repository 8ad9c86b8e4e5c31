"""A process that pesters its parent's main thread with SIGINTs, each at a random moment round its falling asleep.

A process and not a thread: it needs no GIL, so that a signal may strike in the middle of anything; and it never sleeps, so that
no wake-up of a processor stands between two signals. It ends with its parent, whatever becomes of that.

Two bytes of a file are shared. The parent sets the first when it is about to sleep, the pest clears it; the second ends the pest.
"""

from __future__ import annotations

import mmap
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

ABOUT_TO_SLEEP, OVER = 0, 1
LATEST_S = 40e-6
"""How long after it was told the pest strikes at the latest: somebody who was about to sleep sleeps by then."""
EVERY_SECOND = 8
"""Every so many times a second signal follows the first, and strikes the sleeper on its way out."""
PATIENCE_S = 20.0


@contextmanager
def pestered(directory: Path) -> Iterator[mmap.mmap]:
    """Send this process a SIGINT, or two, whenever `ABOUT_TO_SLEEP` is set in what this yields."""
    path = directory / "about-to-sleep"
    path.write_bytes(bytes(2))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 2) as shared:
        command = [sys.executable, "-S", __file__, str(os.getpid()), str(path)]
        with subprocess.Popen(command) as pest:  # noqa: S603 - our own command line
            try:
                yield shared
            finally:
                shared[OVER] = 1
                try:
                    pest.wait(PATIENCE_S)
                finally:
                    pest.kill()  # does nothing to one that has ended


def _pester(parent: int, shared: mmap.mmap) -> None:
    rounds = 0
    while not shared[OVER] and os.getppid() == parent:
        if not shared[ABOUT_TO_SLEEP]:
            _give_way()  # on a single processor the parent has to run
            continue
        shared[ABOUT_TO_SLEEP] = 0
        rounds += 1
        for _ in range(1 if rounds % EVERY_SECOND else 2):
            _spin(random.uniform(0, LATEST_S))  # noqa: S311 - no secret
            os.kill(parent, signal.SIGINT)


# A sleep of no time takes many times as long, and the sleeper sleeps meanwhile.
_give_way = getattr(os, "sched_yield", partial(time.sleep, 0))


def _spin(for_s: float) -> None:
    end_s = time.perf_counter() + for_s
    while time.perf_counter() < end_s:
        pass


def main() -> None:
    """Pester the process whose number is the first argument, by way of the file that is the second."""
    with Path(sys.argv[2]).open("r+b") as file, mmap.mmap(file.fileno(), 2) as shared:
        _pester(int(sys.argv[1]), shared)


if __name__ == "__main__":
    main()
