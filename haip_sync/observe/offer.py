"""One client that a program offers to its monitors."""

from __future__ import annotations

import time
import weakref
from typing import Final

from haip_sync.errors import HAIPError
from haip_sync.observe.carried import printable
from haip_sync.observe.feed import Feed
from haip_sync.observe.messages import ClientSummary
from haip_sync.observe.ring import Ring
from haip_sync.observe.subject import Subject
from haip_sync.state import ConnectionState

SNAPSHOT_SHARE: Final = 0.01
"""The share of the time that snapshots may take: of 5 channels they are taken at every round, of 1,024 less often."""
_LONGEST_NAME: Final = 200
_LONGEST_WHY: Final = 500


class Offer:
    """A client by its name, and what is remembered of it. Made by any thread, used by the service's; holds the client weakly."""

    def __init__(self, client: Subject, *, may_steer: bool) -> None:
        self._client = weakref.ref(client)
        self.name = printable(client.name)[:_LONGEST_NAME]
        """Made unlike the others' by the service."""
        self.address = printable(client.address)[:_LONGEST_NAME]
        self.may_steer = may_steer
        self.feed = Feed()
        self.ring = Ring()
        self.state: ConnectionState | None = None
        """The last snapshot that was taken."""
        self._cost_s = 0.0
        self._next_s = 0.0

    @property
    def client(self) -> Subject | None:
        """The client; None once it is gone without having been closed."""
        return self._client()

    def look(self, now_s: float, *, at_any_cost: bool = False) -> ConnectionState | None:
        """Take a snapshot, unless the last was too short a time ago for what it cost; None then, and where the client is gone."""
        client = self.client
        if client is None or (now_s < self._next_s and not at_any_cost):
            return None
        # What the thread itself spends: waiting for the interpreter's lock costs the script nothing.
        begin_s = time.thread_time()
        try:
            self.state = client.connection_state()
        except HAIPError:  # it cannot tell now; what it told last stands
            return None
        self._cost_s = time.thread_time() - begin_s
        self._next_s = now_s + self._cost_s / SNAPSHOT_SHARE
        return self.state

    def summary(self) -> ClientSummary:
        """Return the client in a line, from the last snapshot."""
        state = self.state
        worst = None if state is None else max(state.channels, key=lambda name: state.channels[name].oldest_wait, default=None)
        channel = None if state is None or worst is None else state.channels[worst]
        if worst is None or channel is None or channel.waiting_for is None:
            return self._line(state, why="" if state is None or state.connected else state.last_error or state.last_loss or "")
        return self._line(
            state, worst=worst, cause=channel.waiting_for, oldest_wait=channel.oldest_wait, why=self._explained(worst)
        )

    def _line(
        self,
        state: ConnectionState | None,
        *,
        worst: str | None = None,
        cause: str | None = None,
        oldest_wait: float = 0.0,
        why: str = "",
    ) -> ClientSummary:
        return ClientSummary(
            name=self.name,
            address=self.address,
            connected=state is not None and state.connected,
            phase="new" if state is None else state.phase,
            may_steer=self.may_steer,
            worst=worst,
            cause=cause,
            oldest_wait=oldest_wait,
            why=printable(why[:_LONGEST_WHY]),
        )

    def _explained(self, channel: str) -> str:
        client = self.client
        try:
            return "" if client is None else client.explain(channel).text
        except HAIPError as exc:
            return str(exc)
