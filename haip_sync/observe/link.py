"""The monitor's side of an attachment: one thread that talks to one running program, and what it has heard."""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from haip_sync.config import check_seconds
from haip_sync.errors import AttachError, CommandError, HAIPTimeout
from haip_sync.observe.asks import Asks, settle
from haip_sync.observe.command_messages import (
    Command,
)
from haip_sync.observe.framing import Frames, framed
from haip_sync.observe.heard import Heard
from haip_sync.observe.listing import ProgramInfo, greet
from haip_sync.observe.messages import (
    MOST_FROM_PROGRAM_BYTES,
    Answer,
    Attach,
    Beat,
    ClientSummary,
    Detach,
    FromMonitor,
    FromProgram,
    Happened,
    MalformedError,
    Past,
    Refusal,
    Roster,
    Sample,
    Snapshot,
    encoded,
    from_program,
    understood,
)
from haip_sync.observe.peers import PeerOf, peer_of
from haip_sync.observe.watched import Taken
from haip_sync.state import ConnectionState

_BEAT_S: Final = 0.3
_LOOK_S: Final = 0.1
_JOIN_S: Final = 1.0
_READ_BYTES: Final = 256 << 10


class ProgramLink:
    """An attachment to one running program. Thread-safe; every method but `connect`, `call` and `close` returns at once.

    `target` is an entry of `list_programs()`, or the path of a socket (one that SSH forwards, for instance). `monitor` is what
    the script's log calls us.

    ```python
    with ProgramLink(list_programs()[0]) as link:
        name = link.clients()[0].name
        link.attach(name)
        print(link.call(ExplainChannel(channel="USER"), name).text)
    ```
    """

    def __init__(
        self, target: ProgramInfo | str | os.PathLike[str], *, monitor: str = "a script", peer_of: PeerOf = peer_of
    ) -> None:
        path = target.path if isinstance(target, ProgramInfo) else Path(target)
        self._path = path
        self._monitor = monitor
        self._peer_of = peer_of
        self._heard = Heard(target if isinstance(target, ProgramInfo) else ProgramInfo(path=path, pid=None))
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

    # ---- Beginning and end ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Attach without waiting for it: `trouble` and `has_ended` tell what comes of it. Idempotent."""
        if self._thread.ident is None and not self._closing:
            self._thread.start()

    def connect(self, timeout_s: float = 2.0) -> None:
        """Attach, and wait until the program has answered. Raises `AttachError`, which says why it has not."""
        self.start()
        self._settled.wait(timeout_s)
        if not self._heard.is_welcome:
            silence = f"{self._path}: the script has not answered within {timeout_s:g} s: is it stopped?"
            raise AttachError(self.trouble or silence)

    def close(self) -> None:
        """Leave the program alone. Idempotent; commands that are under way end with `AttachError`."""
        self._closing = True
        self._wake()
        if self._thread.ident is None:
            self._end("the link is closed")
        elif threading.current_thread() is not self._thread:
            self._thread.join(_JOIN_S)

    def __enter__(self) -> Self:
        """Attach."""
        try:
            self.connect()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Leave."""
        self.close()

    # ---- The program ----------------------------------------------------------------------------------------------------------

    @property
    def program(self) -> ProgramInfo:
        """The program as it was last heard of, its `trouble` included."""
        return self._heard.program

    @property
    def trouble(self) -> str | None:
        """Why nothing is heard of the program now, in one sentence: it is silent, and may go on, or it `has_ended`."""
        return self._heard.program.trouble

    @property
    def is_forwarded(self) -> bool:
        """Whether another process holds the other end of the socket, as SSH does: its end looks like the program's."""
        return self._heard.is_forwarded

    @property
    def silent_s(self) -> float | None:
        """For how many seconds a program that may go on has said nothing; None: it is heard, or has ended. Beyond 0.7 s."""
        return self._heard.silent_s

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come: the program ended, refused us, or the link was closed."""
        return self._heard.has_ended

    def clients(self) -> tuple[ClientSummary, ...]:
        """Return the program's clients, as of the last second."""
        return self._heard.program.clients

    # ---- One client -----------------------------------------------------------------------------------------------------------

    def attach(self, client: str, *, every_event: bool = False) -> None:
        """Have the program tell of a client from now on. At any time, before `start` too; idempotent.

        `every_event`: single sends, frames that came (without what they hold) and gauges as well, which costs the script.
        Raises `ConfigError` for what is no name.
        """
        understood(Attach(client=client, every_event=every_event))
        with self._lock:
            if self._heard.watch(client, every_event=every_event) and self._heard.is_welcome:
                self._say(Attach(client=client, every_event=every_event))
        self._wake()

    def detach(self, client: str) -> None:
        """Hear no more of a client, and forget what was heard. Idempotent. Raises `ConfigError`."""
        understood(Detach(client=client))
        with self._lock:
            if self._heard.unwatch(client) and self._heard.is_welcome:
                self._say(Detach(client=client))
        self._wake()

    def snapshot(self, client: str) -> ConnectionState | None:
        """Return the client as the program last told it; None before that, and for one that is not attached to."""
        return self._heard.state(client)[0]

    def snapshot_time(self, client: str) -> float | None:
        """Return when the client was so, in seconds on our monotonic clock."""
        return self._heard.state(client)[1]

    def drain(self, client: str, limit: int) -> Taken:
        """Take at most `limit` events of the client, oldest first."""
        return self._heard.drain(client, limit)

    def take_past(self, client: str) -> Sequence[Sample]:
        """Take what the program remembered of the client as we attached: a sample a second, ten minutes at most. Once."""
        return self._heard.take_past(client)

    # ---- Commands -------------------------------------------------------------------------------------------------------------

    def call(self, command: Command, client: str, *, timeout_s: float = 5.0) -> Answer:
        """Have the program carry out a command with one of its clients, and return its answer.

        Raises:
            CommandError: The program would not (`refused`), or its client could not; the text is the program's.
            AttachError: The program ended, or the link was closed. Says whether the command was carried out, if that is known.
            HAIPTimeout: No answer in time: whether it was or will be carried out is not known.
            ConfigError: The command holds what it may not, or is none. Nothing was asked.

        """
        timeout_s = check_seconds("timeout_s", timeout_s)
        try:
            answer = self.ask(command, client).result(timeout_s)
        except FutureTimeout as exc:
            what = f"no answer within {timeout_s:g} s to {type(command).__name__}: it may be carried out all the same"
            raise HAIPTimeout(f"{what}. {self.trouble or ''}".rstrip()) from exc
        if not answer.ok:
            raise CommandError(answer.text, refused=answer.refused)
        return answer

    def ask(self, command: Command, client: str) -> Future[Answer]:
        """Have the program carry out a command, without waiting; the future holds what `call` returns, failures included.

        It ends with `AttachError` where the program is lost. Its callbacks run on the link's thread. Raises `AttachError` where
        nothing was asked: too many commands are under way, or the command is too large; `ConfigError` as `call`.
        """
        with self._lock:
            body, future = self._asks.add(command, client)
            has_ended = self._heard.has_ended
            if has_ended:
                self._asks.all_taken()
            else:
                self._unsaid.append(framed(body))
        if has_ended:
            settle(future, AttachError(f"{self.trouble}. Nothing was asked"))
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
                self._talk(sock, selector)
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

    def _talk(self, sock: socket.socket, selector: selectors.BaseSelector) -> None:
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
