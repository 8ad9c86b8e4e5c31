"""Long strings as JSON, written by orjson where that is installed.

msgspec looks for what must be escaped one byte at a time, which for 64 KB is 30 µs and more than all the rest of such a send but
the system call. orjson looks at many at once: a tenth of that. Both write the same bytes, which a test compares character by
character; only strings are given to it, because the two differ in what else they can write.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, Final, cast

import msgspec

LONG: Final = 8_192
"""Characters: from here on it is faster."""


@cache
def fast_writer() -> Callable[[str], bytes] | None:
    """Return what writes a long string fastest; None: msgspec does. Imports: call it first where that harms nobody."""
    try:
        return cast(Callable[[str], bytes], import_module("orjson").dumps)  # by name, because it need not be there
    except (ImportError, AttributeError):
        return None


def with_written_strings(value: Any) -> Any:
    """Return `value` for msgspec to encode, with a long string, or those among its members, written already. Changes nothing."""
    if type(value) is not dict:
        return _written(value) if _is_long(value) else value
    for member in tuple(value.values()):  # in one step: another thread may be changing it
        if type(member) is str and len(member) >= LONG:
            return {name: _written(text) if _is_long(text) else text for name, text in value.copy().items()}
    return value


def _is_long(value: object) -> bool:
    return type(value) is str and len(value) >= LONG


def _written(text: str) -> msgspec.Raw | str:
    write = fast_writer()
    try:
        return text if write is None else msgspec.Raw(write(text))
    except (TypeError, ValueError):  # a lone surrogate: msgspec says what is wrong
        return text
