"""Who is at the other end of a Unix socket, as the operating system says."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from typing import Final, NamedTuple

_UCRED: Final = struct.Struct("3i")  # Linux: pid, uid, gid
_SO_PEERCRED: Final[int | None] = getattr(socket, "SO_PEERCRED", None)
_XUCRED_UID: Final = struct.Struct("=II")  # macOS and FreeBSD: version, uid, and what does not matter here
_XUCRED_BYTES: Final = 128
_LOCAL_PEERCRED: Final[int | None] = getattr(socket, "LOCAL_PEERCRED", None)
_SOL_LOCAL: Final = 0


class Peer(NamedTuple):
    """A process, as far as the system tells."""

    pid: int | None
    uid: int | None


PeerOf = Callable[[socket.socket], Peer]


def peer_of(sock: socket.socket) -> Peer:
    """Return who is at the other end; without a pid or a uid where the system does not say. Raises `OSError`."""
    if _SO_PEERCRED is not None:
        pid, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, _SO_PEERCRED, _UCRED.size))
        return Peer(pid, uid)
    if _LOCAL_PEERCRED is not None:
        _, uid = _XUCRED_UID.unpack_from(sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_BYTES))
        return Peer(None, uid)
    return Peer(None, None)


def stranger(peer: Peer) -> str | None:
    """Return why `peer` is not to be talked to, None if it is: only processes of the same user are.

    Where the system says no uid, the directory, which is the user's alone, is what keeps others out.
    """
    ours = os.geteuid()
    if peer.uid is None or peer.uid == ours:
        return None
    return f"it belongs to user {peer.uid}, and this process to user {ours}: only processes of one user may see each other"
