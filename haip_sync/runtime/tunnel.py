"""The CONNECT that opens a tunnel through an HTTP proxy."""

from __future__ import annotations

from typing import Final

from haip_sync.errors import ConnectError, HAIPError, HAIPTimeout
from haip_sync.runtime.address import Address
from haip_sync.runtime.http_head import Head, NotHttpError, read_head
from haip_sync.runtime.proxy import Proxy
from haip_sync.runtime.stream import Deadline, Stream, send_all

_SUCCESSES: Final = range(200, 300)
_AUTHENTICATION_REQUIRED: Final = 407


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
