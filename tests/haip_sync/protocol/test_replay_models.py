"""The replay window against a list, and the sequence against all that a line can do to it."""

from __future__ import annotations

from random import Random
from typing import NamedTuple
from unittest.mock import patch

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from haip_sync.protocol import replay
from haip_sync.protocol.frames import Frame, FrameMaker
from haip_sync.protocol.gaps import GAP_PATIENCE_S, Numbers
from haip_sync.protocol.identifiers import new_id
from haip_sync.protocol.replay import ReplayWindow, Resend, TooOld
from haip_sync.protocol.sequencing import Arrival, InboundSequence, Verdict

MAKER = FrameMaker("11111111-1111-4111-8111-111111111111", new_id)
MAX_BYTES = 2_000


class Batch(NamedTuple):
    """Frames that went out together, in the model."""

    first_seq: int
    frames: list[Frame]
    at_s: float

    @property
    def size(self) -> int:
        return sum(frame.about_bytes for frame in self.frames)

    @property
    def last_seq(self) -> int:
        return self.first_seq + len(self.frames) - 1


def make(kind: int) -> list[Frame]:
    """Return a control frame, or so many data frames."""
    if not kind:
        return [MAKER.make("SYSTEM", "PING", b"{}")]
    return [MAKER.make("USER", "MESSAGE", b'"%b"' % (b"x" * 50 * kind)) for _ in range(kind)]


def may_go(batches: list[Batch], now_s: float, acked: int) -> bool:
    """Return whether the window's rule lets the oldest go."""
    if sum(batch.size for batch in batches[1:]) >= MAX_BYTES:
        return True
    later = batches[-1].last_seq - batches[0].last_seq
    return later >= replay.KEPT_MESSAGES and (batches[0].last_seq <= acked or now_s - batches[0].at_s > replay.KEPT_S)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.floats(0, 10), st.integers(0, 60), st.booleans()), max_size=40), st.integers(0, 90)
)
def test_the_window_keeps_what_the_rule_keeps(steps: list[tuple[int, float, int, bool]], asked: int) -> None:
    """Whatever is put in, acknowledged, done twice: what is kept is the list's end, and what is given is what was put in."""
    with patch.object(replay, "KEPT_MESSAGES", 6), patch.object(replay, "KEPT_S", 20.0):
        window, batches, seq, now_s = ReplayWindow(MAX_BYTES), list[Batch](), 1, 0.0
        for kind, step_s, acked, twice in steps:
            now_s += step_s
            frames = make(kind)
            for _ in range(1 + twice):
                window.keep(frames, seq, now_s, acknowledged=acked)
            batches.append(Batch(seq, frames, now_s))
            seq += len(frames)
            while len(batches) > 1 and may_go(batches, now_s, acked):
                del batches[0]
        oldest = batches[0].first_seq if batches else 1
        kept = [
            Resend(number, None if frame.type == "PING" else frame)
            for batch in batches
            for number, frame in enumerate(batch.frames, batch.first_seq)
        ]
        wanted = TooOld(oldest) if asked + 1 < oldest else tuple(one for one in kept if one.seq > asked)
        assert window.since(asked) == wanted


class Line:
    """A line that loses, repeats and reorders what a peer numbers, and the peer's replay window behind it."""

    def __init__(self, rng: Random, count: int) -> None:
        self.rng = rng
        self.sequence: InboundSequence[int] = InboundSequence()
        self.out: list[int] = []
        self.lost: list[Numbers] = []
        self.now_s = 0.0
        self.on_its_way = [number for number in range(1, count + 1) for _ in range(rng.choice((0, 1, 1, 1, 1, 2)))]
        for _ in range(rng.randrange(4)):
            at = rng.randrange(len(self.on_its_way) + 1)
            self.on_its_way[at : at + 3] = rng.sample(self.on_its_way[at : at + 3], len(self.on_its_way[at : at + 3]))

    def arrive(self, number: int) -> None:
        seen = self.sequence.observe(Arrival(str(number), f"id{number}", item=number), self.now_s)
        if seen.verdict is Verdict.DELIVER:
            self.out.append(number)
        self.lost += seen.lost
        self.out += seen.released

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        due = self.sequence.due(self.now_s, may_request=self.rng.random() < 0.9)
        self.lost += due.lost
        self.out += due.released
        for numbers in due.to_request:
            asked = [number for number in range(numbers.first, numbers.last + 1) if self.rng.random() < 0.7]
            at = self.rng.randrange(min(4, len(self.on_its_way) + 1))
            self.on_its_way[at:at] = asked

    def run(self) -> None:
        self.arrive(1)
        while self.on_its_way:
            self.arrive(self.on_its_way.pop(0))
            if self.rng.random() < 0.3:
                self.wait(self.rng.choice((0.1, GAP_PATIENCE_S)))
        for _ in range(9):
            self.wait(GAP_PATIENCE_S)
            while self.on_its_way:
                self.arrive(self.on_its_way.pop(0))


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_every_frame_is_delivered_once_in_order_or_told(rng: Random, count: int) -> None:
    """Whatever is lost, repeated, reordered and sent again: each number comes out once, in order, or is reported as lost."""
    line = Line(rng, count)
    line.run()
    assume(line.sequence.active)
    assert line.out == sorted(set(line.out))
    told = [number for numbers in line.lost for number in range(numbers.first, numbers.last + 1)]
    assert len(told) == len(set(told))
    assert not set(told) & set(line.out)
    assert sorted(told + line.out) == list(range(1, line.sequence.ack + 1))
    assert line.sequence.next_due_s == float("inf")
