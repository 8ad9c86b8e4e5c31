"""One direction of a line, told what the time is: what may go on when, and that it stays in order."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haip_sync.testing import Faults, FrameFault
from haip_sync.testing.fault_editor import FrameEditor
from haip_sync.testing.fault_pipe import Pipe
from haip_sync.testing.fault_rules import FrameRules

NO_RULES = FrameRules((), lambda _: None)


def pipe(faults: Faults | None = None, *, cut_after: int | None = None, stalled: bool = False) -> Pipe:
    """Return a pipe of bytes."""
    return Pipe(faults or Faults(), Random(1), None, cut_after=cut_after, stalled=stalled)  # noqa: S311


def out(line: Pipe, now: float, *, at_most: int = 1 << 30) -> bytes:
    """Write what may be written now, in writes of so many bytes; return it."""
    written = b""
    while piece := line.ready(now)[:at_most]:
        written += piece
        line.wrote(len(piece))
    return written


def test_without_faults_everything_goes_on_at_once() -> None:
    """Nothing waits, and there is no time to wait for."""
    line = pipe()
    line.take(b"abc", 0.0)
    line.take(b"def", 0.0)
    assert out(line, 0.0, at_most=2) == b"abcdef"
    assert (line.passed, line.next_at()) == (6, None)


def test_a_delay_is_each_bytes_own() -> None:
    """What came later leaves later, and the pipe says when."""
    line = pipe(Faults(delay_s=2.0))
    line.take(b"a", 10.0)
    line.take(b"b", 11.0)
    assert (out(line, 11.9), line.next_at()) == (b"", 12.0)
    assert (out(line, 12.0), line.next_at()) == (b"a", 13.0)
    assert (out(line, 13.0), line.next_at()) == (b"b", None)


@settings(deadline=None)
@given(st.lists(st.floats(0, 5), max_size=30), st.floats(0, 3), st.floats(0, 3))
def test_jitter_never_reorders(gaps: list[float], delay_s: float, jitter_s: float) -> None:
    """Each byte takes from the delay to delay and jitter, if none before it holds it up, and arrives in its turn."""
    line, now, arrived = pipe(Faults(delay_s=delay_s, jitter_s=jitter_s)), 0.0, b""
    for number, gap in enumerate(gaps):
        now += gap
        arrived += out(line, now)
        line.take(bytes([number]), now)
        assert (line.next_at() or now) <= now + delay_s + jitter_s
    assert arrived + out(line, now + delay_s + jitter_s) == bytes(range(len(gaps)))


def test_a_delay_that_is_lifted_holds_nothing_any_more() -> None:
    """What is under way leaves at once, and what comes then does not wait for it."""
    line = pipe(Faults(delay_s=60.0))
    line.take(b"a", 0.0)
    line.end(0.0)
    assert not line.is_finished(0.5)
    line.configure(Faults(), NO_RULES, 1.0)
    assert out(line, 1.0) == b"a"
    assert line.is_finished(1.0)


@settings(deadline=None)
@given(st.floats(10, 10_000), st.integers(1, 5_000), st.integers(1, 50))
def test_a_limit_is_kept_over_any_time(rate: float, size: int, steps: int) -> None:
    """No more passes than the rate allows, in whatever steps; and all does in the time that it takes."""
    line = pipe(Faults(bytes_per_s=rate))
    line.take(bytes(size), 0.0)
    passed = len(out(line, 0.0))
    for step in range(1, steps + 1):
        now = size / rate * step / steps
        passed += len(out(line, now))
        assert passed <= rate * now + 1
    for _ in range(size + 100):
        if (due := line.next_at()) is None:
            break
        passed += len(out(line, due))
    assert passed == size
    assert due is None


def test_a_limit_allows_a_burst_after_a_rest_and_no_more() -> None:
    """50 ms' worth, however long the rest."""
    line = pipe(Faults(bytes_per_s=1_000))
    line.take(bytes(10), 0.0)
    out(line, 0.0)
    assert len(out(line, 100.0)) == 10
    line.take(bytes(500), 1_000.0)
    assert len(out(line, 1_000.0)) == 50


def test_a_stalled_pipe_takes_and_gives_nothing() -> None:
    """Not what came before, not the end, not a cut; all of it once it flows."""
    line = pipe(stalled=True)
    assert not line.wants
    line.stalled = False
    line.take(b"a", 0.0)
    line.end(0.0)
    line.stalled = True
    assert (bytes(line.ready(9.0)), line.next_at(), line.is_finished(9.0)) == (b"", None, False)
    line.stalled = False
    assert out(line, 9.0) == b"a"
    assert line.is_finished(9.0)


@pytest.mark.parametrize(("faults", "room"), [(Faults(), 64 << 10), (Faults(delay_s=1.0), 1 << 20)])
def test_what_is_under_way_is_bounded(faults: Faults, room: int) -> None:
    """A sender is not read from while as much as that waits for the receiver."""
    line = pipe(faults)
    line.take(bytes(room - 1), 0.0)
    assert line.wants
    line.take(b"x", 0.0)
    assert not line.wants
    assert len(line.ready(5.0)) > 0
    line.wrote(1)
    assert line.wants


@settings(deadline=None)
@given(st.integers(0, 30), st.lists(st.integers(1, 9), min_size=4, max_size=8), st.integers(1, 40))
def test_a_cut_is_exact(cut_after: int, sizes: list[int], at_most: int) -> None:
    """So many bytes pass and not one more, whatever pieces come and go."""
    line, data = pipe(cut_after=cut_after), bytes(range(sum(sizes)))
    passed, at = b"", 0
    for size in sizes:
        line.take(data[at : at + size], 0.0)
        at += size
        passed += out(line, 0.0, at_most=at_most)
    assert passed == data[:cut_after]
    assert line.is_cut == (len(data) >= cut_after)


def test_a_frame_that_cuts_does_so_behind_what_came_before() -> None:
    """What is under way arrives first, and an earlier cut stays the earlier one."""
    rules = FrameRules((FrameFault(action="reset", number=2),), lambda _: None)
    stream = b"GET / HTTP/1.1\r\n\r\n" + b"\x81\x01a"
    for planned, reset in ((None, True), (5, False)):
        editor = FrameEditor(rules, Random(1), is_answer=False)  # noqa: S311
        line = Pipe(Faults(delay_s=1.0), Random(1), editor, cut_after=planned)  # noqa: S311
        line.take(stream + b"\x81\x01b", 0.0)
        assert not line.is_cut
        assert out(line, 1.0) == stream[:planned]
        assert (line.is_cut, line.cuts_with_reset) == (True, reset)


def test_the_end_travels_behind_what_is_under_way() -> None:
    """With its delay, as FIN or as RST; a half-written frame that was held back comes first."""
    editor = FrameEditor(FrameRules((FrameFault(action="drop", number=9),), lambda _: None), Random(1), is_answer=False)  # noqa: S311
    line = Pipe(Faults(delay_s=1.0), Random(1), editor)  # noqa: S311
    line.take(b"GET / HTTP/1.1\r\n\r\n" + b"\x81\x05ab", 0.0)
    line.end(2.0, reset=True)
    assert not line.wants
    assert out(line, 2.5) == b"GET / HTTP/1.1\r\n\r\n"
    assert not line.is_finished(2.5)
    assert line.next_at() == 3.0
    assert out(line, 3.0) == b"\x81\x05ab"
    assert line.is_finished(3.0)
    assert line.ends_in_reset


def test_after_a_half_close_what_comes_is_read_and_forgotten() -> None:
    """What was under way still arrives, and the sender is not held up."""
    line = pipe(Faults(delay_s=1.0))
    line.take(b"a", 0.0)
    line.half_close(0.0)
    line.take(b"b", 0.5)
    assert line.wants
    assert out(line, 1.0) == b"a"
    assert line.is_finished(1.0)
    line.end(2.0, reset=True)
    assert not line.ends_in_reset
