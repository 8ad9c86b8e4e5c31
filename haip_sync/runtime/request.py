"""The HTTP request that becomes a WebSocket (RFC 6455, section 4): what is in it, checked before anything is opened."""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Final

from haip_sync.auth import Credentials
from haip_sync.config import told
from haip_sync.errors import ConfigError
from haip_sync.runtime.address import Address

_OUR_OWN: Final = frozenset({"upgrade", "connection", "content-length", "transfer-encoding"})
_SHORTEST_SECRET: Final = 8


class Request:
    """The request for one address. Immutable; it holds secrets, and its repr shows none."""

    def __init__(self, address: Address, headers: Mapping[str, str], credentials: Credentials) -> None:
        """Put it together; `secrets` are the texts in it that must be shown nowhere.

        Raises `ConfigError` where two of the parts say who we are, each in its own way.
        """
        names = {name.lower() for name in headers}
        for name, _ in credentials.headers:
            if name.lower() in names:
                raise ConfigError(f"both headers and auth (or token) set {name}: leave one of them out")
        for name, _ in credentials.query:
            if name in address.names_in_query():
                raise ConfigError(f"the URL has {name}= in its query already, and auth (or token) adds it: leave one of them out")
        self.address = address
        self.secrets = (*credentials.secrets, *address.values_in_query(), *_secrets_in(headers))
        self.subprotocols = credentials.subprotocols
        self.key = b64encode(os.urandom(16))
        lines = [
            f"GET {address.target(credentials.query)} HTTP/1.1",
            *([] if "host" in names else [f"Host: {address.host_header}"]),
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {self.key.decode()}",
            "Sec-WebSocket-Version: 13",
            *([f"Sec-WebSocket-Protocol: {', '.join(self.subprotocols)}"] if self.subprotocols else []),
            *(f"{name}: {value}" for name, value in (*credentials.headers, *headers.items())),
        ]
        self.data = "\r\n".join((*lines, "", "")).encode("latin-1")


def _secrets_in(headers: Mapping[str, str]) -> list[str]:
    """Return what may be secret in `headers`: long values, and their last words (behind "Bearer")."""
    texts = (text for value in headers.values() for text in (value, *value.split()[-1:], *_login_in(value)))
    return [text for text in texts if len(text) >= _SHORTEST_SECRET]


def _login_in(value: str) -> list[str]:
    """Return user and password of "Basic ..." (RFC 7617), and the password by itself."""
    try:
        scheme, encoded = value.split()
        login = b64decode(encoded, validate=True).decode() if scheme.lower() == "basic" else ""
    except ValueError:
        return []
    return [login, login.partition(":")[2]]


def check_headers(value: object) -> dict[str, str]:
    """Return a copy of `value` if it maps header names to texts that HTTP can carry, else raise `ConfigError`.

    What WebSocket needs for itself cannot be set; Host can.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigError(f"headers must be a mapping of strings, not {type(value).__name__}")
    for name, text in value.items():
        if not isinstance(name, str) or not isinstance(text, str) or any(c in name + text for c in "\r\n\0"):
            raise ConfigError(f"the header {told(name)} must be strings without line breaks")
        if not name or any(not "\x20" < c < "\x7f" or c in '":;,/()<>=?@[]{}\\' for c in name):
            raise ConfigError(f"{told(name)} is no name of a header")
        if not _is_latin(text):
            raise ConfigError(f"the header {told(name)} must be of characters that HTTP can carry (Latin-1)")
        _check_not_ours(name.lower())
    return dict(value)


def _is_latin(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


def _check_not_ours(name: str) -> None:
    if name == "sec-websocket-protocol":
        raise ConfigError(f"headers cannot set {name}: for a token there use auth=SubprotocolToken(...)")
    if name in _OUR_OWN or name.startswith("sec-websocket-"):
        raise ConfigError(f"headers cannot set {name}: the WebSocket itself needs it")
