"""What happens at the gates, noted under the connection's lock for whoever counts and for the strategy's next turn."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from haip_sync.errors import WaitCause
from haip_sync.flow.gates import Gate
from haip_sync.flow.ledger import Cost, Ledger
from haip_sync.flow.metrics import MetricsRecorder

if TYPE_CHECKING:
    from haip_sync.flow.strategies.base import ChannelView, Strategy

_MOST_GRANTS = 10_000
"""Grants that may wait for a strategy; of more it hears the latest."""
_NOT_SEEN = (math.inf, math.inf)
"""The level of a channel that came up after the strategy's latest turn: what was spent there is news in any case."""


class Watch:
    """Notes what strategy and metrics need to know. Every method requires the lock; calls come in the ledger's order.

    Attributes:
        metrics: Counts, always: it costs less than to ask whether anybody reads it.
        heeds_spending: Whether a strategy is to hear of balances that fall.
    """

    def __init__(self, poke: Callable[[], None], clock: Callable[[], float]) -> None:
        self.metrics = MetricsRecorder()
        self.strategy: Strategy | None = None
        self.heeds_spending = False
        # What every channel's books were when the epoch, or the strategy, began: None once the strategy knows.
        self.first: tuple[float, dict[str, Ledger]] | None = None
        self.grants: deque[tuple[str, Cost]] = deque(maxlen=_MOST_GRANTS)
        # Requests that the peer has passed over, because they came too late for their transaction.
        self.dropped: deque[tuple[str, Cost]] = deque(maxlen=_MOST_GRANTS)
        self.looks: set[str] = set()
        self.levels: Mapping[str, tuple[float, float] | None] = {}
        self._poke = poke
        self._clock = clock

    def use(self, strategy: Strategy | None, gates: Iterable[Gate[Any]]) -> None:
        """Let `strategy` propose from now on; None: nobody."""
        gates = tuple(gates)
        self.strategy = strategy
        self.heeds_spending = strategy is not None
        self.begin_epoch(gates)
        if strategy is not None:  # nobody tells this one once more of who stands there already
            self.looks.update(gate.channel for gate in gates if gate.queue)

    def begin_epoch(self, gates: Iterable[Gate[Any]]) -> None:
        """Note a new credit epoch, or a new strategy. What is sent before the strategy's first turn counts for it too."""
        self.first = None
        if self.strategy is not None:
            self.first = (self._clock(), {gate.channel: gate.ledger for gate in gates})
        self.grants.clear()
        self.dropped.clear()
        self.looks.clear()
        self.levels = {}
        self._poke()

    def granted(self, gate: Gate[Any], amount: Cost) -> None:
        """Note a grant of the peer's."""
        self.metrics.received(gate.channel, amount.messages, amount.byte_credits)
        if self.strategy is not None:
            self.grants.append((gate.channel, amount))
            self._poke()

    def passed_over(self, channel: str, amount: Cost) -> None:
        """Note that the peer has taken no notice of a request: it was not even refused."""
        if self.strategy is not None:
            self.dropped.append((channel, amount))
            self._poke()

    def spent(self, gate: Gate[Any]) -> None:
        """Look whether a balance fell below what the strategy named, or it has not seen the channel yet."""
        channel = gate.channel
        level = self.levels.get(channel, _NOT_SEEN)
        if level is not None and channel not in self.looks:
            left = gate.ledger.spendable
            if left.messages < level[0] or left.byte_credits < level[1]:
                self.looks.add(channel)
                self._poke()

    def catch_up(self, gates: Iterable[Gate[Any]], views: Mapping[str, ChannelView]) -> None:
        """Look at what was spent since these views were taken: until the first turn of an epoch is over nothing has a level."""
        for gate in gates:
            view = views.get(gate.channel)
            if view is not None and gate.ledger.spendable != Cost(view.credits, view.byte_credits):
                self.spent(gate)

    def blocked(self, gate: Gate[Any]) -> None:
        """Note somebody who has to wait."""
        if self.strategy is not None and gate.channel not in self.looks:
            self.looks.add(gate.channel)
            self._poke()

    def waited(self, gate: Gate[Any], cause: WaitCause, wait_s: float) -> None:
        """Count a wait that is over, however it ended."""
        self.metrics.waited(gate.channel, cause, wait_s)
