"""Whoever looks at a server's sessions while there are many: it forgets those that are over, and their breaches with them."""

from __future__ import annotations

import threading
from typing import Final

from haip_sync.testing import DevServer
from haip_sync.testing.records import Breach

_LOOK_S: Final = 0.5


class Auditor(threading.Thread):
    """Looks twice a second until `over` is set, and once more then."""

    def __init__(self, server: DevServer, over: threading.Event) -> None:
        super().__init__(name="auditor", daemon=True)
        self._server = server
        self._over = over
        # Of each session that had one, the breaches as they were last seen.
        self._breaches: dict[str, tuple[Breach, ...]] = {}

    def run(self) -> None:
        while not self._over.wait(_LOOK_S):
            self.look()

    def look(self) -> None:
        """Note what is there now."""
        for session in self._server.sessions:
            if breaches := session.breaches:
                self._breaches[session.server_id] = breaches

    @property
    def breaches(self) -> list[Breach]:
        """Every breach that was seen."""
        return [breach for breaches in self._breaches.values() for breach in breaches]
