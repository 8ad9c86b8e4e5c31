"""Taking out of the lines what may not be sent any more: who is told what, who goes on, and interrupts anywhere."""

from __future__ import annotations

import pytest
from support.interrupts import every_interrupt, interrupted_at
from support.turnstiles import Bench, Parcel, Sender

from haip_sync import TransactionEndedError
from haip_sync.flow.gates import Gate


class _Line(Bench):
    """Three senders in line, of which only the second may still be sent."""

    def __init__(self) -> None:
        super().__init__(messages=0)
        self.senders = [Sender(self, f"s{number}") for number in range(3)]
        for number, sender in enumerate(self.senders):
            sender.begin(waits_as=number + 1)
        with self.parking.lock:
            gate: Gate[object] = self.turnstile.gate("USER")  # type: ignore[assignment]
            for ticket in list(gate.queue)[::2]:
                assert isinstance(ticket.parcel, Parcel)
                ticket.parcel.refused = TransactionEndedError("over. Nothing was sent")

    def withdraw(self) -> None:
        with self.parking.lock:
            self.turnstile.mend()
            self.turnstile.withdraw()


def test_those_that_may_not_be_sent_are_told_and_the_others_go_on() -> None:
    """Whoever may not be sent leaves the line at once, wherever it stands; who stood behind is served as ever."""
    line = _Line()
    line.withdraw()
    assert isinstance(line.senders[0].finish(), TransactionEndedError)
    assert isinstance(line.senders[2].finish(), TransactionEndedError)
    assert line.waiting() == 1
    line.grant(2)
    assert line.senders[1].finish() is None
    assert line.outlet.labels == ["s1"]
    assert line.ledger().messages.spendable == 1


def test_one_behind_the_last_to_be_taken_out_is_served_at_once() -> None:
    """What was held up by a sender that leaves the line goes with the credit that is there."""
    bench = Bench(messages=1)
    big, small = Sender(bench, "big", 5).begin(waits_as=1), Sender(bench, "small").begin(waits_as=2)
    with bench.parking.lock:
        head = bench.turnstile.gate("USER").head()
        assert head is not None
        parcel = head.parcel
        assert isinstance(parcel, Parcel)
        parcel.refused = TransactionEndedError("over")
        bench.turnstile.withdraw()
    assert isinstance(big.finish(), TransactionEndedError)
    assert small.finish() is None


def test_it_does_not_enter_either() -> None:
    """What may not be sent takes no place in the line, and no credit."""
    bench = Bench(messages=1)
    parcel = bench.parcel("late")
    parcel.refused = TransactionEndedError("over")
    with pytest.raises(TransactionEndedError):
        bench.turnstile.pass_through("USER", parcel, None)
    assert (bench.waiting(), bench.ledger().messages.spendable) == (0, 1)


def test_an_interrupt_anywhere_can_be_done_again() -> None:
    """Wherever an interrupt strikes, doing it again tells everyone who was left, and loses nobody else."""

    def run(place: int) -> bool:
        line = _Line()
        fired, raised = interrupted_at(place, line.withdraw)
        assert isinstance(raised, KeyboardInterrupt) if fired else raised is None
        line.withdraw()
        first, third = line.senders[0].finish(), line.senders[2].finish()
        assert isinstance(first, TransactionEndedError)
        assert isinstance(third, TransactionEndedError)
        line.grant(1)
        assert line.senders[1].finish() is None
        assert line.outlet.labels == ["s1"]
        return fired

    assert len(list(every_interrupt(run))) > 40
