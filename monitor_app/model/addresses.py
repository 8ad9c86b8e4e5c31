"""Addresses as they may be shown and kept: without whatever could hold a token."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

_SCHEMES: Final = frozenset({"ws", "wss"})
_HINT: Final = "\nWrite it as ws://host:port, or wss://host:port for TLS."
"""Begins a line: broken anywhere else, an address would be torn in two."""


def without_secrets(url: str) -> str:
    """Return `url` without what may hold a token: user information, query and fragment."""
    plain = url.split("?", 1)[0].split("#", 1)[0]
    scheme, separator, rest = plain.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else plain.rpartition("@")[2]


def problem_of(url: str) -> str:
    """Return what is wrong with an address, in a sentence or two that never repeat its secrets; empty when nothing is."""
    if not url:
        return f"There is no address.{_HINT}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return f"{without_secrets(url)} is no address: host or port cannot be read.{_HINT}"
    if parts.scheme.lower() not in _SCHEMES:
        return f"{without_secrets(url)} does not begin with ws:// or wss://.{_HINT}"
    if not host:
        return f"{without_secrets(url)} names no host.{_HINT}"
    return f"{without_secrets(url)} names the port 0, where nobody can be reached.{_HINT}" if port == 0 else ""
