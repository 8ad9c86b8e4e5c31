"""Grants that were not told one by one, worked out from the snapshots: coalesced, never lost. For one client; not thread-safe."""

from __future__ import annotations

from typing import NamedTuple

from haip_sync.events import CreditGranted
from haip_sync.state import ChannelState, ConnectionState


class _Sum(NamedTuple):
    messages: int = 0
    byte_credits: int = 0

    def plus(self, messages: int, byte_credits: int) -> _Sum:
        return _Sum(self.messages + messages, self.byte_credits + byte_credits)


class _Book:
    """One channel's, in one epoch, counted from the first snapshot of it."""

    def __init__(self, state: ChannelState) -> None:
        self._base = _Sum(state.granted, state.granted_bytes)
        self._told = self._due = _Sum()
        self._last_s = 0.0

    def tell(self, event: CreditGranted) -> None:
        self._told = self._told.plus(event.add_messages, event.add_bytes)

    def catch_up(self, name: str, state: ChannelState, now_s: float) -> CreditGranted | None:
        """Return what the snapshot before had, and nobody has told meanwhile; None: nothing."""
        missing = _Sum(*(max(0, due - told) for due, told in zip(self._due, self._told, strict=True)))
        event = None
        if any(missing):
            event = CreditGranted(
                time_s=self._last_s,
                channel=name,
                add_messages=missing.messages,
                add_bytes=missing.byte_credits,
                set_aside_messages=0,
                set_aside_bytes=0,
                credits=state.credits,
                byte_credits=state.byte_credits,
            )
        self._due = _Sum(state.granted - self._base.messages, state.granted_bytes - self._base.byte_credits)
        # What was told in the moment of the first snapshot may be in it already: no more was ever told than granted.
        told = self._told.plus(*missing)
        self._told = _Sum(min(told.messages, self._due.messages), min(told.byte_credits, self._due.byte_credits))
        self._last_s = now_s - (state.last_grant_age or 0.0)
        return event


class Grants:
    """Compares what snapshots say was granted with the grants that were told.

    A program stops telling single grants where they come thick (`haip_sync.observe.feed`), and drops some in a flood. A grant may
    be told a round later than a snapshot that has it, so that what is missing is waited for until the next one.
    """

    def __init__(self) -> None:
        self._epoch: int | None = None
        self._books: dict[str, _Book] = {}

    def tell(self, event: CreditGranted) -> None:
        """Take in a grant that was told."""
        book = self._books.get(event.channel)
        if book is not None:
            book.tell(event)

    def catch_up(self, state: ConnectionState, now_s: float) -> list[CreditGranted]:
        """Return the sums of what was granted and not told, one a channel, at the time of the last of them."""
        if state.epoch != self._epoch:
            self._epoch, self._books = state.epoch, {}
        found = []
        for name, channel in state.channels.items():
            book = self._books.get(name)
            if book is None:
                self._books[name] = _Book(channel)
            elif (event := book.catch_up(name, channel, now_s)) is not None:
                found.append(event)
        return found
