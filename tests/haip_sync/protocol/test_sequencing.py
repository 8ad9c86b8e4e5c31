"""When to believe a peer's seq."""

from __future__ import annotations

import pytest

from haip_sync.protocol.sequencing import InboundSequence, Verdict


def observe(sequence: InboundSequence, seq: str, frame_id: str, *, is_echo: bool = False) -> Verdict:
    """Return what a frame with this seq and id is."""
    return sequence.observe(seq, frame_id, is_echo=is_echo)


def test_the_highest_contiguous_number_is_acknowledged() -> None:
    """Ack rises with the numbers, stays below a gap, and catches up when it closes."""
    sequence = InboundSequence()
    assert sequence.ack == 0
    for seq in ("1", "2", "4", "5"):
        assert observe(sequence, seq, f"id{seq}") is Verdict.DELIVER
    assert sequence.ack == 2
    observe(sequence, "3", "id3")
    assert sequence.ack == 5


def test_a_resumed_count_is_taken_as_it_comes() -> None:
    """The first number of a connection need not be 1."""
    sequence = InboundSequence()
    observe(sequence, "17", "a")
    assert sequence.ack == 17


def test_the_same_number_with_the_same_id_is_a_duplicate() -> None:
    """A duplicate is dropped, and sequencing goes on."""
    sequence = InboundSequence()
    observe(sequence, "1", "a")
    assert observe(sequence, "1", "a") is Verdict.DUPLICATE
    assert sequence.active


@pytest.mark.parametrize("seq", ["", "0", "01", "-1", "1.0", "1700000000000abc", "18446744073709551616", "٣"])
def test_a_number_that_is_none_switches_off(seq: str) -> None:
    """The first seq that is not a decimal of 1 to 2^64-1 ends sequencing: deliver, acknowledge nothing, say it once."""
    sequence = InboundSequence()
    observe(sequence, "1", "a")
    assert observe(sequence, seq, "b") is Verdict.STOPPED
    assert sequence.ack == 0
    assert observe(sequence, seq, "b") is Verdict.DELIVER


def test_the_same_number_with_another_id_switches_off() -> None:
    """A repeated seq is no duplicate when the id differs: a real message would be lost."""
    sequence = InboundSequence()
    observe(sequence, "1", "a")
    assert observe(sequence, "1", "b") is Verdict.STOPPED


def test_an_echo_of_our_own_envelope_switches_off() -> None:
    """A frame with our own session id carries our seq, not the peer's."""
    sequence = InboundSequence()
    assert observe(sequence, "5", "a", is_echo=True) is Verdict.STOPPED


def test_memory_is_bounded() -> None:
    """A long-lived connection remembers a bounded number of ids."""
    sequence = InboundSequence()
    for seq in range(1, 3_000):
        observe(sequence, str(seq), f"id{seq}")
    assert sequence.ack == 2_999
    assert len(sequence._ids) == 1_000
