"""Masking: every frame of a client's is XORed with four random bytes (RFC 6455, 5.3), by the byte and so by the dear."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final, cast

Mask = Callable[[bytes, bytes], bytes]
"""Takes data and the key's four bytes."""

_KEY_BYTES: Final = 4
_LONG: Final = 4_096
"""From here on tables are cheaper than one number of so many bytes."""
_TABLES: Final = [bytes(byte ^ key for byte in range(256)) for key in range(256)]


def mask_in_python(data: bytes, key: bytes) -> bytes:
    """Return `data`, masked: short of it as one number, long of it by four tables, a byte of the key each."""
    size = len(data)
    if size < _LONG:
        keys = (key * (size // _KEY_BYTES + 1))[:size]
        return (int.from_bytes(data, "little") ^ int.from_bytes(keys, "little")).to_bytes(size, "little")
    masked = bytearray(size)
    for at, byte in enumerate(key):
        masked[at::_KEY_BYTES] = data[at::_KEY_BYTES].translate(_TABLES[byte])
    return bytes(masked)


def best_mask() -> Mask:
    """Return what masks fastest here: `websockets` (the extra `fast`) does in C what a frame is too long for otherwise."""
    try:
        # Its C module only: nothing here speaks for a server. By name, because it need not be there.
        return cast(Mask, import_module("websockets.speedups").apply_mask)
    except (ImportError, AttributeError):
        return mask_in_python


apply_mask: Mask = mask_in_python
