"""One attempt to connect, which the server answers, the time ends, or the operator cancels: whichever is first, and only that."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from monitor_app.model.source import Failure

if TYPE_CHECKING:
    from haip_sync import HAIPClient

CANCELLED: Final = "Connecting was cancelled"


class Attempt:
    """An attempt of one client. Thread-safe.

    Attributes:
        client: Who connects.
        is_over: Whether it is known what came of it, and that can be read.
    """

    def __init__(self, client: HAIPClient) -> None:
        self.client = client
        self.is_over = False
        self._unclaimed = threading.Lock()

    def claim(self) -> bool:
        """Return whether the caller is the first to know what came of it, and is to say so; everybody else says nothing."""
        return self._unclaimed.acquire(blocking=False)

    def end(self) -> None:
        """Note that it has been said what came of it."""
        self.is_over = True


def cancelled(address: str) -> Failure:
    """Return what to say of an attempt that the operator cancelled."""
    return Failure(title=CANCELLED, text=f"{address} had not answered yet.", is_ours=True)
