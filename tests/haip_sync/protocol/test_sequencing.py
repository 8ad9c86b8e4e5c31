"""When to believe a peer's seq, and what to do about what is missing."""

from __future__ import annotations

import math

import msgspec
import pytest

from haip_sync.protocol.gaps import GAP_PATIENCE_S, Numbers
from haip_sync.protocol.sequencing import MOST_GAPS, MOST_HELD, MOST_HELD_BYTES, MOST_LEAPS, Arrival, InboundSequence, Verdict


class Peer:
    """A sequence, and frames for it; what comes out of it is kept in order."""

    def __init__(self) -> None:
        self.sequence: InboundSequence[int] = InboundSequence()
        self.out: list[int] = []
        self.lost: list[Numbers] = []
        self.now_s = 0.0

    def sends(self, number: int, frame_id: str | None = None, *, at_once: bool = False, size: int = 0) -> Verdict:
        """Take a frame in whose item is its number; return what it is."""
        item = None if at_once else number
        arrival = Arrival(str(number), frame_id or f"id{number}", item=item, size=size)
        seen = self.sequence.observe(arrival, self.now_s)
        self.lost += seen.lost
        if seen.verdict is Verdict.DELIVER and item is not None:
            self.out.append(number)
        self.out += seen.released
        return seen.verdict

    def waits(self, seconds: float, *, may_request: bool = True) -> list[Numbers]:
        """Let time pass; return what is asked for then."""
        self.now_s += seconds
        due = self.sequence.due(self.now_s, may_request=may_request)
        self.lost += due.lost
        self.out += due.released
        return list(due.to_request)


def observe(sequence: InboundSequence[int], seq: str, frame_id: str, *, is_echo: bool = False) -> Verdict:
    """Return what a frame with this seq and id is."""
    return sequence.observe(Arrival(seq, frame_id, is_echo=is_echo), 0.0).verdict


@pytest.fixture
def peer() -> Peer:
    """Return a peer that has sent frames 1 to 3."""
    made = Peer()
    for number in (1, 2, 3):
        made.sends(number)
    return made


# ---- Believing ----------------------------------------------------------------------------------------------------------------


def test_the_highest_contiguous_number_is_acknowledged() -> None:
    """Ack rises with the numbers, stays below a gap, and catches up when it closes."""
    sequence: InboundSequence[int] = InboundSequence()
    assert sequence.ack == 0
    for seq in ("1", "2", "4", "5"):
        assert observe(sequence, seq, f"id{seq}") is Verdict.DELIVER
    assert sequence.ack == 2
    observe(sequence, "3", "id3")
    assert sequence.ack == 5


def test_a_resumed_count_is_taken_as_it_comes() -> None:
    """The first number of a connection need not be 1."""
    sequence: InboundSequence[int] = InboundSequence()
    observe(sequence, "17", "a")
    assert sequence.ack == 17


def test_the_same_number_with_the_same_id_is_a_duplicate() -> None:
    """A duplicate is dropped, and sequencing goes on."""
    sequence: InboundSequence[int] = InboundSequence()
    observe(sequence, "1", "a")
    assert observe(sequence, "1", "a") is Verdict.DUPLICATE
    assert sequence.active


@pytest.mark.parametrize("seq", ["", "0", "01", "-1", "1.0", "1700000000000abc", "18446744073709551616", "٣"])
def test_a_number_that_is_none_switches_off(seq: str) -> None:
    """The first seq that is not a decimal of 1 to 2^64-1 ends sequencing: deliver, acknowledge nothing, say it once."""
    sequence: InboundSequence[int] = InboundSequence()
    observe(sequence, "1", "a")
    assert observe(sequence, seq, "b") is Verdict.STOPPED
    assert sequence.ack == 0
    assert observe(sequence, seq, "b") is Verdict.DELIVER


def test_the_same_number_with_another_id_switches_off() -> None:
    """A repeated seq is no duplicate when the id differs: a real message would be lost."""
    sequence: InboundSequence[int] = InboundSequence()
    observe(sequence, "1", "a")
    assert observe(sequence, "1", "b") is Verdict.STOPPED


def test_a_number_that_was_passed_long_ago_switches_off() -> None:
    """A count that begins anew is no duplicate either, though the ids of its first numbers are forgotten."""
    sequence: InboundSequence[int] = InboundSequence()
    for seq in range(1, 3_000):
        observe(sequence, str(seq), f"id{seq}")
    assert observe(sequence, "1", "anew") is Verdict.STOPPED


def test_an_echo_of_our_own_envelope_switches_off() -> None:
    """A frame with our own session id carries our seq, not the peer's."""
    sequence: InboundSequence[int] = InboundSequence()
    assert observe(sequence, "5", "a", is_echo=True) is Verdict.STOPPED


def test_memory_is_bounded() -> None:
    """A long-lived connection remembers a bounded number of ids."""
    sequence: InboundSequence[int] = InboundSequence()
    for seq in range(1, 3_000):
        observe(sequence, str(seq), f"id{seq}")
    assert sequence.ack == 2_999
    assert len(sequence._ids) == 1_000


# ---- What is missing ----------------------------------------------------------------------------------------------------------


def test_what_comes_above_a_gap_waits_for_it(peer: Peer) -> None:
    """The frames above a gap come out in order once it is filled."""
    assert [peer.sends(number) for number in (6, 7, 5)] == [Verdict.HELD] * 3
    assert peer.out == [1, 2, 3]
    assert peer.sends(4) is Verdict.DELIVER
    assert peer.out == [1, 2, 3, 4, 5, 6, 7]
    assert peer.sequence.ack == 7
    assert peer.sequence.next_due_s == math.inf


def test_what_acts_at_once_does_not_wait(peer: Peer) -> None:
    """A frame that acts at once is let through above a gap, and is a duplicate when it comes again."""
    assert peer.sends(6, at_once=True) is Verdict.DELIVER
    assert peer.sends(6, at_once=True) is Verdict.DUPLICATE
    assert peer.sequence.ack == 3
    peer.sends(5)
    peer.sends(4)
    assert peer.out == [1, 2, 3, 4, 5]
    assert peer.sequence.ack == 6


def test_a_gap_is_asked_for_and_then_given_up(peer: Peer) -> None:
    """Half a second after it opened it is asked for, once; half a second later what waits comes out, and the loss is told."""
    peer.sends(6)
    peer.sends(9)
    assert peer.sequence.next_due_s == GAP_PATIENCE_S
    assert peer.waits(GAP_PATIENCE_S - 0.01) == []
    assert peer.waits(0.01) == [Numbers(4, 5), Numbers(7, 8)]
    assert peer.waits(GAP_PATIENCE_S - 0.01) == []
    assert peer.out == [1, 2, 3]
    assert peer.waits(0.01) == []
    assert peer.out == [1, 2, 3, 6, 9]
    assert peer.lost == [Numbers(4, 5), Numbers(7, 8)]
    assert peer.sequence.ack == 9
    assert peer.waits(10) == []
    assert len(peer.lost) == 2


def test_a_gap_that_nobody_can_be_asked_for_waits_once(peer: Peer) -> None:
    """Where the peer takes no REPLAY_REQUEST, nothing is asked for and half a second is all."""
    peer.sends(5)
    assert peer.waits(GAP_PATIENCE_S, may_request=False) == []
    assert peer.out == [1, 2, 3, 5]
    assert peer.lost == [Numbers(4, 4)]


def test_a_replay_on_its_way_is_waited_for(peer: Peer) -> None:
    """Each number that comes in gives the rest of its gap another half second, and it is not asked for again."""
    peer.sends(7)
    peer.waits(GAP_PATIENCE_S)
    peer.waits(GAP_PATIENCE_S / 2)
    peer.sends(4)
    assert peer.waits(GAP_PATIENCE_S / 2) == []
    assert peer.lost == []
    peer.waits(GAP_PATIENCE_S / 2)
    assert peer.lost == [Numbers(5, 6)]
    assert peer.out == [1, 2, 3, 4, 7]


def test_what_comes_after_it_was_given_up_is_late(peer: Peer) -> None:
    """A number that was reported as lost is dropped when it comes after all; what acts at once still acts, once."""
    peer.sends(6)
    peer.waits(GAP_PATIENCE_S)
    peer.waits(GAP_PATIENCE_S)
    assert peer.sends(4) is Verdict.LATE
    assert peer.sends(4) is Verdict.DUPLICATE
    assert peer.sends(5, at_once=True) is Verdict.DELIVER
    assert peer.sends(5, at_once=True) is Verdict.DUPLICATE
    assert peer.sequence.active


def test_what_the_peer_does_not_have_any_more_is_given_up_at_once(peer: Peer) -> None:
    """A request that is refused need not be waited for."""
    peer.sends(6)
    peer.sends(8)
    peer.waits(GAP_PATIENCE_S)
    peer.sequence.expire(Numbers(4, 5))
    peer.waits(0)
    assert peer.out == [1, 2, 3, 6]
    assert peer.lost == [Numbers(4, 5)]


def test_the_filling_of_a_hole_contradicts_nothing(peer: Peer) -> None:
    """An empty PONG under a number that has come meanwhile is dropped; it fills the number otherwise."""
    filler = Arrival[int]("3", "other", is_filler=True)
    assert peer.sequence.observe(filler, 0.0).verdict is Verdict.DUPLICATE
    peer.sends(5)
    assert peer.sequence.observe(msgspec.structs.replace(filler, seq="4"), 0.0).released == (5,)


@pytest.mark.parametrize(("count", "size"), [(MOST_HELD + 1, 0), (17, MOST_HELD_BYTES // 16)])
def test_what_is_held_is_bounded(peer: Peer, count: int, size: int) -> None:
    """With too many frames, or too many bytes, the gap is given up early: memory is bounded and nothing lost but the gap."""
    for number in range(5, 5 + count - 1):
        peer.sends(number, size=size)
    assert peer.out == [1, 2, 3]
    peer.sends(5 + count - 1, size=size)
    assert peer.out == [1, 2, 3, *range(5, 5 + count)]
    assert peer.lost == [Numbers(4, 4)]


def test_gaps_are_bounded(peer: Peer) -> None:
    """With too many gaps the lowest is given up."""
    for n in range(MOST_GAPS + 1):
        peer.sends(5 + 2 * n)
    assert peer.lost == [Numbers(4, 4)]
    assert peer.out == [1, 2, 3, 5]


def test_numbers_that_always_leap_are_not_believed_for_ever(peer: Peer) -> None:
    """A peer that puts the time into seq is found out: after a few gaps that nothing fills, all is delivered as it comes."""
    for n in range(MOST_LEAPS + 2):
        peer.sends(1_000 * n + 1_000)
    peer.waits(GAP_PATIENCE_S)
    peer.waits(GAP_PATIENCE_S)
    assert not peer.sequence.active
    assert peer.out == [1, 2, 3, *(1_000 * n + 1_000 for n in range(MOST_LEAPS + 2))]


def test_single_losses_do_not_switch_off(peer: Peer) -> None:
    """However many gaps there are: while numbers follow one another in between, they are believed."""
    for n in range(3 * MOST_LEAPS):
        peer.sends(5 + 3 * n)
        peer.sends(6 + 3 * n)
        peer.waits(GAP_PATIENCE_S)
        peer.waits(GAP_PATIENCE_S)
    assert peer.sequence.active
    assert len(peer.lost) == 3 * MOST_LEAPS


def test_switching_off_lets_everything_out(peer: Peer) -> None:
    """What is held comes out in order, and what was missing is told."""
    peer.sends(7)
    peer.sends(5)
    assert peer.sends(7, "another") is Verdict.STOPPED
    assert peer.out == [1, 2, 3, 5, 7]
    assert peer.lost == [Numbers(4, 4), Numbers(6, 6)]
    assert peer.sequence.next_due_s == math.inf


def test_there_may_be_no_room_for_what_is_held(peer: Peer) -> None:
    """What is dropped does not come out; its number stays taken."""
    peer.sends(5)
    peer.sequence.drop("5")
    peer.sends(4)
    assert peer.out == [1, 2, 3, 4]
    assert peer.sequence.ack == 5
    assert peer.sends(5) is Verdict.DUPLICATE
