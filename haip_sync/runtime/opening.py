"""From a route to an open stream: dial, through a proxy where there is one, TLS where it is asked for."""

from __future__ import annotations

import logging
import ssl

from haip_sync.errors import ConnectError, HAIPTimeout
from haip_sync.runtime.dial import LookupTimeoutError, Opening, dial
from haip_sync.runtime.proxy import Proxy, proxy_for
from haip_sync.runtime.route import Route
from haip_sync.runtime.stream import Deadline, PlainStream, Stream
from haip_sync.runtime.tls import TlsStream
from haip_sync.runtime.trust import default_context, explained
from haip_sync.runtime.tunnel import refused

log = logging.getLogger("haip_sync.connection")


def open_stream(route: Route, deadline: Deadline, opening: Opening) -> Stream:
    """Return a stream to the server, still bound by the deadline.

    Raises `ConnectError`, `HAIPTimeout`; `ConfigError` for a proxy in the environment that cannot be used. Nothing of the
    request was sent then.
    """
    proxy = proxy_for(route.address, route.proxy)
    stream = _dialled(route, proxy, deadline, opening)
    try:
        if proxy is not None:
            stream = _through(proxy, stream, route, deadline)
        if route.address.is_secure:
            context = route.context or default_context()
            stream = _secured(stream, context, route.address.server_name, route.address.text, deadline)
    except BaseException:
        stream.close()
        raise
    return stream


def _dialled(route: Route, proxy: Proxy | None, deadline: Deadline, opening: Opening) -> Stream:
    host, port = (proxy.host, proxy.port) if proxy else (route.address.host, route.address.port)
    where, hint = (f"the proxy {proxy.text}", "") if proxy else (route.address.text, " Is a server running there?")
    try:
        return PlainStream(dial(host, port, deadline, opening), deadline)
    except LookupTimeoutError as exc:
        raise HAIPTimeout(
            f"{where} was not reached: the system did not find the name {host} within {deadline.timeout_s:g} s. Nothing was sent"
        ) from exc
    except TimeoutError as exc:
        raise HAIPTimeout(f"{where} did not answer within {deadline.timeout_s:g} s. Nothing was sent") from exc
    except OSError as exc:
        raise ConnectError(f"{where} cannot be reached: {_os_text(exc)}.{hint} Nothing was sent") from exc


def _through(proxy: Proxy, stream: Stream, route: Route, deadline: Deadline) -> Stream:
    """Return the tunnel through `proxy`."""
    if proxy.is_secure:
        stream = _secured(stream, default_context(), proxy.host, f"the proxy {proxy.text}", deadline)
    failure = refused(proxy, stream, route.address, deadline)
    if failure is not None:
        raise failure
    return stream


def _secured(stream: Stream, context: ssl.SSLContext, server_name: str, where: str, deadline: Deadline) -> Stream:
    """Return TLS over `stream`, with the other side's certificate checked as `context` says."""
    secured = TlsStream(stream, context, server_name=server_name)
    try:
        secured.handshake()
    except TimeoutError as exc:
        raise HAIPTimeout(
            f"{where} did not finish the TLS handshake within {deadline.timeout_s:g} s. Nothing was sent. Does it speak TLS?"
        ) from exc
    except ssl.SSLError as exc:
        raise ConnectError(explained(where, exc, exc.reason or "")) from exc
    except OSError as exc:
        raise ConnectError(f"{where} closed the connection in the TLS handshake. Nothing was sent. Does it speak TLS?") from exc
    log.debug("TLS with %s: %s", where, secured.version)
    return secured


def _os_text(exc: OSError) -> str:
    return (exc.strerror or str(exc) or type(exc).__name__).lower()
