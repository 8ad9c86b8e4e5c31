"""What was measured: pairs of rounds, floor and subject in turn, their ratios, and the table of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import median, quantiles
from typing import Any, Final, NamedTuple

from support.benches.rows import COST, ROWS, TIME, Row, is_met

Round = Callable[[], dict[str, float]]
"""Runs one round and returns its figures by the name of their row, in seconds or messages/s."""

_ROWS: Final = {row.name: row for row in ROWS}
WARM_UP: Final = 2
_LEAST_FOR_QUARTILES: Final = 4
_HEAD: Final = ("row", "ratio", "middle half", "ours", "floor", "which is", "bar")


class Measured(NamedTuple):
    """One row's figures: a floor and one of ours for each round."""

    row: Row
    floor: list[float]
    ours: list[float]

    @property
    def ratios(self) -> list[float]:
        """Ours to the floor of the same moment, round by round: a machine that slows down slows both."""
        return [ours / floor for ours, floor in zip(self.ours, self.floor, strict=True)]

    @property
    def ratio(self) -> float:
        """The median."""
        return median(self.ratios)

    @property
    def verdict(self) -> str:
        """Return the bar and whether it is met."""
        bar = self.row.bar
        return f"{bar} {'ok' if is_met(bar, self.ratio) else 'short'}" if bar else ""

    def cells(self) -> tuple[str, ...]:
        """Return the row as the table shows it."""
        enough = len(self.ratios) >= _LEAST_FOR_QUARTILES
        low, _, high = quantiles(self.ratios, n=4) if enough else (min(self.ratios), 0.0, max(self.ratios))
        ours, floor = (_with_unit(median(figures), self.row.unit) for figures in (self.ours, self.floor))
        return (self.row.name, f"{self.ratio:.2f}", f"{low:.2f}-{high:.2f}", ours, floor, self.row.floor, self.verdict)


def _with_unit(figure: float, unit: str) -> str:
    if unit in {COST, TIME}:
        return f"{figure * (1e6 if unit == COST else 1e3):,.1f} {unit}"
    return f"{figure:,.0f} {unit}" if figure >= 100 else f"{figure:.3g} {unit}".rstrip()


class Table:
    """The rows that were measured in this run."""

    def __init__(self) -> None:
        self._rows = dict(_ROWS)
        self._measured: dict[str, Measured] = {}

    def add(self, rows: Iterable[Row]) -> None:
        """Name the rows of one module."""
        self._rows |= {row.name: row for row in rows}

    def measure(self, benchmark: Any, floor: Round, ours: Round, *, rounds: int) -> None:
        """Run floor and ours in turn, and keep the figures of every row that they name.

        `benchmark` is pytest-benchmark's fixture: it times our rounds, and what it stores carries the ratios.
        """
        floors: list[dict[str, float]] = []
        subjects: list[dict[str, float]] = []
        benchmark.pedantic(
            lambda: subjects.append(ours()), setup=lambda: floors.append(floor()), rounds=rounds, warmup_rounds=WARM_UP
        )
        warm = WARM_UP if len(subjects) > WARM_UP else 0  # --benchmark-disable runs one round and no more
        for name in floors[0]:
            measured = Measured(self._rows[name], [f[name] for f in floors[warm:]], [s[name] for s in subjects[warm:]])
            self._measured[name] = measured
            benchmark.extra_info[name] = {
                "ratio": measured.ratio,
                "ours": median(measured.ours),
                "floor": median(measured.floor),
                "bar": measured.verdict,
            }

    def lines(self) -> list[str]:
        """Return one line a row, in the order of the registry; none if nothing was measured."""
        cells = [measured.cells() for name in self._rows if (measured := self._measured.get(name))]
        return _aligned([_HEAD, *cells]) if cells else []


def _aligned(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return the rows with their columns under one another, figures to the right."""
    columns = list(zip(*rows, strict=True))
    to_the_right = {"ratio", "middle half", "ours", "floor"}
    padded = []
    for column in columns:
        width = max(map(len, column))
        pad = str.rjust if column[0] in to_the_right else str.ljust
        padded.append([pad(cell, width) for cell in column])
    return ["  ".join(cells).rstrip() for cells in zip(*padded, strict=True)]
