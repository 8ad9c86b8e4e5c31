"""Sessions that a client may go on with over another connection: who has them, and for how long. Thread-safe."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final, NamedTuple, Protocol

from haip_sync.testing.arrival import Arrival
from haip_sync.testing.numbering import Sequence
from haip_sync.testing.postbox import Sent
from haip_sync.testing.records import Archive
from haip_sync.testing.speech import Speech

_KEEP_SESSIONS: Final = 1000


class Lasting(NamedTuple):
    """What of a session goes on over its connections."""

    sequence: Sequence[Arrival]
    sent: Sent
    archive: Archive
    speech: Speech


class Holder(Protocol):
    """A connection that has a session."""

    def hand_over(self, lifetime: float) -> Lasting | None:
        """Give up the session for another connection; None where it ended more than `lifetime` seconds ago."""


class Resumptions:
    """The latest connection of each client session. Of more than 1,000 the oldest are forgotten."""

    def __init__(self, lifetime: float) -> None:
        self._lifetime = lifetime
        # Guards the holders. Nothing else is done while it is held.
        self._lock = threading.Lock()
        self._holders: OrderedDict[str, Holder] = OrderedDict()

    def any_known(self) -> bool:
        """Whether a client may come that wants to go on."""
        with self._lock:
            return bool(self._holders)

    def claim(self, session_id: str, holder: Holder, *, wants: bool) -> Lasting | None:
        """Let `holder` have this client session from now on; return what it goes on with, where it `wants` that and may.

        The connection that had it is over for it, whether or not its end was noticed.
        """
        with self._lock:
            previous = self._holders.pop(session_id, None)
            self._holders[session_id] = holder
            if len(self._holders) > _KEEP_SESSIONS:
                self._holders.popitem(last=False)
        return previous.hand_over(self._lifetime) if wants and previous is not None else None
