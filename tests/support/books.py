"""Both sides' books of one channel, compared to the message and to the byte."""

from __future__ import annotations

from haip_sync import HAIPClient
from haip_sync.testing import Session
from support.turnstiles import until


def check_books(client: HAIPClient, session: Session, channel: str = "USER") -> None:
    """Check that the client's balance, what is set aside included, is the server's, to the message and to the byte."""
    ours, theirs = client.connection_state().channels[channel], session.books(channel).from_client
    assert (ours.credits + ours.set_aside, ours.byte_credits + ours.set_aside_bytes) == (theirs.balance, theirs.balance_bytes)
    assert (ours.sent_messages, ours.sent_bytes) == (theirs.spent, theirs.spent_bytes)
    assert (ours.granted, ours.granted_bytes) == (theirs.granted, theirs.granted_bytes)
    assert ours.granted == ours.sent_messages + ours.credits + ours.set_aside + ours.forfeited
    assert ours.granted_bytes == ours.sent_bytes + ours.byte_credits + ours.set_aside_bytes + ours.forfeited_bytes


def quiet(client: HAIPClient, session: Session, channel: str = "USER") -> None:
    """Return once every grant that the server has booked has arrived and every frame was counted; else say what differs."""

    def agrees() -> bool:
        ours, theirs = client.connection_state().channels[channel], session.books(channel).from_client
        return (ours.granted, ours.granted_bytes, ours.sent_messages) == (theirs.granted, theirs.granted_bytes, theirs.spent)

    try:
        until(agrees)
    except AssertionError:
        check_books(client, session, channel)
        raise
