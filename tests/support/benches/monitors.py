"""Monitors in a process of their own, which do with what they hear what a window does: take it, thirty times a second."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import haip_sync
from haip_sync.observe import ProgramLink, list_programs

_ROOT: Final = str(Path(haip_sync.__file__).parents[1])
_TESTS: Final = str(Path(__file__).parents[2])
_PATIENCE_S: Final = 20.0
_FRAME_S: Final = 1 / 30
_MOST_EVENTS: Final = 10_000


@contextmanager
def monitors(count: int, client: str) -> Iterator[None]:
    """Have so many monitors attached to `client` of this process, in one process of theirs; 0: none, and no process."""
    if not count:
        yield
        return
    process = subprocess.Popen(  # noqa: S603 - our own command line
        [sys.executable, "-m", "support.benches.monitors", str(os.getpid()), str(count), client],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((_ROOT, _TESTS))},
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "attached"
            yield
        finally:
            process.kill()


def _watch(pid: int, count: int, client: str) -> None:
    deadline_s = time.monotonic() + _PATIENCE_S
    while not (found := [info for info in list_programs() if info.pid == pid and info.clients]):
        assert time.monotonic() < deadline_s, "the program was not found"
        time.sleep(_FRAME_S)
    links = [ProgramLink(found[0]) for _ in range(count)]
    for link in links:
        link.connect(_PATIENCE_S)
        link.attach(client)
    while not all(link.snapshot(client) for link in links):
        time.sleep(_FRAME_S)
    sys.stdout.write("attached\n")
    sys.stdout.flush()
    while not any(link.has_ended for link in links):
        for link in links:
            link.snapshot(client)
            link.drain(client, _MOST_EVENTS)
        time.sleep(_FRAME_S)


if __name__ == "__main__":
    _watch(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
