"""One client over all of its connections, as a test sees it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from haip_sync.testing.numbering import Missing
from haip_sync.testing.records import ReceivedFrame, ReceivedText
from haip_sync.testing.session import Session


class ClientHistory:
    """What arrived of one client, over the connections that it had so far, in order. Immutable; what it lists may go on.

    `connections`: its sessions. What one of them has forgotten (`keep_received`), and a
    session that the server has (`keep_sessions`), is not here either.
    """

    def __init__(self, connections: tuple[Session, ...]) -> None:
        self.connections = connections

    def texts(self, channel: str | None = None) -> tuple[ReceivedText, ...]:
        """Return the whole texts, of one channel or of all, in the order of their ENDs."""
        return tuple(text for session in self.connections for text in session.texts(channel))

    @property
    def received(self) -> tuple[ReceivedFrame, ...]:
        """The frames that were accepted, in the order in which they were read."""
        return tuple(frame for session in self.connections for frame in session.received)

    @property
    def duplicates(self) -> int:
        """How many frames came twice and were dropped."""
        return sum(session.duplicates for session in self._latest())

    @property
    def lost(self) -> tuple[Missing, ...]:
        """The numbers of the client's that were asked for and never came."""
        return tuple(missing for session in self._latest() for missing in session.lost)

    def _latest(self) -> Iterator[Session]:
        """Yield those whose counts are not carried on by the next."""
        for session, after in zip_longest(self.connections, self.connections[1:]):
            if after is None or not after.resumed:
                yield session
