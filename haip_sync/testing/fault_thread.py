"""The proxy's one thread, and how the others give it something to do."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final, TypeVar

from haip_sync.testing.fault_board import Board
from haip_sync.testing.fault_link import Target

logger = logging.getLogger("haip_sync.testing.faultproxy")

_STOP_S: Final = 5.0
_T = TypeVar("_T")


class ProxyThread:
    """Runs a `Board`. Every method may be called by any thread, `stop` and `version` by its own too."""

    def __init__(self, board: Board, name: str) -> None:
        self._board = board
        # Guards the fields below; the board as well, while the thread does not run, when its commands only store settings.
        self._lock = threading.Lock()
        # Waits for: another version, or the end.
        self._news = threading.Condition(self._lock)
        self._commands: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._runs = False
        self._ending = False
        self._version = 0
        self._port: int | None = None
        # A byte into the first ends the thread's waiting.
        self._wakers: tuple[socket.socket, ...] = ()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def port(self) -> int | None:
        """The port, from `start` on."""
        with self._lock:
            return self._port

    def start(self, host: str, port: int, targets: tuple[Target, ...]) -> None:
        """Bind and run. Idempotent. Raises `OSError`, nothing left open, and `RuntimeError` after `stop`."""
        with self._lock:
            if self._ending:
                raise RuntimeError("this proxy has stopped; make another one, on the same port if you like")
            if self._port is not None:
                return
            # Binds and starts the thread but waits for nothing: under the lock, or two would start, or stop come between.
            self._wakers = socket.socketpair()
            for waker in self._wakers:
                waker.settimeout(0.0)
            try:
                self._port = self._board.open(host, port, targets, self._wakers[1])
            except BaseException:
                self._close_all()
                raise
            self._runs = True
            self._thread.start()

    def stop(self) -> None:
        """Close everything and end the thread, which takes no time unless a function of the user's holds it up. Idempotent."""
        with self._lock:
            self._ending = True
        self._wake()
        if self._thread.ident is None or self._thread is threading.current_thread():
            return
        self._thread.join(_STOP_S)
        if self._thread.is_alive():
            logger.error("a frame fault's `when` holds the proxy's thread up; it is left behind")

    def call(self, command: Callable[[], _T]) -> _T:
        """Run `command` on the thread and return what it returns; on the caller's while the thread does not run.

        Raises what it raises, and `RuntimeError` on the thread itself.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("a frame fault's `when` may not use its proxy: it runs on the proxy's own thread")
        with self._lock:
            if not self._runs:
                return command()
            future: Future[_T] = Future()
            self._commands.append((command, future))
        self._wake()
        return future.result()

    @property
    def version(self) -> int:
        """Another number whenever a connection has changed."""
        with self._lock:
            return self._version

    def wait_for_change(self, seen: int, deadline: float | None) -> bool:
        """Wait until the version is another than `seen`; return False at the deadline, and at once when the thread has ended."""
        with self._lock:
            while self._version == seen and self._runs:
                left_s = None if deadline is None else deadline - time.monotonic()
                if left_s is not None and left_s <= 0:
                    return False
                self._news.wait(left_s)
            return self._version != seen

    def _wake(self) -> None:
        # Full is as good as one byte more; closed, there is nobody to wake.
        with suppress(OSError):
            for waker in self._wakers[:1]:
                waker.send(b"\0")

    def _close_all(self) -> None:
        self._board.close()
        for waker in self._wakers:
            waker.close()

    def _run(self) -> None:
        try:
            while self._obey():
                if self._board.step():
                    self._publish()
        except Exception:
            logger.exception("the proxy has failed; every connection is closed")
        finally:
            self._end()

    def _obey(self) -> bool:
        """Run what was asked for; return whether to go on."""
        while True:
            with self._lock:
                if self._ending or not self._commands:
                    return not self._ending
                command, future = self._commands.popleft()
            _settle(command, future)

    def _publish(self) -> None:
        with self._lock:
            self._version += 1
            self._news.notify_all()

    def _end(self) -> None:
        self._close_all()
        with self._lock:
            self._runs = False
            self._version += 1
            self._news.notify_all()
            # The board has no sockets any more: what is left only stores settings, or reads.
            for command, future in self._commands:
                _settle(command, future)
            self._commands.clear()


def _settle(command: Callable[[], _T], future: Future[_T]) -> None:
    try:
        future.set_result(command())
    except Exception as failure:  # noqa: BLE001 - it is the caller's, who gets it
        future.set_exception(failure)
