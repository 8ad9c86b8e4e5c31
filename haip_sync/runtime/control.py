"""Control frames: they wait for no credit, get their place in the write order at once, and the service thread writes them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from haip_sync.errors import UnsupportedByPeerError
from haip_sync.events import CreditRequested, Message, WarningRaised
from haip_sync.flow.ledger import NOTHING, Cost
from haip_sync.flow.metrics import MetricsRecorder
from haip_sync.flow.receive_window import WindowBooks
from haip_sync.protocol.frames import Frame
from haip_sync.protocol.happenings import UpdateLost
from haip_sync.protocol.names import FLOW_UPDATE, PAUSE_CHANNEL, RESUME_CHANNEL
from haip_sync.protocol.transactions import Stage, TransactionState
from haip_sync.runtime.entry import Entry
from haip_sync.runtime.mailbox import Taker
from haip_sync.runtime.rooms import Rooms
from haip_sync.runtime.settings import Settings

log = logging.getLogger("haip_sync.connection")


class Control:
    """Posts control frames and keeps the books that go with them. Every method requires the connection's lock."""

    def __init__(
        self,
        rooms: Rooms,
        settings: Settings,
        *,
        clock: Callable[[], float],
        poke: Callable[[], None],
        overflow: Callable[[], None],
        metrics: MetricsRecorder,
    ) -> None:
        self._rooms = rooms
        self._settings = settings
        self._clock = clock
        self._poke = poke
        self._overflow = overflow
        self._metrics = metrics
        # First grants that wait for a transaction which can carry them.
        self._kept: dict[str, Cost] = {}
        # Channels whose holding or letting go has begun: what an interrupt left half done there is done again by the next call.
        self._begun: set[str] = set()

    def post(
        self,
        frame: Frame,
        *,
        window: tuple[str, WindowBooks] | None = None,
        stage: tuple[TransactionState, Stage] | None = None,
    ) -> Entry:
        """Commit a frame and have it written soon.

        `window` (a channel and its receive books) and `stage` (a transaction and how far it has come) change in the same step.
        """
        rooms = self._rooms
        rooms.turnstile.mend()  # before anything is planned: what an interrupt left undone may take a seq
        counted = NOTHING
        if self._settings.flow_control.count_control_frames:
            counted = Cost(1, frame.size(rooms.session.last_seq + 1, rooms.session.ack))
        entry = rooms.outgoing.plan((frame,))
        if window is not None:
            entry.window = (rooms.inbox.window(window[0]), window[1])
        entry.stage = stage
        return self._commit(entry, counted)

    def post_again(self, entry: Entry) -> None:
        """Commit an entry whose numbers were given before, and have it written soon: it was paid then."""
        self._rooms.turnstile.mend()
        self._commit(entry, NOTHING)

    def post_raw(self, data: bytes) -> Entry:
        """Commit a WebSocket control frame and have it written soon."""
        self._rooms.turnstile.mend()
        return self._commit(self._rooms.outgoing.plan_raw(data), NOTHING)

    def _commit(self, entry: Entry, counted: Cost) -> Entry:
        if not entry.is_again:
            self._rooms.outgoing.plan_answer(entry)
        self._rooms.turnstile.post(entry, counted=counted)
        self._poke()
        # Answers wait for nothing: to a peer that reads none they would fill the memory.
        if self._rooms.outgoing.unwritten_answers_bytes > self._settings.limits.max_unwritten_answers_bytes:
            self._overflow()
        return entry

    def send_flow_update(self, channel: str, amount: Cost, *, gives_back: bool, within: str | None = None) -> None:
        """Grant (and ask for) `amount` on `channel`; a zero is left out. `within`: the transaction to travel in, if need be.

        Where the peer takes it inside a transaction only and none is open, a first grant is kept until `catch_up`.
        """
        if not self._rooms.session.may_update_flow():
            self._kept[channel] = amount
            return
        window = self._rooms.inbox.window(channel)
        books = window.given_back(amount) if gives_back else window.extended(amount)
        self.post(
            self._rooms.session.flow_update(channel, *amount, within=within, gives_back=gives_back), window=(channel, books)
        )
        self._rooms.put(
            CreditRequested(
                time_s=self._clock(),
                channel=channel,
                add_messages=amount.messages,
                add_bytes=amount.byte_credits,
                gives_back=gives_back,
            )
        )

    def catch_up(self) -> None:
        """Send what waited for a transaction that can carry it. For the connection's own threads, which no interrupt strikes."""
        kept, self._kept = self._kept, {}
        for channel, amount in kept.items():
            self.send_flow_update(channel, amount, gives_back=False)
        for channel, _ in tuple(self._rooms.inbox.windows()):
            self._give_back(channel)

    def take_back(self, lost: UpdateLost) -> None:
        """Undo a FLOW_UPDATE that came too late for its transaction; what it gave back is owed again."""
        window = self._rooms.inbox.window(lost.channel)
        window.books = window.taken_back(Cost(lost.messages, lost.byte_credits), gave_back=lost.gave_back)
        carrier = self._rooms.session.transactions.carrier(lost.channel)
        if carrier is not None and carrier.id != lost.transaction:  # never at once where it was just refused
            self._give_back(lost.channel, carrier.id)

    def request(self, channel: str, amount: Cost, *, within: str | None = None) -> None:
        """Ask for credit, in the transaction `within` where that is named. Raises `UnsupportedByPeerError`."""
        where = self._settings.address.text
        if not self._rooms.session.accepts(FLOW_UPDATE):
            raise UnsupportedByPeerError(f"{where} accepts no FLOW_UPDATE. Nothing was sent")
        if not self._rooms.session.may_update_flow():
            raise UnsupportedByPeerError(
                f"{where} accepts FLOW_UPDATE inside a transaction only, and none is open. Nothing was sent: "
                "open one with client.transaction(...)"
            )
        self.send_flow_update(channel, amount, gives_back=False, within=within)
        self._rooms.turnstile.gate(channel).asked_s = self._clock()
        self._metrics.requested(channel)

    def give_back_for(self, message: Message, taker: Taker | None = None) -> None:
        """Count a data frame as taken, by `taker` or from the inbox, and give credit back where it is time."""
        self._rooms.inbox.take(message, taker)
        state = self._rooms.session.transactions.find(message.transaction)
        self._give_back(message.channel, None if state is None or not state.is_open else state.id)
        self._rooms.audit()

    def refund(self, channel: str, cost: Cost) -> None:
        """Count a data frame that nobody will take, and give its credit back where it is time."""
        self._rooms.inbox.window(channel).refund(cost)
        self._give_back(channel)

    def _give_back(self, channel: str, within: str | None = None) -> None:
        """Give back what is due, in the transaction `within` if there is one; what cannot travel yet stays owed."""
        due = self._rooms.inbox.window(channel).due()
        turnstile = self._rooms.turnstile
        if any(due) and turnstile.closed is None and turnstile.offline is None and self._rooms.session.may_update_flow():
            self.send_flow_update(channel, due, gives_back=True, within=within)

    def begin_line(self) -> None:
        """Forget what waited for a transaction of an earlier line: a new epoch grants afresh."""
        self._kept = {}

    @property
    def _is_online(self) -> bool:
        return self._rooms.turnstile.offline is None

    def pause(self, channel: str, reason: str | None) -> None:
        """Hold `channel` and tell the peer, offline once there is one (`announce_pauses`). Twice is once."""
        if not self._rooms.turnstile.gate(channel).paused_by_us or channel in self._begun:
            self._begun.add(channel)
            is_told = self._is_online and self._rooms.session.accepts(PAUSE_CHANNEL)
            self._rooms.turnstile.pause(channel, by_us=True, peer_told=is_told, reason=reason)
            if self._is_online:
                self._tell_peer(PAUSE_CHANNEL, channel)
            self._begun.discard(channel)

    def announce_pauses(self) -> None:
        """Tell the peer of a new line what we hold."""
        for gate in tuple(self._rooms.turnstile.gates):
            if gate.paused_by_us:
                self._tell_peer(PAUSE_CHANNEL, gate.channel)

    def resume(self, channel: str) -> None:
        """Lift our hold on `channel` and tell the peer. Twice is once."""
        if self._rooms.turnstile.gate(channel).paused_by_us or channel in self._begun:
            self._begun.add(channel)
            if self._is_online:
                self._tell_peer(RESUME_CHANNEL, channel)
            self._rooms.turnstile.resume(channel, by_us=True)
            self._begun.discard(channel)

    def _tell_peer(self, frame_type: str, channel: str) -> None:
        """Post PAUSE_CHANNEL or RESUME_CHANNEL where the peer accepts it; say so where it does not."""
        if self._rooms.session.accepts(frame_type):
            self.post(self._rooms.session.control_frame(frame_type, {"channel": channel}))
            return
        text = f"{self._settings.address.text} accepts no {frame_type}: on {channel} only our own sends are held or let go"
        self._rooms.dispatcher.log(log, logging.WARNING, text)
        self._rooms.put(WarningRaised(time_s=self._clock(), text=text, channel=channel))
