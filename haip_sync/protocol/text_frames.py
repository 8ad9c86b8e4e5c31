"""Texts as JSON: encoded once, then cut where the credit ends, never inside a character or an escape."""

from __future__ import annotations

from typing import Final

from haip_sync.errors import ConfigError
from haip_sync.protocol.envelope import encode_json
from haip_sync.protocol.long_strings import LONG, with_written_strings

_BACKSLASH: Final = 0x5C
_LOWER_U: Final = 0x75
_ESCAPE: Final = 2
_UNICODE_ESCAPE: Final = 6
_FIRST_REACH: Final = 64
_UTF8_TOP_BITS: Final = 0xC0
_UTF8_CONTINUATION: Final = 0x80


def escape_text(text: str) -> bytes:
    """Return `text` as the inside of a JSON string, in UTF-8. Raises `ConfigError` for a lone surrogate."""
    try:
        return encode_json(text if len(text) < LONG else with_written_strings(text))[1:-1]
    except UnicodeEncodeError as exc:
        raise ConfigError(f"the text is not valid Unicode: {exc}. Nothing was sent") from exc


def cut_escaped(escaped: bytes, start: int, limit: int) -> int:
    """Return the end of the longest piece of `escaped` from `start` that has at most `limit` bytes and splits nothing.

    `start` must be such an end itself (or 0). The result equals `start` when not even one character fits.
    """
    end = start + max(0, limit)
    if end >= len(escaped):
        return len(escaped)
    while end > start and escaped[end] & _UTF8_TOP_BITS == _UTF8_CONTINUATION:  # the character began earlier
        end -= 1
    return max(start, _escape_around(escaped, start, end))


def _escape_around(escaped: bytes, start: int, end: int) -> int:
    """Return `end`, or where the escape sequence begins that `end` would split."""
    for begin in range(max(start, end - _UNICODE_ESCAPE + 1), end):
        if escaped[begin] == _BACKSLASH and _begins_escape(escaped, start, begin):
            length = _UNICODE_ESCAPE if escaped[begin + 1] == _LOWER_U else _ESCAPE
            if begin + length > end:
                return begin
    return end


def _begins_escape(escaped: bytes, start: int, index: int) -> bool:
    """Return whether the backslash at `index` opens an escape: an even number of backslashes stands before it."""
    reach = _FIRST_REACH
    while True:
        low = max(start, index - reach)
        before = escaped[low:index]
        run = len(before) - len(before.rstrip(b"\\"))
        if run < len(before) or low == start:
            return run % 2 == 0
        reach *= 8  # nothing but backslashes so far: look further back, in few and large steps
