"""What the peer sent and the application has not taken yet, and the credit that it gives back by taking it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from haip_sync.events import ChannelStalled, Message
from haip_sync.flow.explain import amount
from haip_sync.flow.ledger import NOTHING, Cost
from haip_sync.flow.parking import Parking
from haip_sync.flow.receive_window import ReceiveWindow
from haip_sync.runtime.mailbox import Mailbox, Taker


class _Look(msgspec.Struct, frozen=True):
    """What a look at a window saw: how much was ever taken, when that last changed, and whether somebody was told."""

    taken: Cost
    since_s: float
    is_told: bool


class Inbox(Mailbox):
    """The messages that are nobody else's, and a receive window per channel. Methods require the connection's lock.

    Attributes:
        arrived_bytes: What all frames that were kept have taken on the wire, whatever they cost; counted by the reader.
        taken_bytes: What of it was taken.
    """

    def __init__(self, parking: Parking) -> None:
        super().__init__(parking)
        self.arrived_bytes = 0
        self.taken_bytes = 0
        self._looks: dict[str, _Look] = {}
        self._first_window = NOTHING
        self._epoch = 1
        self._windows: dict[str, ReceiveWindow] = {}

    @property
    def untaken_bytes(self) -> int:
        """What waits to be taken, on all channels and in all handles together."""
        return self.arrived_bytes - self.taken_bytes

    def open_epoch(self, first_window: Cost, epoch: int = 1) -> None:
        """Begin a credit epoch in which our HAI grants `first_window` on every channel.

        What is untaken of an earlier one stays here, but gives no credit back: our new HAI has granted all of it afresh.
        """
        self._first_window = first_window
        self._epoch = epoch
        self._windows = {}
        self._looks = {}

    def set_window(self, channel: str, window: Cost) -> None:
        """Make `window` what is kept open on `channel`; what it has above the HAI's is granted by a FLOW_UPDATE."""
        self._windows[channel] = ReceiveWindow(window, granted=self._first_window)

    def window(self, channel: str) -> ReceiveWindow:
        """Return the window of `channel`, made at its first use."""
        window = self._windows.get(channel)
        if window is None:
            window = self._windows[channel] = ReceiveWindow(self._first_window, granted=self._first_window)
        return window

    def windows(self) -> Iterable[tuple[str, ReceiveWindow]]:
        """Return every window so far, by channel."""
        return self._windows.items()

    def take(self, message: Message, taker: Taker | None = None) -> None:
        """Count a message as taken; counted once, however often an interrupted thread begins anew.

        `taker`: who takes it, where it is not this inbox's first message.
        """
        taker = taker or self
        if taker.counted is not message and message.epoch != self._epoch:
            taken_bytes = self.taken_bytes + message.wire_bytes
            # Two stores and no call: no interrupt can come between.
            self.taken_bytes = taken_bytes
            taker.counted = message
        if taker.counted is not message:
            window = self.window(message.channel)
            waiting, frames, books = window.after_taking(Cost(message.message_credits, message.frame_bytes))
            taken_bytes = self.taken_bytes + message.wire_bytes
            # Five stores and no call: no interrupt can come between.
            self.taken_bytes = taken_bytes
            window.waiting = waiting
            window.frames_waiting = frames
            window.books = books
            taker.counted = message

    def stalls(self, after_s: float, now_s: float) -> list[ChannelStalled]:
        """Return what to tell of channels where frames wait and none was taken for `after_s` s; once a stall."""
        found = []
        for channel, window in self._windows.items():
            look, taken = self._looks.get(channel), window.received.minus(window.waiting)
            if look is None or look.taken != taken or not window.frames_waiting:
                self._looks[channel] = _Look(taken, now_s, is_told=False)
            elif not look.is_told and now_s - look.since_s >= after_s:
                self._looks[channel] = msgspec.structs.replace(look, is_told=True)
                found.append(_not_taken(channel, window, now_s, now_s - look.since_s))
        return found


def _not_taken(channel: str, window: ReceiveWindow, now_s: float, stalled_s: float) -> ChannelStalled:
    frames = amount(window.frames_waiting, "frame")
    return ChannelStalled(
        time_s=now_s,
        channel=channel,
        text=(
            f"{channel}: {frames} of {window.waiting.byte_credits} bytes arrived and nobody has taken any for {stalled_s:.1f} s; "
            "the peer gets their credit back when receive() or the reader of a text takes them or, with inbox='listeners', "
            "when listeners have run"
        ),
        cause="not_taken",
        waiting=window.frames_waiting,
        stalled_s=stalled_s,
    )
