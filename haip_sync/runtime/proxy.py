"""The way through an HTTP proxy: which one, and what to ask it."""

from __future__ import annotations

from base64 import b64encode
from importlib import import_module
from typing import Final
from urllib.parse import unquote

from haip_sync.errors import ConfigError
from haip_sync.runtime.address import Address, is_showable, split_url

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_FORM: Final = "http://host:port or http://user:password@host:port"


class Proxy:
    """An HTTP proxy. Immutable. `text` is safe to show: scheme, host and port, never user or password."""

    def __init__(self, url: str, named_by: str) -> None:
        split = split_url(url if "://" in url else f"http://{url.strip()}")
        if split is None:
            raise ConfigError(f"{named_by} cannot be read: it must look like {_FORM}")
        parts, port = split
        if parts.scheme.startswith("socks"):
            raise ConfigError(
                f"{named_by} is a SOCKS proxy, and haip_sync goes through HTTP proxies only: name one ({_FORM}), "
                'or use proxy="" to go without'
            )
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or not is_showable(parts.hostname):
            raise ConfigError(f"{named_by} must look like {_FORM}")
        self.host: str = parts.hostname
        self.port = port or _DEFAULT_PORTS[parts.scheme]
        self.is_secure = parts.scheme == "https"
        shown = f"[{self.host}]" if ":" in self.host else self.host
        self.text: str = f"{parts.scheme}://{shown}:{self.port}"
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        self._login = b64encode(f"{user}:{password}".encode()).decode() if parts.username is not None else None
        self.secrets = tuple(filter(None, (password, parts.password, self._login)))

    @property
    def has_login(self) -> bool:
        """Whether a user was named."""
        return self._login is not None

    def request(self, address: Address) -> bytes:
        """Return the CONNECT for `address`. Not for any eye or log."""
        lines = [f"CONNECT {address.authority} HTTP/1.1", f"Host: {address.authority}"]
        if self._login is not None:
            lines.append(f"Proxy-Authorization: Basic {self._login}")
        return "\r\n".join((*lines, "", "")).encode()


def check_proxy(value: object) -> Proxy | str | None:
    """Return what the argument `proxy` means: a proxy; "": none; None: what the environment says. Raises `ConfigError`."""
    if value is None or value == "":
        return value
    if not isinstance(value, str):
        raise ConfigError(f'proxy must be None (as the environment says), "" (none) or {_FORM}, not {type(value).__name__}')
    return Proxy(value, "proxy")


def proxy_for(address: Address, setting: Proxy | str | None) -> Proxy | None:
    """Return the proxy to go through; None: directly. The environment's is never asked for this machine itself.

    Raises `ConfigError` where the environment names one that cannot be used.
    """
    if isinstance(setting, Proxy):
        return setting
    if setting is not None or address.is_loopback:
        return None
    # Imported where it is asked: with it come HTTP and e-mail, which cost more than half of our own import.
    environment = import_module("urllib.request")
    named = environment.getproxies()
    scheme = "https" if address.is_secure else "http"
    key = scheme if named.get(scheme) else "all"
    url = named.get(key)
    if not url or environment.proxy_bypass(f"{address.host}:{address.port}"):
        return None
    return Proxy(url, f"{key}_proxy in the environment")
