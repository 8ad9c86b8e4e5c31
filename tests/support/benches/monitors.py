"""Monitors in a process of their own, which do with what they hear what a window does: take it, thirty times a second."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from haip_sync.observe import ProgramLink, list_programs
from support.benches.server_process import ENVIRONMENT
from support.turnstiles import PATIENCE_S, until

_FRAME_S: Final = 1 / 30
_MOST_EVENTS: Final = 10_000
_PLACE: Final = "HAIP_SYNC_RUNTIME_DIR"


class Monitors:
    """So many of them, in one process of theirs, for a client of this one. They come and go as they are told."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def attach(self) -> None:
        """Have all of them attach; returns once each has seen the client."""
        self._tell("attach")

    def detach(self) -> None:
        """Have all of them leave."""
        self._tell("detach")

    def _tell(self, word: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline().strip() == f"{word}ed"


@contextmanager
def monitors(count: int, client: str) -> Iterator[Monitors]:
    """Have a process ready in which so many monitors can attach to `client` of this one."""
    process = subprocess.Popen(  # noqa: S603 - our own command line
        [sys.executable, "-m", "support.benches.monitors", str(os.getpid()), str(count), client],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT | {_PLACE: os.environ[_PLACE]},
    )
    with process:
        try:
            yield Monitors(process)
        finally:
            process.kill()


def _attached(pid: int, count: int, client: str) -> list[ProgramLink]:
    def found() -> list[ProgramLink]:
        return [ProgramLink(info) for info in list_programs() if info.pid == pid and info.clients for _ in range(count)]

    links: list[ProgramLink] = []
    until(lambda: links.extend(found()) or len(links) == count)
    for link in links:
        link.connect(PATIENCE_S)
        link.attach(client)
    until(lambda: all(link.snapshot(client) for link in links))
    return links


def _watch(pid: int, count: int, client: str) -> None:
    said: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=lambda: [said.put(line.strip()) for line in sys.stdin], daemon=True).start()
    links: list[ProgramLink] = []
    while True:
        try:
            word = said.get(timeout=_FRAME_S)
        except queue.Empty:
            word = ""
        if word == "attach":
            links = _attached(pid, count, client)
        elif word == "detach":
            while links:
                links.pop().close()
        if word:
            sys.stdout.write(f"{word}ed\n")
            sys.stdout.flush()
        for link in links:
            link.snapshot(client)
            link.drain(client, _MOST_EVENTS)


if __name__ == "__main__":
    _watch(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
