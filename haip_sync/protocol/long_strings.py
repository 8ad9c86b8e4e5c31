"""Long strings as JSON, written by orjson and read by jiter where these are installed.

msgspec looks for what is, or must be, escaped one byte at a time, which for 64 KB is 30 µs and more than all the rest of such a
send but the system call, or of taking such a frame in. The two look at many at once: a tenth of that to write, a fifth to read.
All make the same of a string, which tests compare character by character; only strings are given to them, because they differ
in what else they take.
"""

from __future__ import annotations

import os
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


@cache
def fast_reader() -> Callable[[bytes], Any]:
    """Return what reads a long string of ASCII fastest. Imports: call it first where that harms nobody."""
    try:
        return cast(Callable[[bytes], Any], import_module("jiter").from_json)
    except (ImportError, AttributeError):
        return msgspec.json.decode


STAND_IN: Final = os.urandom(16).hex()
"""What is read, or written first, in a long string's place. Nobody else knows it, so that no other string is taken for it."""
_QUOTED_STAND_IN: Final = b'"%b"' % STAND_IN.encode()


def read_string(written: bytes) -> str | None:
    """Return what a string says that is written as JSON in UTF-8, quotes included; None: it is none."""
    # Of other alphabets msgspec is faster.
    read = fast_reader() if written.isascii() else msgspec.json.decode
    try:
        value = read(written)
    except ValueError:
        return None
    return value if type(value) is str else None


def put_in_place(payload: Any, text: str) -> bool:
    """Put `text` where the stand-in is a member of a payload; return whether it is one."""
    if type(payload) is not dict:
        return False
    for name, member in payload.items():
        if member == STAND_IN:
            payload[name] = text
            return True
    return False


class LateJson(msgspec.Struct, frozen=True, gc=False):
    """JSON of an object with one long string of ASCII, which is written each time that it is asked for. Immutable.

    A frame lives until the peer has long acknowledged it, and thousands do. What it holds for that time is the caller's own
    string; a copy of it, encoded, is memory that no cache has seen, and to fill that takes three times as long as to write the
    string twice. ASCII, so that the string is no larger than what it is written as, which is what all limits count.
    """

    size: int
    """Bytes of the whole."""
    before: bytes
    text: str
    after: bytes
    write: Callable[[str], bytes]
    """Writes the string. Where nothing in it is escaped it is merely copied, and its quotes are in `before` and `after`."""

    def __len__(self) -> int:
        return self.size

    def pieces(self) -> tuple[bytes, bytes, bytes]:
        """Return the JSON, in pieces."""
        return self.before, self.write(self.text), self.after


_plain: Final = msgspec.json.Encoder().encode
_QUOTES_BYTES: Final = 2


def written_late(value: object) -> LateJson | bytes | None:
    """Return `value` with its long string to be written later; None: it is not so plain.

    Bytes: all of it, where to write the string again would take too long. Raises as msgspec does.
    """
    if type(value) is not dict:
        return None
    members, found = value.copy(), None  # in one step: another thread may be changing it
    for name, member in members.items():
        if type(member) is str and len(member) >= LONG:  # `_is_long`, without a call for each
            if found is not None or not member.isascii():
                return None
            found, text = name, member
    if found is None:
        return None
    members[found] = STAND_IN
    before, _, after = _plain(members).partition(_QUOTED_STAND_IN)
    return _around(before, text, after)


def _around(before: bytes, text: str, after: bytes) -> LateJson | bytes:
    """Return JSON with `text`, which is long and ASCII, between these."""
    fast = fast_writer()
    written = (fast or _plain)(text)
    size = len(before) + len(written) + len(after)
    if len(written) == len(text) + _QUOTES_BYTES:  # an escape is longer than what it stands for: there is none
        return LateJson(size, before + b'"', text, b'"' + after, str.encode)
    return b"".join((before, written, after)) if fast is None else LateJson(size, before, text, after, fast)


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
