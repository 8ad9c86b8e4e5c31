"""Payloads that nobody has read: decoded, JSON may take 30 times the memory that it took on the wire.

Most frames say what they say in a few long texts: they are decoded as they come. One with many small values stays a
`msgspec.Raw` until somebody looks; what has to be known of it before is found without decoding the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec

_ALWAYS_FEW: Final = 16
_BYTES_EACH: Final = 32
"""With a value in so many bytes, what is decoded takes some times their memory; with one in every three, 30 times."""
_SHORT: Final = 4_096
_NULL: Final = msgspec.Raw(b"null")
_NESTED: Final = b"[{"
_NUMBERS: Final = bytes(ord("9") if byte in b"0123456789" else ord("e") if byte in b"eE" else ord(" ") for byte in range(256))
_LONG_EXPONENT: Final = b"9e99"
_LONG_NUMBER: Final = b"9" * 200
"""With fewer digits and a shorter exponent no number comes near the most that can be held, 1.8e308."""


def is_sparse(data: bytes, most_brackets: int, size: int = 0) -> bool:
    """Return whether a frame has few values for its size, and no more than so many arrays and objects.

    `size`: of the frame, where `data` is what is left of it without a long string.
    """
    most = _ALWAYS_FEW + (size or len(data)) // _BYTES_EACH
    if len(data) < _SHORT:  # most frames, grants above all
        return data.count(b",") <= most and data.count(b"[") + data.count(b"{") <= min(most, most_brackets)
    return not has_more_than(data, b",", most=most) and not opens_more_than(data, most if most < most_brackets else most_brackets)


def one_long_string(data: bytes) -> tuple[int, int] | None:
    """Return where the string begins and ends that takes more than half of a long frame; None: there is none, or it is not plain.

    What is between is inside of that string for certain, in JSON: no quote stands there, before it an odd number, and none of
    those is escaped. So nothing between opens or separates anything.
    """
    middle = len(data) // 2
    start, end = data.rfind(b'"', 0, middle) + 1, data.find(b'"', middle)
    if len(data) < _SHORT or 2 * (end - start) <= len(data):
        return None
    before = data[:start]
    return None if b"\\" in before or before.count(b'"') % 2 == 0 else (start, end)


def opens_more_than(data: bytes, most: int) -> bool:
    """Return whether there are more opening brackets."""
    return has_more_than(data, b"[", b"{", most=most)


def has_more_than(data: bytes, *marks: bytes, most: int) -> bool:
    """Return whether there are more of these marks; looks no further than to the first that is too many."""
    if len(data) < _SHORT:
        return sum(map(data.count, marks)) > most
    found = 0
    for mark in marks:  # in what is long, looking for each is faster than counting all, where they are few
        at = data.find(mark)
        while at >= 0:
            found += 1
            if found > most:
                return True
            at = data.find(mark, at + 1)
    return False


def check_readable(payload: msgspec.Raw) -> None:
    """Raise `msgspec.ValidationError` for a payload that could not be decoded later. Its UTF-8 is known to be good.

    What msgspec skips it has checked, escapes included, but for UTF-8 and for numbers that are larger than can be held.
    """
    numbers = bytes(payload).translate(_NUMBERS, b"+")
    if _LONG_EXPONENT in numbers or _LONG_NUMBER in numbers:
        msgspec.json.decode(payload)


def text_member(payload: Any, name: str) -> str | None:
    """Return a member of a payload; None: it is not there, or no text."""
    value = plain_member(payload, name)
    return value if isinstance(value, str) else None


def plain_member(payload: Any, name: str) -> Any:
    """Return a member of a payload; None: it is not there. One that nobody has read is none where it is an array or an object."""
    if not isinstance(payload, msgspec.Raw):
        return payload.get(name) if isinstance(payload, Mapping) else None
    try:
        value = _decoder_for(name).decode(payload).it
    except msgspec.ValidationError:  # no object
        return None
    return None if memoryview(value)[0] in _NESTED else msgspec.json.decode(value)


@cache
def _decoder_for(name: str) -> msgspec.json.Decoder[Any]:
    member = msgspec.defstruct("OneMember", [("it", msgspec.Raw, msgspec.field(name=name, default=_NULL))])
    return msgspec.json.Decoder(member)
