"""What arrives: from WebSocket messages to the session, and from what the session understood to credit, inbox and events."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Protocol

from haip_sync.config import Limits
from haip_sync.errors import HAIPError, HandshakeError, ProtocolError
from haip_sync.events import Message, WindowOverrun
from haip_sync.flow.ledger import Cost
from haip_sync.protocol.envelope import Envelope, decode_envelope
from haip_sync.protocol.frames import Frame
from haip_sync.protocol.happenings import Violated
from haip_sync.protocol.names import ERROR, HAI
from haip_sync.protocol.received import Incoming, Received
from haip_sync.protocol.session import Session
from haip_sync.protocol.transactions import transaction_of
from haip_sync.runtime.discretion import Discretion
from haip_sync.runtime.entry import Entry
from haip_sync.runtime.heartbeat import Heartbeat
from haip_sync.runtime.mailbox import Taker
from haip_sync.runtime.meaning import Meaning
from haip_sync.runtime.peer_log import PeerLog, WireLog
from haip_sync.runtime.rooms import Rooms
from haip_sync.runtime.stream import CAN_TRY_TO_SEND

_BREACH = "FLOW_CONTROL_VIOLATION"
_MOST_UNWRITTEN = 32
"""Frames that are taken in at most before what they let go is written: they were read ahead, and cost about a millisecond."""
_UNMETERED = Cost(10_000, 64 << 20)
"""What is kept of a peer that reads no FLOW_UPDATE, until the application takes it."""


class Host(Protocol):
    """What reception asks of the connection. Every method requires the lock, where nothing else is said."""

    @property
    def heartbeat(self) -> Heartbeat:
        """The heartbeat of the line."""

    def post(self, frame: Frame) -> Entry:
        """Commit a control frame and have it written soon."""

    def poke(self) -> None:
        """Have the service thread look at the clock. With or without the lock."""

    @property
    def is_looked_after(self) -> bool:
        """Whether what stands unwritten is found and written within a few milliseconds. Asked without the lock."""

    def write_at_once(self) -> None:
        """Write what stands in the write order, as far as it goes without waiting. Without the lock."""

    def refuse(self, failure: HAIPError) -> None:
        """End the connection for this reason, once what is posted has left."""

    def route(self, message: Message) -> bool:
        """Hand a data frame to the transaction of ours that it belongs to; return False where there is none."""

    def refund(self, channel: str, cost: Cost) -> None:
        """Count a data frame that nobody will take, and give its credit back where it is time."""

    def take_routed(self, message: Message, taker: Taker) -> None:
        """Count a frame that went to a handle as taken, and give credit back where it is time."""

    def shut_if_overrun(self) -> None:
        """End a line whose peer asks for ever more answers and reads none. Without the lock."""


class Reception:
    """The reader's side of a connection: called by the reader thread, without the lock, but for `look_for_gaps`."""

    def __init__(
        self,
        host: Host,
        rooms: Rooms,
        meaning: Meaning,
        *,
        keeps_inbox: bool,
        limits: Limits,
        log: PeerLog,
        clock: Callable[[], float],
    ) -> None:
        self._host = host
        self._rooms = rooms
        self._meaning = meaning
        self._keeps_inbox = keeps_inbox
        self._limits = limits
        self._log = log
        self._clock = clock
        self.wire_log: WireLog | None = None
        self.discretion = Discretion()
        self._awaiting: tuple[Envelope, int] | None = None
        # The reader's: how many frames it has taken in since it committed something that is not written; 0: nothing is.
        self._unwritten = 0
        # Data that waits for what is missing before it, by id: the epoch in which it was paid, and its bytes on the wire.
        self._held: dict[str, tuple[int, int]] = {}

    def begin_line(self) -> None:
        """Forget what an earlier line left half said."""
        self._awaiting = None

    # ---- From the wire --------------------------------------------------------------------------------------------------------

    def take_text(self, data: bytes) -> None:
        """Take a text message in."""
        awaiting, self._awaiting = self._awaiting, None
        if awaiting is not None:
            self._mismatch(f"{awaiting[0].type} announced a binary frame, and a text frame came", awaiting[0])
        try:
            envelope = decode_envelope(data, max_nesting=self._limits.max_nesting)
        except ProtocolError as exc:
            if self.wire_log is not None:
                self.wire_log.received_unreadable(len(data))
            self._unreadable(exc)
            return
        envelope = self.discretion.envelope(envelope)
        if self.wire_log is not None:
            self.wire_log.received(envelope, len(data))
        if envelope.bin_len is None:
            self._take_envelope(envelope, len(data), None)
        else:
            self._awaiting = (envelope, len(data))

    def take_binary(self, data: bytes) -> None:
        """Take a binary message in: the second half of a frame."""
        awaiting, self._awaiting = self._awaiting, None
        if awaiting is None:
            self._mismatch(f"a binary frame of {len(data)} bytes that no envelope announced", None)
        elif awaiting[0].bin_len != len(data):
            self._mismatch(f"{awaiting[0].type} announced {awaiting[0].bin_len} bytes, {len(data)} came", awaiting[0])
        else:
            self._take_envelope(*awaiting, data)

    def _mismatch(self, what: str, announced_by: Envelope | None) -> None:
        error = ProtocolError(what, blame="remote")
        if announced_by is None:
            self._unreadable(error)
        else:
            self._take(lambda session, now_s: session.receive_broken(announced_by, error, now_s))

    def _unreadable(self, error: ProtocolError) -> None:
        self._take(lambda session, _now_s: session.unreadable(error))

    def _take_envelope(self, envelope: Envelope, frame_bytes: int, binary: bytes | None) -> None:
        self._take(lambda session, now_s: session.receive(envelope, frame_bytes, now_s, binary=binary))

    def _take(self, receive: Callable[[Session, float], list[Received]]) -> None:
        """Do under the lock all that one frame changes; what that lets go is written once all that was read ahead is taken in."""
        turnstile, outgoing = self._rooms.turnstile, self._rooms.outgoing
        with self._rooms.parking.lock:
            turnstile.mend()
            committed_end = outgoing.committed_end
            turnstile.senders_bytes = 0
            turnstile.is_written_next = CAN_TRY_TO_SEND
            try:
                self._change(receive)
            finally:
                turnstile.is_written_next = False
            is_ours = outgoing.committed_end > committed_end + turnstile.senders_bytes
        # Its sender may be kept from it, by a signal handler for one: it is left to him only while somebody looks after it.
        if self._unwritten or is_ours or (turnstile.senders_bytes and not self._host.is_looked_after):
            self._host.shut_if_overrun()
            self._unwritten += 1
            if self._unwritten >= _MOST_UNWRITTEN:
                self.write_out()

    def _change(self, receive: Callable[[Session, float], list[Received]]) -> None:
        """Carry out what one frame comes to, and have somebody look for gaps where that is due sooner now. Requires the lock."""
        session, now_s = self._rooms.session, self._clock()
        inbound = session.inbound
        self._host.heartbeat.heard(now_s)
        due_s = inbound.next_due_s
        self._apply_all(receive(session, now_s))
        if inbound.next_due_s == due_s == math.inf:  # nearly always: nothing is missing
            return
        if inbound.next_due_s <= now_s:
            self._apply_all(session.due(now_s))
        if inbound.next_due_s < due_s:
            self._host.poke()

    def write_out(self) -> None:
        """Write what the frames so far let go, as far as it goes without waiting: the rest is for others."""
        if self._unwritten:
            self._unwritten = 0
            self._host.write_at_once()

    def look_for_gaps(self) -> None:
        """Do what the time has come for in the peer's numbers: ask for what is missing, or give it up. Service thread.

        Not while offline, however late it is: the next line may bring it.
        """
        rooms = self._rooms
        with rooms.parking.lock:
            rooms.turnstile.mend()
            if rooms.turnstile.offline is None:
                self._apply_all(rooms.session.due(self._clock()))

    def let_out(self) -> None:
        """Hand out what waits for frames that will not come any more: the last line is over. Reader thread, without the lock."""
        with self._rooms.parking.lock:
            self._rooms.turnstile.mend()
            self._apply_all(self._rooms.session.end())

    def _apply_all(self, all_received: list[Received]) -> None:
        """Carry out what frames come to, in order. Requires the lock."""
        rooms = self._rooms
        rooms.outgoing.fates.acknowledged(rooms.session.acknowledged)
        epoch = rooms.turnstile.epoch
        for received in all_received:
            self._apply(received)
        if self._held and rooms.turnstile.epoch != epoch:
            self._forget_held()
        if rooms.is_audited:
            rooms.audit()

    def _apply(self, received: Received) -> None:
        rooms, incoming = self._rooms, received.incoming
        for reply in received.replies:
            self._host.post(reply)
        for happening in received.happenings:
            self._meaning.apply(happening)
            if isinstance(happening, Violated) and incoming is not None and not received.is_echo:
                rooms.routes.unreadable(incoming.envelope, happening.error)
        if incoming is None:
            return
        if received.is_held:
            self._hold(incoming, received)
        elif received.deliver:
            self._deliver(incoming, received)
        elif received.was_held and received.is_data:
            epoch = self._epoch_of(incoming, received)
            self._host.take_routed(_message(incoming, received, epoch=epoch, is_routed=False), Taker())
        elif received.is_data:
            self._refund(incoming.envelope, _cost(received))
        if incoming.envelope.type == HAI and rooms.session.peer is None:
            self._refuse_bad_hello(received)

    def _hold(self, incoming: Incoming, received: Received) -> None:
        """Count a frame that has to wait for what is missing before it: the peer paid for it. Requires the lock."""
        if not received.is_data:
            return
        if self._admit(incoming, _cost(received)):
            self._held[incoming.envelope.id] = (self._rooms.turnstile.epoch, incoming.wire_bytes)
        else:
            self._rooms.session.drop_held(incoming.envelope)

    def _epoch_of(self, incoming: Incoming, received: Received) -> int:
        """Return the epoch in which a frame counted as received. Requires the lock."""
        now = self._rooms.turnstile.epoch
        return self._held.pop(incoming.envelope.id, (now, 0))[0] if received.was_held else now

    def _forget_held(self) -> None:
        """Give up what an earlier line held and the new one did not let out: the peer sends it once more. Requires the lock."""
        for frame_id, (epoch, wire_bytes) in tuple(self._held.items()):
            if epoch != self._rooms.turnstile.epoch:
                self._rooms.inbox.taken_bytes += wire_bytes
                del self._held[frame_id]

    def _refuse_bad_hello(self, received: Received) -> None:
        """End a handshake whose HAI cannot be read: no other will come. Requires the lock."""
        for happening in received.happenings:
            if isinstance(happening, Violated):
                self._host.refuse(HandshakeError(f"the peer's HAI cannot be read: {happening.error}. Nothing was sent"))

    def _refund(self, envelope: Envelope, cost: Cost) -> None:
        """Give back what a frame cost that is handed to nobody. One without credit cost nothing. Requires the lock."""
        rooms = self._rooms
        is_metered = rooms.session.peer is not None and rooms.turnstile.has_place_for(envelope.channel)
        if is_metered and rooms.inbox.window(envelope.channel).covers(cost):
            self._host.refund(envelope.channel, cost)

    def _deliver(self, incoming: Incoming, received: Received) -> None:
        """Hand the frame to the handle that it belongs to, or to the inbox, and to the listeners. Requires the lock."""
        rooms, envelope = self._rooms, incoming.envelope
        if received.is_data and not received.was_held and not self._admit(incoming, _cost(received)):
            return
        if not (received.is_data or rooms.dispatcher.wants(Message)):
            return
        is_echo = envelope.session == rooms.session.session_id
        route = rooms.routes.find(envelope, is_echo=is_echo) if received.is_data else None
        message = _message(incoming, received, epoch=self._epoch_of(incoming, received), is_routed=route is not None)
        if route is not None:
            route.arrive(message)
            if route.takes_at_once:
                self._host.take_routed(message, Taker())
        elif received.is_data and not self._host.route(message) and self._keeps_inbox:
            rooms.inbox.arrive(message)
        if rooms.dispatcher.wants(Message):
            rooms.dispatcher.put(message)

    def _admit(self, incoming: Incoming, cost: Cost) -> bool:
        """Count a data frame, and the breach where the peer had no credit for it; return False for one that is not kept."""
        envelope = incoming.envelope
        if not self._rooms.turnstile.has_place_for(envelope.channel):
            what = f"{envelope.channel} would be one channel too many; the frame was dropped"
            self._breach(envelope, cost, what, 1, is_kept=False)
            return False
        window, untaken_bytes = self._rooms.inbox.window(envelope.channel), self._rooms.inbox.untaken_bytes
        if untaken_bytes and untaken_bytes + incoming.wire_bytes > self._limits.max_untaken_bytes:
            what = f"{untaken_bytes} bytes wait that nobody takes, on all channels; a frame on {envelope.channel} was dropped"
            self._breach(envelope, cost, what, window.breaches, is_kept=False)
            self._refund(envelope, cost)
            return False
        if not self._rooms.session.may_update_flow():
            # Such a peer cannot be told of more than it knows: it is not accused, and memory is bounded all the same.
            if not window.holds(cost, at_least=_UNMETERED):
                what = f"{envelope.channel} holds {window.frames_waiting} frames that nobody takes; one was dropped"
                self._breach(envelope, cost, what, window.breaches, is_kept=False)
                return False
        elif not window.covers(cost):
            window.breaches += 1
            is_kept = window.holds(cost)
            fate = "kept, because there is room" if is_kept else "dropped: what is not taken fills the window"
            what = f"{envelope.type} of {cost.byte_credits} bytes came without credit on {envelope.channel}; it was {fate}"
            self._breach(envelope, cost, what, window.breaches, is_kept=is_kept)
            if not is_kept:
                return False
        window.receive(cost)
        self._rooms.inbox.arrived_bytes += incoming.wire_bytes
        self._rooms.turnstile.gate(envelope.channel)
        return True

    def _breach(self, envelope: Envelope, cost: Cost, what: str, breaches: int, *, is_kept: bool) -> None:
        """Report a breach of our grants, and answer it. Requires the lock."""
        self._log.warn(f"{_BREACH}: {what}")
        self._rooms.put(
            WindowOverrun(
                time_s=time.monotonic(),
                channel=envelope.channel,
                code=_BREACH,
                message=what,
                reported_by="us",
                related_id=envelope.id,
                event_type=envelope.type,
                message_bytes=cost.byte_credits,
                kept=is_kept,
                breaches=breaches,
            )
        )
        if not is_kept:
            self._rooms.routes.unreadable(envelope, ProtocolError(what, code=_BREACH, blame="remote"))
        if self._rooms.session.accepts(ERROR):
            self._host.post(self._rooms.session.error(_BREACH, what, envelope.id))


def _cost(received: Received) -> Cost:
    return Cost(received.cost_messages, received.cost_bytes)


def _message(incoming: Incoming, received: Received, *, epoch: int, is_routed: bool) -> Message:
    envelope = incoming.envelope
    return Message(
        time_s=time.monotonic(),
        channel=envelope.channel,
        type=envelope.type,
        payload=envelope.payload,
        id=envelope.id,
        session=envelope.session,
        seq=envelope.seq,
        run_id=envelope.run_id,
        thread_id=envelope.thread_id,
        transaction=transaction_of(envelope),
        binary=incoming.binary,
        binary_mime=envelope.bin_mime,
        frame_bytes=received.cost_bytes,
        wire_bytes=incoming.wire_bytes,
        message_credits=received.cost_messages,
        is_echo=received.is_echo,
        epoch=epoch,
        is_routed=is_routed,
    )
