"""What a client and a server of the transaction dialect have told and booked."""

from __future__ import annotations

from collections.abc import Callable

from haip_sync import HAIPClient
from support.transaction_peer import TransactionPeer

Start = Callable[..., tuple[TransactionPeer, HAIPClient]]


def check_books(server: TransactionPeer, client: HAIPClient, channel: str = "USER") -> None:
    """Check that both sides agree on what the client spent, to the message and to the byte, and that nothing is lost."""
    ours = client.connection_state().channels[channel]
    server.wait_for(lambda: server.spent[channel] == [ours.sent_messages, ours.sent_bytes])
    assert ours.is_conserved
