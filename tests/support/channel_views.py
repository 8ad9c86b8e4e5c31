"""Channels as strategies see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

from haip_sync.flow.strategies import ChannelView, CreditRequest

MIB = 1 << 20

WELL_OFF = ChannelView("USER", 50, 5 * MIB, 100, 10 * MIB, 50, 5 * MIB, 0, 0, 0, 0, 0)


def view(channel: str = "USER", **changes: int) -> ChannelView:
    """Return a channel that is well off, with these changes."""
    return WELL_OFF._replace(channel=channel, **changes)


def views(*shown: ChannelView) -> Mapping[str, ChannelView]:
    """Return the channels by name."""
    return {one.channel: one for one in shown}


def asked(requests: Sequence[CreditRequest]) -> list[tuple[int, int]]:
    """Return the amounts."""
    return [(request.messages, request.byte_credits) for request in requests]


def counts(largest: int) -> st.SearchStrategy[int]:
    """Return numbers from 0 to `largest`."""
    return st.integers(0, largest)
