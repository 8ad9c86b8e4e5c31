"""Programs of a few lines in a process of their own: how they end, within a deadline, and what they say."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import NamedTuple

from haip_sync.testing import DevServer, Session
from support.turnstiles import PATIENCE_S

MUST_END_S = 60.0
"""A program that takes longer hangs, however busy the machine is."""


class Ended(NamedTuple):
    """How a program ended."""

    code: int
    out: str
    err: str
    took_s: float


class Program:
    """A running program. Killed at the end of its `with` block, should it still run."""

    def __init__(self, source: str, *arguments: str, options: tuple[str, ...] = (), **environment: str) -> None:
        self._began_s = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603 - a program of the test's own
            [sys.executable, *options, "-c", source, *arguments],
            env={"PYTHONPATH": ":".join(sys.path), "PYTHONFAULTHANDLER": "1"} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def says(self) -> str:
        """Return the next line that it prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"it said nothing more, but: {self.process.communicate()[1]}"
        return line.rstrip("\n")

    def hears(self, line: str) -> None:
        """Give it a line to read."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def ends(self, *, within_s: float = MUST_END_S) -> Ended:
        """Return how it ended. Fails where that takes longer."""
        out, err = self.process.communicate(timeout=within_s)
        return Ended(self.process.returncode, out, err, time.monotonic() - self._began_s)


def ended_sessions(server: DevServer, count: int) -> tuple[Session, ...]:
    """Return so many sessions of a server's, once each has begun and is over."""
    for number in range(1, count + 1):
        session = server.wait_for_session(number, timeout=PATIENCE_S)
        session.wait_for(lambda session: not session.connected, PATIENCE_S, what="its end")
    return server.sessions


def run_program(source: str, *arguments: str, options: tuple[str, ...] = (), **environment: str) -> Ended:
    """Run a program to its end."""
    with Program(source, *arguments, options=options, **environment) as program:
        return program.ends()
