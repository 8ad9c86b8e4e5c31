"""How deep a frame's JSON is nested: bounded, because whatever walks it later may do so by recursion.

The decoder itself survives any depth (it gives up at about 1,000), but the application's own code may not.
"""

from __future__ import annotations

import re
from typing import Final

from haip_sync.errors import ProtocolError

_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
"""Possessive: a long string is walked once, without notes for a way back that never comes."""
_OPENING: Final = (b"[", b"{")
_BRACKETS: Final = b"[]{}"
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in _BRACKETS)
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")


def check_nesting(data: bytes, most: int) -> None:
    """Raise `ProtocolError` (remote) where valid JSON is nested deeper than `most` levels; the envelope itself is the first.

    Cheap for nearly every frame: one with no more opening brackets than levels cannot be nested too deep.
    """
    if sum(map(data.count, _OPENING)) > most and _is_deeper(data, most):
        raise ProtocolError(f"a frame of {len(data)} bytes is nested deeper than {most} levels", blame="remote")


def _is_deeper(data: bytes, most: int) -> bool:
    """Look exactly: what stands in strings does not count, and each pass takes the innermost level away."""
    brackets = _STRING.sub(b"", data).translate(_ONE_KIND, _NOT_BRACKETS)
    for _ in range(most):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)
