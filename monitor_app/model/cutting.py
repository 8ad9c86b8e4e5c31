"""Cuts long values down to what is worth keeping and showing. Every cut says how much is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from monitor_app.model.units import format_count

MAX_TEXT: Final = 2_000
"""Characters of one string that are kept."""
MAX_BINARY: Final = 256
"""Bytes of binary data that are kept, as hexadecimal digits."""
MAX_MEMBERS: Final = 100
"""Members of one list or mapping that are kept."""
MAX_DEPTH: Final = 12
"""Lists and mappings within one another that are kept."""
MORE: Final = "…"


def cut_text(text: str, limit: int = MAX_TEXT) -> str:
    """Return at most `limit` characters of `text`, and how many bytes (as UTF-8) more there are."""
    if len(text) <= limit:
        return text
    gone = len(text[limit:].encode("utf-8", "surrogatepass"))
    return f"{text[:limit]}{MORE} {format_count(gone)} more bytes"


def cut_bytes(data: bytes, limit: int = MAX_BINARY) -> str:
    """Return at most `limit` bytes as hexadecimal digits, and how many more there are."""
    more = f"{MORE} {format_count(len(data) - limit)} more bytes" if len(data) > limit else ""
    return f"{bytes(data[:limit]).hex(' ')}{more}"


def one_line(text: str, limit: int) -> str:
    """Return `text` on one line, cut to `limit` characters."""
    return cut_text(" ".join(text[: 2 * limit].split()) + text[2 * limit :], limit)


def cut(value: Any, depth: int = 0) -> Any:
    """Return `value` as plain data of bounded size: mappings, lists, strings, numbers, booleans and None."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return cut_text(value)
        case bytes() | bytearray() | memoryview():
            return cut_bytes(bytes(value))
        case Mapping():
            return _cut_mapping(value, depth)
        case Sequence() | set() | frozenset():
            return _cut_items(list(value), depth)
        case _:
            return cut_text(str(value))


def _cut_mapping(value: Mapping[Any, Any], depth: int) -> Any:
    if depth >= MAX_DEPTH:
        return f"{MORE} {format_count(len(value))} members, nested too deep to show"
    kept = {cut_text(str(name), 200): cut(member, depth + 1) for name, member in list(value.items())[:MAX_MEMBERS]}
    if len(value) > MAX_MEMBERS:
        kept[MORE] = f"{format_count(len(value) - MAX_MEMBERS)} more members"
    return kept


def _cut_items(items: list[Any], depth: int) -> Any:
    if depth >= MAX_DEPTH:
        return f"{MORE} {format_count(len(items))} items, nested too deep to show"
    kept = [cut(item, depth + 1) for item in items[:MAX_MEMBERS]]
    if len(items) > MAX_MEMBERS:
        kept.append(f"{MORE} {format_count(len(items) - MAX_MEMBERS)} more items")
    return kept
