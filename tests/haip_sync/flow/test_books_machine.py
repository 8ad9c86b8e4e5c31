"""A whole channel, and what we grant the peer on it, against models of some thirty lines each."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.outbox_host import OutboxHost
from support.turnstiles import Bench, Parcel

from haip_sync import ConnectionClosedError, FlowControlConfig, NotSentError
from haip_sync.flow.gates import Gate
from haip_sync.flow.ledger import NOTHING, Cost
from haip_sync.flow.outbox import Outbox
from haip_sync.flow.pending import PendingSend
from haip_sync.flow.receive_window import ReceiveWindow

AMOUNTS = st.integers(0, 12)
CAPS = Cost(8, 60)
COSTS = st.tuples(st.integers(1, 4), st.integers(1, 30))


class ChannelMachine(OutboxHost, RuleBasedStateMachine):
    """Queued sends, grants, pauses, cancels, refusals and epochs, beside a list of who waits and two numbers of what is left."""

    @initialize(first=st.tuples(AMOUNTS, AMOUNTS))
    def open(self, first: tuple[int, int]) -> None:
        config = FlowControlConfig(max_credits=CAPS.messages, max_credit_bytes=CAPS.byte_credits)
        self.bench = Bench(*first, config=config)
        self.outbox = Outbox(
            self.bench.parking,
            self.bench.turnstile,
            config,
            clock=self.bench.clock,
            poke=lambda: None,
            is_dispatching=lambda: False,
        )
        self.handles: list[tuple[PendingSend, Cost]] = []
        self.left, self.line, self.gone, self.held = list(first), [], 0, set[bool]()

    # ---- The model: whoever comes first goes first, while nobody holds the channel and both credits last

    def serve(self) -> None:
        while (
            self.line
            and not self.held
            and all(c <= min(*pair) for c, *pair in zip(self.line[0][1], self.left, CAPS, strict=True))
        ):
            _, cost = self.line.pop(0)
            self.left = [left - c for left, c in zip(self.left, cost, strict=True)]
            self.gone += 1

    # ---- What happens to both

    @rule(cost=COSTS)
    def enqueue(self, cost: tuple[int, int]) -> None:
        label = f"m{len(self.handles)}"
        pending = PendingSend(self, self.bench.parking, channel="USER", message_id=label, queued_bytes=cost[1])
        self.handles.append((pending, Cost(*cost)))
        self.outbox.enqueue(Parcel(self.bench.outlet, label, *cost), pending)
        self.line.append((label, Cost(*cost)))
        self.serve()

    @rule(amount=st.tuples(AMOUNTS, AMOUNTS))
    def grant(self, amount: tuple[int, int]) -> None:
        self.bench.grant(*amount)
        self.left = [left + more for left, more in zip(self.left, amount, strict=True)]
        self.serve()

    @rule(by_us=st.booleans(), holds=st.booleans())
    def hold(self, by_us: bool, holds: bool) -> None:
        with self.bench.parking.lock:
            if holds:
                self.bench.turnstile.pause("USER", by_us=by_us, peer_told=True)
            else:
                self.bench.turnstile.resume("USER", by_us=by_us)
        self.held = self.held | {by_us} if holds else self.held - {by_us}
        self.serve()

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        pending, _ = data.draw(st.sampled_from(self.handles))
        waits = [entry for entry in self.line if entry[0] == pending.message_id]
        assert pending.cancel() is bool(waits)
        self.line = [entry for entry in self.line if entry not in waits]
        self.serve()

    @rule()
    def refuse(self) -> None:
        with self.bench.parking.lock:
            assert self.bench.turnstile.forfeit("USER") == self.left[0]
        self.left[0] = 0

    @rule(first=st.tuples(AMOUNTS, AMOUNTS))
    def open_epoch(self, first: tuple[int, int]) -> None:
        with self.bench.parking.lock:
            self.bench.turnstile.open_epoch(*first)
        self.left = list(first)
        self.held.discard(False)
        self.serve()

    @rule()
    def clear(self) -> None:
        assert self.outbox.clear("USER") == len(self.line)
        self.line = []

    # ---- What must be true

    @property
    def gate(self) -> Gate[object]:
        return self.bench.turnstile.gate("USER")

    @invariant()
    def agrees(self) -> None:
        ledger = self.gate.ledger
        assert ledger.is_conserved()
        assert ledger.spendable.plus(ledger.set_aside) == Cost(*self.left)
        assert [ticket.parcel.event_type for ticket in self.gate.queue] == [label for label, _ in self.line]
        assert (self.gate.queued, self.gate.queued_bytes) == (len(self.line), sum(cost.byte_credits for _, cost in self.line))
        assert len(self.bench.outlet.committed) == self.gone
        assert [cargo.seq for cargo in self.bench.outlet.committed] == list(range(1, self.gone + 1))

    def teardown(self) -> None:
        """Close: what still waits is handed back as not sent, and nothing that left is."""
        if not hasattr(self, "bench"):
            return
        with self.bench.parking.lock:
            self.bench.turnstile.close(ConnectionClosedError("the line broke"))
        waiting = {label for label, _ in self.line}
        for pending, _ in self.handles:
            if pending.message_id in waiting:
                with pytest.raises(NotSentError, match="left over when the client closed"):
                    pending.result(0)


TestChannelMachine = ChannelMachine.TestCase
TestChannelMachine.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


class WindowMachine(RuleBasedStateMachine):
    """Frames that arrive, are taken, fail or overrun, beside what the peer may still send and what it is owed."""

    @initialize(window=st.tuples(st.integers(0, 9), st.integers(0, 60)))
    def open(self, window: tuple[int, int]) -> None:
        self.window = ReceiveWindow(Cost(*window), granted=Cost(*window))
        self.whole, self.waiting, self.owed = Cost(*window), [], NOTHING
        self.peer_has = Cost(*window)

    @rule(cost=st.tuples(st.integers(0, 1), st.integers(1, 20)), is_good=st.booleans())
    def arrive(self, cost: tuple[int, int], is_good: bool) -> None:
        frame = Cost(*cost)
        has_credit = all(c <= has for c, has in zip(frame, self.peer_has, strict=True))
        assert self.window.covers(frame) is has_credit
        if not has_credit:
            return
        self.peer_has = self.peer_has.minus(frame)
        if is_good:
            self.window.receive(frame)
            self.waiting.append(frame)
        else:
            self.window.refund(frame)
            self.owed = self.owed.plus(frame)
        self.give_back()

    @precondition(lambda self: self.waiting)
    @rule()
    def take(self) -> None:
        frame = self.waiting.pop(0)
        self.window.waiting, self.window.frames_waiting, self.window.books = self.window.after_taking(frame)
        self.owed = self.owed.plus(frame)
        self.give_back()

    @rule(amount=st.tuples(AMOUNTS, AMOUNTS))
    def ask(self, amount: tuple[int, int]) -> None:
        self.window.books = self.window.extended(Cost(*amount))
        self.peer_has, self.whole = self.peer_has.plus(Cost(*amount)), self.whole.plus(Cost(*amount))

    def give_back(self) -> None:
        due = self.window.due()
        assert due in (NOTHING, self.owed)
        assert due == self.owed or self.waiting, "with nothing left to take all of it goes back"
        self.window.books = self.window.given_back(due)
        self.peer_has, self.owed = self.peer_has.plus(due), self.owed.minus(due)

    @invariant()
    def agrees(self) -> None:
        waiting = Cost(sum(cost.messages for cost in self.waiting), sum(cost.byte_credits for cost in self.waiting))
        assert self.window.is_conserved()
        assert (self.window.remaining, self.window.waiting) == (self.peer_has, waiting)
        assert self.peer_has.plus(waiting).plus(self.owed) == self.whole, "what is open never grows by itself"


TestWindowMachine = WindowMachine.TestCase
TestWindowMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
