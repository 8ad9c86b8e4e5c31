"""Where programs and monitors of one user meet: sockets in a directory that is the user's alone.

The directory is the first that can be had of `$XDG_RUNTIME_DIR/haip-sync`, `/run/user/UID/haip-sync` and `haip-sync-UID` in the
directory for temporary files; or `$HAIP_SYNC_RUNTIME_DIR` and nothing else. A program takes the first, a monitor looks into all:
a script that cron started has another environment. A directory that is somebody else's, or open to others, is never used.
"""

from __future__ import annotations

import errno
import os
import secrets
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ENVIRONMENT: Final = "HAIP_SYNC_RUNTIME_DIR"
"""The environment variable that names the directory, in place of all others."""
_SUFFIX: Final = ".sock"
_UNFINISHED: Final = ".new"
_LONGEST_MAKING_S: Final = 60.0
_LONGEST_PATH_BYTES: Final = 107 if sys.platform == "linux" else 103
"""What a Unix socket's address holds, its final zero left out."""
_BACKLOG: Final = 64


class NoRendezvousError(Exception):
    """There is no place to meet; the text says why, and what helps."""


def has_unix_sockets() -> bool:
    """Return whether this system, and its Python, have Unix-domain sockets."""
    return hasattr(socket, "AF_UNIX") and hasattr(os, "geteuid")


def why_not_here() -> str | None:
    """Return why no monitor can attach on this system, in words; None: it can."""
    if has_unix_sockets():
        return None
    return "not yet on this system: a monitor attaches through Unix-domain sockets, which Python has not here"


def directories(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Return where programs of this user may be, the best first. They need not exist."""
    if named := environment.get(ENVIRONMENT):
        return [Path(named)]
    uid = os.geteuid()
    runtime = [environment.get("XDG_RUNTIME_DIR", ""), f"/run/user/{uid}"]
    places = [Path(place) / "haip-sync" for place in runtime if place and _is_ours(Path(place))]
    places += [Path(place) / f"haip-sync-{uid}" for place in (tempfile.gettempdir(), "/tmp")]  # noqa: S108 - checked below
    return list(dict.fromkeys(places))


def _is_ours(place: Path) -> bool:
    """Return whether a directory is ours: `sudo -E` leaves the variable of somebody else, who could put another in its place."""
    return _owner(place) == os.geteuid()


def _owner(place: Path) -> int | None:
    try:
        found = place.stat()
    except OSError:
        return None
    return found.st_uid if stat.S_ISDIR(found.st_mode) else None


def passed_over(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return why directories where programs could be are not looked into, a sentence each; one that is not there is no news."""
    complaints: list[str] = []
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    owner = _owner(Path(runtime)) if runtime and not environment.get(ENVIRONMENT) else None
    if owner is not None and owner != os.geteuid():
        complaints.append(f"{runtime}, which XDG_RUNTIME_DIR names, belongs to user {owner}, not to us: it is passed over")
    for directory in directories(environment):
        try:
            check_private(directory)
        except NoRendezvousError as exc:
            if not isinstance(exc.__cause__, FileNotFoundError):
                complaints.append(str(exc))
    return complaints


def check_private(directory: Path) -> None:
    """Raise `NoRendezvousError` unless `directory` is ours and open to nobody else."""
    try:
        found = directory.lstat()
    except OSError as exc:
        raise NoRendezvousError(f"{directory} cannot be used: {exc.strerror}") from exc
    if not stat.S_ISDIR(found.st_mode):
        raise NoRendezvousError(f"{directory} is no directory; remove it, or name another with {ENVIRONMENT}")
    if found.st_uid != os.geteuid():
        raise NoRendezvousError(f"{directory} belongs to user {found.st_uid}, not to us: name another with {ENVIRONMENT}")
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise NoRendezvousError(f"{directory} is open to other users (mode {mode:04o}): chmod 700 it")


def listen(places: list[Path]) -> tuple[socket.socket, Path]:
    """Return a listening socket in the first directory that can be used, and its path. Raises `NoRendezvousError`."""
    complaints: list[str] = []
    for directory in places:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            check_private(directory)
            return _bound(directory)
        except NoRendezvousError as exc:
            complaints.append(str(exc))
        except OSError as exc:
            complaints.append(f"{directory} cannot be used: {exc.strerror or exc}")
    raise NoRendezvousError("; ".join(complaints))


def _bound(directory: Path) -> tuple[socket.socket, Path]:
    """Return a socket that listens by the time its name ends in .sock: one that refuses then has nobody behind it."""
    name = f"{os.getpid()}-{secrets.token_hex(4)}"
    path, unfinished = directory / f"{name}{_SUFFIX}", directory / f"{name}{_UNFINISHED}"
    check_length(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(0.0)
        sock.bind(str(unfinished))
        unfinished.chmod(0o600)
        sock.listen(_BACKLOG)
        unfinished.rename(path)
    except BaseException:
        sock.close()
        unfinished.unlink(missing_ok=True)
        raise
    return sock, path


def check_length(path: Path) -> None:
    """Raise `NoRendezvousError` for a path that is too long for a Unix socket."""
    size = len(os.fsencode(path))
    if size > _LONGEST_PATH_BYTES:
        raise NoRendezvousError(
            f"{path} is {size} bytes long, and the path of a Unix socket holds {_LONGEST_PATH_BYTES}: "
            f"name a shorter directory with {ENVIRONMENT}"
        )


def sockets(directory: Path) -> Iterator[Path]:
    """Yield the sockets in a directory; none where it is not there, or not ours alone. What was never finished is removed."""
    try:
        check_private(directory)
        names = sorted(os.listdir(directory))
    except (NoRendezvousError, OSError):
        return
    for name in names:
        if name.endswith(_UNFINISHED):
            _remove_old(directory / name)
        elif name.endswith(_SUFFIX) and pid_of(directory / name) is not None:
            yield directory / name


def pid_of(path: Path) -> int | None:
    """Return the process that a socket is named after; None where it is named otherwise."""
    pid, dash, _ = path.name.partition("-")
    return int(pid) if dash and pid.isascii() and pid.isdigit() else None


def connected(path: Path) -> socket.socket:
    """Return a non-blocking socket that is connected to `path`. Raises `OSError`; BlockingIOError: nobody takes us in."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(0.0)
        sock.connect(str(path))
    except BaseException:
        sock.close()
        raise
    return sock


def is_dead(error: OSError) -> bool:
    """Return whether a socket that connecting to ended so has nobody behind it, and never will."""
    return error.errno == errno.ECONNREFUSED


def lives(pid: int | None) -> bool:
    """Return whether there is a process of this number; where it is somebody else's there is."""
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _remove_old(path: Path) -> None:
    """Remove a socket that a process died over before it had its name: making one takes no minute."""
    try:
        is_old = path.lstat().st_mtime < time.time() - _LONGEST_MAKING_S
    except OSError:
        return
    if is_old:
        remove(path)


def remove(path: Path) -> None:
    """Remove a socket, and nothing else; one that is gone already does no harm."""
    try:
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
    except OSError:
        return
