"""The running programs as rows of a list: one for each client that can be attached to, one for each program that cannot."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from haip_sync.observe import ClientSummary, ProgramInfo, on_one_line
from monitor_app.model.units import NONE, format_duration
from monitor_app.model.wording import for_operators

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
    """Its name."""
    pid: str
    since: str
    """When it first offered a client, on the clock of this place."""
    client: str
    """By its own name, which is what to attach to; empty where there is none."""
    state: str
    """What it does, in a word or two."""
    worst: str
    """The channel that stands still, why and since when; empty: nobody waits."""
    why: str
    """More about it, in a sentence; empty for nothing."""
    steering: str
    """Whether a monitor may steer it."""
    info: ProgramInfo
    """The program as it answered: what to attach to."""

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as it is shown."""
        return self.program, self.pid, self.since, on_one_line(self.client), self.state, self.worst, self.steering

    @property
    def can_attach(self) -> bool:
        """Whether there is a client to look at."""
        return bool(self.client)


def rows_of(programs: Iterable[ProgramInfo]) -> list[ProgramRow]:
    """Return the rows of all programs, in the order of the programs."""
    return [row for program in programs for row in _rows(program)]


def _rows(program: ProgramInfo) -> list[ProgramRow]:
    if program.trouble is not None or not program.clients:
        return [_row(program, program.state, why=program.trouble or "")]
    return [_row_of_client(program, client) for client in program.clients]


def _row_of_client(program: ProgramInfo, client: ClientSummary) -> ProgramRow:
    waits = client.worst is not None
    return _row(
        program,
        "blocked" if waits else _PHASES[client.phase],
        client=client.name,
        worst=f"{client.worst} waits for {client.cause}, {format_duration(client.oldest_wait)}" if waits else "",
        why=for_operators(client.why),
        steering="allowed" if client.may_steer else "look only",
    )


def _row(program: ProgramInfo, state: str, *, client: str = "", worst: str = "", why: str = "", steering: str = "") -> ProgramRow:
    """Return a row. What a program says of itself is kept on one line, but for the client's name, by which it is known."""
    return ProgramRow(
        program=on_one_line(program.name),
        pid=NONE if program.pid is None else str(program.pid),
        since=format_since(program.since_s),
        client=client,
        state=state,
        worst=on_one_line(worst),
        why=on_one_line(why),
        steering=steering,
        info=program,
    )


def format_since(since_s: float | None) -> str:
    """Return a moment on the wall's clock as day and time of this place; a dash for one that is not known, or cannot be."""
    try:
        return NONE if since_s is None else time.strftime("%b %d %H:%M:%S", time.localtime(since_s))
    except (OverflowError, ValueError, OSError):
        return NONE
