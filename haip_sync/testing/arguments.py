"""Arguments of the server and the proxy, checked: what does not raise `ConfigError` here is usable everywhere."""

from __future__ import annotations

from collections.abc import Iterable

from haip_sync.config import plain_text, told
from haip_sync.errors import ConfigError


def check_text(name: str, value: object) -> str:
    """Return `value` if it is a text that is not empty, else raise `ConfigError` naming `name`."""
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{name} must be a text that is not empty, not {told(value)}")
    return plain_text(value)


def optional_text(name: str, value: object) -> str | None:
    """Return `value` if it is a text or None, else raise `ConfigError` naming `name`."""
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"{name} must be a text or None, not {told(value)}")
    return None if value is None else plain_text(value)


def check_host(value: object) -> str:
    """Return `value` if it is a name or an address, else raise `ConfigError`; "" stands for every address of this machine."""
    if not isinstance(value, str) or not _is_host_name(value):
        raise ConfigError(f"host must be a name or an address, such as 127.0.0.1, not {told(value)}")
    return plain_text(value)


def _is_host_name(text: str) -> bool:
    """Return whether DNS can carry `text`; of what it cannot, the operating system's functions raise a bare TypeError."""
    try:
        return b"\0" not in text.encode("idna")
    except UnicodeError:
        return False


def check_names(name: str, value: object) -> frozenset[str]:
    """Return `value` if it lists texts, else raise `ConfigError` naming `name`. A text itself is no list of its letters."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise ConfigError(f"{name} must list texts, not {told(value)}")
    return frozenset(check_text(f"each of {name}", each) for each in value)


def check_bytes(name: str, value: object) -> bytes:
    """Return `value` as bytes if that is what it is made of, else raise `ConfigError` naming `name`."""
    if not isinstance(value, (bytes, bytearray, memoryview)):  # of a number, bytes() would make as many zeros
        raise ConfigError(f"{name} must be bytes, not {told(value)}")
    return bytes(value)
