"""The door: the `websockets` threaded server, kept quiet and made to stop in bounded time."""

from __future__ import annotations

import inspect
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

from haip_sync.testing.server_session import abort
from haip_sync.testing.tls_socket import TlsSocket

MAX_FRAME_BYTES: Final = 16 << 20
_OPEN_TIMEOUT_S: Final = 5.0
_CLOSE_TIMEOUT_S: Final = 1.0


def _quiet_logger() -> logging.Logger:
    """Return the logger that the library writes to.

    It would print stack traces for port scanners and, at DEBUG, the request line with the token in it. What matters is
    logged by ourselves.
    """
    logger = logging.getLogger("haip_sync.testing.websockets")
    logger.setLevel(logging.CRITICAL)
    return logger


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=128)


class Listener:
    """Accepts connections and hands each to `on_connection`, on a thread of its own. Thread-safe.

    `subprotocol` chooses among those that a client offers; with `ssl_context` everything goes through TLS. Binds in the
    constructor: raises `OSError` when the address cannot be had.
    """

    def __init__(
        self,
        host: str,
        port: int,
        on_connection: Callable[[ServerConnection], None],
        name: str,
        *,
        subprotocol: Callable[[Sequence[str]], str | None],
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        # Guards the two below.
        self._lock = threading.Lock()
        # Every connection whose thread may still run, from before its handshake on.
        self._threads: dict[ServerConnection, threading.Thread] = {}
        self._stopping = False
        self._ssl_context = ssl_context
        listening = _bind(host, port)
        self.port: int = listening.getsockname()[1]
        self._server = serve(
            on_connection,
            sock=listening,
            create_connection=self._tracked_connection(),
            compression=None,
            select_subprotocol=lambda _, offered: _as_subprotocol(subprotocol(offered)),
            max_size=MAX_FRAME_BYTES,
            open_timeout=_OPEN_TIMEOUT_S,
            close_timeout=_CLOSE_TIMEOUT_S,
            logger=_quiet_logger(),
            **_no_keepalive(),
        )
        self._thread = threading.Thread(target=self._server.serve_forever, name=f"{name}-accept", daemon=True)

    def start(self) -> None:
        """Begin to accept."""
        self._thread.start()

    def stop(self, grace: float) -> None:
        """Accept nobody any more, give the connections `grace` seconds to close by themselves, then cut them.

        Returns when every thread of every connection has ended. Call it once.
        """
        with self._lock:
            self._stopping = True
        if self._thread.ident is None:  # Never started; the library would wait for its loop to end for ever.
            self._server.socket.close()
            return
        deadline = time.monotonic() + grace
        for connection, thread in self._connections():
            if connection.request is None:  # No handshake: there is nobody to say goodbye to.
                abort(connection)
            thread.join(max(0.0, deadline - time.monotonic()))
        for connection, _ in self._connections():
            abort(connection)
        self._server.shutdown()
        self._thread.join()
        for connection, thread in self._connections():
            thread.join()
            connection.recv_events_thread.join()

    def _connections(self) -> list[tuple[ServerConnection, threading.Thread]]:
        with self._lock:
            return list(self._threads.items())

    def _track(self, connection: ServerConnection) -> None:
        """Remember a new connection and its thread, which is the one that calls; forget those that are over."""
        with self._lock:
            over = [known for known, thread in self._threads.items() if not thread.is_alive()]
            for known in over:
                del self._threads[known]
            self._threads[connection] = threading.current_thread()
            refused = self._stopping
        if refused:
            abort(connection)

    def _tracked_connection(self) -> type[ServerConnection]:
        """Return the library's connection, reporting itself before its handshake: a mute one must not hold up `stop`."""
        track, context = self._track, self._ssl_context

        class TrackedConnection(ServerConnection):
            def __init__(self, sock: socket.socket, *args: Any, **settings: Any) -> None:
                in_place = sock if context is None else cast(socket.socket, TlsSocket(sock, context))
                super().__init__(in_place, *args, **settings)
                track(self)

        return TrackedConnection


def _as_subprotocol(name: str | None) -> Subprotocol | None:
    return None if name is None else Subprotocol(name)


def _no_keepalive() -> dict[str, Any]:
    """Return the setting that turns the library's own pings off, where this version has them.

    HAIP has its own PING, and a client that does not read is a case to be tested, not to be cut off after 20 seconds.
    """
    return {"ping_interval": None} if "ping_interval" in inspect.signature(serve).parameters else {}
