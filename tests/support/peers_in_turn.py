"""A server whose connections follow one script each, in turn: for what happens from one line to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from support.scripted_peer import Peer, peer

Script = Callable[[Peer], object]


@contextmanager
def peers_in_turn(*scripts: Script) -> Iterator[str]:
    """Run a server whose first connection follows the first script, and so on; the last one is followed again and again."""
    left = list(scripts)

    def follow(talk: Peer) -> None:
        script = left.pop(0) if len(left) > 1 else left[0]
        script(talk)

    with peer(follow) as url:
        yield url


def cut(talk: Peer) -> None:
    """End the connection as a broken line ends: no close frame."""
    talk.connection.socket.close()


def greets_and_stays(talk: Peer) -> None:
    """Greet, and take what comes until the client leaves."""
    talk.greets()
    talk.stays()


def greets_and_cuts(talk: Peer) -> None:
    """Greet, hear the client's HAI, and break the line."""
    talk.greets()
    talk.hears("HAI")
    cut(talk)


class Told:
    """What scripts have heard, for the test's own thread."""

    def __init__(self) -> None:
        self._said: SimpleQueue[Any] = SimpleQueue()

    def put(self, what: Any) -> None:
        self._said.put(what)

    def get(self, patience_s: float = 20.0) -> Any:
        return self._said.get(timeout=patience_s)
