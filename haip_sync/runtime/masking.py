"""Masking: every frame of a client's is XORed with four random bytes of its own (RFC 6455, 5.3)."""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from typing import Final, cast

from haip_sync.protocol.websocket_frames import Mask

KEY_BYTES: Final = 4
_LONG: Final = 2_048
"""From here on four tables are cheaper than one number of so many bytes."""
_KEYS_AT_A_TIME: Final = 1_024


@cache
def fastest_mask() -> Mask:
    """Return what masks fastest here.

    That is the C function of `websockets`, which is made for it: a seventh of the cost at 250 bytes, an eightieth at 64 KB.
    wsaccel, which websocket-client would use, is 27 times slower at 64 KB, numpy three times, and 14 times at 250 bytes. Where
    its wheel has no C everything works, and long frames cost what they cost in Python: 50 to 100 µs for 64 KB.
    """
    try:
        # Its C module only: nothing here speaks for a server. By name, because it is not built everywhere.
        return cast(Mask, import_module("websockets.speedups").apply_mask)
    except (ImportError, AttributeError):
        return mask_in_python


def mask_in_python(data: bytes, key: bytes) -> bytes | bytearray:
    """Return `data`, masked: short of it as one number, long of it by four tables, one for each byte of the key."""
    size = len(data)
    if size < _LONG:
        keys = (key * (size // KEY_BYTES + 1))[:size]
        return (int.from_bytes(data, "little") ^ int.from_bytes(keys, "little")).to_bytes(size, "little")
    masked, tables = bytearray(data), _tables()
    for at, byte in enumerate(key):
        # Of a bytearray: bytes look at each byte whether it has changed, which takes a third longer.
        masked[at::KEY_BYTES] = masked[at::KEY_BYTES].translate(tables[byte])
    return masked


@cache
def _tables() -> list[bytes]:
    return [bytes(byte ^ key for byte in range(256)) for key in range(256)]


_keys: Final[list[bytes]] = []
"""Random keys that nobody has used; taking one is one C call, so that any thread may."""
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_keys.clear)  # two processes must not use the same


def new_key() -> bytes:
    """Return four bytes of the operating system's randomness, drawn many at a time. Thread-safe."""
    try:
        return _keys.pop()
    except IndexError:
        fresh = os.urandom(KEY_BYTES * (_KEYS_AT_A_TIME + 1))
        _keys.extend(fresh[at : at + KEY_BYTES] for at in range(KEY_BYTES, len(fresh), KEY_BYTES))
        return fresh[:KEY_BYTES]
