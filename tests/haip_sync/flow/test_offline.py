"""A turnstile whose line is broken: who waits goes on waiting, and a new epoch lets them go in their order."""

from __future__ import annotations

import pytest
from support.turnstiles import Bench, Cargo, ScriptedParking, Sender

from haip_sync import FlowControlError, FlowControlTimeout, PartialSendError, UnsupportedByPeerError
from haip_sync.errors import ConnectionClosedError
from haip_sync.flow.explain import Offline
from haip_sync.flow.ledger import Cost
from haip_sync.flow.parking import Parking


class _Broken(Bench):
    """A turnstile with credit, and no line."""

    def __init__(self, messages: int = 3, *, parking: Parking | None = None) -> None:
        super().__init__(messages=messages, parking=parking)
        with self.parking.lock:
            self.turnstile.go_offline(Offline(self.clock.now_s, "the cable was cut"))

    def come_back(self, messages: int = 3, lost: ConnectionClosedError | None = None) -> None:
        with self.parking.lock:
            self.turnstile.mend()
            self.turnstile.open_epoch(messages, 1_000)
            self.turnstile.renew(lost)
            self.turnstile.go_online()


def test_nobody_goes_while_the_line_is_broken_and_all_go_in_order_afterwards() -> None:
    """Senders that come while there is credit but no line wait, and go first come first served once there is one."""
    bench = _Broken()
    senders = [Sender(bench, f"s{number}").begin(waits_as=number + 1) for number in range(3)]
    assert bench.outlet.labels == []
    bench.come_back()
    assert [sender.finish() for sender in senders] == [None, None, None]
    assert bench.outlet.labels == ["s0", "s1", "s2"]


def test_a_new_epoch_alone_lets_nobody_go() -> None:
    """What earlier lines have left over goes before them: the epoch opens first, the line later."""
    bench = _Broken()
    sender = Sender(bench, "waiter").begin(waits_as=1)
    with bench.parking.lock:
        bench.turnstile.open_epoch(3, 1_000)
        assert bench.waiting() == 1
        bench.turnstile.go_online()
    assert sender.finish() is None


def test_a_grant_while_offline_lets_nobody_go() -> None:
    """Credit does not help where there is no line."""
    bench = _Broken(messages=0)
    sender = Sender(bench, "waiter").begin(waits_as=1)
    bench.grant(5)
    assert bench.waiting() == 1
    bench.come_back(messages=1)
    assert sender.finish() is None


def test_who_does_not_wait_is_told_that_there_is_no_line_wherever_it_would_stand() -> None:
    """With timeout 0 the cause is offline, behind others too; nothing was sent."""
    bench = _Broken()
    for _ in range(2):
        with pytest.raises(FlowControlError, match=r"offline since 0\.0 s: the cable was cut") as caught:
            bench.send("hasty", timeout_s=0)
        assert caught.value.cause == "offline"
        if not bench.waiting():
            waiter = Sender(bench, "waiter").begin(waits_as=1)
    bench.come_back()
    assert waiter.finish() is None


def test_a_deadline_holds_offline_too() -> None:
    """A deadline that passes during an outage says that there was no line; nothing was sent, and nothing will be."""
    bench = _Broken(parking=ScriptedParking(lambda: _later(bench, 6.0)))
    with pytest.raises(FlowControlTimeout, match=r"offline since 6\.0 s: the cable was cut\. Nothing was sent") as caught:
        bench.send("patient", timeout_s=5.0)
    assert caught.value.cause == "offline"
    bench.come_back()
    assert bench.outlet.labels == []


def test_a_deadline_goes_on_over_a_new_line() -> None:
    """A sender that has waited through an outage has what is left of its one deadline, and no more."""
    bench = _Broken(parking=ScriptedParking(lambda: _later(bench, 3.0), lambda: bench.come_back(0), lambda: _later(bench, 3.0)))
    with pytest.raises(FlowControlTimeout) as caught:
        bench.send("patient", timeout_s=5.0)
    assert caught.value.cause == "messages"


def _later(bench: Bench, seconds: float) -> None:
    bench.clock.now_s += seconds


def test_the_explanation_says_since_when_why_and_what_comes_next() -> None:
    """`explain` tells the outage, the next attempt and who waits."""
    bench = _Broken()
    since_s = bench.clock.now_s
    bench.clock.now_s += 4.0
    with bench.parking.lock:
        assert str(bench.turnstile.explain("USER")) == "USER is offline since 4.0 s: the cable was cut; nobody waits."
        bench.turnstile.go_offline(Offline(since_s, "the cable was cut", 3, bench.clock.now_s + 1.5, "connection refused"))
        told = bench.turnstile.explain("USER")
    assert told.text == (
        "USER is offline since 4.0 s: the cable was cut; attempt 3 to connect again in 1.5 s "
        "(the last failed: connection refused); nobody waits."
    )
    assert told.likely_cause == "offline"


def test_a_text_in_mid_stream_stops_where_the_session_does_not_go_on() -> None:
    """A text of which something has left raises `PartialSendError` then, and the next one goes."""
    bench = Bench(messages=1)
    half = Sender(bench, "half", steps=3).begin(waits_as=1)
    behind = Sender(bench, "behind").begin(waits_as=2)
    with bench.parking.lock:
        bench.turnstile.go_offline(Offline(bench.clock.now_s, "cut"))
        bench.turnstile.open_epoch(1, 1_000)
        bench.turnstile.renew(ConnectionClosedError("the session does not go on"))
        bench.turnstile.go_online()
    raised = half.finish()
    assert isinstance(raised, PartialSendError)
    assert "the session does not go on" in str(raised)
    assert behind.finish() is None
    assert bench.outlet.labels == ["half", "behind"]


def test_a_text_in_mid_stream_goes_on_where_the_session_does() -> None:
    """With a peer that resumes, the rest of a text follows on the new line, before whoever came later."""
    bench = Bench(messages=1)
    half = Sender(bench, "half", steps=3).begin(waits_as=1)
    behind = Sender(bench, "behind").begin(waits_as=2)
    with bench.parking.lock:
        bench.turnstile.go_offline(Offline(bench.clock.now_s, "cut"))
        bench.turnstile.open_epoch(3, 1_000)
        bench.turnstile.renew(None)
        bench.turnstile.go_online()
    assert half.finish() is None
    assert behind.finish() is None
    assert bench.outlet.labels == ["half", "half", "half", "behind"]


def test_what_the_new_peer_does_not_take_is_refused_one_by_one() -> None:
    """A sender whose frame the new peer does not accept is told so at once; the others go on."""
    bench = _Broken()
    refused, taken = Sender(bench, "refused").begin(waits_as=1), Sender(bench, "taken").begin(waits_as=2)
    with bench.parking.lock:
        parcel = next(iter(bench.turnstile.gate("USER").queue)).parcel
        parcel.refused = UnsupportedByPeerError("not accepted any more. Nothing was sent")  # type: ignore[attr-defined]
    bench.come_back()
    assert isinstance(refused.finish(), UnsupportedByPeerError)
    assert taken.finish() is None
    assert bench.outlet.labels == ["taken"]


def test_what_is_sent_again_takes_of_the_credit_what_there_is() -> None:
    """A frame of an earlier line goes before who waits, and pays as far as the new balance reaches; the books stay in balance."""
    bench = _Broken()
    waiter = Sender(bench, "waiter").begin(waits_as=1)
    with bench.parking.lock:
        bench.turnstile.open_epoch(2, 1_000)
        for number in range(3):
            bench.turnstile.repeat("USER", Cargo(f"again{number}", number), Cost(1, 10))
        assert bench.turnstile.gate("USER").ledger.is_conserved()
        bench.turnstile.go_online()
    assert bench.outlet.labels == ["again0", "again1", "again2"]
    assert (bench.ledger().messages.spendable, bench.ledger().messages.spent) == (0, 2)
    bench.grant(1)
    assert waiter.finish() is None


def test_close_while_offline_tells_everybody_the_first_cause() -> None:
    """Who waits for a line is told at once when the client is closed, and nothing was sent."""
    bench = _Broken()
    waiter = Sender(bench, "waiter").begin(waits_as=1)
    with bench.parking.lock:
        bench.turnstile.close(ConnectionClosedError("the client was closed"))
    raised = waiter.finish()
    assert isinstance(raised, ConnectionClosedError)
    assert "the client was closed. Nothing was sent" in str(raised)
