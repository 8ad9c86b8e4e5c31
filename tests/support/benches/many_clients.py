"""Run by the benchmarks in a process of its own: `URL COUNT`; prints threads, MiB and idle CPU (%) of each of so many clients."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from haip_sync import HAIPClient

_IDLE_S: Final = 5.5
"""Longer than twice what the service thread sleeps."""


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def main() -> None:
    """Connect, look, wait, look again."""
    url, count = sys.argv[1], int(sys.argv[2])
    with HAIPClient(url):
        pass  # what the first one costs for all
    threads, mib = threading.active_count(), _resident_mib()
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(HAIPClient(url))
        threads, mib = threading.active_count() - threads, _resident_mib() - mib
        begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
        threading.Event().wait(_IDLE_S)
        idle = (time.process_time() - begin_cpu_s) / (time.perf_counter() - begin_s)
    print(json.dumps([threads / count, mib / count, 100 * idle / count]))  # noqa: T201 - what the benchmark reads


if __name__ == "__main__":
    main()
