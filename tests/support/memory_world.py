"""A real client whose three threads are one: whoever would wait takes a step of everybody else instead.

There are no sockets and no clock: the line is `memory_line`'s, and time passes only where nothing else can happen. A wait that
nothing can end is an `AssertionError`, so that a conversation that comes to its end shows that nobody waited in vain.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any

import pytest

from haip_sync import HAIPClient
from haip_sync.flow.parking import Condition, Parking
from haip_sync.runtime import connection as connection_module
from haip_sync.runtime import writer as writer_module
from haip_sync.runtime.connection import Connection
from haip_sync.runtime.link import LineEnd, Link
from haip_sync.runtime.writer import Writer
from haip_sync.testing.fault_rules import Direction
from haip_sync.testing.settings import ServerSettings
from support.memory_line import Cut, MemoryServer, MemoryStream, NothingYetError, Tampering

_LONGEST_IDLE_S = 60.0
_GREETING_S = 10.0
_MOST_STEPS = 500
_MOST_WRITES = 1_000
# This machine, for which no proxy is looked for in the environment.
_URL = "ws://localhost/"
_SESSION_ID = "11111111-2222-4333-8444-555555555555"


class _SteppingParking(Parking):
    """Whoever would wait takes a step of the world. One thread: the lock, which it holds, keeps nobody out."""

    def __init__(self, step: Callable[[], None]) -> None:
        super().__init__()
        self._step = step

    def wait(self, condition: Condition, timeout_s: float | None) -> None:
        del condition, timeout_s
        self._step()


class _SteppingQueue:
    """What a sender waits at for its frames to be written."""

    def __init__(self, step: Callable[[], None]) -> None:
        self._step = step

    def put(self, item: None) -> None:
        """Do nothing: whoever waits looks after each step."""

    def get(self, timeout: float | None = None) -> None:
        del timeout
        self._step()


def _counted(write: Callable[..., bool]) -> Callable[..., bool]:
    """Return `write` as it is, for so many calls: a sender that tries again and again in vain would hang the only thread."""
    calls = count()

    def counted(*args: Any) -> bool:
        assert next(calls) < _MOST_WRITES, "somebody tries to write again and again"
        return write(*args)

    return counted


class World:
    """One client and its server. `cuts` are those of the first lines, in order; later lines hold."""

    def __init__(self, settings: ServerSettings, *cuts: Cut, tampering: Tampering | None = None) -> None:
        self.now_s = 1_000.0
        self.streams: list[MemoryStream] = []
        self.lines_left = 20
        # How many bytes the first handshake took, and what followed it of itself.
        self.greeting: dict[Direction, int] = {}
        self.server = MemoryServer(settings, lambda: self.now_s)
        self._cuts = list(cuts)
        self._tampering = tampering
        self._client: HAIPClient | None = None
        self._how: LineEnd | None = None
        self._steps = 0
        self._is_reading = False

    @contextmanager
    def client(self, **settings: Any) -> Iterator[HAIPClient]:
        """Yield a connected client."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(connection_module, "Parking", partial(_SteppingParking, self.step))
            patch.setattr("haip_sync.client.Connection", partial(Connection, clock=lambda: self.now_s))
            patch.setattr(writer_module, "SimpleQueue", partial(_SteppingQueue, self.step))
            patch.setattr("haip_sync.runtime.opening.open_stream", self._open_stream)
            patch.setattr("haip_sync.runtime.upgrade.upgrade", lambda *_: b"")
            patch.setattr(Writer, "_write_if_free", _counted(Writer._write_if_free))
            # Short ids: there are fewer bytes to cut after.
            ours, theirs = count(), count()
            for name in ("arguments", "conversation.conversation"):
                patch.setattr(f"haip_sync.runtime.{name}.new_id", lambda: f"c{next(ours)}")
            for name in ("uuid", "haip_sync.testing.conversation"):
                patch.setattr(f"{name}.uuid4", lambda: f"s{next(theirs)}")
            self._client = HAIPClient(_URL, session_id=_SESSION_ID, stall_warning=None, **settings)
            connection = self._client._connection
            connection._begun = True
            self._begin(connection.link)
            connection._wait_for_greeting(connection.link, math.inf)
            self.settle()
            self.greeting = dict(self.streams[0].passed)
            if self._tampering is not None:
                self._tampering.begins = True
            yield self._client
            connection.end(None)
            self._run_listeners()

    def _open_stream(self, *_: object) -> MemoryStream:
        if self._tampering is not None:
            self._tampering.begin_line()
        stream = MemoryStream(self._cuts.pop(0) if self._cuts else None, *filter(None, [self._tampering]))
        self.streams.append(stream)
        self.server.accept(stream)
        return stream

    @property
    def _connection(self) -> Connection:
        assert self._client is not None
        return self._client._connection

    def _begin(self, link: Link) -> None:
        self.lines_left -= 1
        assert self.lines_left, "line after line is lost"
        line = link.open(1.0)
        assert self._connection.begin_line(link, line, _GREETING_S)

    # ---- A step ----------------------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Let everybody do what there is to do; where that is nothing, let time pass until there is."""
        if not self._advance():
            gates = self._connection.rooms.turnstile.gates
            texts = [f"{gate.channel}: {len(gate.standing())} of {gate.ledger}, {gate.hold()}" for gate in gates]
            raise AssertionError(f"somebody waits for ever: {texts}")

    def settle(self) -> None:
        """Go on until nothing is under way, and nothing is due soon."""
        while self._advance():
            pass

    def _advance(self) -> bool:
        """Let everybody do what there is to do, or time pass; return whether there was anything."""
        self._steps += 1
        assert self._steps < _MOST_STEPS, "it never ends"
        if self._turn():
            return True
        next_s = self._next_s()
        if next_s - self.now_s > _LONGEST_IDLE_S:
            return self.streams[-1].release()
        self.now_s = max(self.now_s, next_s)
        return True

    def until(self, condition: Callable[[], bool]) -> None:
        """Go on until `condition` holds."""
        while not condition():
            self.step()

    def _turn(self) -> bool:
        has_come = self.server.turn()
        has_read = self._read()
        was_cut = self.streams[-1].is_cut
        self._serve()
        has_shut = self.streams[-1].is_cut and not was_cut  # for the reader to find
        return self._run_listeners() or has_come or has_read or has_shut or bool(self.streams[-1]._written)

    def _next_s(self) -> float:
        """Return when something is due."""
        rooms, link, server_due_s = self._connection.rooms, self._connection.link, self.server.conversation.due()
        greeting_s = math.inf if link.stands or link.cause is not None else link.greet_by_s
        return min(
            greeting_s, rooms.session.next_due_s, rooms.turnstile.look_s, math.inf if server_due_s is None else server_due_s
        )

    def _serve(self) -> None:
        """Do one round of the service thread."""
        connection, service = self._connection, self._connection._service
        service._beat(self.now_s)
        if connection.link.stands and self.now_s >= connection.rooms.session.next_due_s:
            connection.look_for_gaps()
        if service.asking is not None:
            service.asking.run(self.now_s, None)
        connection.writer.write_pending(time.monotonic() + _LONGEST_IDLE_S)

    def _read(self) -> bool:
        """Do the reader's part: read what came; where the line is lost, go on to the next. Return whether anything happened."""
        connection, link = self._connection, self._connection.link
        if self._is_reading:  # it waits for its last words to leave
            return False
        self._is_reading = True
        try:
            return self._read_on(connection, link)
        finally:
            self._is_reading = False

    def _read_on(self, connection: Connection, link: Link) -> bool:
        came, greet_by_s = bool(self.streams[-1]._came), link.greet_by_s
        try:
            how = link.read(link.line, connection._reception)
        except NothingYetError:
            link.greet_by_s = math.inf if link.is_greeted else greet_by_s  # it thinks that the reading is over
            return came
        assert how.may_mend, how
        if link.is_greeted:
            connection.break_off(how)
        assert connection.leave_line(link)
        assert connection.trying()
        self._begin(connection.new_link())
        return True

    def _run_listeners(self) -> bool:
        """Do the dispatch thread's part."""
        dispatcher, has_run = self._connection.rooms.dispatcher, False
        while not dispatcher._queue.empty():
            event = dispatcher._queue.get()
            if event is not None:
                has_run = True
                dispatcher._run_callback(event) if callable(event) else dispatcher._deliver(event)
        return has_run
