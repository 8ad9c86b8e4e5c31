"""The way through an HTTP proxy: which one, and the CONNECT that opens the tunnel."""

from __future__ import annotations

from base64 import b64encode
from importlib import import_module
from typing import Final
from urllib.parse import unquote

from haip_sync.errors import ConfigError, ConnectError, HAIPError, HAIPTimeout
from haip_sync.runtime.address import Address, split_url
from haip_sync.runtime.http_head import Head, NotHttpError, read_head
from haip_sync.runtime.stream import Deadline, Stream, send_all

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_SUCCESSES: Final = range(200, 300)
_AUTHENTICATION_REQUIRED: Final = 407
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
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
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


def refused(proxy: Proxy, stream: Stream, address: Address, deadline: Deadline) -> HAIPError | None:
    """Have `proxy` open a tunnel to `address`; return why it did not.

    Returned and not raised: what is raised carries along what is handled at the time, and frames with the password in them.
    """
    try:
        send_all(stream, proxy.request(address))
        head = read_head(stream)
    except TimeoutError:
        return HAIPTimeout(
            f"the proxy {proxy.text} opened no way to {address.text} within {deadline.timeout_s:g} s. Nothing was sent"
        )
    except NotHttpError:
        return ConnectError(f"the proxy {proxy.text} does not speak HTTP. Nothing was sent. Are host and port right?")
    except OSError:
        return ConnectError(f"the proxy {proxy.text} closed the connection. Nothing was sent")
    return _judged(head, proxy, address)


def _judged(head: Head, proxy: Proxy, address: Address) -> ConnectError | None:
    """Return what is wrong with the proxy's answer."""
    if head.status == _AUTHENTICATION_REQUIRED:
        asks = "refused the user and the password given" if proxy.has_login else "asks for a user and a password"
        return ConnectError(
            f"the proxy {proxy.text} {asks} (HTTP 407). Nothing was sent. Name them: http://user:password@host:port"
        )
    if head.status not in _SUCCESSES:
        return ConnectError(f"the proxy {proxy.text} opens no way to {address.text}: HTTP {head.status}. Nothing was sent")
    if head.rest:
        return ConnectError(f"the proxy {proxy.text} talks where {address.text} should. Nothing was sent")
    return None
