"""What a link does: one thread that talks to one running program, says what is to be said, and notes what it hears."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import deque
from concurrent.futures import Future
from pathlib import Path
from typing import Final

from haip_sync.errors import AttachError
from haip_sync.observe.asks import Asks, settle
from haip_sync.observe.command_messages import Command
from haip_sync.observe.framing import Frames, framed
from haip_sync.observe.heard import Heard
from haip_sync.observe.listing import greet
from haip_sync.observe.messages import (
    MOST_FROM_PROGRAM_BYTES,
    Answer,
    Attach,
    Beat,
    Detach,
    FromMonitor,
    FromProgram,
    Happened,
    MalformedError,
    Past,
    Refusal,
    Roster,
    Snapshot,
    encoded,
    from_program,
)
from haip_sync.observe.peers import PeerOf

_BEAT_S: Final = 0.3
_LOOK_S: Final = 0.1
_JOIN_S: Final = 1.0
_READ_BYTES: Final = 256 << 10


class Talk:
    """The conversation with the program at `path`; what is heard goes into `heard`. Thread-safe; `close` alone waits."""

    def __init__(self, path: Path, heard: Heard, monitor: str, peer_of: PeerOf) -> None:
        self._path = path
        self._heard = heard
        self._monitor = monitor
        self._peer_of = peer_of
        # Guards what is to be said, and what waits for an answer; held for bookkeeping only.
        self._lock = threading.Lock()
        self._asks = Asks()
        self._unsaid: deque[bytes] = deque()
        # Set once the program has welcomed us, or never will.
        self._settled = threading.Event()
        self._closing = False
        self._heard_s = self._said_s = 0.0
        self._ear, self._mouth = socket.socketpair()
        for end in (self._ear, self._mouth):
            end.settimeout(0.0)
        self._thread = threading.Thread(target=self._run, name=f"haip-link-{path.name}", daemon=True)

    # ---- For the link ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, without waiting for what comes of it. Idempotent."""
        if self._thread.ident is None and not self._closing:
            self._thread.start()

    def wait_until_settled(self, timeout_s: float) -> None:
        """Wait until the program has welcomed us, or never will, for `timeout_s` at most."""
        self._settled.wait(timeout_s)

    def close(self) -> None:
        """Say no more, and wait a second at most for the thread. Idempotent; what was asked ends with `AttachError`."""
        self._closing = True
        self._wake()
        if self._thread.ident is None:
            self._end("the link is closed")
        elif threading.current_thread() is not self._thread:
            self._thread.join(_JOIN_S)

    def watch(self, client: str, *, every_event: bool) -> None:
        """Have the program tell of a client, now or once it has welcomed us."""
        with self._lock:
            if self._heard.watch(client, every_event=every_event) and self._heard.is_welcome:
                self._say(Attach(client=client, every_event=every_event))
        self._wake()

    def unwatch(self, client: str) -> None:
        """Have the program tell of a client no more, and forget what was heard."""
        with self._lock:
            if self._heard.unwatch(client) and self._heard.is_welcome:
                self._say(Detach(client=client))
        self._wake()

    def ask(self, command: Command, client: str) -> Future[Answer]:
        """Have the program carry out a command; as `ProgramLink.ask`."""
        with self._lock:
            body, future = self._asks.add(command, client)
            has_ended = self._heard.has_ended
            if has_ended:
                self._asks.all_taken()
            else:
                self._unsaid.append(framed(body))
        if has_ended:
            settle(future, AttachError(f"{self._heard.program.trouble}. Nothing was asked"))
        self._wake()
        return future

    # ---- The thread -----------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        why = "the link is closed"
        try:
            sock = greet(self._path, self._peer_of, self._monitor)
        except AttachError as exc:
            self._end(self._heard.unreached(exc))
            return
        try:
            self._heard.note_who_opened(self._peer_of(sock).pid)
            with sock, selectors.DefaultSelector() as selector:
                selector.register(self._ear, selectors.EVENT_READ)
                selector.register(sock, selectors.EVENT_READ)
                self._converse(sock, selector)
        except (AttachError, MalformedError) as exc:
            why = str(exc)
        except ConnectionError:  # it ended with words of ours unread
            why = self._heard.farewell()
        except OSError as exc:
            why = f"the script cannot be heard: {exc.strerror or exc}"
        except Exception as exc:
            why = f"the link failed: {exc!r:.200}"
            raise
        finally:
            self._end(why)

    def _converse(self, sock: socket.socket, selector: selectors.BaseSelector) -> None:
        frames = Frames(MOST_FROM_PROGRAM_BYTES)
        self._heard_s = self._said_s = time.monotonic()
        while not self._closing:
            ready = {key.fileobj: mask for key, mask in selector.select(_LOOK_S)}
            if self._ear in ready:
                self._ear.recv(4096)
            if ready.get(sock, 0) & selectors.EVENT_READ:
                self._read(sock, frames)
            self._beat(time.monotonic())
            is_all_said = self._write(sock)
            selector.modify(sock, selectors.EVENT_READ | (0 if is_all_said else selectors.EVENT_WRITE))
            self._heard.listen_for_silence(time.monotonic() - self._heard_s)

    def _read(self, sock: socket.socket, frames: Frames) -> None:
        try:
            data = sock.recv(_READ_BYTES)
        except BlockingIOError:
            return
        self._heard_s = time.monotonic()
        if not data:
            raise AttachError(self._heard.farewell())
        frames.add(data)
        while (body := frames.take()) is not None:
            self._take(from_program(body))

    def _take(self, said: FromProgram) -> None:
        if not self._heard.is_welcome:
            self._take_welcome(said)
            return
        match said:
            case Snapshot() | Happened() | Past():
                self._heard.take_in(said, self._heard_s)
            case Answer(number=number):
                with self._lock:
                    future = self._asks.taken(number)
                if future is not None:
                    settle(future, said)
            case Roster(clients=clients):
                self._heard.meet(clients)
            case Refusal(text=text):
                raise AttachError(f"the script ended the connection: {text}")

    def _take_welcome(self, said: FromProgram) -> None:
        with self._lock:
            self._heard.welcome(said, self._heard_s)
            for wish in self._heard.wishes():
                self._say(wish)
        self._settled.set()

    def _beat(self, now_s: float) -> None:
        with self._lock:
            if not self._unsaid and now_s - self._said_s >= _BEAT_S:
                self._say(Beat())

    def _say(self, message: FromMonitor) -> None:
        """Add a message to what is to be written. Requires the lock."""
        self._unsaid.append(framed(encoded(message)))

    def _write(self, sock: socket.socket) -> bool:
        """Write what the program takes; return whether that is all."""
        while self._heard.is_welcome:
            with self._lock:
                frame = self._unsaid.popleft() if self._unsaid else b""
            if not frame:
                return True
            try:
                sent = sock.send(frame)
            except BlockingIOError:
                sent = 0
            self._said_s = time.monotonic()
            if sent < len(frame):
                with self._lock:
                    self._unsaid.appendleft(frame[sent:])
                return False
        return True

    def _wake(self) -> None:
        try:
            self._mouth.send(b"\0")
        except OSError:  # full: it is being woken; closed: it has ended
            return

    def _end(self, why: str) -> None:
        with self._lock:
            if not self._heard.end(why):
                return
            left = self._asks.all_taken()
        for future in left:
            settle(future, AttachError(f"{why}, before it answered: whether the command was carried out is not known"))
        self._settled.set()
        for end in (self._ear, self._mouth):
            end.close()
