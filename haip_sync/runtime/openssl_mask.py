"""Masking by the OpenSSL that Python's own `ssl` is linked to: for who has not installed `websockets`.

Output feedback, a mode for any block cipher, XORs onto each block of 16 bytes what the cipher makes of the block before. With a
cipher that changes nothing that is the first block again and again: the key of a mask, four times over. OpenSSL exports that
mode as a function which is handed the cipher (`CRYPTO_ofb128_encrypt`, of the same shape since 1.0, in LibreSSL too), and any C
function that looks at no argument is such a cipher. For 64 KB it takes a tenth of what Python takes, for 1 MB a fifteenth.

Where it is not to be had (Windows finds no function by way of another library, some builds hide theirs) Python masks.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

from haip_sync.protocol.websocket_frames import Mask

_BLOCK_KEYS: Final = 4
_SHORTEST: Final = 512
"""What is shorter is masked faster as one number: a call from Python to C takes more than a microsecond."""
_SAMPLE: Final = bytes(range(251)) * 3


def openssl_mask(otherwise: Mask) -> Mask:
    """Return a function that masks in OpenSSL what is long; `otherwise` itself where that cannot be, or they disagree."""
    try:
        ctypes, ssl = import_module("ctypes"), import_module("_ssl")
        # Who calls by way of it keeps the interpreter: it is a matter of microseconds.
        encrypt = ctypes.PyDLL(ssl.__file__).CRYPTO_ofb128_encrypt
        no_cipher = ctypes.cast(ctypes.pythonapi.Py_IsInitialized, ctypes.c_void_p)
    except (ImportError, AttributeError, OSError):
        return otherwise
    encrypt.restype = None
    # From, to, how many, the cipher's key, the first block, how much of it is used up, the cipher.
    encrypt.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    encrypt.argtypes += (ctypes.c_void_p,)
    char, used_up, reference = ctypes.c_char, ctypes.c_int, ctypes.byref

    def mask(data: bytes, key: bytes) -> bytes | bytearray:
        size = len(data)
        if size < _SHORTEST:
            return otherwise(data, key)
        masked = bytearray(size)
        # The block is written back, changed in nothing; it is a new object, and nobody else's.
        encrypt(data, reference(char.from_buffer(masked)), size, None, key * _BLOCK_KEYS, reference(used_up()), no_cipher)
        return masked

    key = b"\x01\x5a\xfe\x80"
    return mask if mask(_SAMPLE, key) == otherwise(_SAMPLE, key) else otherwise
