"""Finding the running programs of this user: every socket in the meeting places is asked at once, with one deadline for all."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from haip_sync.config import check_seconds, told
from haip_sync.errors import AttachError, ConfigError
from haip_sync.observe import rendezvous
from haip_sync.observe.framing import Frames, framed
from haip_sync.observe.messages import (
    MOST_FROM_PROGRAM_BYTES,
    VERSION,
    ClientSummary,
    FromProgram,
    Greeting,
    MalformedError,
    Refusal,
    Welcome,
    encoded,
    from_program,
)
from haip_sync.observe.peers import PeerOf, peer_of, stranger

DEADLINE_S: Final = 0.5
"""How long a program may take to answer before the list says that it does not."""
MOST_PROGRAMS: Final = 1_000
_READ_BYTES: Final = 256 << 10


class ProgramInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One running program, as it answered or did not."""

    path: Path
    """Its socket."""
    pid: int | None
    """As the program says, or its socket's name; None where neither does."""
    name: str = "?"
    """The script's file name; "?" where the program has not answered."""
    script: str = ""
    """The script's path."""
    since_s: float | None = None
    """When it first offered a client, in seconds since 1970."""
    clients: tuple[ClientSummary, ...] = ()
    trouble: str | None = None
    """Why nothing more is known of it, in one sentence; None: it answered."""

    @property
    def worst(self) -> ClientSummary | None:
        """The client with the channel whose first sender has waited longest; None: nobody waits."""
        waiting = [client for client in self.clients if client.worst is not None]
        return max(waiting, key=lambda client: client.oldest_wait, default=None)

    @property
    def state(self) -> str:
        """What it does, in a word or two: blocked, running, offline, not connected, no client, or no answer."""
        if self.trouble is not None:
            return "no answer"
        if self.worst is not None:
            return "blocked"
        if not self.clients:
            return "no client"
        if any(client.connected for client in self.clients):
            return "running"
        return "offline" if any(client.phase == "offline" for client in self.clients) else "not connected"


def list_programs(*paths: str | os.PathLike[str], timeout_s: float = DEADLINE_S, peer_of: PeerOf = peer_of) -> list[ProgramInfo]:
    """Return the running programs of this user that offer a client; or what stands behind these sockets.

    All are asked at once, so that it is back after `timeout_s` whatever one of them does: a program that has been stopped is
    listed with its `trouble`. Sockets that dead processes left are removed. Any thread. Where the system has no Unix-domain
    sockets there are none. Raises `ConfigError` for what is no path, or no number of seconds.
    """
    timeout_s = check_seconds("timeout_s", timeout_s)
    named = [check_path("each of paths", path) for path in paths]
    if not rendezvous.has_unix_sockets():
        return []
    found = named or _sockets()
    asked = [_Asked(path, peer_of, may_remove=not paths) for path in found[:MOST_PROGRAMS]]
    _wait_for(asked, time.monotonic() + timeout_s)
    return [info for one in asked if (info := one.outcome(timeout_s)) is not None]


def check_path(name: str, value: object) -> Path:
    """Return `value` as a path if it is one that the system can be asked for, else raise `ConfigError` naming `name`."""
    if isinstance(value, (str, os.PathLike)):
        with contextlib.suppress(TypeError, UnicodeEncodeError):  # a path of bytes, half of a surrogate pair
            path = Path(value)
            if b"\0" not in os.fsencode(path):
                return path
    raise ConfigError(f"{name} must be the path of a socket, not {told(value)}")


def places_passed_over() -> list[str]:
    """Return why directories where programs of this user could be are not looked into, one sentence each; mostly there is none.

    A directory that is somebody else's, or open to others, is never used: whoever can write there could pass off a program.
    """
    return rendezvous.passed_over() if rendezvous.has_unix_sockets() else []


def _sockets() -> list[Path]:
    return [path for directory in rendezvous.directories() for path in rendezvous.sockets(directory)]


class _Asked:
    """One socket that was asked, and what has come of it."""

    def __init__(self, path: Path, peer_of: PeerOf, *, may_remove: bool) -> None:
        self.path = path
        self.sock: socket.socket | None = None
        self._is_gone = False
        self._trouble: str | None = None
        self._welcome: Welcome | None = None
        self._frames = Frames(MOST_FROM_PROGRAM_BYTES)
        try:
            self.sock = greet(path, peer_of, "a list of scripts")
        except AttachError as exc:
            self._trouble = str(exc)
            cause = exc.__cause__
            if may_remove and isinstance(cause, OSError):
                self._is_gone = rendezvous.is_dead(cause) or isinstance(cause, FileNotFoundError)
                if rendezvous.is_dead(cause):
                    rendezvous.remove(path)

    def read(self) -> bool:
        """Take in what is there; return whether that is all that was to come."""
        if self.sock is None:
            return True
        try:
            data = self.sock.recv(_READ_BYTES)
            self._frames.add(data)
            body = self._frames.take()
        except BlockingIOError:
            return False
        except ConnectionError:
            data, body = b"", None
        except (OSError, MalformedError) as exc:
            self._trouble = f"what it answers cannot be read: {exc}"
            return True
        if body is not None:
            self._take(body)
        elif not data:
            self._trouble = "it ended before it answered"
        return self._trouble is not None or self._welcome is not None

    def _take(self, body: bytes) -> None:
        try:
            said = from_program(body)
        except MalformedError as exc:
            self._trouble = f"what it answers cannot be read: {exc}"
            return
        try:
            self._welcome = welcome_of(said)
        except AttachError as exc:
            self._trouble = str(exc)

    def outcome(self, timeout_s: float) -> ProgramInfo | None:
        """Return what is known now; None for a socket that nobody is behind any more."""
        if self.sock is not None:
            self.sock.close()
        if self._is_gone:
            return None
        if self._welcome is not None:
            return info_of(self.path, self._welcome)
        trouble = self._trouble or f"it has not answered within {timeout_s:g} s: is it stopped?"
        return ProgramInfo(path=self.path, pid=rendezvous.pid_of(self.path), trouble=trouble)


def greet(path: Path, peer_of: PeerOf, monitor: str) -> socket.socket:
    """Return a non-blocking socket over which a program was greeted. Raises `AttachError`, with its cause."""
    not_here = rendezvous.why_not_here()
    if not_here is not None:
        raise AttachError(not_here)
    try:
        rendezvous.check_length(path)
        sock = rendezvous.connected(path)
    except rendezvous.NoRendezvousError as exc:
        raise AttachError(str(exc)) from exc
    except BlockingIOError as exc:
        raise AttachError(f"{path}: the script takes nobody in: is it stopped?") from exc
    except OSError as exc:
        raise AttachError(f"{path}: no script can be reached there: {exc.strerror or exc}") from exc
    with contextlib.ExitStack() as stack:
        stack.callback(sock.close)
        try:
            why = stranger(peer_of(sock))
            if why is not None:
                raise AttachError(f"{path} is not to be trusted: {why}")
            with contextlib.suppress(ConnectionError):  # it has ended already: what it said before can still be read
                sock.send(framed(encoded(Greeting(version=VERSION, monitor=monitor))))
        except OSError as exc:
            raise AttachError(f"{path}: the script ended as it was greeted: {exc.strerror or exc}") from exc
        stack.pop_all()
    return sock


def welcome_of(said: FromProgram) -> Welcome:
    """Return the welcome that a program's first message is. Raises `AttachError` for anything else."""
    match said:
        case Welcome(version=version) if version == VERSION:
            return said
        case Welcome(version=version):
            raise AttachError(f"the script speaks version {version} of this language, and we version {VERSION}")
        case Refusal(text=text):
            raise AttachError(f"the script refused: {text}")
    raise AttachError(f"the script began with {type(said).__name__}, not with a Welcome")


def info_of(path: Path, welcome: Welcome) -> ProgramInfo:
    """Return a program as it presents itself."""
    return ProgramInfo(
        path=path,
        pid=welcome.pid,
        name=welcome.name,
        script=welcome.script,
        since_s=welcome.since_s,
        clients=welcome.clients,
    )


def _wait_for(asked: Sequence[_Asked], deadline_s: float) -> None:
    with selectors.DefaultSelector() as selector:
        for one in asked:
            if one.sock is not None:
                selector.register(one.sock, selectors.EVENT_READ, one)
        while selector.get_map() and (left_s := deadline_s - time.monotonic()) > 0:
            for key, _ in selector.select(left_s):
                if key.data.read():
                    selector.unregister(key.fileobj)
