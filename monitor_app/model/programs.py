"""The running programs that offer a client, kept current by one thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from haip_sync.observe import ProgramInfo, list_programs, places_passed_over

PERIOD_S: Final = 0.2
"""Between two looks: with what is waited for a program that was stopped, and the pace of text, it is told within a second."""
_JOIN_S: Final = 1.0
Lister = Callable[[], Sequence[ProgramInfo]]


class Changes(NamedTuple):
    """What is different since they were last taken."""

    appeared: Sequence[ProgramInfo]
    changed: Sequence[ProgramInfo]
    gone: Sequence[ProgramInfo]


class Programs:
    """The list of programs. `take_changes` and `current` belong to the GUI thread, and return at once.

    The thread asks every program time and again, and puts the answers down in one store; a program that does not answer keeps the
    name and the clients that it had.

    Attributes:
        passed_over: Why places where programs could be were not looked into, as of the last look; one sentence each.
    """

    def __init__(self, lister: Lister = list_programs, *, period_s: float = PERIOD_S) -> None:
        self._lister = lister
        self._period_s = period_s
        self._found: dict[Path, ProgramInfo] = {}
        self._taken: dict[Path, ProgramInfo] = {}
        self.passed_over: Sequence[str] = ()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="monitor-programs", daemon=True)

    def start(self) -> None:
        """Begin to look. Idempotent."""
        if self._thread.ident is None:
            self._thread.start()

    def close(self) -> None:
        """Look no more. Idempotent, bounded."""
        self._closed.set()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)

    def current(self) -> Sequence[ProgramInfo]:
        """Return the programs as of the last look, the oldest first."""
        return sorted(self._found.values(), key=lambda program: (program.since_s or 0.0, program.path))

    def take_changes(self) -> Changes:
        """Return what has come, changed and gone since the last call."""
        before, now = self._taken, self._found
        self._taken = now
        return Changes(
            appeared=[program for path, program in now.items() if path not in before],
            changed=[program for path, program in now.items() if path in before and program != before[path]],
            gone=[program for path, program in before.items() if path not in now],
        )

    def look(self) -> None:
        """Ask every program once."""
        self.passed_over = places_passed_over()
        before = self._found
        self._found = {program.path: _with_memory(program, before.get(program.path)) for program in self._lister()}

    def _run(self) -> None:
        while not self._closed.is_set():
            self.look()
            self._closed.wait(self._period_s)


def _with_memory(program: ProgramInfo, before: ProgramInfo | None) -> ProgramInfo:
    """Return a program that does not answer with what it said when it did."""
    if program.trouble is None or before is None:
        return program
    return msgspec.structs.replace(before, trouble=program.trouble)
