"""Asking for credit by itself: a strategy proposes, the request desk decides, the service thread does it.

What happens at the gates is noted under the connection's lock; the strategy, which may be the user's own, runs under none.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from haip_sync.errors import WaitCause
from haip_sync.events import RequestExpired, WarningRaised
from haip_sync.flow.gates import Gate
from haip_sync.flow.ledger import NOTHING, Cost
from haip_sync.flow.metrics import MetricsRecorder
from haip_sync.flow.request_desk import RequestDesk
from haip_sync.flow.strategies import ChannelView, CreditRequest, Strategy
from haip_sync.protocol.names import FLOW_UPDATE
from haip_sync.runtime.control import Control
from haip_sync.runtime.rooms import Rooms

log = logging.getLogger("haip_sync.connection")

_MOST_GRANTS = 10_000
"""Grants that may wait for a strategy; of more it hears the latest."""


class Watch:
    """Notes what strategy and metrics need to know. Every method requires the lock; calls come in the ledger's order.

    Attributes:
        metrics: Counts, always: it costs less than to ask whether anybody reads it.
    """

    def __init__(self, poke: Callable[[], None]) -> None:
        self.metrics = MetricsRecorder()
        self.strategy: Strategy | None = None
        self.is_fresh = False
        self.grants: deque[tuple[str, Cost]] = deque(maxlen=_MOST_GRANTS)
        self.looks: set[str] = set()
        self.levels: Mapping[str, tuple[int, int] | None] = {}
        self._poke = poke

    def use(self, strategy: Strategy | None) -> None:
        """Let `strategy` propose from now on; None: nobody."""
        self.strategy = strategy
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """Note a new credit epoch, or a new strategy."""
        self.is_fresh = self.strategy is not None
        self.grants.clear()
        self.looks.clear()
        self.levels = {}
        self._poke()

    def granted(self, gate: Gate[Any], amount: Cost) -> None:
        """Note a grant of the peer's."""
        self.metrics.received(gate.channel, amount.messages, amount.byte_credits)
        if self.strategy is not None:
            self.grants.append((gate.channel, amount))
            self._poke()

    def spent(self, gate: Gate[Any]) -> None:
        """Look whether a balance fell below what the strategy named."""
        level = self.levels.get(gate.channel) if self.strategy is not None else None
        if level is not None and gate.channel not in self.looks:
            messages, byte_credits = gate.ledger.spendable
            if messages < level[0] or byte_credits < level[1]:
                self.looks.add(gate.channel)
                self._poke()

    def blocked(self, gate: Gate[Any]) -> None:
        """Note a sender that has to wait."""
        if self.strategy is not None and gate.channel not in self.looks:
            self.looks.add(gate.channel)
            self._poke()

    def waited(self, gate: Gate[Any], cause: WaitCause, wait_s: float) -> None:
        """Count a wait that is over, however it ended."""
        self.metrics.waited(gate.channel, cause, wait_s)


class Asking:
    """Runs the strategy. `run` and `next_s` are the service thread's, without the lock."""

    def __init__(self, rooms: Rooms, watch: Watch, control: Control, is_open: Callable[[], bool]) -> None:
        self._rooms = rooms
        self._watch = watch
        self._control = control
        self._is_open = is_open
        self._strategy: Strategy | None = None
        self._desk = RequestDesk()

    def next_s(self) -> float:
        """Return when to run again whatever happens, on the monotonic clock."""
        if self._strategy is None:
            return float("inf")
        times = [at_s for at_s in (self._strategy.due_s(), self._desk.next_s()) if at_s is not None]
        return min(times, default=float("inf"))

    def run(self, now_s: float, round_trip_s: float | None) -> None:
        """Let the strategy look at what has happened since, and ask the peer for what it proposes."""
        is_due = now_s >= self.next_s()
        with self._rooms.parking.lock:
            watch = self._watch
            self._strategy = watch.strategy if self._may_ask() else None
            if self._strategy is None or not (watch.is_fresh or watch.grants or watch.looks or is_due):
                return
            is_fresh, watch.is_fresh = watch.is_fresh, False
            grants, looks = tuple(watch.grants), frozenset(watch.looks)
            watch.grants.clear()
            watch.looks.clear()
            views = {gate.channel: self._view(gate) for gate in self._rooms.turnstile.gates}
        self._propose(self._strategy, now_s, views, is_fresh, grants, looks, is_due, round_trip_s)

    def _may_ask(self) -> bool:
        return self._is_open() and self._rooms.session.accepts(FLOW_UPDATE)

    def _propose(
        self,
        strategy: Strategy,
        now_s: float,
        views: dict[str, ChannelView],
        is_fresh: bool,
        grants: tuple[tuple[str, Cost], ...],
        looks: frozenset[str],
        is_due: bool,
        round_trip_s: float | None,
    ) -> None:
        proposals: list[CreditRequest] = []
        # The strategy may be the user's: what it raises must stop the asking, not the client.
        try:
            if is_fresh:
                self._desk.reset()
                proposals += strategy.connected(views, now_s)
            for channel, amount in grants:
                self._desk.granted(channel, amount.messages, amount.byte_credits, now_s)
                proposals += strategy.granted(views[channel], amount.messages, amount.byte_credits, now_s)
            if looks or is_due:
                seen = views if is_due else {channel: views[channel] for channel in looks}
                proposals += strategy.look(seen, now_s, round_trip_s=round_trip_s)
            self._tell_expired(now_s)
            self._ask(strategy, self._desk.admit(proposals, now_s), views)
        except Exception as exc:
            log.exception("the strategy %s raised and is switched off", type(strategy).__name__)
            self._switch_off(strategy, type(exc).__name__)

    def _ask(self, strategy: Strategy, requests: list[CreditRequest], views: dict[str, ChannelView]) -> None:
        levels = {channel: strategy.wake_below(channel) for channel in views}
        with self._rooms.parking.lock:
            self._rooms.turnstile.mend()
            self._watch.levels = levels
            if self._may_ask() and self._watch.strategy is strategy:
                for channel, messages, byte_credits in requests:
                    self._control.request(channel, Cost(messages, byte_credits))

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
                self._watch.use(None)
            text = f"the strategy {type(strategy).__name__} raised {raised} and is switched off; the log has the traceback"
            self._rooms.put(WarningRaised(time_s=self._rooms.turnstile.now_s(), text=text))

    def _view(self, gate: Gate[Any]) -> ChannelView:
        """Return a channel as a strategy sees it. Requires the lock."""
        messages, size = gate.ledger
        shortage = self._rooms.turnstile.shortage(gate)
        lacks_credit = shortage is not None and shortage.cause in (WaitCause.MESSAGES, WaitCause.BYTES)
        lack = gate.ledger.missing(shortage.needed) if shortage is not None and lacks_credit else NOTHING
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
            waiting=len(gate.standing()),
            needed_messages=lack.messages,
            needed_bytes=lack.byte_credits,
        )
