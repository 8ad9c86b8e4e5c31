"""What is counted as taken, and when."""

from __future__ import annotations

from haip_sync import Message
from haip_sync.flow.ledger import Cost
from haip_sync.flow.parking import Parking
from haip_sync.runtime.inbox import Inbox
from haip_sync.runtime.mailbox import Mailbox


def _message(number: int) -> Message:
    return Message(
        time_s=0.0, channel="USER", type="MESSAGE", payload="x", id=str(number), session="s", seq=str(number), frame_bytes=10
    )


def test_each_mailbox_counts_its_own_first_message_once() -> None:
    """A thread that was interrupted before it removed a message counts it once, whatever was taken elsewhere meanwhile."""
    parking = Parking()
    inbox, other = Inbox(parking), Mailbox(parking)
    inbox.open_epoch(Cost(10, 100))
    with parking.lock:
        for number, box in enumerate((inbox, other)):
            inbox.window("USER").receive(Cost(1, 10))
            box.arrive(_message(number))
        for box in (inbox, other, inbox, other):
            message = box.first()
            assert message is not None
            inbox.take(message, box)
        window = inbox.window("USER")
        assert (window.waiting, window.frames_waiting, window.books.owed) == (Cost(0, 0), 0, Cost(2, 20))
        assert window.is_conserved()
        for box in (inbox, other):
            box.pop()
            assert box.first() is None
