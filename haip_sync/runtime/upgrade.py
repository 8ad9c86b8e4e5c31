"""Asking for a WebSocket (RFC 6455, section 4).

websocket-client could ask too, but it writes the request, the token in it, to its log where tracing is on, and to its errors
what a server repeats of it; so we ask ourselves.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Final

from haip_sync.errors import AuthError, ConnectError, HAIPError, HAIPTimeout
from haip_sync.runtime.http_head import Head, NotHttpError, read_head
from haip_sync.runtime.request import Request
from haip_sync.runtime.stream import Deadline, Stream, send_all
from haip_sync.runtime.tls import TlsError
from haip_sync.runtime.trust import explained

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SWITCHING: Final = 101
_REFUSALS: Final = (401, 403)
_REDIRECTS: Final = range(300, 400)
_PROXY_LOGIN: Final = 407
_SERVER_ERRORS: Final = 500
"""The first of them."""


def upgrade(stream: Stream, request: Request, deadline: Deadline) -> bytes | HAIPError:
    """Ask for a WebSocket; return what came behind the answer, or why there is none.

    Returned and not raised: what is raised carries along what is handled at the time, and frames with the token in them.
    """
    where = request.address.text
    try:
        _send(stream, request)
        head = read_head(stream)
    except TimeoutError:
        return HAIPTimeout(f"{where} did not open a WebSocket within {deadline.timeout_s:g} s. Nothing was sent")
    except TlsError as exc:
        return ConnectError(explained(where, exc, exc.reason))
    except NotHttpError as exc:
        hint = "It speaks TLS: is it a wss:// address?" if exc.is_tls and not request.address.is_secure else "Is the port right?"
        return ConnectError(f"{where} does not speak WebSocket. Nothing was sent. {hint}")
    except OSError:
        hint = "" if request.address.is_secure else ". Does it want wss://?"
        return ConnectError(f"{where} closed the connection before it opened a WebSocket. Nothing was sent{hint}")
    return head.rest if head.status == _SWITCHING and _is_accepted(request, head) else _refusal(where, head.status)


def _is_accepted(request: Request, head: Head) -> bool:
    """Return whether an answer with status 101 is one to this request."""
    # Not for secrecy: RFC 6455 wants SHA-1 to tell a WebSocket server from one that repeats what it is sent.
    proof = b64encode(hashlib.sha1(request.key + _GUID, usedforsecurity=False).digest()).decode()
    chosen = head.headers.get("sec-websocket-protocol")
    return (
        head.has("upgrade", "websocket")
        and head.has("connection", "upgrade")
        and head.headers.get("sec-websocket-accept") == proof
        and (chosen is None or chosen in request.subprotocols)
    )


def _send(stream: Stream, request: Request) -> None:
    try:
        send_all(stream, request.data)
    except TimeoutError:
        raise
    except OSError:
        return  # what the peer said before it closed tells more


def _refusal(where: str, status: int) -> HAIPError:
    if status == _SWITCHING:
        return ConnectError(f"{where} does not speak WebSocket: its answer does not fit the question. Nothing was sent")
    if status in _REFUSALS:
        return AuthError(f"{where} refused the connection with HTTP {status}: is the token right? Nothing was sent")
    said = f"{where} answered HTTP {status}, it opened no WebSocket. Nothing was sent"
    if status in _REDIRECTS:
        return ConnectError(f"{said}. It sends us elsewhere, and a token must not go there unasked: use the final address")
    if status >= _SERVER_ERRORS:
        return ConnectError(f"{said}. The server, or a proxy before it, cannot serve now: try again later, or look into its log")
    if status == _PROXY_LOGIN:
        return ConnectError(f"{said}. A proxy stands before it that wants a login: name it with proxy=")
    return ConnectError(f"{said}. Is the path right?")
