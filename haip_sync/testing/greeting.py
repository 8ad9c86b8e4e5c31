"""The handshake: when our HAI leaves, and what the client's must be. No thread, no lock, no socket.

Not thread-safe; see `Conversation`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from haip_sync.testing import wire
from haip_sync.testing.arrival import Arrival, Reader
from haip_sync.testing.gate import CLOSE_POLICY_VIOLATION
from haip_sync.testing.payloads import HaiPayload
from haip_sync.testing.settings import ServerSettings
from haip_sync.testing.voice import Voice

_MOST_UNREAD: Final = 1000
"""Frames that may come before a late HAI of ours: memory stays bounded."""


class Greeting:
    """The handshake of one connection. `admits(auth)` says whether a HAI shows who it is; None: that is known already.

    `may_resume`: whether there is a session that the client may go on with.
    """

    def __init__(
        self,
        settings: ServerSettings,
        voice: Voice,
        reader: Reader,
        admits: Callable[[Any], bool] | None,
        *,
        may_resume: bool = False,
    ) -> None:
        self._may_resume = may_resume
        self._quirks = settings.quirks
        self._resume_wait = settings.resume_wait
        self._admits = admits
        self._voice = voice
        self._reader = reader
        # With a late HAI: when it is due, and what came before it.
        self._due: float | None = None
        self._unread: list[str | bytes] = []

    def begin(self, now: float) -> None:
        """Say hello, unless our HAI is to wait: for a moment where the client may come back, whose HAI ours answers then."""
        if self._quirks.hai == "at_once" and self._may_resume:
            self._due = now + self._resume_wait
        elif self._quirks.hai in ("at_once", "before_client"):
            self._voice.hello()

    def holds_back(self, data: str | bytes, now: float) -> bool:
        """Whether `data` must wait for a late HAI of ours; if so, it is kept for `tick`."""
        if self._quirks.hai != "late" or self._voice.greeted:
            return False
        if self._due is None:
            self._due = now + self._quirks.hai_delay
        self._unread.append(data)
        if len(self._unread) > _MOST_UNREAD:
            self._voice.close("too much came before our HAI")
        return True

    def due(self) -> float | None:
        """Return when a late HAI is to leave; None: there is none to come."""
        return None if self._voice.greeted else self._due

    def tick(self, now: float) -> list[str | bytes]:
        """Say hello if it is time, and return what waited for it, in order."""
        if self._due is None or now < self._due:
            return []
        self._due = None
        if not self._voice.greeted:
            self._voice.hello()
        unread, self._unread = self._unread, []
        return unread

    def read(self, arrival: Arrival) -> HaiPayload | None:
        """Return the client's HAI; None where its first frame is no good one: the connection is to end then."""
        if arrival.envelope.type != "HAI":
            self._voice.violation("the first frame must be HAI", arrival.envelope.id)
            return None
        payload = self._reader.payload(arrival, HaiPayload)
        if payload is None:
            return None
        if self._admits is not None and not self._admits(payload.auth):
            self._voice.error("FAILED_AUTH", "no token, or a wrong one", arrival.envelope.id)
            self._voice.close("no token, or a wrong one", CLOSE_POLICY_VIOLATION)
            return None
        if wire.MAJOR not in payload.accept_major:
            self._voice.error("VERSION_INCOMPATIBLE", f"we speak MAJOR {wire.MAJOR} only", arrival.envelope.id)
            self._voice.close("no protocol version in common")
            return None
        return payload
