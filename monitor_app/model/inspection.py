"""What the inspector shows of a row: a tree of plain data, and the same as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from haip_sync import Event
from monitor_app.model.audit import AuditEntry, record_of
from monitor_app.model.clock import Clock
from monitor_app.model.cutting import cut
from monitor_app.model.event_log import LogRow
from monitor_app.model.source import Notice
from monitor_app.model.units import format_count


@dataclass(frozen=True)
class Node:
    """One line of the tree."""

    name: str
    value: str
    children: tuple[Node, ...] = ()


def plain_row(row: LogRow, clock: Clock) -> dict[str, Any]:
    """Return a row as plain data of bounded size: what is exported and shown."""
    shown: dict[str, Any] = {"time": clock.iso(row.time_s), "channel": row.channel, "type": row.kind, "what": row.text}
    if row.detail is not None:
        shown["detail"] = plain_detail(row.detail, clock)
    return shown


def shown_row(row: LogRow, clock: Clock) -> dict[str, Any]:
    """Return a row as the inspector shows it below its sentence: its own moment, and what stands behind it."""
    moment = clock.time_of_day(row.time_s, milliseconds=True)
    shown: dict[str, Any] = {"type": row.kind, "channel": row.channel, "time": moment}
    if row.channel is None:
        del shown["channel"]
    if row.detail is not None:
        shown["detail"] = plain_detail(row.detail, clock)
    return shown


def plain_detail(detail: object, clock: Clock) -> Any:
    """Return what stands behind a row as plain data: an event with its name, an action, or data that is plain already."""
    match detail:
        case Event():
            return {"event": type(detail).__name__, **cut(msgspec.structs.asdict(detail))}
        case AuditEntry():
            return dict(record_of(detail, clock))
        case Notice():
            return asdict(detail)
        case dict():  # cut when its row was made: a second cut would count its own words as bytes
            return detail
        case _:
            return cut(detail)


def tree_of(name: str, value: Any) -> Node:
    """Return plain data as a tree."""
    if isinstance(value, Mapping):
        children = tuple(tree_of(str(member), inner) for member, inner in value.items())
        return Node(name, _counted(len(children), "member"), children)
    if isinstance(value, list):
        children = tuple(tree_of(str(place), inner) for place, inner in enumerate(value))
        return Node(name, _counted(len(children), "item"), children)
    return Node(name, value if isinstance(value, str) else msgspec.json.encode(value).decode())


def as_text(value: Any) -> str:
    """Return plain data as indented JSON, for the clipboard."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _counted(number: int, noun: str) -> str:
    return f"{format_count(number)} {noun}{'' if number == 1 else 's'}"
