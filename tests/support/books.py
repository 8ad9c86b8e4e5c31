"""Both sides' books of one channel, compared to the message and to the byte."""

from __future__ import annotations

from typing import NamedTuple

from haip_sync import HAIPClient
from haip_sync.testing import Session
from support.turnstiles import until


class _Page(NamedTuple):
    """What a client may send on one channel, as one side sees it."""

    granted: int
    granted_bytes: int
    spent: int
    spent_bytes: int
    balance: int
    balance_bytes: int


def check_books(client: HAIPClient, session: Session, channel: str = "USER") -> None:
    """Check that the client's balance, what is set aside included, is the server's, to the message and to the byte.

    Waits for that: a frame or a grant may be under way, and a policy may grant again at any moment.
    """
    ours, theirs = _pages(client, session, channel)

    def agree() -> bool:
        nonlocal ours, theirs
        ours, theirs = _pages(client, session, channel)
        return ours == theirs

    try:
        until(agree)
    except AssertionError:
        assert ours == theirs, f"the books of {channel} differ for good"
        raise


def _pages(client: HAIPClient, session: Session, channel: str) -> tuple[_Page, _Page]:
    """Return the client's page and the server's. Checks that nothing was lost on the client's."""
    ours, theirs = client.connection_state().channels[channel], session.books(channel).from_client
    assert ours.granted == ours.sent_messages + ours.credits + ours.set_aside + ours.forfeited
    assert ours.granted_bytes == ours.sent_bytes + ours.byte_credits + ours.set_aside_bytes + ours.forfeited_bytes
    balances = ours.credits + ours.set_aside, ours.byte_credits + ours.set_aside_bytes
    return (
        _Page(ours.granted, ours.granted_bytes, ours.sent_messages, ours.sent_bytes, *balances),
        _Page(theirs.granted, theirs.granted_bytes, theirs.spent, theirs.spent_bytes, theirs.balance, theirs.balance_bytes),
    )
