"""The running programs as rows of a list: one for each client that can be attached to, one for each program that cannot."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from haip_sync.observe import ClientSummary, ProgramInfo
from monitor_app.model.units import format_duration

_PHASES: Final = {
    "new": "not connected",
    "connecting": "connecting",
    "open": "running",
    "offline": "reconnecting",
    "closed": "not connected",
}


@dataclass(frozen=True)
class ProgramRow:
    """One line of the list."""

    program: str
    """Name and process id."""
    client: str
    """Empty where there is none to attach to."""
    state: str
    """What it does, in a word or two."""
    why: str
    """More about it, in a sentence; empty for nothing."""
    steering: str
    """Whether a monitor may steer it."""
    path: Path
    """Where the program listens."""

    @property
    def can_attach(self) -> bool:
        """Whether there is a client to look at."""
        return bool(self.client)


def rows_of(programs: Iterable[ProgramInfo]) -> list[ProgramRow]:
    """Return the rows of all programs, in the order of the programs."""
    return [row for program in programs for row in _rows(program)]


def _rows(program: ProgramInfo) -> list[ProgramRow]:
    title = f"{program.name} (pid {program.pid})" if program.pid is not None else program.name
    if program.trouble is not None or not program.clients:
        return [ProgramRow(title, "", program.state, program.trouble or "", "", program.path)]
    return [
        ProgramRow(
            title,
            client.name,
            _state(client),
            client.why,
            "steering allowed" if client.may_steer else "look only",
            program.path,
        )
        for client in program.clients
    ]


def _state(client: ClientSummary) -> str:
    if client.worst is not None:
        return f"{client.worst} waits for {format_duration(client.oldest_wait)}"
    return _PHASES[client.phase]
