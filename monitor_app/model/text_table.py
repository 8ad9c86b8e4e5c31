"""The channel table as text, for terminals and logs: the window's twin where there is no screen."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Final

from monitor_app.model.channel_view import ChannelView
from monitor_app.model.clock import Clock
from monitor_app.model.explanations import lacks
from monitor_app.model.ingest import Ingest
from monitor_app.model.outage import outage_of
from monitor_app.model.units import format_duration, format_kib, format_rate

_HEADINGS: Final = ("Channel", "State", "Messages", "KiB", "Backlog", "Oldest", "Msg/s", "Lacks")
_LEFT: Final = frozenset({0, 1, 7})
"""Columns of words; the rest are numbers and stand on the right."""


def render(ingest: Ingest, clock: Clock, *, of: str = "") -> str:
    """Return the state of the connection in one line, with the name `of` what is watched, and the channel table under it."""
    whose = f"{of}: " if of else ""
    lines = [f"{clock.time_of_day(clock.now_s())}  {whose}{connection_line(ingest)}"]
    lines += aligned([_HEADINGS, *(_cells(view) for view in ingest.channels())], to_the_left=_LEFT)
    return "\n".join(lines) + "\n"


def connection_line(ingest: Ingest) -> str:
    """Return the state of the connection in one line, a failure with its reason."""
    source = ingest.source
    if source.connecting:
        return f"Connecting to {source.address}"
    outage = outage_of(ingest.connection, ingest.clock.now_s())
    if outage is not None:
        return f"{outage.title}. {outage.text}"
    failure = source.failure
    if failure is not None:
        return f"{failure.title}. {failure.text}"
    if ingest.connection is not None and ingest.connection.connected:
        return f"Connected to {source.address}"
    return "Not connected"


def _cells(view: ChannelView) -> tuple[str, ...]:
    state = view.state
    return (
        view.name,
        view.status.value,
        f"{state.credits}/{state.max_credits}",
        f"{format_kib(state.byte_credits)}/{format_kib(state.max_credit_bytes)}",
        str(state.backlog),
        format_duration(state.oldest_wait) if state.backlog else "-",
        format_rate(view.rate_messages),
        lacks(view) or "-",
    )


def aligned(rows: Sequence[Sequence[str]], *, to_the_left: Container[int]) -> list[str]:
    """Return rows with their columns under one another: these columns, by their places, to the left, the rest to the right."""
    columns = []
    for place, column in enumerate(zip(*rows, strict=True)):
        width = max(map(len, column))
        columns.append([cell.ljust(width) if place in to_the_left else cell.rjust(width) for cell in column])
    return ["  ".join(cells).rstrip() for cells in zip(*columns, strict=True)]
