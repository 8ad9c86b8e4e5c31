"""The tests of the tests: every bug that this library must never have is built in, and a check of the interleavings catches it.

Each mutant is run through one scenario, and so is the real thing: the mutant breaks the rule that is named, the real thing none.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from support.choices import ViolationError
from support.interleavings import cancels, closes, explore, grants, renews_at_half, sends
from support.rig import Parts, Program, Rig, Scenario
from support.scheduled_parking import ScheduledCondition, ScheduledParking
from support.scheduler import Scheduler
from support.turnstiles import Bench, CountedCondition, CountingParking, Sender

from haip_sync import FlowControlTimeout, HAIPError
from haip_sync.flow.gates import Gate, Parcel, Ticket
from haip_sync.flow.ledger import Cost
from haip_sync.flow.outbox import Outbox
from haip_sync.flow.outcomes import failed, timed_out
from haip_sync.flow.parking import Bell
from haip_sync.flow.pending import PendingSend
from haip_sync.flow.turnstile import Turnstile


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    """Return a scheduler whose threads end with the test."""
    with Scheduler(3) as scheduler:
        yield scheduler


# ---- Mutants of the turnstile -------------------------------------------------------------------------------------------------


class ServesWhoeverFits(Turnstile[Any]):
    """Behind a head that does not fit, whoever fits goes."""

    def _serve_queue(self, gate: Gate[Any]) -> None:
        super()._serve_queue(gate)
        for ticket in tuple(gate.queue):
            if not ticket.is_over and self._advance(gate, ticket):
                ticket.wake()
                gate.leave(ticket)


class Textbook(Turnstile[Any]):
    """A send as one would write it down: that a deadline has passed is known to others only once the lock was let go."""

    def pass_through(self, channel: str, parcel: Parcel[Any], timeout_s: float | None) -> Ticket[Any]:
        ticket = Ticket(parcel, self._clock())
        try:
            with self._lock:
                self.mend()
                gate = self.entrance(channel, parcel)
                if timeout_s == 0:
                    self._pass_now(gate, ticket)
                else:
                    self.wait_in_line(gate, ticket, timeout_s)
        except BaseException as exc:
            self.leave(self._gates[channel], ticket, exc)
            raise
        return ticket

    def wait_in_line(self, gate: Gate[Any], ticket: Ticket[Any], timeout_s: float | None) -> None:
        gate.add(ticket)
        self.serve((gate,))
        ticket.condition = self._parking.new_bell()
        while not ticket.settled:
            if ticket.failure is not None:
                raise failed(gate.channel, ticket.parcel, ticket.failure)
            left_s = None if timeout_s is None else ticket.since_s + timeout_s - self._clock()
            if left_s is not None and left_s <= 0:
                shortage = self._why(gate, ticket)
                raise timed_out(ticket.parcel, self._standing(gate, ticket, shortage))
            self._parking.wait(ticket.condition, left_s)

    def leave(self, gate: Gate[Any], ticket: Ticket[Any], exc: BaseException) -> None:
        with self._lock:
            self.mend()
            if ticket in gate.queue:
                gate.leave(ticket)
                self.serve((gate,))


class ForgetsInterrupted(Textbook):
    """Only its own exceptions take a ticket out of the queue."""

    def leave(self, gate: Gate[Any], ticket: Ticket[Any], exc: BaseException) -> None:
        if isinstance(exc, HAIPError):
            super().leave(gate, ticket, exc)


class ForgetsTimedOut(Textbook):
    """A ticket stays in the queue when its deadline passes."""

    def leave(self, gate: Gate[Any], ticket: Ticket[Any], exc: BaseException) -> None:
        if not isinstance(exc, FlowControlTimeout):
            super().leave(gate, ticket, exc)


class LeavesWithoutServing(Textbook):
    """Who leaves the queue does not look whether the next can go."""

    def leave(self, gate: Gate[Any], ticket: Ticket[Any], exc: BaseException) -> None:
        with self._lock:
            if ticket in gate.queue:
                gate.leave(ticket)


class LeaksOnErrors(Turnstile[Any]):
    """What was taken for a send is not given back when it fails."""

    def pass_through(self, channel: str, parcel: Parcel[Any], timeout_s: float | None) -> Ticket[Any]:
        try:
            return super().pass_through(channel, parcel, timeout_s)
        except BaseException:
            with self._lock:
                gate = self.gate(channel)
                gate.ledger = gate.ledger.lose(Cost(1, 0))
            raise


class CapDestroysCredit(Turnstile[Any]):
    """What a grant brings above the cap is thrown away."""

    def grant(self, channel: str, amount: Cost) -> None:
        credit = self.gate(channel).ledger.messages
        super().grant(channel, Cost(min(amount.messages, credit.cap - credit.spendable), amount.byte_credits))


class ClosesWithoutWaking(Turnstile[Any]):
    """Who waits is told of the end only when it looks."""

    def close(self, error: HAIPError) -> None:
        self._closed = error
        for gate in self._gates.values():
            for ticket in tuple(gate.queue):
                ticket.failure = error
                gate.leave(ticket)


class AdmitsWithoutWaking(Turnstile[Any]):
    """Who is admitted is not woken."""

    def _serve_queue(self, gate: Gate[Any]) -> None:
        while (head := gate.head()) is not None and self._advance(gate, head):
            del gate.queue[head]


# ---- Mutants of the outbox and of the parking ---------------------------------------------------------------------------------


class CancelsWithoutServing(Outbox):
    """A cancelled head does not let the next go."""

    def cancel(self, pending: PendingSend) -> bool:
        with self._lock:
            gate = self._turnstile.gate(pending.channel)
            for ticket in gate.queue:
                if ticket.pending is pending:
                    self._remove(gate, ticket, "cancelled")
                    return True
        return False


class WaitsWithoutTheLock(ScheduledParking):
    """An interrupt in the wrong moment comes out of a wait without the lock."""

    def wait(self, condition: Bell, timeout_s: float | None) -> None:
        condition.wait(timeout_s)


class _HerdCondition(ScheduledCondition):
    def notify(self, n: int = 1) -> None:
        super().notify(len(self._waiters))


class WakesEverybody(ScheduledParking):
    """All waiters share one condition, and each admission wakes them all."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._shared = _HerdCondition(scheduler, scheduler.lock)
        super().__init__(scheduler)

    def new_bell(self) -> Bell:
        return self._shared


# ---- What catches them ---------------------------------------------------------------------------------------------------------


class Trap(NamedTuple):
    """A bug, built in, and the scenario and the rule that catch it."""

    bug: str
    mutant: Parts
    scenario: Scenario
    rule: str
    strikes: int = 0
    preemptions: int | None = None


def _send_many(rig: Rig) -> None:
    for number in range(1_500):
        rig.send(f"m{number}")


TRAPS = (
    Trap(
        "a later small message overtakes a bigger one that waits",
        Parts(turnstile=ServesWhoeverFits),
        Scenario((sends("big", 3), sends("small"), grants(1, 2)), messages=1),
        "small overtakes big",
        preemptions=2,
    ),
    Trap(
        "an interrupt in a wait leaves its ticket in the queue",
        Parts(turnstile=ForgetsInterrupted),
        Scenario((sends("a", 2), sends("b"))),
        "stand in the queue, and only",
        strikes=1,
    ),
    Trap(
        "an interrupt in a wait comes back without the lock",
        Parts(parking=WaitsWithoutTheLock),
        Scenario((sends("a", 2), grants(1, 2))),
        "cannot release un-acquired lock",
        strikes=1,
    ),
    Trap(
        "an interrupted head does not wake the next",
        Parts(turnstile=LeavesWithoutServing),
        Scenario((sends("a", 3), sends("b")), messages=1),
        "b is left waiting though it could go",
        strikes=1,
    ),
    Trap(
        "a head whose deadline passed does not wake the next",
        Parts(turnstile=LeavesWithoutServing),
        Scenario((sends("a", 3, timeout_s=5), sends("b")), messages=1),
        "b is left waiting though it could go",
    ),
    Trap(
        "a cancelled head does not wake the next",
        Parts(outbox=CancelsWithoutServing),
        Scenario((cancels("head"), sends("b")), messages=1, setup=lambda rig: rig.enqueue("head", 3)),
        "b is left waiting though it could go",
    ),
    Trap(
        "permits leak when a deadline passes",
        Parts(turnstile=LeaksOnErrors),
        Scenario((sends("a", 2, timeout_s=5), grants(1, 2)), messages=1),
        "1 messages and 0 bytes were spent, 0 frames left",
    ),
    Trap(
        "permits leak when a send does not want to wait",
        Parts(turnstile=LeaksOnErrors),
        Scenario((sends("a", 2, timeout_s=0), grants(1, 2)), messages=1),
        "1 messages and 0 bytes were spent, 0 frames left",
    ),
    Trap(
        "permits leak at an interrupt",
        Parts(turnstile=LeaksOnErrors),
        Scenario((sends("a", 2), grants(1, 2)), messages=1),
        r"schedule \d+: \d messages and \d+ bytes were spent, \d frames left",
        strikes=1,
    ),
    Trap(
        "every admission wakes every waiter",
        Parts(parking=WakesEverybody),
        Scenario((sends("a"), sends("b"), grants(1, 2))),
        "was woken 2 times",
        preemptions=2,
    ),
    Trap(
        "a send that timed out is delivered later, from the ticket that it left behind",
        Parts(turnstile=ForgetsTimedOut),
        Scenario((sends("a", 2, timeout_s=5), grants(1, 2))),
        "a was told that nothing was sent .FlowControlTimeout., and 1 frames left",
    ),
    Trap(
        "a send that timed out is delivered later, between its deadline and its way out",
        Parts(turnstile=Textbook),
        Scenario((sends("a", 2, timeout_s=5), grants(1, 2))),
        "a was told that nothing was sent .FlowControlTimeout., and 1 frames left",
    ),
    Trap(
        "a cap throws credit away and both sides wait for ever",
        Parts(turnstile=CapDestroysCredit),
        Scenario((Program("a sends 1,500", _send_many),), byte_credits=0, peer=renews_at_half(1_000)),
        "deadlock: nothing will ever wake a sends 1,500",
    ),
    Trap(
        "close wakes nobody",
        Parts(turnstile=ClosesWithoutWaking),
        Scenario((sends("a"), closes())),
        "still sleeps though the turnstile is closed",
    ),
    Trap(
        "an admitted sender is not woken",
        Parts(turnstile=AdmitsWithoutWaking),
        Scenario((sends("a"), grants(1))),
        "deadlock: nothing will ever wake a sends 1",
    ),
)


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.bug)
def test_a_mutant_is_caught(scheduler: Scheduler, trap: Trap) -> None:
    """The bug breaks the rule that is named in its scenario, and the real turnstile breaks none in any schedule of the same."""
    how = {
        "preemptions": trap.preemptions,
        "strikes": trap.strikes,
        "victim": trap.scenario.programs[0].name if trap.strikes else None,
    }
    schedules = explore(scheduler, trap.scenario, Parts(), **how).schedules
    with pytest.raises(ViolationError, match=trap.rule) as caught:
        explore(scheduler, trap.scenario, trap.mutant, **how)
    where = str(caught.value).splitlines()[0]
    assert "the schedule:" in str(caught.value)
    sys.stdout.write(f"{trap.bug}: caught by {where}; the real thing passes all {schedules} schedules\n")


class _SharedCondition(CountedCondition):
    def notify(self, n: int = 1) -> None:
        self.notify_all()


class _HerdParking(CountingParking):
    """One condition for all, as in the bug that woke 300 waiters 22,000 times."""

    def __init__(self) -> None:
        super().__init__()
        self._shared = _SharedCondition(self.lock, self.woken)

    def new_bell(self) -> Bell:
        return self._shared


def _wake_ups(parking: CountingParking) -> int:
    """Return how often 300 waiters were woken until ten grants of 30 had let them all go."""
    bench = Bench(messages=0, byte_credits=10_000, parking=parking)
    threading.stack_size(256 * 1024)
    try:
        senders = [Sender(bench, f"s{i}").begin(waits_as=i + 1) for i in range(300)]
    finally:
        threading.stack_size(0)
    for number in range(10):
        bench.grant(30)
        assert [sender.finish() for sender in senders[30 * number : 30 * number + 30]] == [None] * 30
    return len(parking.woken)


def test_a_herd_of_three_hundred_is_caught() -> None:
    """Counted on real threads, waiters on one shared condition are woken many times over, those of the real thing once each."""
    assert _wake_ups(CountingParking()) == 300
    herd = _wake_ups(_HerdParking())
    sys.stdout.write(f"300 waiters on one condition: {herd} wake-ups\n")
    assert herd > 600
