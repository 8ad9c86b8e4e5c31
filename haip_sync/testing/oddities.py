"""What a server with quirks sends that nobody asked for: echoes, unknown types and unknown members. Arithmetic only.

Not thread-safe; the session that owns it holds its lock.
"""

from __future__ import annotations

from itertools import cycle
from typing import Final

from haip_sync.testing.books import ChannelLedger, Credit
from haip_sync.testing.postbox import Postbox
from haip_sync.testing.quirks import Quirks

UNKNOWN_TYPE: Final = "TELEPATHY"
"""A type that no version of HAIP has."""
UNKNOWN_MEMBER: Final = "colour"
"""An envelope member that no version of HAIP has."""
_EVERY: Final = 3


class Oddities:
    """The oddities of one connection."""

    def __init__(self, quirks: Quirks, postbox: Postbox) -> None:
        self._quirks = quirks
        self._postbox = postbox
        self._frames = 0
        self._turns = cycle((self._unknown_type, self._unknown_member, self._critical_member))

    def after_frame(self, ledger: ChannelLedger, data: tuple[str, bytes | None], cost: Credit) -> None:
        """Answer a data frame that was taken; `data` is what came."""
        if self._quirks.echoes:
            self._echo(ledger, data, cost)
        self._frames += 1
        if self._quirks.unknown_types and self._frames % _EVERY == 0:
            next(self._turns)(ledger)

    def _echo(self, ledger: ChannelLedger, data: tuple[str, bytes | None], cost: Credit) -> None:
        ledger.to_client.spend(cost)
        for part in data:
            if part is not None:
                self._postbox.send_raw(part)

    def _unknown_type(self, ledger: ChannelLedger) -> None:
        frame = self._postbox.write(UNKNOWN_TYPE, {"thought": self._frames}, ledger.channel)
        if ledger.to_client.covers(frame.cost):
            ledger.to_client.spend(frame.cost)
            self._postbox.send(frame)

    def _unknown_member(self, ledger: ChannelLedger) -> None:
        del ledger
        self._postbox.send(self._postbox.write("PING", {"nonce": "odd"}, members={UNKNOWN_MEMBER: "blue"}))

    def _critical_member(self, ledger: ChannelLedger) -> None:
        del ledger
        self._postbox.send(self._postbox.write("PING", {"nonce": "critical"}, members={UNKNOWN_MEMBER: "red", "crit": True}))
