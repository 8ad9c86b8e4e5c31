"""An interrupt may strike anywhere: before admission nothing was sent, after it the frame is sent, and the queue goes on."""

from __future__ import annotations

from support.interrupts import every_interrupt, interrupted_at
from support.turnstiles import Bench, ScriptedParking, Sender

from haip_sync import FlowControlTimeout


def check_afterwards(bench: Bench, sent_before: int) -> None:
    """Check that the lock is free, the next sender enters, the books balance and agree with what left, without a hole."""
    bench.grant(10, 1_000)
    assert Sender.finish(_started(Sender(bench, "next"))) is None
    ledger = bench.ledger()
    committed = bench.outlet.committed
    assert ledger.is_conserved()
    assert ledger.messages.spent == len(committed)
    assert ledger.byte_credits.spent == 10 * len(committed)
    assert [cargo.seq for cargo in committed] == list(range(1, len(committed) + 1))
    assert bench.outlet.labels[-1] == "next"
    assert len(committed) in (sent_before, sent_before + 1)
    assert bench.waiting() == 0


def _started(sender: Sender) -> Sender:
    sender.start()
    return sender


def test_interrupt_anywhere_in_a_send_that_need_not_wait() -> None:
    """Wherever an interrupt strikes an uncontended send, it is sent whole or not at all and harms nobody after it."""
    outcomes = set()

    def run(place: int) -> bool:
        bench = Bench(messages=5)
        fired, raised = interrupted_at(place, lambda: bench.send("first"))
        outcomes.add((type(raised).__name__, "first" in bench.outlet.labels))
        assert not fired or isinstance(raised, KeyboardInterrupt)
        check_afterwards(bench, 1)
        return fired

    places = list(every_interrupt(run))
    assert len(places) > 20
    assert {("KeyboardInterrupt", False), ("KeyboardInterrupt", True), ("NoneType", True)} <= outcomes


def test_interrupt_anywhere_in_a_sender_whose_frame_another_thread_writes() -> None:
    """Wherever it strikes a sender that whoever admits it lets sleep until its frame is written, that frame is sent."""
    outcomes = set()

    def run(place: int) -> bool:
        parking = ScriptedParking()
        bench = Bench(messages=0, parking=parking)
        parking.script.append(lambda: bench.grant_and_write(1))
        fired, raised = interrupted_at(place, lambda: bench.send("first"))
        outcomes.add((type(raised).__name__, "first" in bench.outlet.labels))
        bench.written()  # whether anybody sleeps there still or not
        check_afterwards(bench, 1)
        return fired

    assert len(list(every_interrupt(run))) > 20
    assert {("KeyboardInterrupt", False), ("KeyboardInterrupt", True), ("NoneType", True)} <= outcomes


def test_interrupt_anywhere_in_a_send_that_waits() -> None:
    """Wherever an interrupt strikes a sender that waits and is admitted by another's grant, the queue goes on behind it."""
    outcomes = set()

    def run(place: int) -> bool:
        parking = ScriptedParking()
        bench = Bench(messages=0, parking=parking)
        parking.script.append(lambda: bench.grant(1))
        fired, raised = interrupted_at(place, lambda: bench.send("first"))
        outcomes.add((type(raised).__name__, "first" in bench.outlet.labels))
        check_afterwards(bench, 1)
        return fired

    places = list(every_interrupt(run))
    assert len(places) > 40
    assert {("KeyboardInterrupt", False), ("KeyboardInterrupt", True)} <= outcomes


def test_interrupt_anywhere_in_a_wait_that_times_out() -> None:
    """Wherever an interrupt strikes a sender whose deadline passes, it leaves the queue and the next one enters."""

    def run(place: int) -> bool:
        parking = ScriptedParking()
        bench = Bench(messages=0, parking=parking)

        def pass_time() -> None:
            bench.clock.now_s += 5.0

        parking.script.append(pass_time)
        fired, raised = interrupted_at(place, lambda: bench.send("first", timeout_s=5.0))
        assert isinstance(raised, KeyboardInterrupt if fired else FlowControlTimeout)
        check_afterwards(bench, 1)
        return fired

    assert len(list(every_interrupt(run))) > 40


def test_interrupt_anywhere_in_a_grant_that_admits_three() -> None:
    """Wherever an interrupt strikes the thread that brings credit, every sender whom it covers is admitted, in order."""

    def run(place: int) -> bool:
        bench = Bench(messages=0)
        senders = [Sender(bench, f"s{i}").begin(waits_as=i + 1) for i in range(3)]
        fired, _ = interrupted_at(place, lambda: bench.grant(3))
        bench.grant(0)  # whoever takes the lock next finishes what was begun
        missing = 3 - bench.ledger().messages.granted
        if missing:  # struck before the grant was entered: it has not happened
            bench.grant(missing)
        assert [sender.finish() for sender in senders] == [None, None, None]
        assert bench.outlet.labels == ["s0", "s1", "s2"]
        assert bench.ledger().is_conserved()
        return fired

    assert len(list(every_interrupt(run))) > 40


def test_interrupt_says_what_was_sent() -> None:
    """The exception that comes out of an interrupted send carries a note of whether it was sent."""
    notes = set()

    def run(place: int) -> bool:
        bench = Bench(messages=5)
        fired, raised = interrupted_at(place, lambda: bench.send("first"))
        if fired and raised is not None and getattr(raised, "__notes__", None):
            was_sent = "first" in bench.outlet.labels
            notes.add((was_sent, raised.__notes__[0]))
        return fired

    assert list(every_interrupt(run))
    assert notes == {
        (False, "haip_sync: first on USER was interrupted: nothing was sent."),
        (True, "haip_sync: first on USER was admitted before the interrupt: it is sent."),
    }
