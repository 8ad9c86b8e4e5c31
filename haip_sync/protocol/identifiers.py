"""Identifiers on the wire: UUIDv4, made from the operating system's randomness, and the numbers of frames."""

from __future__ import annotations

import os
import re
from typing import Final

MOST_SEQ: Final = 2**64 - 1
_LONGEST_SEQ: Final = len(str(MOST_SEQ))
_UUID: Final = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
"""Compiled when it is asked for first: importing the client need not wait for that."""
_AS_VERSION_4 = bytes(byte & 0x0F | 0x40 for byte in range(256))
_AS_VARIANT_1 = bytes(byte & 0x3F | 0x80 for byte in range(256))
_BYTES = 16
_FORM = b"xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx "
_PLACES = [at for at, byte in enumerate(_FORM) if byte == ord("x")]
_LONGEST_SHOWN = 60
_AT_A_TIME = 256
_unused: list[str] = []
"""Identifiers that nobody has; taking one is one C call, so that any thread may."""
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_unused.clear)  # two processes must not use the same


def new_id() -> str:
    """Return a new UUIDv4; a tenth of the cost of `str(uuid.uuid4())`, which is nearly a whole encode. Thread-safe."""
    try:
        return _unused.pop()
    except IndexError:
        mine, *others = _fresh_ids(_AT_A_TIME)
        _unused.extend(others)
        return mine


def _fresh_ids(number: int) -> list[str]:
    """Return so many identifiers, made all at once, each hexadecimal digit of all of them by one copy: the loops are C's."""
    random = bytearray(os.urandom(_BYTES * number))
    random[6::_BYTES] = random[6::_BYTES].translate(_AS_VERSION_4)
    random[8::_BYTES] = random[8::_BYTES].translate(_AS_VARIANT_1)
    digits, text = random.hex().encode(), bytearray(_FORM * number)
    for place, at in enumerate(_PLACES):
        text[at :: len(_FORM)] = digits[place :: len(_PLACES)]
    return text.decode().split()


def is_uuid(text: str) -> bool:
    """Return whether `text` has the form of a UUID, of any version."""
    return re.fullmatch(_UUID, text) is not None


def is_seq(text: str) -> bool:
    """Return whether `text` is a number as HAIP wants them: decimal, 1 to 2^64-1."""
    return number_of(text) > 0


def number_of(text: str) -> int:
    """Return what number of HAIP's `text` is; 0: it is none."""
    if not (text.isascii() and text.isdigit()) or text[0] == "0" or len(text) > _LONGEST_SEQ:
        return 0
    number = int(text)
    return number if number <= MOST_SEQ else 0


def shown(text: str, longest: int = _LONGEST_SHOWN) -> str:
    """Return what a sentence can say of a word of the peer's: all of it or, where it is long, how long.

    It is not cut: what is struck out of the sentence later would not be known by its beginning.
    """
    return text if len(text) <= longest else f"({len(text)} characters)"
