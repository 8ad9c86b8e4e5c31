"""One session at run time: the lock around its conversation, the thread that writes, the loop that reads.

Two threads a session are ours: the WebSocket library's handler thread reads (`serve`), a writer thread writes. Whoever
wants something of the session calls `perform`, which decides under the lock; the writer alone touches the socket, without
the lock, so a client that does not read holds up neither its own books nor anybody else.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

from haip_sync.testing.call import Call
from haip_sync.testing.conversation import Conversation
from haip_sync.testing.invocation import run_tool
from haip_sync.testing.resumption import Lasting
from haip_sync.testing.session import Session
from haip_sync.testing.timers import Alarms, Clock
from haip_sync.testing.tool_threads import ToolThreads
from haip_sync.testing.transactions import Relayed

MAX_UNSENT_FRAMES: Final = 100_000
MAX_UNSENT_CHARS: Final = 64 << 20
"""A client that has left more than this unread is dropped: memory stays bounded."""

_CLOSE_INTERNAL_ERROR: Final = 1011

ResultT = TypeVar("ResultT")


def abort(connection: ServerConnection) -> None:
    """Cut the TCP connection: every thread that waits for it wakes, nothing more is sent. From any thread, idempotent."""
    # shutdown and not close: closing a descriptor wakes nobody who waits on it.
    with suppress(OSError):
        connection.socket.shutdown(socket.SHUT_RDWR)


class ServerSession:
    """One connection of one client. Thread-safe.

    `number` counts opened sessions from 1; it is 0 until the client's HAI was good.
    """

    def __init__(
        self,
        connection: ServerConnection,
        conversation: Conversation,
        *,
        alarms: Alarms,
        clock: Clock,
        tool_threads: ToolThreads,
        on_open: Callable[[ServerSession], None],
    ) -> None:
        self.number = 0
        self.view = Session(self)
        self._connection = connection
        self._alarms = alarms
        self._clock = clock
        self._tool_threads = tool_threads
        self._on_open = on_open
        # Guards the conversation and everything below. Nothing is written, called back or joined while it is held.
        self._lock = threading.Lock()
        # Waits for: something to write, or the end.
        self._to_write = threading.Condition(self._lock)
        # Waits for: any change of the session, for `Session.wait_for`.
        self._changed = threading.Condition(self._lock)
        self._conversation = conversation
        conversation.transactions.reach = lambda step: self.perform(lambda _conversation, _now: step())
        self._unsent: deque[str | bytes] = deque()
        self._unsent_chars = 0
        self._version = 0
        # Whether `on_open` was called: the client's HAI was good.
        self._opened = False
        # What is to be done in other sessions, and whether a thread is about to do it.
        self._relays: deque[Relayed] = deque()
        self._relaying = False
        # The nearest alarm that is set and has not fired.
        self._alarm: float | None = None
        self._ended = False
        self._ended_at: float | None = None
        # Whether another connection goes on with the client's session.
        self._handed_over = False
        self._close_code: int | None = None
        self._writer = threading.Thread(target=self._write_all, name="haip-devserver-writer", daemon=True)

    # What others ask

    @property
    def live(self) -> bool:
        """Whether the client's HAI was good and the connection stands."""
        with self._lock:
            return self._conversation.peer_id is not None and not self._ended

    def wait_until_live(self, deadline: float) -> None:
        """Wait until the client's HAI was good, or the connection is over, or until `deadline` on the monotonic clock."""
        while not (self.live or self.ended):
            seen = self.version
            if not (self.live or self.ended or self.wait_for_change(seen, deadline)):
                return

    @property
    def ended(self) -> bool:
        """Whether the connection is over."""
        with self._lock:
            return self._ended

    @property
    def close_code(self) -> int | None:
        """The WebSocket close code, 1006 for none; None while the connection stands."""
        with self._lock:
            return self._close_code

    def read(self, look: Callable[[Conversation], ResultT]) -> ResultT:
        """Return what `look` sees in the conversation, as of one moment. `look` is code of ours and waits for nothing."""
        with self._lock:
            return look(self._conversation)

    def perform(self, step: Callable[[Conversation, float], None]) -> None:
        """Take one step in the conversation, then see to what it asks for. `step` is code of ours and waits for nothing."""
        with self._lock:
            if self._handed_over:
                return
            step(self._conversation, self._clock.now())
            self._collect()
            alarm = self._new_alarm()
            opens = self._conversation.peer_id is not None and not (self._opened or self._ended)
            self._opened = self._opened or opens
            calls = [] if self._ended else self._conversation.calls.take_ready()
            self._relays.extend(self._conversation.transactions.take_relays())
            relays = bool(self._relays) and not self._relaying
            self._relaying = self._relaying or relays
            too_far_behind = len(self._unsent) > MAX_UNSENT_FRAMES or self._unsent_chars > MAX_UNSENT_CHARS
        if opens:
            self._on_open(self)
        if alarm is not None:
            self._alarms.at(alarm, self._on_alarm)
        for call in calls:
            self._launch(call)
        if relays:
            self._relay_all()
        if too_far_behind:
            self.abort()

    def _relay_all(self) -> None:
        """Do in other sessions what ours has for them, in order: one thread does it for all, and holds no lock meanwhile."""
        while (relay := self._next_relay()) is not None:
            relay.member.reach(partial(relay.act, relay.member))

    def _next_relay(self) -> Relayed | None:
        with self._lock:
            self._relaying = bool(self._relays)
            return self._relays.popleft() if self._relays else None

    def _launch(self, call: Call) -> None:
        if not self._tool_threads.run(partial(run_tool, self, call)):
            self.perform(lambda conversation, _: conversation.calls.wait(call))

    def hand_over(self, lifetime: float) -> Lasting | None:
        """Give up the client's session for another connection; None where it ended more than `lifetime` seconds ago.

        A connection that still stands is cut: what comes over it is not read any more.
        """
        with self._lock:
            if self._handed_over or (self._ended_at is not None and self._clock.now() - self._ended_at > lifetime):
                return None
            self._handed_over = True
            lasting = self._conversation.lasting()
        self.abort()
        return lasting

    def abort(self) -> None:
        """Cut the connection; what is not yet sent is lost."""
        abort(self._connection)

    @property
    def version(self) -> int:
        """A number that grows with every change."""
        with self._lock:
            return self._version

    def wait_for_change(self, seen: int, deadline: float | None) -> bool:
        """Wait until `version` differs from `seen`; False at `deadline` (on `time.monotonic`) or after the end."""
        with self._lock:
            while self._version == seen and not self._ended:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._changed.wait(left)
            return self._version != seen

    # The two loops

    def serve(self) -> None:
        """Say hello, then read until the connection ends. Runs on the library's thread for this connection."""
        self._writer.start()
        try:
            self.perform(lambda conversation, now: conversation.begin(now))
            with suppress(ConnectionClosed):
                self._read_all()
        except Exception:
            self._connection.close(_CLOSE_INTERNAL_ERROR)
            raise
        finally:
            self._end()
            self._writer.join()

    def _read_all(self) -> None:
        while True:
            self._receive(self._connection.recv())

    def _receive(self, data: str | bytes) -> None:
        self.perform(lambda conversation, now: conversation.receive(data, now))

    def _write_all(self) -> None:
        with suppress(ConnectionClosed):
            while (work := self._next_batch()) is not None:
                batch, closing = work
                for data in batch:
                    self._connection.send(data)
                if closing is not None:
                    self._connection.close(*closing)
                    return

    def _next_batch(self) -> tuple[list[str | bytes], tuple[int, str] | None] | None:
        """Wait for something to write; return it, and how to close afterwards if it is the last. None at the end."""
        with self._lock:
            while not (self._unsent or self._conversation.voice.closing or self._ended):
                self._to_write.wait()
            if self._ended:
                return None
            batch = list(self._unsent)
            self._unsent.clear()
            self._unsent_chars = 0
            return batch, self._conversation.voice.closing

    # Helpers

    def _collect(self) -> None:
        """Take over what the conversation has to say. Requires holding the lock."""
        outgoing = self._conversation.voice.take_outgoing()
        if not self._ended:
            self._unsent.extend(outgoing)
            self._unsent_chars += sum(map(len, outgoing))
        self._version += 1
        self._changed.notify_all()
        if outgoing or self._conversation.voice.closing:
            self._to_write.notify()

    def _new_alarm(self) -> float | None:
        """Return the time of an alarm that must be set because none so early stands. Requires holding the lock."""
        due = self._conversation.due()
        if due is None or self._ended or (self._alarm is not None and self._alarm <= due):
            return None
        self._alarm = due
        return due

    def _on_alarm(self) -> None:
        with self._lock:
            self._alarm = None
        try:
            self.perform(lambda conversation, now: conversation.tick(now))
        except Exception:
            # A policy of the user's own may raise; as for a frame, that ends its session and no other.
            self.abort()
            raise

    def _end(self) -> None:
        with self._lock:
            self._ended, self._ended_at = True, self._clock.now()
            self._close_code = self._connection.close_code
            self._conversation.abandon()
            self._unsent.clear()
            self._version += 1
            self._to_write.notify_all()
            self._changed.notify_all()
