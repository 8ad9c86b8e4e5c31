"""The proxy's sockets and settings: who is let in, and what happens to whom. Belongs to the proxy's thread, which runs `step`."""

from __future__ import annotations

import logging
import os
import selectors
import socket
import time
from collections import deque
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

from haip_sync.testing.fault_editor import FrameEditor
from haip_sync.testing.fault_link import BUFFER_BYTES, Link, Target, prepared
from haip_sync.testing.fault_pipe import Pipe
from haip_sync.testing.fault_rules import DIRECTIONS, Direction, Faults, FrameRules
from haip_sync.testing.fault_views import ProxyConnection

logger = logging.getLogger("haip_sync.testing.faultproxy")

_BACKLOG: Final = 128
_KEEP_CLOSED: Final = 10_000
_ACCEPT_AGAIN_S: Final = 0.1

Door = Literal["open", "shut", "shut_behind"]
"""Whether connections are accepted; `"shut_behind"`: accepted and closed at once."""


@dataclass(frozen=True)
class PlannedCut:
    """Where the next connections are cut. Immutable."""

    after_bytes: int
    direction: Direction
    reset: bool


class Board:
    """Everything that the proxy's thread owns. `seed` makes what is random the same every time."""

    def __init__(self, *, seed: int, sees_frames: bool) -> None:
        self._seed = seed
        self._sees_frames = sees_frames
        self._selector: selectors.BaseSelector | None = None
        self._targets: tuple[Target, ...] = ()
        self._listening: socket.socket | None = None
        self._door: Door = "open"
        self._accepts_from = 0.0
        self._faults: dict[Direction, Faults] = dict.fromkeys(DIRECTIONS, Faults())
        self._rules: dict[Direction, FrameRules] = dict.fromkeys(DIRECTIONS, FrameRules((), self.report))
        self._stalled: set[Direction] = set()
        self._planned: PlannedCut | None = None
        self._planned_left: float = 0
        self._links: list[Link] = []
        self._closed: deque[ProxyConnection] = deque(maxlen=_KEEP_CLOSED)
        self._accepted = 0
        self._has_changed = False
        self.failure: Exception | None = None
        """The first that a test of the user's has raised."""

    # Life

    def open(self, host: str, port: int, targets: tuple[Target, ...], waker: socket.socket) -> int:
        """Bind and listen, unless that is refused; return the port. `waker` ends a `step` by what can be read from it.

        Raises `OSError`, nothing left open.
        """
        self._targets = targets
        self._listening = _bound(host, port)
        self._selector = selectors.DefaultSelector()
        self._selector.register(waker, selectors.EVENT_READ, lambda _events, _now: waker.recv(4_096))
        if self._door != "shut":
            self._listen()
        bound: int = self._listening.getsockname()[1]
        return bound

    def close(self) -> None:
        """Close everything."""
        for link in self._links:
            link.ended_by = link.ended_by or "stopped"
            link.abort(reset=False)
        self._forget_closed()
        if self._listening is not None:
            self._listening.close()
        if self._selector is not None:
            self._selector.close()
        self._selector = self._listening = None

    def step(self) -> bool:
        """Wait until something happens, and act on it; return whether any connection has changed."""
        assert self._selector is not None  # noqa: S101 - for mypy
        for key, events in self._selector.select(self._patience_s()):
            # What was done for one of them may have closed another.
            if not isinstance(key.fileobj, socket.socket) or key.fileobj.fileno() >= 0:
                key.data(events, time.monotonic())
        now = time.monotonic()
        for link in self._links:
            if (at := link.next_at()) is not None and at <= now:
                link.pump(now)
        if self._accepts_from and self._accepts_from <= now:
            self._accepts_from = 0.0
            self._watch_door()
        self._forget_closed()
        changed, self._has_changed = self._has_changed, False
        return changed

    def report(self, failure: Exception) -> None:
        """Take what a test of the user's has raised."""
        logger.error("a frame fault's `when` raised; the frame passes", exc_info=failure)
        self.failure = self.failure or failure

    def _patience_s(self) -> float | None:
        times = [at for link in self._links if (at := link.next_at()) is not None]
        if self._accepts_from:
            times.append(self._accepts_from)
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _forget_closed(self) -> None:
        over = [link for link in self._links if link.is_over]
        if over:
            self._closed.extend(link.view() for link in over)
            self._links = [link for link in self._links if not link.is_over]

    def _changed(self) -> None:
        self._has_changed = True

    # Commands

    def views(self) -> tuple[ProxyConnection, ...]:
        """Return how every connection stands, in order; of those that are over, the last 10,000."""
        return tuple(sorted((*self._closed, *(link.view() for link in self._links)), key=lambda view: view.number))

    def configure(self, faults: dict[Direction, Faults]) -> None:
        """Go by other faults in these directions."""
        now = time.monotonic()
        for direction, chosen in faults.items():
            rules = FrameRules(chosen.frames, self.report)
            self._faults[direction], self._rules[direction] = chosen, rules
            for link in self._links:
                link.pipes[direction].configure(chosen, rules, now)
        self._pump(now)

    def stall(self, directions: tuple[Direction, ...], *, stalled: bool) -> None:
        """Let nothing through in these directions, or everything."""
        self._stalled.difference_update(directions)
        if stalled:
            self._stalled.update(directions)
        for link in self._links:
            for direction in directions:
                link.pipes[direction].stalled = stalled
        self._pump(time.monotonic())

    def cut(self, number: int | None, *, reset: bool) -> int:
        """Cut one live connection, or all; return how many."""
        chosen = self._live(number)
        for link in chosen:
            link.cut("cut", time.monotonic(), reset=reset)
        return len(chosen)

    def half_close(self, direction: Direction, number: int | None) -> int:
        """End one direction of one live connection, or of all; return of how many."""
        now = time.monotonic()
        chosen = self._live(number)
        for link in chosen:
            link.ended_by = link.ended_by or "cut"
            link.pipes[direction].half_close(now)
        self._changed()
        self._pump(now)
        return len(chosen)

    def plan(self, cut: PlannedCut | None, connections: float = 0) -> None:
        """Cut so many of the next connections as it says; None: none."""
        self._planned, self._planned_left = cut, connections

    def use_door(self, door: Door) -> None:
        """Let connections in, or not."""
        before, self._door = self._door, door
        if self._listening is None or (before == "shut") == (door == "shut"):
            return
        if door != "shut":
            self._listen()
            return
        # Nothing else can end listening. The port stays ours: it is bound, and nobody listens.
        host, port = self._listening.getsockname()[:2]
        self._watch_door(watch=False)
        self._accepts_from = 0.0
        self._listening.close()
        self._listening = _bound(host, port)

    def clear(self) -> None:
        """Make everything as it was at first, for live connections and for those to come."""
        self.plan(None)
        self.use_door("open")
        self.configure(dict.fromkeys(DIRECTIONS, Faults()))
        self.stall(DIRECTIONS, stalled=False)

    def _live(self, number: int | None) -> list[Link]:
        return [link for link in self._links if link.state != "closed" and number in (None, link.number)]

    def _pump(self, now: float) -> None:
        for link in self._links:
            link.pump(now)

    # The door

    def _listen(self) -> None:
        assert self._listening is not None  # noqa: S101 - for mypy
        self._listening.listen(_BACKLOG)
        self._watch_door()

    def _watch_door(self, *, watch: bool = True) -> None:
        assert self._selector is not None  # noqa: S101 - for mypy
        assert self._listening is not None  # noqa: S101 - for mypy
        watched = self._listening in self._selector.get_map()
        if watch and not watched:
            self._selector.register(self._listening, selectors.EVENT_READ, self._accept)
        elif watched and not watch:
            self._selector.unregister(self._listening)

    def _accept(self, _events: int, now: float) -> None:
        """Let one connection in."""
        assert self._listening is not None  # noqa: S101 - for mypy
        assert self._selector is not None  # noqa: S101 - for mypy
        try:
            client, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return
        except OSError:
            logger.exception("a connection cannot be accepted; another try in %s s", _ACCEPT_AGAIN_S)
            self._watch_door(watch=False)
            self._accepts_from = now + _ACCEPT_AGAIN_S
            return
        self._accepted += 1
        refused = self._door == "shut_behind"
        pipes = {direction: self._pipe(direction, refused=refused) for direction in DIRECTIONS}
        link = Link(self._accepted, prepared(client), self._targets, pipes, self._selector, self._changed)
        self._links.append(link)
        self._changed()
        if refused:
            link.cut("refused", now, reset=False)
            return
        if self._planned_left:
            self._planned_left -= 1
        link.dial()

    def _pipe(self, direction: Direction, *, refused: bool) -> Pipe:
        rules = self._rules[direction]
        name = f"{self._seed}:{self._accepted}:{direction}"
        # Two, so that what becomes of a frame does not hang on the pieces that the stream comes in.
        editor = FrameEditor(rules, Random(name), is_answer=direction == "to_client") if self._sees_frames else None  # noqa: S311
        planned = self._planned if self._planned_left and not refused else None
        mine = planned if planned is not None and planned.direction == direction else None
        return Pipe(
            self._faults[direction],
            Random(f"{name}:jitter"),  # noqa: S311
            editor,
            cut_after=None if mine is None else mine.after_bytes,
            reset=mine is not None and mine.reset,
            stalled=direction in self._stalled,
        )


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket that is bound and does not listen yet. Raises `OSError`."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # Elsewhere the option lets two programs have one port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # What is accepted has the buffers of what listens; they are to be set before.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        sock.settimeout(0.0)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock
