"""The channel table as text, for terminals and logs: the window's twin where there is no screen."""

from __future__ import annotations

from collections.abc import Sequence
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


def render(ingest: Ingest, clock: Clock) -> str:
    """Return the state of the connection in one line and the channel table under it."""
    lines = [f"{clock.time_of_day(clock.now_s())}  {connection_line(ingest)}"]
    lines += _align([_HEADINGS, *(_cells(view) for view in ingest.channels())])
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


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return [
        "  ".join(_pad(cell, width, column) for column, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]


def _pad(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column in _LEFT else cell.rjust(width)
