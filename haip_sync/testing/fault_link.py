"""One connection through the proxy: two sockets, and a pipe each way. Belongs to the proxy's thread."""

from __future__ import annotations

import errno
import logging
import os
import selectors
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from haip_sync.testing.fault_pipe import Pipe
from haip_sync.testing.fault_rules import DIRECTIONS, Direction
from haip_sync.testing.fault_views import Ending, LinkState, ProxyConnection

logger = logging.getLogger("haip_sync.testing.faultproxy")

READ_BYTES: Final = 64 << 10
LINGER_S: Final = 1.0
BUFFER_BYTES: Final = 256 << 10
"""What the system may keep of what a socket has received; without a bound, it takes megabytes from a sender that is stalled."""
_UNDER_WAY: Final = (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY)
_BACK: Final[dict[Direction, Direction]] = {"to_server": "to_client", "to_client": "to_server"}
_RESET: Final = struct.pack("ii", 1, 0)

Target = tuple[socket.AddressFamily, Any]
"""A family and an address of it."""


def prepared(sock: socket.socket) -> socket.socket:
    """Return `sock`, which never waits from now on: not for its peer, and not for more to send."""
    sock.settimeout(0.0)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class Link:
    """One connection, from its acceptance on; `changed` is called whenever its view is another."""

    def __init__(
        self,
        number: int,
        client: socket.socket,
        targets: tuple[Target, ...],
        pipes: dict[Direction, Pipe],
        selector: selectors.BaseSelector,
        changed: Callable[[], None],
    ) -> None:
        self.number = number
        self.pipes = pipes
        self.state: LinkState = "connecting"
        self.ended_by: Ending | None = None
        self._selector = selector
        self._changed = changed
        self._targets = list(targets)
        self._client = client
        self._server: socket.socket | None = None
        # The pipes whose receiver takes nothing at present, and those that have ended with FIN or RST at the receiver.
        self._blocked: set[Direction] = set()
        self._done: set[Direction] = set()
        # Those whose sender is known to have reset the connection, though what it had sent before is still to be read.
        self._torn: set[Direction] = set()
        # What the selector watches for at the end that sends in a direction.
        self._watched: dict[Direction, int] = {}
        self._lingers_until: float | None = None

    # What the proxy asks

    @property
    def is_over(self) -> bool:
        """Whether no socket is left."""
        return self.state == "closed" and self._lingers_until is None

    def view(self) -> ProxyConnection:
        """Return how it stands."""
        to_server, to_client = (self.pipes[direction] for direction in DIRECTIONS)
        return ProxyConnection(
            number=self.number,
            state=self.state,
            ended_by=self.ended_by,
            bytes_to_server=to_server.passed,
            bytes_to_client=to_client.passed,
            frames_to_server=to_server.frames,
            frames_to_client=to_client.frames,
        )

    def next_at(self) -> float | None:
        """Return when `pump` is to be called, whatever the sockets say; None: they will say."""
        if self.state == "closed":
            return self._lingers_until
        if self.state == "connecting":
            return None
        waiting = (direction for direction in DIRECTIONS if direction not in self._blocked | self._done)
        times = [at for direction in waiting if (at := self.pipes[direction].next_at()) is not None]
        return min(times, default=None)

    # What happens

    def dial(self) -> None:
        """Begin to connect to the next of the target's addresses; without one there is nothing for the client."""
        while self._targets:
            family, address = self._targets.pop(0)
            self._server = prepared(socket.socket(family, socket.SOCK_STREAM))
            self._server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            if self._server.connect_ex(address) in (0, *_UNDER_WAY):
                self._selector.register(self._server, selectors.EVENT_WRITE, self._dialled)
                return
            self._server.close()
        self._server = None
        self.ended_by = "unreachable"
        self.abort()

    def pump(self, now: float) -> None:
        """Move what may be moved now, and see what that means."""
        if self.state == "closed":
            if self._lingers_until is not None and self._lingers_until <= now:
                self.abort()
            return
        if self.state == "open":
            for direction in DIRECTIONS:
                self._push(direction, now)
        self._look_for_ends(now)
        self._mind()

    def cut(self, ended_by: Ending, now: float, *, reset: bool) -> None:
        """End both sides at once; what is under way is lost."""
        if self.state == "closed":
            return
        self.ended_by = self.ended_by or ended_by
        if reset:
            self.abort()
        else:
            self._close(now)

    def abort(self, *, reset: bool = True) -> None:
        """Give both sockets back at once, with RST unless told otherwise."""
        for sock in (self._client, self._server):
            self._give_back(sock, reset=reset)
        self.state, self._lingers_until = "closed", None
        self._changed()

    # Sockets

    def _dialled(self, _events: int, now: float) -> None:
        assert self._server is not None  # noqa: S101 - for mypy
        self._selector.unregister(self._server)
        failure = self._server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failure:
            logger.info("connection %d: the target cannot be reached: %s", self.number, os.strerror(failure))
            self._server.close()
            self.dial()
            return
        self.state = "open"
        self._changed()
        self.pump(now)

    def _ends(self, direction: Direction) -> tuple[socket.socket, socket.socket]:
        """Return who sends and who receives."""
        assert self._server is not None  # noqa: S101 - for mypy
        return (self._client, self._server) if direction == "to_server" else (self._server, self._client)

    def _pull(self, direction: Direction, now: float) -> None:
        """Read once."""
        pipe = self.pipes[direction]
        if not pipe.wants:
            return
        try:
            data = self._ends(direction)[0].recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._source_ended(direction, now, reset=True)
            return
        if data:
            pipe.take(data, now)
        else:
            self._source_ended(direction, now, reset=False)

    def _source_ended(self, direction: Direction, now: float, *, reset: bool) -> None:
        self.ended_by = self.ended_by or ("client" if direction == "to_server" else "server")
        self.pipes[direction].end(now, reset=reset or direction in self._torn)
        self._changed()

    def _push(self, direction: Direction, now: float) -> None:
        """Write until there is nothing to write, or nobody takes it."""
        pipe = self.pipes[direction]
        self._blocked.discard(direction)
        while piece := pipe.ready(now):
            try:
                sent = self._ends(direction)[1].send(piece)
            except (BlockingIOError, InterruptedError):
                self._blocked.add(direction)
                return
            except OSError:
                # The receiver is gone. That is told to the sender by the other direction, behind what is still under way there.
                # Reading from the receiver would tell of a FIN: the system has told us of the RST here, and does so once.
                self._torn.add(_BACK[direction])
                pipe.abandon(now)
                return
            pipe.wrote(sent)
            self._changed()

    def _look_for_ends(self, now: float) -> None:
        for direction in DIRECTIONS:
            pipe = self.pipes[direction]
            if pipe.is_cut:
                self.cut("cut", now, reset=pipe.cuts_with_reset)
                return
            if self.state == "open" and direction not in self._done and pipe.is_finished(now):
                self._done.add(direction)
                if pipe.ends_in_reset:
                    self.abort()
                    return
                with suppress(OSError):
                    self._ends(direction)[1].shutdown(socket.SHUT_WR)
                self._changed()
        if len(self._done) == len(DIRECTIONS):
            self._close(now)

    def _close(self, now: float) -> None:
        """Send FIN to both, and read on for a second: closing at once would send RST to who is still sending."""
        self.state = "closed"
        self._lingers_until = now + LINGER_S
        for sock in (self._client, self._server):
            if sock is not None:
                self._shut(sock)
        self._drained()
        self._changed()

    def _shut(self, sock: socket.socket) -> None:
        try:
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            # Not connected yet, or not any more.
            self._give_back(sock, reset=False)
            return
        self._watch(sock, selectors.EVENT_READ, partial(self._drain, sock))

    def _drain(self, sock: socket.socket, _events: int, _now: float) -> None:
        with suppress(BlockingIOError, InterruptedError):
            try:
                if sock.recv(READ_BYTES):
                    return
            except ConnectionError:
                pass
            self._give_back(sock, reset=False)
            self._drained()

    def _drained(self) -> None:
        if all(sock is None or sock.fileno() < 0 for sock in (self._client, self._server)):
            self._lingers_until = None

    def _mind(self) -> None:
        """Have the selector watch for what there is to do."""
        if self.state != "open":
            return
        for outward, inward in _BACK.items():
            events = selectors.EVENT_READ if self.pipes[outward].wants else 0
            if inward in self._blocked:
                events |= selectors.EVENT_WRITE
            if events != self._watched.get(outward):
                self._watched[outward] = events
                self._watch(self._ends(outward)[0], events, partial(self._on_event, outward))

    def _on_event(self, outward: Direction, events: int, now: float) -> None:
        """Act on what the selector has seen at the end that sends `outward`."""
        if events & selectors.EVENT_READ and self.state == "open":
            self._pull(outward, now)
        self.pump(now)

    def _watch(self, sock: socket.socket, events: int, on_event: Callable[[int, float], None]) -> None:
        key = self._selector.get_map().get(sock)
        if key is None:
            if events:
                self._selector.register(sock, events, on_event)
        elif not events:
            self._selector.unregister(sock)
        else:
            self._selector.modify(sock, events, on_event)

    def _give_back(self, sock: socket.socket | None, *, reset: bool) -> None:
        if sock is None or sock.fileno() < 0:
            return
        with suppress(KeyError):
            self._selector.unregister(sock)
        if reset:
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        sock.close()
