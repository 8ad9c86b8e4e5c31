"""How deep a frame's JSON is nested: bounded, because whatever walks it later may do so by recursion.

The decoder itself survives any depth (it gives up at about 1,000), but the application's own code may not.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Final

from haip_sync.errors import ProtocolError
from haip_sync.protocol.unread import opens_more_than

_STRUCTURE: Final = b'[]{}"'
_NO_STRUCTURE: Final = bytes(byte for byte in range(256) if byte not in _STRUCTURE)
_STRING: Final = re.compile(rb'"[^"]*+"')
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""As signed bytes: one level down, one level up."""
_STRETCH: Final = 1 << 16
"""Brackets that are counted in one step; between two, other threads may run."""


def check_nesting(data: bytes, most: int) -> None:
    """Raise `ProtocolError` (remote) where JSON is nested deeper than `most` levels; the envelope itself is the first.

    Cheap for nearly every frame: one with no more opening brackets than levels cannot be nested too deep. For any other the time
    grows with its bytes, whatever its shape. Of what is no JSON it may say so too; the decoder refuses it anyway.
    """
    if opens_more_than(data, most) and _is_deeper(data, most):
        raise ProtocolError(f"a frame of {len(data)} bytes is nested deeper than {most} levels", blame="remote")


def _is_deeper(data: bytes, most: int) -> bool:
    """Look exactly, stopping soon after the first level that is too deep."""
    # What is no JSON may end in the middle of a string.
    steps = memoryview(_brackets(data).translate(_STEPS, b'"')).cast("b")
    level = 0
    for start in range(0, len(steps), _STRETCH):
        stretch = steps[start : start + _STRETCH]
        if max(accumulate(stretch, initial=level)) > most:
            return True
        level += sum(stretch)
    return False


def _brackets(data: bytes) -> bytes:
    """Return the brackets of JSON that stand in no string."""
    if b"\\" in data:  # in strings only, and first those that are themselves escaped
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    structure = data.translate(None, _NO_STRUCTURE)
    # Two quotes side by side are an empty string, or the end of one and the beginning of another with no bracket between them.
    return _STRING.sub(b"", structure.replace(b'""', b""))
