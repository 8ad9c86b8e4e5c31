"""A monitor and a program without manners: over their sockets anything can be said, or nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from haip_sync.observe.framing import Frames, framed
from haip_sync.observe.messages import (
    MOST_FROM_PROGRAM_BYTES,
    VERSION,
    ClientSummary,
    FromMonitor,
    FromProgram,
    Greeting,
    Welcome,
    encoded,
    from_monitor,
    from_program,
)
from support.turnstiles import PATIENCE_S


class RudeMonitor:
    """A connection to a program over which anything can be said, or nothing."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(path))  # first: with a timeout it would not wait where the queue of those who wait is full
        self.sock.settimeout(PATIENCE_S)
        self._frames = Frames(MOST_FROM_PROGRAM_BYTES)

    def __enter__(self) -> RudeMonitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def say(self, message: FromMonitor) -> None:
        self.sock.sendall(framed(encoded(message)))

    def greet(self) -> Welcome:
        self.say(Greeting(version=VERSION, monitor="rude"))
        return self.hear(Welcome)

    def next(self) -> FromProgram | None:
        """Return what the program says next; None: it has closed the connection."""
        while (body := self._frames.take()) is None:
            try:
                data = self.sock.recv(65_536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._frames.add(data)
        return from_program(body)

    def hear(self, kind: type[Any]) -> Any:
        """Return the next message of this kind."""
        while not isinstance(said := self.next(), kind):
            assert said is not None, f"no {kind.__name__} came"
        return said

    def is_sent_away(self) -> bool:
        """Wait until the program closes the connection, reading all that it says."""
        while self.next() is not None:
            pass
        return True


class RudeProgram:
    """A socket that says to whoever connects what the test says. `script` runs on a thread, with each connection."""

    def __init__(self, path: Path, script: Callable[[RudeProgram, socket.socket], None]) -> None:
        self.path = path
        self.frames = Frames(1 << 20)
        self._script = script
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._run, name="rude-program")
        self._thread.start()

    def _run(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            with sock:
                sock.settimeout(PATIENCE_S)
                try:
                    self._script(self, sock)
                except OSError:  # the monitor has left
                    continue
                except StopIteration:
                    return

    def hear(self, sock: socket.socket) -> FromMonitor:
        """Return what the monitor says next."""
        while (body := self.frames.take()) is None:
            data = sock.recv(65_536)
            if not data:
                raise ConnectionResetError
            self.frames.add(data)
        return from_monitor(body)

    def __enter__(self) -> RudeProgram:
        return self

    def __exit__(self, *_: object) -> None:
        def end(_: RudeProgram, __: socket.socket) -> None:
            raise StopIteration

        self._script = end
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(self.path))
        self._thread.join(PATIENCE_S)
        self._listener.close()


def summary(name: str) -> ClientSummary:
    """Return a client that is well, as a program's list has it."""
    return ClientSummary(
        name=name,
        address="ws://nowhere:1",
        connected=True,
        phase="open",
        may_steer=True,
        worst=None,
        cause=None,
        oldest_wait=0.0,
        why="",
    )


def welcome(*clients: str, now_s: float = 0.0, version: int = VERSION) -> bytes:
    """Return the frame of a program's welcome, with these clients."""
    lines = tuple(summary(name) for name in clients)
    return framed(
        encoded(Welcome(version=version, pid=1, name="rude.py", script="/rude.py", since_s=0.0, now_s=now_s, clients=lines))
    )


def wait_for_the_end(sock: socket.socket) -> None:
    """Return once the monitor has left."""
    while sock.recv(4_096):
        pass
