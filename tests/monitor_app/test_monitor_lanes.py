"""State runs and marks."""

from __future__ import annotations

from monitor_app.model.lanes import Lanes, MarkKind
from monitor_app.model.status import Status


def test_a_state_that_lasts_is_one_run() -> None:
    """Runs grow while the state stays and end where another begins."""
    lanes = Lanes()
    for time_s, status in ((0.0, Status.IDLE), (1.0, Status.IDLE), (2.0, Status.STARVED), (3.0, Status.STARVED)):
        lanes.extend("USER", status, time_s)
    runs = [(run.start_s, run.end_s, run.status) for run in lanes.runs_since("USER", 0.0)]
    assert runs == [(0.0, 2.0, Status.IDLE), (2.0, 3.0, Status.STARVED)]


def test_runs_that_reach_into_the_window_are_found() -> None:
    """A run that began before the window and ends in it is shown."""
    lanes = Lanes()
    for time_s, status in ((0.0, Status.IDLE), (5.0, Status.LOW), (9.0, Status.LOW)):
        lanes.extend("USER", status, time_s)
    assert [run.status for run in lanes.runs_since("USER", 4.0)] == [Status.IDLE, Status.LOW]
    assert [run.status for run in lanes.runs_since("USER", 6.0)] == [Status.LOW]
    assert lanes.runs_since("OTHER", 0.0) == []


def test_marks_are_kept_by_kind_and_channel() -> None:
    """Marks of another kind, of another channel and of long ago are not mixed in."""
    lanes = Lanes()
    for time_s in (1.0, 2.0, 3.0):
        lanes.mark(MarkKind.GRANT, "USER", time_s)
    lanes.mark(MarkKind.GRANT, "AGENT", 2.5)
    assert lanes.marks_since(MarkKind.GRANT, "USER", 2.0) == [2.0, 3.0]
    assert lanes.marks_since(MarkKind.REQUEST, "USER", 0.0) == []
