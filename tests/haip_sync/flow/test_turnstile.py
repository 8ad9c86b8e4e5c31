"""The turnstile: order, both credits together, every way out of the queue."""

from __future__ import annotations

import math
import threading

import pytest
from support.turnstiles import PATIENCE_S, Bench, Cargo, CountingParking, Parcel, ScriptedParking, Sender, until

from haip_sync import (
    BacklogChanged,
    ChannelPaused,
    ChannelResumed,
    ChannelStalled,
    ConnectionClosedError,
    CreditGranted,
    FlowControlConfig,
    FlowControlError,
    FlowControlTimeout,
    MessageTooLargeError,
    PartialSendError,
    SendAdmitted,
    SendBlocked,
    WaitCause,
)
from haip_sync.flow.admission import WHOLE_TEXT_PATIENCE_S
from haip_sync.flow.gates import Shortage, Step
from haip_sync.flow.ledger import Cost, Ledger


def test_a_small_message_never_overtakes_a_big_one() -> None:
    """One that would fit waits behind one that came first and does not fit."""
    bench = Bench(messages=2)
    big = Sender(bench, "big", messages=3).begin(waits_as=1)
    small = Sender(bench, "small", messages=1).begin(waits_as=2)
    assert bench.outlet.labels == []
    bench.grant(2)
    assert big.finish() is None
    assert small.finish() is None
    assert bench.outlet.labels == ["big", "small"]


def test_who_is_admitted_by_a_thread_that_writes_sleeps_until_its_frame_has_left() -> None:
    """Each is woken once, when its frame is written, and its wait was over when it was admitted."""
    parking = CountingParking()
    bench = Bench(messages=0, parking=parking)
    senders = [Sender(bench, f"{n}").begin(waits_as=n + 1) for n in range(3)]
    bench.clock.now_s += 2.0
    bench.grant_and_write(2)
    bench.clock.now_s += 5.0
    assert bench.outlet.labels == ["0", "1"]
    assert (bench.waiting(), parking.woken) == (1, [])
    bench.written()
    assert [sender.finish() for sender in senders[:2]] == [None, None]
    assert len(parking.woken) == 2
    assert [wait_s for _, _, wait_s in bench.watched.waits] == [2.0, 2.0]
    bench.grant(1)
    assert senders[2].finish() is None


@pytest.mark.parametrize(("granted", "left_bytes"), [(5, 10), (4, 0)], ids=["four more", "three more"])
def test_who_stands_alone_and_gathers_is_woken_at_once(granted: int, left_bytes: int) -> None:
    """It is awake before its frame has left; the thread that writes need not write it where there is credit for four more."""
    bench = Bench(messages=0)
    bench.outlet.is_thick = True
    alone = Sender(bench, "alone").begin(waits_as=1)
    until(lambda: all(ticket.condition is not None for ticket in bench.turnstile.gate("USER").queue))
    bench.grant_and_write(granted)
    assert alone.finish() is None
    assert (bench.turnstile.senders_bytes, bench.outlet.sleepers) == (left_bytes, [])


def test_of_two_in_line_the_thread_that_admits_writes() -> None:
    """Where another stands behind, what a sender is admitted with is not left to it, however thick and fast messages come."""
    bench = Bench(messages=0)
    bench.outlet.is_thick = True
    first = Sender(bench, "first").begin(waits_as=1)
    second = Sender(bench, "second").begin(waits_as=2)
    until(lambda: all(ticket.condition is not None for ticket in bench.turnstile.gate("USER").queue))
    bench.grant_and_write(1)
    assert (bench.turnstile.senders_bytes, len(bench.outlet.sleepers)) == (0, 1)
    bench.written()
    assert first.finish() is None
    bench.grant(1)
    assert second.finish() is None


def test_the_wait_of_who_writes_itself_was_over_when_it_was_admitted() -> None:
    """However long it takes until it runs again: its thread may have to wait for the interpreter."""
    parking = ScriptedParking()
    bench = Bench(messages=0, parking=parking)
    bench.outlet.is_thick = True

    def admit() -> None:
        bench.clock.now_s += 2.0
        bench.grant_and_write(5)
        bench.clock.now_s += 5.0

    parking.script.append(admit)
    bench.send("late")
    assert bench.turnstile.senders_bytes == 10
    assert [wait_s for _, _, wait_s in bench.watched.waits] == [2.0]


def test_whose_deadline_passes_while_its_frame_is_written_was_admitted() -> None:
    """A sender that was admitted in time and not woken yet at its deadline returns as one that was sent."""
    parking = ScriptedParking()
    bench = Bench(messages=0, parking=parking)

    def in_the_last_moment() -> None:
        bench.grant_and_write(1)
        bench.clock.now_s += 10.0

    parking.script.append(in_the_last_moment)
    bench.send("first", timeout_s=5.0)
    assert bench.outlet.labels == ["first"]


def test_messages_and_bytes_are_taken_together_or_not_at_all() -> None:
    """A sender that lacks one resource holds none of the other."""
    bench = Bench(messages=5, byte_credits=10)
    sender = Sender(bench, "wide", messages=1, byte_credits=50).begin(waits_as=1)
    assert bench.ledger().spendable == Cost(5, 10)
    bench.grant(0, 40)
    assert sender.finish() is None
    assert bench.ledger().spendable == Cost(4, 0)


def test_arrival_order_is_admission_order() -> None:
    """Twenty senders that wait are admitted in the order in which they came."""
    bench = Bench(messages=0)
    senders = [Sender(bench, f"s{i}").begin(waits_as=i + 1) for i in range(20)]
    for n in (1, 4, 15):
        bench.grant(n)
    assert [sender.finish() for sender in senders] == [None] * 20
    assert bench.outlet.labels == [f"s{i}" for i in range(20)]


def test_only_the_admitted_are_woken() -> None:
    """A grant for one of thirty waiters wakes one thread."""
    parking = CountingParking()
    bench = Bench(messages=0, parking=parking)
    senders = [Sender(bench, f"s{i}").begin(waits_as=i + 1) for i in range(30)]
    bench.grant(1)
    assert senders[0].finish() is None
    assert len(parking.woken) == 1
    bench.grant(29)
    assert [sender.finish() for sender in senders[1:]] == [None] * 29
    assert len(parking.woken) == 30


def test_timeout_zero_never_waits() -> None:
    """With timeout 0 what cannot go raises FLOW_CONTROL at once and takes nothing."""
    bench = Bench(messages=1, parking=ScriptedParking())
    with pytest.raises(
        FlowControlError, match=r"FLOW_CONTROL: .*needs 2 messages of credit and has 1 .1 missing.*Nothing was sent"
    ) as caught:
        bench.send("two", messages=2, timeout_s=0)
    assert (caught.value.cause, caught.value.code) == ("messages", "FLOW_CONTROL")
    assert not isinstance(caught.value, FlowControlTimeout)
    assert bench.ledger().messages.spendable == 1
    bench.send("one", timeout_s=0)
    assert bench.outlet.labels == ["one"]


def test_timeout_zero_does_not_overtake() -> None:
    """With timeout 0 a message that would fit is refused while others wait."""
    bench = Bench(messages=1)
    first = Sender(bench, "first", messages=2).begin(waits_as=1)
    with pytest.raises(FlowControlError, match="1 sender of USER came first") as caught:
        bench.send("second", timeout_s=0)
    assert caught.value.cause == "behind_others"
    bench.grant(1)
    assert first.finish() is None


def test_a_deadline_takes_its_ticket_along_and_admits_the_next() -> None:
    """A head that gives up lets the next go at once, and was never sent."""
    bench = Bench(messages=1)
    head = Sender(bench, "head", messages=3, timeout_s=0.2).begin(waits_as=1)
    following = Sender(bench, "following").begin(waits_as=2)
    bench.clock.now_s += 1.0
    raised = head.finish()
    assert isinstance(raised, FlowControlTimeout)
    assert raised.cause == "messages"
    assert isinstance(raised, TimeoutError)
    assert "Nothing was sent" in str(raised)
    assert following.finish() is None
    assert bench.outlet.labels == ["following"]


@pytest.mark.parametrize(
    ("cause", "match"),
    [
        ("messages", r"alone in line: .*needs 1 message of credit and has 0 \(1 missing\); the peer has granted nothing"),
        ("bytes", r"needs 10 bytes of credit and has 5 \(5 missing\)"),
        ("paused_by_us", "is paused by us"),
        ("paused_by_peer", "is paused by the peer"),
        ("socket", "the peer does not read"),
    ],
)
def test_a_deadline_names_its_cause(cause: str, match: str) -> None:
    """What a sender waited for is in the error, as a word and as a sentence."""
    parking = ScriptedParking()
    bench = Bench(messages=0 if cause == "messages" else 1, byte_credits=5 if cause == "bytes" else 10, parking=parking)
    with parking.lock:
        if cause.startswith("paused"):
            bench.turnstile.pause("USER", by_us=cause == "paused_by_us", peer_told=True)
    if cause == "socket":
        bench.outlet.room = 9
    parking.script.append(lambda: setattr(bench.clock, "now_s", bench.clock.now_s + 3))
    with pytest.raises(FlowControlTimeout, match=match) as caught:
        bench.send("late", timeout_s=3)
    assert caught.value.cause == cause


def test_both_pause_flags_must_be_clear() -> None:
    """A channel goes on only when neither side holds it."""
    bench = Bench()
    with bench.parking.lock:
        bench.turnstile.pause("USER", by_us=True, peer_told=True)
        bench.turnstile.pause("USER", by_us=False, peer_told=True)
    sender = Sender(bench, "held").begin(waits_as=1)
    with bench.parking.lock:
        bench.turnstile.resume("USER", by_us=True)
    assert bench.waiting() == 1
    with bench.parking.lock:
        bench.turnstile.resume("USER", by_us=False)
    assert sender.finish() is None
    resumed = bench.sink.of(ChannelResumed)
    assert [(event.by, event.still_paused) for event in resumed] == [("us", True), ("peer", False)]
    assert [event.by for event in bench.sink.of(ChannelPaused)] == ["us", "peer"]


def test_close_wakes_everyone_with_the_first_cause() -> None:
    """Whoever waits is told why, and that nothing was sent; a later cause does not replace the first."""
    bench = Bench(messages=0)
    senders = [Sender(bench, f"s{i}").begin(waits_as=i + 1) for i in range(5)]
    first = ConnectionClosedError("the line broke")
    with bench.parking.lock:
        bench.turnstile.close(first)
        bench.turnstile.close(ConnectionClosedError("something later"))
    for sender in senders:
        raised = sender.finish()
        assert isinstance(raised, ConnectionClosedError)
        assert "the line broke. Nothing was sent" in str(raised)
        assert raised.__cause__ is first
    with pytest.raises(ConnectionClosedError, match="the line broke"):
        bench.send("after")


def test_a_frame_above_the_byte_cap_is_refused_at_once() -> None:
    """What no grant could ever cover does not wait, and the error says both sizes."""
    bench = Bench(config=FlowControlConfig(max_credit_bytes={"USER": 99}), parking=ScriptedParking())
    with pytest.raises(MessageTooLargeError, match="100 bytes can never be sent on USER: max_credit_bytes there is 99") as caught:
        bench.send("huge", byte_credits=100)
    assert (caught.value.frame_bytes, caught.value.max_credit_bytes) == (100, 99)


def test_a_text_stopped_in_mid_stream_says_what_was_sent() -> None:
    """A deadline after the first step raises PartialSendError, and the next text may start."""
    parking = ScriptedParking()
    bench = Bench(messages=2, parking=parking)
    parking.script.append(lambda: setattr(bench.clock, "now_s", bench.clock.now_s + 3))
    with pytest.raises(PartialSendError, match=r"START and 1 part\(s\) were sent, no END follows") as caught:
        bench.send("long", steps=4, timeout_s=3)
    assert (caught.value.parts_sent, caught.value.message_id) == (1, "text-1")
    assert bench.pokes >= 2, "steps that the sender does not write itself must be written by somebody"
    bench.grant(1)
    bench.send("next", timeout_s=0)
    assert bench.outlet.labels == ["long", "long", "next"]


def test_the_close_of_a_stream_says_what_was_sent() -> None:
    """A text that is cut off by the end of the connection raises PartialSendError too."""
    bench = Bench(messages=2)
    sender = Sender(bench, "long", steps=4).begin(waits_as=1)
    with bench.parking.lock:
        bench.turnstile.close(ConnectionClosedError("gone"))
    raised = sender.finish()
    assert isinstance(raised, PartialSendError)
    assert raised.parts_sent == 1


def test_no_text_is_mixed_into_another() -> None:
    """While one text streams, another of the channel waits until its last step."""
    bench = Bench(messages=1)
    one = Sender(bench, "one", steps=3).begin(waits_as=1)
    two = Sender(bench, "two", steps=2).begin(waits_as=2)
    for _ in range(4):
        bench.grant(1)
    assert (one.finish(), two.finish()) == (None, None)
    assert bench.outlet.labels == ["one", "one", "one", "two", "two"]


def test_room_at_the_socket_lets_the_next_go() -> None:
    """A sender that waited for the socket goes on once there is room."""
    bench = Bench()
    bench.outlet.room = 0
    sender = Sender(bench, "s").begin(waits_as=1)
    bench.outlet.room = None
    with bench.parking.lock:
        bench.turnstile.room_again()
    assert sender.finish() is None


def test_an_epoch_sets_balances_afresh_and_forgets_the_peers_pause() -> None:
    """A new handshake brings its own credit, within the caps, and keeps our own pause only."""
    bench = Bench(messages=1)
    bench.send("spent")
    with bench.parking.lock:
        bench.turnstile.pause("USER", by_us=False, peer_told=True)
        bench.turnstile.open_epoch(250, 7)
        gate = bench.turnstile.gate("USER")
    assert gate.hold() is None
    assert (gate.ledger.messages.spendable, gate.ledger.messages.set_aside) == (100, 150)
    assert gate.ledger.byte_credits.granted == 7


def test_an_epoch_without_amounts_takes_the_configurations() -> None:
    """Where the peer's HAI names no credit, our own initial values are the balance."""
    bench = Bench(config=FlowControlConfig(initial_credits={"USER": 4}, initial_credit_bytes=77))
    with bench.parking.lock:
        bench.turnstile.open_epoch(None, None)
    assert bench.ledger().spendable == Cost(4, 77)
    with bench.parking.lock:
        assert bench.turnstile.gate("NEW").ledger.spendable == Cost(10, 77)


def test_events_tell_the_story_in_the_ledgers_order() -> None:
    """A blocked sender, the grant that admits it and what is left, with units."""
    bench = Bench(messages=0)
    sender = Sender(bench, "s").begin(waits_as=1)
    until(lambda: len(bench.sink.of(SendBlocked)) == 1)
    bench.clock.now_s += 2.5
    bench.grant(150)
    assert sender.finish() is None
    blocked, granted, admitted = (bench.sink.of(kind)[0] for kind in (SendBlocked, CreditGranted, SendAdmitted))
    assert (blocked.cause, blocked.messages_needed, blocked.waiting) == ("messages", 1, 1)
    assert (granted.add_messages, granted.set_aside_messages, granted.credits) == (150, 50, 100)
    assert (admitted.wait_s, admitted.messages, admitted.byte_credits, admitted.last) == (2.5, 1, 10, True)
    order = [type(event) for event in bench.sink.events]
    assert order.index(SendBlocked) < order.index(CreditGranted) < order.index(SendAdmitted)
    assert [event.waiting for event in bench.sink.of(BacklogChanged)] == [1, 0]


def test_a_stall_is_told_once() -> None:
    """A channel where nothing moves is told of once, and again only after something moved."""
    bench = Bench(messages=0)
    sender = Sender(bench, "s").begin(waits_as=1)
    with bench.parking.lock:
        assert bench.turnstile.stalls(5.0) == []
        bench.clock.now_s += 5.0
        [stall] = bench.turnstile.stalls(5.0)
        assert bench.turnstile.stalls(5.0) == []
    assert (stall.channel, stall.cause, stall.waiting, stall.stalled_s) == ("USER", "messages", 1, 5.0)
    assert "needs 1 message of credit and has 0" in stall.text
    assert "1 sender waiting, the first for 5.0 s" in stall.text
    bench.grant(1)
    assert sender.finish() is None


def test_a_control_frame_waits_for_nothing() -> None:
    """What is posted goes out whatever the credit, and takes only what is counted, down to zero."""
    bench = Bench(messages=0)
    with bench.parking.lock:
        bench.turnstile.open_epoch(1, 100)
        for seq in (1, 2):
            bench.turnstile.post(Cargo("ping", seq), counted=Cost(1, 60))
        system = bench.turnstile.gate("SYSTEM").ledger
    assert bench.outlet.labels == ["ping", "ping"]
    assert system.spendable == Cost(0, 0)
    assert system.is_conserved()


class Divisible(Parcel):
    """Three messages at once, or one after the other once it may not wait for the whole any longer."""

    def next_step(self, ledger: Ledger) -> Step[Cargo] | Shortage:
        if self._cost.messages == 1 or ledger.covers(self._cost) or self.progress.frames:
            return super().next_step(ledger)
        return Shortage(WaitCause.MESSAGES, self._cost)

    @property
    def may_stream_early(self) -> bool:
        return self._cost.messages > 1

    def stream_early(self) -> None:
        self._cost, self._steps = Cost(1, 10), 3


def waits_for_the_whole(bench: Bench) -> threading.Thread:
    """Return a thread that waits until all of a text of three pieces may go."""
    text = Divisible(bench.outlet, "text", 3)
    waiter = threading.Thread(target=bench.turnstile.pass_through, args=("USER", text, None))
    waiter.start()
    until(lambda: bench.waiting() == 1)
    return waiter


@pytest.mark.parametrize(("first", "spent", "leaves"), [(3, 1, True), (3, 2, False), (10, 8, False), (4, 2, True)])
def test_a_whole_is_not_waited_for_while_the_peer_waits_for_us(first: int, spent: int, leaves: bool) -> None:
    """With half of the largest balance left and no grant for a second a text goes on in pieces; with less it waits on."""
    bench = Bench(messages=first)
    for number in range(spent):
        bench.send(f"frame {number}")
    waiter = waits_for_the_whole(bench)
    with bench.parking.lock:
        bench.turnstile.serve_all()
        assert bench.outlet.labels.count("text") == 0
        assert math.isfinite(bench.turnstile.look_s) is leaves
        bench.clock.now_s += WHOLE_TEXT_PATIENCE_S
        bench.turnstile.serve_all()
        assert bench.outlet.labels.count("text") == (first - spent if leaves else 0)
    bench.grant(3)
    waiter.join(PATIENCE_S)
    assert not waiter.is_alive()


def test_who_waits_for_the_whole_keeps_nobody_busy() -> None:
    """Whoever looks after all gates is called once for a text whose patience is to end, and not again by his own look."""
    bench = Bench(messages=3)
    bench.send("frame")
    waiter = waits_for_the_whole(bench)
    with bench.parking.lock:
        bench.turnstile.serve_all()
        pokes = bench.pokes
        for _ in range(3):
            bench.clock.now_s += WHOLE_TEXT_PATIENCE_S / 4
            bench.turnstile.serve_all()
        assert bench.pokes == pokes
        assert bench.turnstile.look_s == bench.clock.now_s + WHOLE_TEXT_PATIENCE_S / 4
    bench.grant(3)
    waiter.join(PATIENCE_S)
    assert not waiter.is_alive()


def test_who_gives_up_and_tries_again_stands_in_the_same_stall() -> None:
    """A loop of short deadlines is told of as one long wait would be."""
    parking = ScriptedParking()
    bench = Bench(messages=0, parking=parking)

    def pass_time() -> None:
        bench.clock.now_s += 2.0

    stalls: list[ChannelStalled] = []
    for _ in range(4):
        parking.script += [lambda: stalls.extend(bench.turnstile.stalls(5.0)), pass_time]
        with pytest.raises(FlowControlTimeout):
            bench.send("s", timeout_s=2.0)
    assert [stall.stalled_s for stall in stalls] == [6.0]
