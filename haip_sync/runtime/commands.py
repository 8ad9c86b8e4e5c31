"""What callers ask of a connection: sending, queueing, pausing, asking for credit, taking what has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING
from weakref import ReferenceType, ref

from haip_sync.errors import ConnectionClosedError, FlowControlError, HAIPError, WaitCause
from haip_sync.events import Message
from haip_sync.flow.gates import Ticket
from haip_sync.flow.ledger import Cost
from haip_sync.flow.metrics import MetricsRecorder
from haip_sync.flow.outbox import Outbox
from haip_sync.flow.outcomes import interrupted_note
from haip_sync.flow.pending import DoneCallback, PendingSend
from haip_sync.protocol.frames import Frame
from haip_sync.runtime.entry import Entry
from haip_sync.runtime.exchanges import Exchange
from haip_sync.runtime.life import Life
from haip_sync.runtime.mailbox import Mailbox
from haip_sync.runtime.parcels import FrameParcel
from haip_sync.runtime.text_parcels import StreamParcel, TextParcel
from haip_sync.runtime.watch import Watch

if TYPE_CHECKING:
    from haip_sync.flow.strategies.base import Strategy


class Commands(Life):
    """The callers' side of a connection. Any thread, without the lock, where nothing else is said."""

    watch: Watch
    outbox: Outbox

    def carry(self, channel: str, parcel: TextParcel | FrameParcel, timeout_s: float | None) -> Entry:
        """Let `parcel` through the turnstile and write it; return its last entry. Blocks; raises as `Turnstile.pass_through`.

        Where messages come thick and fast it may gather with those that follow (`Writer.hand_over`). Interrupted after admission
        it is written all the same, by the service thread.
        """
        self.check_not_reentered()
        is_admitted = False
        try:
            self.rooms.turnstile.pass_through(channel, parcel, timeout_s)
            is_admitted = True
            entry = parcel.last_entry
            self.writer.hand_over(entry)
            if not entry.is_written:
                if not self.rooms.turnstile.has_credit_for(channel, entry.text_bytes):
                    self.writer.let_out()  # nothing follows it before the peer has it
                self._check_written(channel, entry, parcel.event_type)
            return entry
        except BaseException as exc:
            self.poke()
            if not isinstance(exc, HAIPError):
                self._leave(parcel)
                if is_admitted:
                    exc.add_note(f"haip_sync: {parcel.event_type} on {channel} was admitted before the interrupt: it is sent.")
            raise

    def open_stream(self, channel: str, ticket: Ticket[Entry], parcel: StreamParcel, timeout_s: float | None) -> None:
        """Send START of a text that is written piece by piece. Blocks; raises as `Turnstile.open_place`.

        However it is left by an exception, the ticket has no place then.
        """
        self.check_not_reentered()
        try:
            with self._seeing_to(parcel):
                self.rooms.turnstile.open_place(channel, ticket, timeout_s)
                self._hand_over(channel, parcel.last_entry, parcel.event_type)
        except BaseException as exc:
            self.rooms.turnstile.give_up_place(channel, ticket)
            if not isinstance(exc, HAIPError):
                exc.add_note(interrupted_note(channel, ticket))
            raise

    def go_on_with_stream(
        self,
        channel: str,
        ticket: Ticket[Entry],
        parcel: StreamParcel,
        *,
        begin: Callable[[], None],
        is_done: Callable[[], bool],
        timeout_s: float | None,
    ) -> None:
        """Send the next piece of a text, or its END. Blocks; raises as `Turnstile.go_on`."""
        self.check_not_reentered()
        go_on = self.rooms.turnstile.go_on
        with self._seeing_to(parcel):
            go_on(channel, ticket, begin=begin, is_done=is_done, give_up=parcel.take_back, timeout_s=timeout_s)
            self._hand_over(channel, parcel.last_entry, f"a piece of {parcel.event_type}")

    def _hand_over(self, channel: str, entry: Entry, what: str) -> None:
        """Have `entry` written, alone or in company. Raises `ConnectionClosedError`, which says what was sent."""
        self.writer.hand_over(entry)
        self._check_written(channel, entry, what)

    @contextmanager
    def _seeing_to(self, parcel: StreamParcel) -> Iterator[None]:
        """Have what the block has admitted written by the service thread where an interrupt strikes it."""
        try:
            yield
        except BaseException as exc:
            self.poke()
            if not isinstance(exc, HAIPError):
                self._leave(parcel)
            raise

    def _leave(self, parcel: TextParcel | FrameParcel) -> None:
        """Note that nobody is here any more to write what the parcel has admitted last, or to be told of it: an interrupt struck.

        A client that is closed at once because of it lets that out first: the service thread may not come to it before.
        """
        entry: Entry | None = getattr(parcel, "last_entry", None)
        if entry is not None:
            entry.is_left = True
            if not entry.is_written:
                self.rooms.outgoing.is_gathering = True

    def _write_through(self, channel: str, entry: Entry, what: str, deadline_s: float | None = None) -> None:
        """Return once `entry` has left, on this line or a later one. Raises `ConnectionClosedError`, which says what was sent."""
        self.writer.write_through(entry, deadline_s)
        self._check_written(channel, entry, what)

    def _check_written(self, channel: str, entry: Entry, what: str) -> None:
        """Raise `ConnectionClosedError`, which says what was sent, for an entry that will never be written."""
        cause = entry.failure
        if cause is None or entry.is_written:
            return
        with self._lock:  # whoever has given it up is done: it was told of, or it was not
            is_told = entry.fate is not None and entry.fate.outcome == "indeterminate"
        if entry.is_unsent and not is_told:
            text = f"{what} on {channel}: its turn had come, then the line broke. Nothing of it was sent. {cause}"
        else:
            text = f"{what} on {channel} was admitted, then the line broke: whether the peer has it is not known. {cause}"
        raise ConnectionClosedError(text) from cause

    def enqueue(self, parcel: TextParcel | FrameParcel, channel: str, message_id: str) -> PendingSend:
        """Put a text into the outbox; raises as `Outbox.enqueue`. Without the lock."""
        self.check_not_reentered()
        size = parcel.queued_bytes()
        pending = PendingSend(self, self.rooms.parking, channel=channel, message_id=message_id, queued_bytes=size)
        parcel.pending = pending
        self.outbox.enqueue(parcel, pending)
        return pending

    def cancel(self, pending: PendingSend) -> bool:
        """Take a queued message back; return whether nothing of it was admitted. Without the lock."""
        self.check_not_reentered()
        return self.outbox.cancel(pending)

    def call_soon(self, callback: DoneCallback, pending: PendingSend) -> None:
        """Run a handle's callback on the dispatch thread."""
        self.rooms.dispatcher.call_soon(partial(callback, pending))

    def call_late(self, callback: DoneCallback, pending: PendingSend) -> None:
        """Run the callback of a handle that is settled: on the dispatch thread, or here if that has ended. Without the lock."""
        self.check_not_reentered()
        self.rooms.dispatcher.call_late(partial(callback, pending))

    def post_now(self, frame: Frame, timeout_s: float | None) -> Entry:
        """Commit a control frame of the caller's and write it. Without the lock.

        Where it is not written within `timeout_s`, because the peer does not read, the service thread writes it once that goes.
        """
        self.check_not_reentered()
        deadline_s = self.rooms.parking.deadline(timeout_s)
        with self._lock:
            self.enter()
            entry = self.control.post(frame)
        try:
            self._write_through(frame.channel, entry, frame.type, deadline_s)
        except BaseException:
            self.poke()  # interrupted once the pen was put down: whoever stands by was not told yet
            raise
        return entry

    def request(self, channel: str, amount: Cost, *, within: Exchange | None = None) -> None:
        """Ask for credit, in this transaction if one is named. Without the lock."""
        self.check_not_reentered()
        with self._lock:
            self.rooms.turnstile.mend()
            self.check_alive()
            if not self.link.stands:
                offline = self.rooms.turnstile.offline_text()
                text = f"{channel} is {offline}. Nothing was asked for; a new line brings new credit"
                raise FlowControlError(text, cause=WaitCause.OFFLINE, channel=channel)
            self.rooms.turnstile.check_place_for(channel)
            over = None if within is None else within.over()
            if over is not None:
                raise over
            self.control.request(channel, amount, within=None if within is None else within.state.id)

    def pause(self, channel: str, reason: str | None) -> None:
        """Hold `channel` and tell the peer, offline once there is one again. Without the lock."""
        self.check_not_reentered()
        with self._lock:
            self.enter_alive(channel)
            self.control.pause(channel, reason)

    def resume(self, channel: str) -> None:
        """Lift our hold on `channel` and tell the peer, if there is one. Without the lock."""
        self.check_not_reentered()
        with self._lock:
            self.enter_alive(channel)
            self.control.resume(channel)

    def use_strategy(self, strategy: Strategy | None) -> None:
        """Let `strategy` ask for credit from now on; None: nobody. Without the lock, at any time."""
        self.check_not_reentered()
        # With the first strategy, because most clients have none; and by this thread: one that imports while another forks leaves
        # the child a lock that is held for ever.
        asking = None if strategy is None else import_module("haip_sync.runtime.asking")
        with self._lock:
            self.rooms.turnstile.mend()
            if asking is not None and self._service.asking is None:
                self._service.asking = asking.Asking(self.rooms, self.watch, self.control, self.writer, lambda: self.is_open)
            self.watch.use(strategy, self.rooms.turnstile.gates)

    def metrics(self) -> MetricsRecorder:
        """Return a copy of the figures. Without the lock, at any time."""
        self.home.check()
        with self._lock:
            return self.watch.metrics.copy()

    def reset_metrics(self) -> None:
        """Begin all figures at zero again. Without the lock, at any time."""
        self.home.check()
        with self._lock:
            self.watch.metrics.reset()

    def enter(self) -> None:
        """Mend, and raise unless the line stands now. Requires the lock."""
        self.rooms.turnstile.mend()
        self.check_open()

    def enter_alive(self, channel: str | None = None) -> None:
        """Mend, and raise unless the line stands or another is being tried, with a place for `channel`. Requires the lock."""
        self.rooms.turnstile.mend()
        self.check_alive()
        if channel is not None:
            self.rooms.turnstile.check_place_for(channel)

    def take_message(self, timeout_s: float | None, box: Mailbox | None = None) -> Message | None:
        """Take the next message of `box` (None: of the inbox) and give credit back; None: it is over. Without the lock.

        Raises `HAIPTimeout`.
        """
        self.check_not_reentered()
        box = self.rooms.inbox if box is None else box
        if self.rooms.outgoing.is_gathering and box.is_empty:
            self.writer.let_out()  # it may be what the peer answers
        try:
            with self._lock:
                self.rooms.turnstile.mend()
                message = box.wait_for_next(timeout_s)
                if message is not None:
                    self.control.give_back_for(message, box)
                    box.pop()
        except BaseException:
            with self._lock:
                box.pass_on()
            raise
        return message

    def watch_holder(self, holder: object) -> ReferenceType[object]:
        """Return a reference to whoever holds a transaction; once it is gone, the service thread looks.

        No code of ours runs then in the thread that let go of it: an interrupt there has nothing to strike.
        """
        return ref(holder, self._service.wake)

    def clear_queue(self, channel: str) -> int:
        """Take back everything queued on `channel` that is not admitted; return how many. Without the lock."""
        self.check_not_reentered()
        return self.outbox.clear(channel)

    def wait_until_written(self, timeout_s: float | None) -> bool:
        """Wait until everything queued and admitted is written; return whether it is. Raises nothing when the line ends.

        What was queued at the end was handed back: nothing is left then, and not everything was written.
        """
        self.check_not_reentered()
        deadline_s = float("inf") if timeout_s is None else self._clock() + timeout_s
        self.writer.let_out()
        with self._lock:
            self.rooms.turnstile.mend()
            self.wait_while(lambda: not self._has_nothing_to_send(), deadline_s)
            return self._has_nothing_to_send() and not self.rooms.turnstile.left_over

    def _has_nothing_to_send(self) -> bool:
        return self.rooms.outgoing.is_empty and not any(gate.queued for gate in self.rooms.turnstile.gates)
