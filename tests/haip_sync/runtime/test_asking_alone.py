"""When a strategy is asked, turn by turn: without a connection, and with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from support.turnstiles import Bench, Cargo, Sender

from haip_sync import AdaptiveStrategy, AggressiveStrategy, ChannelView, CreditRequest, Strategy, ThresholdStrategy
from haip_sync.flow.ledger import Cost
from haip_sync.flow.strategies.base import clipped
from haip_sync.runtime.asking import Asking
from haip_sync.runtime.watch import Watch


class Turns(Bench):
    """A turnstile that is watched, and the asking of its strategy.

    Attributes:
        asked: What the peer was asked for, in order.
        may_ask: Whether a FLOW_UPDATE can travel now.
    """

    def __init__(self, strategy: Strategy, messages: int = 0) -> None:
        super().__init__(messages)
        self.asked: list[tuple[str, Cost]] = []
        self.told: list[Any] = []
        self.may_ask = True
        self.watch = Watch(self._poke, self.clock)
        self.turnstile._watcher = self.watch
        dispatcher = SimpleNamespace(log=lambda *_: None)
        rooms: Any = SimpleNamespace(
            parking=self.parking,
            turnstile=self.turnstile,
            session=SimpleNamespace(may_update_flow=lambda: self.may_ask),
            dispatcher=dispatcher,
            put=self.told.append,
        )
        control: Any = SimpleNamespace(request=lambda channel, amount: self.asked.append((channel, amount)))
        writer: Any = SimpleNamespace(leave=self._away, attend=lambda: None)
        self.meanwhile: Callable[[], object] = lambda: None
        self.asking = Asking(rooms, self.watch, control, writer, lambda: True)
        self.use(strategy)

    def _away(self) -> None:
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()

    def use(self, strategy: Strategy | None) -> None:
        with self.parking.lock:
            self.watch.use(strategy, self.turnstile.gates)

    def run(self, after_s: float = 0.0) -> list[tuple[str, Cost]]:
        """Let the strategy have its turn, if there is anything for it; return what is asked for."""
        self.clock.now_s += after_s
        self.asked.clear()
        self.asking.run(self.clock.now_s, None)
        return list(self.asked)


class LookOnly(Strategy):
    """Asks for what the first in line lacks, where it is let look, and nowhere else."""

    def look(
        self, views: Mapping[str, ChannelView], now_s: float, *, round_trip_s: float | None = None
    ) -> Sequence[CreditRequest]:
        del now_s, round_trip_s
        found = (clipped(view, view.needed_messages, view.needed_bytes) for view in views.values())
        return [request for request in found if request is not None]


def end_transaction(turns: Turns) -> Callable[[], None]:
    """Return what ends the only transaction in which a FLOW_UPDATE can travel."""

    def end() -> None:
        turns.may_ask = False

    return end


@pytest.mark.parametrize("strategy", [AggressiveStrategy, ThresholdStrategy])
def test_a_request_that_could_not_travel_is_made_again(strategy: Callable[[], Strategy]) -> None:
    """A transaction that ends while the strategy thinks takes nothing along: the next one carries the request, at once."""
    turns = Turns(strategy())
    turns.meanwhile = end_transaction(turns)
    assert turns.run() == []
    assert turns.asking._desk.outstanding() == []
    turns.may_ask = True
    assert "USER" in dict(turns.run(0.01))
    assert turns.run(0.01) == []
    assert turns.told == []


def test_what_could_not_travel_is_not_asked_for_in_the_next_epoch() -> None:
    """A new epoch is the strategy's to think over anew."""
    turns = Turns(ThresholdStrategy())
    turns.meanwhile = end_transaction(turns)
    turns.run()
    with turns.parking.lock:
        turns.turnstile.open_epoch(50, 1_000_000)
    turns.may_ask = True
    assert turns.run(0.01) == []


def test_what_the_peer_has_passed_over_is_asked_for_again() -> None:
    """A request that came too late for its transaction is made once more, by whoever asks once too, and no sooner than any."""
    turns = Turns(AggressiveStrategy(channels=["USER"]))
    asked = turns.run()
    with turns.parking.lock:
        turns.watch.passed_over(*asked[0])
        turns.watch.passed_over("AGENT", Cost(1, 0))  # the program's own: it is not the strategy's to repeat
    assert turns.run(0.1) == []
    assert turns.asking.next_s() == pytest.approx(turns.clock.now_s + 0.9)
    assert turns.run(0.9) == asked
    assert turns.run(0.1) == []
    assert turns.told == []


def test_what_the_peer_has_passed_over_is_past_in_the_next_epoch() -> None:
    """A new epoch is the strategy's to think over anew."""
    turns = Turns(ThresholdStrategy())
    asked = turns.run()
    with turns.parking.lock:
        for channel, amount in asked:
            turns.watch.passed_over(channel, amount)
    assert turns.run(0.1) == []
    with turns.parking.lock:
        turns.turnstile.open_epoch(50, 1_000_000)
    assert turns.run(0.1) == []
    assert turns.run(10.0) == []


def test_what_was_turned_away_and_came_due_while_nobody_could_ask() -> None:
    """The time for what came too soon has passed between two transactions: what else the next turn is for, it is asked for."""
    turns = Turns(ThresholdStrategy(message_threshold=0, byte_threshold=0))
    turns.run()
    first = Sender(turns, "first").begin(waits_as=1)
    assert turns.run() == [("USER", Cost(10, 0))]
    turns.grant(1)
    assert first.finish() is None
    second = Sender(turns, "second").begin(waits_as=1)
    assert turns.run(0.01) == [], "too soon"
    turns.may_ask = False
    assert turns.run(1.0) == []
    turns.may_ask = True
    with turns.parking.lock:
        turns.turnstile.grant("AGENT", Cost(100, 0))
    assert turns.run() == [("USER", Cost(10, 0))]
    turns.grant(1)
    assert second.finish() is None


def test_a_rate_that_came_due_while_nobody_could_ask() -> None:
    """A sender for whom it was too soon is asked for in the first turn that is possible again, whatever that is for."""
    turns = Turns(AdaptiveStrategy(min_interval_s=2.0))
    first = Sender(turns, "first").begin(waits_as=1)
    assert dict(turns.run())["USER"].messages == 1
    turns.grant(1)
    assert first.finish() is None
    second = Sender(turns, "second").begin(waits_as=1)
    assert turns.run(0.1) == []
    turns.may_ask = False
    turns.run(3.0)
    turns.may_ask = True
    with turns.parking.lock:
        turns.turnstile.grant("AGENT", Cost(1, 0))
    assert dict(turns.run())["USER"].messages == 1
    turns.grant(1)
    assert second.finish() is None


def test_a_strategy_that_takes_over_looks_at_who_waits_already() -> None:
    """One that only ever looks is let look when it takes over from another, though nobody comes anew."""
    turns = Turns(ThresholdStrategy(message_threshold=0, byte_threshold=0))
    turns.use(None)
    waiting = Sender(turns, "s").begin(waits_as=1)
    assert turns.run() == []
    turns.use(LookOnly())
    assert turns.run() == [("USER", Cost(1, 0))]
    turns.grant(1)
    assert waiting.finish() is None


@pytest.mark.parametrize("strategy", [ThresholdStrategy, AggressiveStrategy])
def test_a_channel_that_came_up_since_is_looked_at(strategy: Callable[[], Strategy]) -> None:
    """What is spent on a channel that the strategy has not seen yet is news, though nobody waits there."""
    turns = Turns(strategy(), messages=5)
    turns.run()
    turns.turnstile.pass_through("NOTES", turns.parcel("s"), 0)
    assert "NOTES" in dict(turns.run())


def forfeits(turns: Turns) -> str:
    """Hear that the peer has refused a message for want of credit."""
    turns.turnstile.forfeit("USER")
    return "USER"


def repeats(turns: Turns) -> str:
    """Say again what was admitted on an earlier line."""
    turns.turnstile.repeat("USER", Cargo("again", 1), Cost(8, 100))
    return "USER"


def answers(turns: Turns) -> str:
    """Send control frames that the peer counts."""
    for seq in range(8):
        turns.turnstile.post(Cargo("pong", seq), counted=Cost(1, 60))
    return "SYSTEM"


@pytest.mark.parametrize("lose", [forfeits, repeats, answers])
def test_credit_that_goes_without_a_send_is_news(lose: Callable[[Turns], str]) -> None:
    """However a balance comes to fall below the level, the strategy looks: nobody need wait there."""
    turns = Turns(ThresholdStrategy(byte_threshold=0), messages=10)
    assert turns.run() == []
    with turns.parking.lock:
        channel = lose(turns)
    assert [asked for asked, _ in turns.run()] == [channel]


class Undecided(Strategy):
    """Cannot say when it wants to look again."""

    fault: ClassVar[Exception] = RuntimeError("my own fault")

    def due_s(self) -> float | None:
        raise self.fault


def test_a_strategy_that_cannot_say_when_it_is_due_is_switched_off() -> None:
    """What it raises there, too, stops the asking and nothing else: the service thread asks nobody but itself when to wake."""
    turns = Turns(Undecided())
    turns.run()
    assert turns.watch.strategy is None
    assert len(turns.told) == 1
    turns.run()
    assert turns.asking.next_s() == float("inf")
