"""Which running program, and which of its clients, is meant by a word on the command line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

from haip_sync.observe import ClientSummary, ProgramInfo, list_programs, on_one_line, places_passed_over, why_not_here
from monitor_app.model.program_table import HOW_TO_BE_SEEN

NEAR_S = 0.9
"""How long the programs of this machine may take to answer who they are, where one of them does not."""
FAR_S = 5.0
"""How long a program may take to answer behind a socket that is named by its path: it may be far away."""

_MOST_DIGITS = 20
"""Of a process id; more than Python reads as a number are none either."""


class NotFoundError(Exception):
    """What is meant cannot be attached to; the text says why, and what could be."""


class Target(NamedTuple):
    """A client to attach to."""

    program: ProgramInfo
    client: str
    word: str
    """What a person should hear of the choice; empty: nothing."""


def find(wanted: str, client: str | None = None) -> Target:
    """Return what `wanted` means: the path of a socket, a process id, or a name of a program or of a client.

    Of several clients it is the one called `client`, or else the one whose first sender has waited longest. Waits for the
    programs' answers. Raises `NotFoundError`.
    """
    not_here = why_not_here()
    if not_here is not None:
        raise NotFoundError(not_here)
    if os.sep in wanted:
        (program,) = list_programs(wanted, timeout_s=FAR_S)
        return _target(program, client)
    programs = list_programs(timeout_s=NEAR_S)
    program = _only(wanted, [program for program in programs if _is_meant(program, wanted)], programs)
    return _target(program, client or next((line.name for line in program.clients if line.name == wanted), None))


def _is_meant(program: ProgramInfo, wanted: str) -> bool:
    if _is_pid(wanted):
        return program.pid == int(wanted)
    names = {program.name, PurePath(program.name).stem, *(client.name for client in program.clients)}
    return wanted in names


def _is_pid(wanted: str) -> bool:
    return wanted.isascii() and wanted.isdigit() and len(wanted) <= _MOST_DIGITS


def _only(wanted: str, meant: Sequence[ProgramInfo], programs: Sequence[ProgramInfo]) -> ProgramInfo:
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise NotFoundError(f"{_shown(wanted)} may be any of {_named(meant)}: name one by its pid")
    running = f"what can be seen is {_named(programs)}" if programs else f"no script of yours can be seen: {HOW_TO_BE_SEEN}"
    called = "is process" if _is_pid(wanted) else "is called"
    raise NotFoundError("; ".join([f"no script that can be seen {called} {_shown(wanted)}; {running}", *places_passed_over()]))


def _shown(wanted: str) -> str:
    """Return a name that was asked for as a sentence can have it."""
    return on_one_line(wanted) or "''"


def _named(programs: Sequence[ProgramInfo]) -> str:
    return ", ".join(f"{on_one_line(program.name)} (pid {program.pid})" for program in programs)


def _target(program: ProgramInfo, wanted: str | None) -> Target:
    if program.trouble is not None:
        raise NotFoundError(on_one_line(_naming(program, program.trouble)))
    clients = {client.name: client for client in program.clients}
    if not clients:
        raise NotFoundError(f"{_named([program])} has no client now")
    if wanted is None:
        chosen = max(program.clients, key=lambda line: line.oldest_wait)
        return Target(program, chosen.name, _word(program, chosen))
    if wanted not in clients:
        raise NotFoundError(f"{_named([program])} has no client {_shown(wanted)}; its clients are {_listed(program.clients)}")
    return Target(program, wanted, "")


def _naming(program: ProgramInfo, trouble: str) -> str:
    """Return what is wrong with a program, and with which: it has said no name."""
    which = str(program.path) if program.pid is None else f"process {program.pid}"
    return trouble if str(program.path) in trouble else f"{which}: {trouble}"


def _word(program: ProgramInfo, chosen: ClientSummary) -> str:
    if len(program.clients) == 1:
        return ""
    many = f"{_named([program])} has {len(program.clients)} clients, {_listed(program.clients)}"
    return f"{many}: showing {on_one_line(chosen.name)}; --client names another"


def _listed(clients: Sequence[ClientSummary]) -> str:
    return ", ".join(on_one_line(client.name) for client in clients)
