"""Where to connect, checked, in a form that is safe to show."""

from __future__ import annotations

from importlib import import_module
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from haip_sync.config import told
from haip_sync.errors import ConfigError

_DEFAULT_PORTS: Final = {"ws": 80, "wss": 443}
_PATH_CHARACTERS: Final = "/%:@!$&'()*+,;=~"
_QUERY_CHARACTERS: Final = _PATH_CHARACTERS + "?"


class Address:
    """Immutable. `text` is safe to show: scheme, host and port, never a token.

    Attributes:
        host: The name or IP address, without brackets.
        port: The port, that of the scheme where the URL names none.
        is_secure: Whether it is wss://.
        text: Scheme, host and port.
        has_login: Whether a user or a password stands before the host, which no WebSocket sends.
    """

    def __init__(self, url: object) -> None:
        if not isinstance(url, str):
            raise ConfigError(f"url must be a string such as ws://localhost:8080, not {type(url).__name__}")
        split = split_url(url)
        if split is None:
            raise ConfigError("the URL's host or port cannot be read: it must look like ws://host:port")
        parts, port = split
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise ConfigError(
                "the URL must look like ws://host:port or wss://host:port; "
                f"its scheme is {parts.scheme!r}, its host {parts.hostname!r}"
            )
        if not is_showable(parts.hostname):
            raise ConfigError(f"{told(parts.hostname)} is no host name")
        if port == 0:
            raise ConfigError("the URL's port is 0: nobody can be reached there")
        self.host: str = parts.hostname
        self.port = port or _DEFAULT_PORTS[parts.scheme]
        self.is_secure = parts.scheme == "wss"
        self._ascii_host = _ascii(self.host)
        self.text = f"{parts.scheme}://{_bracketed(self.host)}:{self.port}"
        self.has_login = "@" in parts.netloc
        self._parts: SplitResult = parts

    @property
    def is_loopback(self) -> bool:
        """Whether it can only be this machine."""
        name = self.host.rstrip(".")
        try:
            # Imported where an address is asked: who only has the module pays nothing for it.
            return bool(import_module("ipaddress").ip_address(name).is_loopback)
        except ValueError:
            return name == "localhost" or name.endswith(".localhost")

    @property
    def server_name(self) -> str:
        """What the server's certificate must be for."""
        return self.host.rstrip(".").partition("%")[0]

    @property
    def authority(self) -> str:
        """Host and port as HTTP writes them."""
        return f"{_bracketed(self._ascii_host)}:{self.port}"

    @property
    def host_header(self) -> str:
        """The same without a port that goes without saying."""
        return _bracketed(self._ascii_host) if self.port == _DEFAULT_PORTS[self._parts.scheme] else self.authority

    def names_in_query(self) -> frozenset[str]:
        """Return the names in the URL's own query."""
        return frozenset(name for name, _ in parse_qsl(self._parts.query, keep_blank_values=True))

    def values_in_query(self) -> tuple[str, ...]:
        """Return the values in the URL's own query, which may be secrets."""
        return tuple(value for _, value in parse_qsl(self._parts.query))

    def target(self, query: tuple[tuple[str, str], ...] = ()) -> str:
        """Return path and query for the request line, with `query` added. Not for any eye or log."""
        own = quote(self._parts.query, safe=_QUERY_CHARACTERS)
        joined = "&".join(filter(None, (own, urlencode(query))))
        path = quote(self._parts.path, safe=_PATH_CHARACTERS) or "/"
        return f"{path}?{joined}" if joined else path


def split_url(url: str) -> tuple[SplitResult, int | None] | None:
    """Return the parts of `url` and its port; None where it cannot be read.

    No exception, not even as another's context: its words would repeat what cannot be read, which may be a password.
    """
    try:
        parts = urlsplit(url.strip())
        return parts, parts.port
    except ValueError:
        return None


def is_showable(host: str) -> bool:
    """Return whether a host may stand in logs and on terminals: nobody's name has a space in it, or what moves a cursor."""
    return host.isprintable() and " " not in host


def _ascii(host: str) -> str:
    """Return `host` as DNS and HTTP carry it. Raises `ConfigError`."""
    if ":" in host:
        return host.partition("%")[0]  # a zone means nothing to others
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        raise ConfigError(f"{told(host)} is no host name") from None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
