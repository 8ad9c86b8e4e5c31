"""Stretches of time, each in one state."""

from __future__ import annotations

from enum import Enum
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor_app.model.runs import Runs


class Light(Enum):
    """Three states; the last one shows where there is room for one only."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


def seen(runs: Runs[Light], from_s: float = 0.0, to_s: float = 1e9) -> list[tuple[float, float, Light]]:
    """Return the runs as tuples."""
    return [(run.start_s, run.end_s, run.state) for run in runs.between(from_s, to_s)]


def test_a_state_that_lasts_is_one_run() -> None:
    """Runs grow while the state stays and end where another begins."""
    runs = Runs(Light.GREEN, 0.0)
    runs.extend(1.0)
    runs.enter(Light.RED, 2.0)
    runs.enter(Light.RED, 2.5)
    runs.extend(3.0)
    assert seen(runs) == [(0.0, 2.0, Light.GREEN), (2.0, 3.0, Light.RED)]


def test_an_event_that_comes_late_moves_the_beginning_back() -> None:
    """A snapshot saw the state first; the event knows since when, and the state before ends there."""
    runs = Runs(Light.GREEN, 0.0)
    runs.extend(1.0)
    runs.enter(Light.RED, 1.0)
    runs.enter(Light.RED, 0.9)
    assert seen(runs) == [(0.0, 0.9, Light.GREEN), (0.9, 1.0, Light.RED)]


def test_a_blip_between_two_looks_is_there() -> None:
    """What began and ended since the last look is a run of its own, though no look ever saw it."""
    runs = Runs(Light.GREEN, 0.0)
    runs.extend(1.0)
    runs.enter(Light.RED, 0.990)
    runs.enter(Light.GREEN, 0.995)
    runs.extend(1.033)
    assert runs.seconds(0.0, 1.033)[Light.RED] == pytest.approx(0.005)
    assert [state for _, _, state in runs.columns(0.0, 1.0, 10)] == [Light.GREEN, Light.RED]


def test_a_state_of_no_length_leaves_no_trace() -> None:
    """What is taken back at the moment at which it began never was."""
    runs = Runs(Light.GREEN, 0.0)
    runs.enter(Light.RED, 1.0)
    runs.enter(Light.GREEN, 1.0)
    runs.extend(2.0)
    assert seen(runs) == [(0.0, 2.0, Light.GREEN)]


def test_the_longest_stop_goes_over_several_states() -> None:
    """Yellow and red together are one stop when nothing green lies between, as far as it lies in the span."""
    runs = Runs(Light.GREEN, 0.0)
    for state, time_s in ((Light.YELLOW, 1.0), (Light.RED, 2.0), (Light.GREEN, 5.0), (Light.RED, 6.0), (Light.GREEN, 7.0)):
        runs.enter(state, time_s)
    runs.extend(10.0)
    assert runs.longest_s((Light.YELLOW, Light.RED), 0.0, 10.0) == 4.0
    assert runs.longest_s((Light.YELLOW, Light.RED), 4.0, 10.0) == 1.0


def test_what_was_long_ago_is_known_by_the_second() -> None:
    """When single runs are forgotten the shares of every second remain, for two hours."""
    runs = Runs(Light.GREEN, 0.0, most=20)
    for second in range(4000):
        runs.enter(Light.RED, second + 0.75)
        runs.enter(Light.GREEN, second + 1.0)
        runs.extend(second + 1.0)
    seconds = runs.seconds(100.0, 3700.0)
    assert seconds[Light.RED] == pytest.approx(900.0, rel=1e-3)
    assert sum(seconds.values()) == pytest.approx(3600.0, rel=1e-3)
    assert runs.seen_s(-100.0, 5000.0) == pytest.approx(sum(runs.seconds(-100.0, 5000.0).values()), abs=1.0)
    assert runs.columns(100.0, 3700.0, 50) == [(0, 50, Light.RED)], "a stop in every column"
    assert runs._seconds.nbytes < 200_000


def test_the_longest_stop_of_long_ago_is_known_to_the_second() -> None:
    """Short breaks that are no runs any more still part one stop from the next."""
    runs = Runs(Light.RED, 0.0, most=20)
    for second in range(400):
        if second % 4 == 0:
            runs.enter(Light.GREEN, second + 0.5)
            runs.enter(Light.RED, second + 0.501)
        runs.extend(second + 1.0)
    assert runs.longest_s((Light.RED,), 100.0, 200.0) == pytest.approx(4.0, abs=1.0)


def test_of_what_was_before_the_first_nothing_is_known() -> None:
    """Columns before the beginning are left out, and seconds before it belong to no state."""
    runs = Runs(Light.GREEN, 5.0)
    runs.extend(10.0)
    assert runs.seconds(0.0, 10.0) == {Light.GREEN: 5.0, Light.YELLOW: 0.0, Light.RED: 0.0}
    assert runs.columns(0.0, 10.0, 10) == [(5, 10, Light.GREEN)]


@given(
    st.lists(st.tuples(st.sampled_from(Light), st.floats(0.001, 3.0)), max_size=60), st.floats(0.0, 50.0), st.floats(0.1, 60.0)
)
def test_every_moment_belongs_to_one_state(changes: list[tuple[Light, float]], from_s: float, span_s: float) -> None:
    """The seconds of all states add up to the known part of any span, however the states changed."""
    runs = Runs(Light.GREEN, 0.0, most=8)
    now_s = 0.0
    for state, step_s in changes:
        now_s += step_s
        runs.enter(state, now_s)
        runs.extend(now_s)
    known = [run for run in runs.between(0.0, now_s) if run.end_s > run.start_s]
    assert all(before.end_s == after.start_s for before, after in pairwise(known))
    total_s = sum(runs.seconds(from_s, from_s + span_s).values())
    assert total_s <= max(0.0, min(from_s + span_s, now_s) - from_s) + 1e-3
    if len(changes) < 8:
        assert total_s == pytest.approx(max(0.0, min(from_s + span_s, now_s) - from_s), abs=1e-6)
        assert total_s == pytest.approx(runs.seen_s(from_s, from_s + span_s), abs=1e-6)
