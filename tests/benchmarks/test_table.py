"""The table itself: what it compares with what, and what it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.benches.rows import Curve, Row, is_met
from support.benches.table import WARM_UP, Measured, MeasuredCurve, Table

COST = Row("wake-up", "µs", "one condition")
RATE = Row("rate", "msg/s", "minimal client")
ROWS = (COST, RATE)


def test_floor_and_ours_run_in_turn(benchmark: Any) -> None:
    """Each round of ours follows a round of the floor, the first ones warm up and count for nothing."""
    if not benchmark.enabled:
        benchmark(lambda: None)
        pytest.skip("--benchmark-disable runs one round and no more")
    ran: list[str] = []
    warm: Iterator[float] = iter([1e-3] * WARM_UP)

    def run(name: str, figure_s: float) -> dict[str, float]:
        ran.append(name)
        return {COST.name: next(warm, figure_s) if name == "ours" else figure_s}

    table = Table()
    table.add(ROWS)
    table.measure(benchmark, lambda: run("floor", 2e-6), lambda: run("ours", 3e-6), rounds=3)
    assert ran == ["floor", "ours"] * (WARM_UP + 3)
    assert benchmark.extra_info[COST.name]["ratio"] == pytest.approx(1.5)
    assert [line.split("  ")[0] for line in table.lines()] == ["row", COST.name]


def test_a_slow_moment_slows_both() -> None:
    """The ratio is that of figures of the same moment: where one round takes ten times as long on both sides, it stays."""
    measured = Measured(COST, floor=[1.0, 10.0, 1.0, 1.0, 10.0], ours=[2.0, 20.0, 2.0, 2.0, 20.0])
    assert measured.ratio == 2.0
    assert measured.cells()[1:3] == ("2.00", "2.00-2.00")


@pytest.mark.parametrize(
    ("bar", "ratio", "met"), [(">= 0.75", 0.75, True), (">= 0.75", 0.74, False), ("<= 1.5", 1.5, True), ("<= 1.5", 1.51, False)]
)
def test_a_bar_is_met_or_not(bar: str, ratio: float, met: bool) -> None:
    """A bar bounds the ratio from one side, and the table says whether it is met."""
    assert is_met(bar, ratio) is met
    measured = Measured(RATE._replace(bar=bar), floor=[1.0], ours=[ratio])
    assert measured.cells()[-2] == f"{bar} {'ok' if met else 'short'}"


def test_a_bar_that_cannot_be_read_is_an_error() -> None:
    """A slip in the registry must not read as a bar that is met."""
    with pytest.raises(ValueError, match=r"0\.75"):
        is_met("> 0.75", 1.0)


def test_figures_carry_their_units() -> None:
    """Costs are in microseconds, rates in messages a second; a row without a bar shows none."""
    assert Measured(Row("a", COST.unit, "x"), [1e-6], [2.5e-6]).cells()[3:] == ("2.5 µs", "1.0 µs", "x", "", "")
    assert Measured(Row("a", RATE.unit, "x"), [20_000.0], [10_000.0]).cells()[3:5] == ("10,000 msg/s", "20,000 msg/s")


def test_rows_with_a_bar_come_first() -> None:
    """What has to be kept to stands at the top, whatever module it is from; what was not measured is not shown."""
    table = Table()
    barred = Row("a", "µs", "x", "<= 2")
    table.add(ROWS)
    table.add((barred, *ROWS))
    table._measured = {row.name: Measured(row, [1.0], [1.0]) for row in (COST, barred)}
    assert [line.split("  ")[0] for line in table.lines()] == ["row", "a", COST.name]


def test_two_rows_of_one_name_are_an_error() -> None:
    """A module that is added cannot take another's row."""
    table = Table()
    table.add(ROWS)
    with pytest.raises(ValueError, match="wake-up"):
        table.add((COST._replace(bar="<= 1"),))


def test_a_curve_is_flat_or_not() -> None:
    """A curve is held to its first point: what every point costs more than the floor's says nothing of how it grows."""
    curve = Curve("threads", "µs", (1, 64), "FIFO", "<= 1.5")
    assert MeasuredCurve(curve, [[1.0, 10.0]], [[2.0, 28.0]]).verdict == "<= 1.5 ok"
    assert MeasuredCurve(curve, [[1.0, 10.0]], [[2.0, 32.0]]).verdict == "<= 1.5 short"


def test_a_curve_under_a_limit_is_held_to_the_limit() -> None:
    """What has a limit keeps to it at every point, however it grows."""
    curve = Curve("clients", "", (1, 200), "3", "<= 1", is_limit=True)
    assert MeasuredCurve(curve, [[3.0, 3.0]], [[1.0, 3.0]]).verdict == "<= 1 ok"
    assert MeasuredCurve(curve, [[3.0, 3.0]], [[1.0, 3.1]]).verdict == "<= 1 short"
