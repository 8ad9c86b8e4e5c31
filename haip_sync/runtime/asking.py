"""Asking for credit by itself: a strategy proposes, the request desk decides, the service thread does it.

What happens at the gates is noted by the `Watch`; the strategy, which may be the user's own, runs under no lock.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from haip_sync.errors import ConfigError, WaitCause
from haip_sync.events import RequestExpired, WarningRaised
from haip_sync.flow.gates import Gate
from haip_sync.flow.ledger import NOTHING, Cost, Ledger
from haip_sync.flow.request_desk import RequestDesk
from haip_sync.flow.strategies.base import ChannelView, CreditRequest, Strategy
from haip_sync.runtime.control import Control
from haip_sync.runtime.rooms import Rooms
from haip_sync.runtime.watch import Watch
from haip_sync.runtime.writer import Writer

log = logging.getLogger("haip_sync.connection")


class _Turn(msgspec.Struct, frozen=True):
    """What the strategy is told in one turn."""

    now_s: float
    views: dict[str, ChannelView]
    began_s: float
    first_views: dict[str, ChannelView] | None
    """The channels as the epoch, or the strategy, began; None: it knows."""
    grants: tuple[tuple[str, Cost], ...]
    dropped: tuple[tuple[str, Cost], ...]
    looks: frozenset[str]
    round_trip_s: float | None


class Asking:
    """Runs the strategy. `run` and `next_s` are the service thread's, without the lock."""

    def __init__(self, rooms: Rooms, watch: Watch, control: Control, writer: Writer, is_open: Callable[[], bool]) -> None:
        self._rooms = rooms
        self._writer = writer
        self._watch = watch
        self._control = control
        self._is_open = is_open
        self._strategy: Strategy | None = None
        self._desk = RequestDesk()
        # When the strategy wants to look again: asked for where what it raises is caught.
        self._due_s = math.inf
        # What the desk let through and could not be sent, because the transaction that was to carry it had ended.
        self._unsent: list[CreditRequest] = []
        # What the peer has passed over, by channel: proposed in each turn until the desk lets it through.
        self._again: dict[str, CreditRequest] = {}

    def next_s(self) -> float:
        """Return when to run again whatever happens, on the monotonic clock."""
        if self._strategy is None:
            return math.inf
        desk_s = self._desk.next_s()
        return self._due_s if desk_s is None else min(self._due_s, desk_s)

    def run(self, now_s: float, round_trip_s: float | None) -> None:
        """Let the strategy look at what has happened since, and ask the peer for what it proposes."""
        with self._rooms.parking.lock:
            watch = self._watch
            self._strategy = watch.strategy if self._may_ask() else None
            # Asked only now: what came due while nothing could be asked for is due still.
            is_due = watch.first is None and now_s >= self.next_s()
            news = watch.first or watch.grants or watch.dropped or watch.looks or self._unsent
            if self._strategy is None or not (news or is_due):
                return
            turn = self._turn(watch, now_s, is_due, round_trip_s)
        self._writer.leave()  # a strategy may take its time
        try:
            self._propose(self._strategy, turn)
        finally:
            self._writer.attend()

    def _turn(self, watch: Watch, now_s: float, is_due: bool, round_trip_s: float | None) -> _Turn:
        """Take over what has happened. Requires the lock."""
        gates = tuple(self._rooms.turnstile.gates)
        views = {gate.channel: self._view(gate, gate.ledger) for gate in gates}
        began, first_views = watch.first, None
        if began is not None:
            first_views = {gate.channel: self._view(gate, began[1].get(gate.channel, gate.ledger)) for gate in gates}
        turn = _Turn(
            now_s=now_s,
            views=views,
            began_s=began[0] if began is not None else now_s,
            first_views=first_views,
            grants=tuple(watch.grants),
            dropped=tuple(watch.dropped),
            # In its first turn the strategy looks at everything: what was sent before it came to it.
            looks=frozenset(views) if is_due or first_views not in (None, views) else frozenset(watch.looks),
            round_trip_s=round_trip_s,
        )
        watch.first = None
        watch.grants.clear()
        watch.dropped.clear()
        watch.looks.clear()
        return turn

    def _may_ask(self) -> bool:
        return self._is_open() and self._rooms.session.may_update_flow()

    def _propose(self, strategy: Strategy, turn: _Turn) -> None:
        proposals, self._unsent = self._unsent, []
        now_s, views = turn.now_s, turn.views
        # The strategy may be the user's: what it raises must stop the asking, not the client.
        try:
            if turn.first_views is not None:
                self._desk.reset()
                self._again.clear()
                proposals = [*strategy.connected(turn.first_views, turn.began_s)]
            for channel, amount in turn.grants:
                self._desk.granted(channel, amount.messages, amount.byte_credits, now_s)
                proposals += strategy.granted(views[channel], amount.messages, amount.byte_credits, now_s)
            if turn.looks:
                seen = {channel: views[channel] for channel in turn.looks}
                proposals += strategy.look(seen, now_s, round_trip_s=turn.round_trip_s)
            self._tell_expired(now_s)
            proposals += self._to_ask_again(turn.dropped)
            requests = self._desk.admit(proposals, now_s)
            for request in requests:
                self._again.pop(request.channel, None)
            self._ask(strategy, requests, views)
        except BaseException as exc:  # SystemExit too: it would end this thread, and nobody would hear of that
            log.exception("the strategy %s raised and is switched off", type(strategy).__name__)
            self._switch_off(strategy, type(exc).__name__)

    def _to_ask_again(self, dropped: Iterable[tuple[str, Cost]]) -> Iterable[CreditRequest]:
        """Return what the peer has passed over, now and before, and the strategy may never propose once more."""
        for channel, amount in dropped:
            request = self._desk.dropped(channel, *amount)
            if request is not None:
                self._again[channel] = request
        return self._again.values()

    def _ask(self, strategy: Strategy, requests: list[CreditRequest], views: dict[str, ChannelView]) -> None:
        levels = {channel: _level(strategy, channel) for channel in views}
        self._due_s = _due_s(strategy)
        with self._rooms.parking.lock:
            self._rooms.turnstile.mend()
            self._watch.levels = levels
            self._watch.catch_up(self._rooms.turnstile.gates, views)
            # A new epoch that began meanwhile is the strategy's next turn: what it proposed was for the books of the last one.
            is_for_now = self._watch.strategy is strategy and self._watch.first is None
            if is_for_now and self._may_ask():
                for channel, messages, byte_credits in requests:
                    self._control.request(channel, Cost(messages, byte_credits))
            elif is_for_now:
                self._desk.take_back(requests)
                self._unsent = requests

    def _tell_expired(self, now_s: float) -> None:
        for expired in self._desk.expired(now_s):
            what = f"{expired.messages} messages and {expired.byte_credits} bytes on {expired.channel}"
            text = f"the peer has not answered a request for {what}"
            self._rooms.dispatcher.log(log, logging.WARNING, text)
            self._rooms.put(
                RequestExpired(
                    time_s=now_s,
                    channel=expired.channel,
                    add_messages=expired.messages,
                    add_bytes=expired.byte_credits,
                    age_s=expired.age_s,
                )
            )

    def _switch_off(self, strategy: Strategy, raised: str) -> None:
        with self._rooms.parking.lock:
            if self._watch.strategy is strategy:
                self._watch.use(None, ())
            text = f"the strategy {type(strategy).__name__} raised {raised} and is switched off; the log has the traceback"
            self._rooms.put(WarningRaised(time_s=self._rooms.turnstile.now_s(), text=text))

    def _view(self, gate: Gate[Any], ledger: Ledger) -> ChannelView:
        """Return a channel as a strategy sees it, with these books. Requires the lock."""
        messages, size = ledger.messages, ledger.byte_credits
        shortage = self._rooms.turnstile.shortage(gate)
        lacks_credit = shortage is not None and shortage.cause in (WaitCause.MESSAGES, WaitCause.BYTES)
        lack = ledger.missing(shortage.in_all or shortage.needed) if shortage is not None and lacks_credit else NOTHING
        return ChannelView(
            channel=gate.channel,
            credits=messages.spendable,
            byte_credits=size.spendable,
            max_credits=messages.cap,
            max_credit_bytes=size.cap,
            granted=messages.granted,
            granted_bytes=size.granted,
            sent=messages.spent,
            sent_bytes=size.spent,
            waiting=gate.in_line(),
            needed_messages=lack.messages,
            needed_bytes=lack.byte_credits,
        )


def _level(strategy: Strategy, channel: str) -> tuple[float, float] | None:
    """Return what the strategy names. Checked here, where what it does wrong is caught: senders compare with it."""
    level: object = strategy.wake_below(channel)
    match level:
        case None:
            return None
        case (messages, size) if (least := _plain(messages)) is not None and (least_bytes := _plain(size)) is not None:
            return least, least_bytes
    raise ConfigError(f"wake_below({channel!r}) must return (messages, bytes) or None, not {level!r:.100}")


def _due_s(strategy: Strategy) -> float:
    """Return when the strategy wants to look again; infinite where only something that happens is a reason."""
    due_s: object = strategy.due_s()
    if due_s is None:
        return math.inf
    plain_s = _plain(due_s)
    if plain_s is None:
        raise ConfigError(f"due_s() must return seconds or None, not {due_s!r:.100}")
    return float(plain_s)


def _plain(value: object) -> float | None:
    """Return a number as one of Python's own, which compares without any code of the strategy's; None: it is none."""
    if isinstance(value, int):
        return int(value)
    return float(value) if isinstance(value, float) and not math.isnan(value) else None
