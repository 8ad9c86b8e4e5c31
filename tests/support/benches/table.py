"""What was measured: pairs of rounds, floor and subject in turn, their ratios, and the table of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median, quantiles
from typing import Any, Final, NamedTuple

from support.benches.rows import COST, TIME, Curve, Row, verdict

Round = Callable[[], dict[str, float]]
"""Runs one round and returns its figures by the name of their row, in seconds or messages/s."""
Point = Callable[[int], dict[str, float]]
"""Measures at one point of a curve, or of several, and returns the figures by the name of their curve, in seconds."""

WARM_UP: Final = 2
_LEAST_FOR_QUARTILES: Final = 4
_POINTS_OF_A_TRY: Final = 2
_HEAD: Final = ("row", "ratio", "middle half", "ours", "floor", "which is", "bar", "aim")
_CURVE_HEAD: Final = ("as it grows", "from", "to", "ours", "ratios", "to what", "bar")
_TO_THE_RIGHT: Final = {"ratio", "middle half", "ours", "floor", "from", "to"}


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
        return verdict(self.row.bar, self.ratio)

    def cells(self) -> tuple[str, ...]:
        """Return the row as the table shows it."""
        enough = len(self.ratios) >= _LEAST_FOR_QUARTILES
        low, _, high = quantiles(self.ratios, n=4) if enough else (min(self.ratios), 0.0, max(self.ratios))
        ours, floor = (_with_unit(median(figures), self.row.unit) for figures in (self.ours, self.floor))
        row = self.row
        return (row.name, f"{self.ratio:.2f}", f"{low:.2f}-{high:.2f}", ours, floor, row.floor, self.verdict, row.aim)


class MeasuredCurve(NamedTuple):
    """One curve's figures: the floor's and ours, by round and point."""

    curve: Curve
    floor: list[list[float]]
    ours: list[list[float]]

    @property
    def ratios(self) -> list[float]:
        """The median ratio at each point."""
        rounds = zip(self.ours, self.floor, strict=True)
        by_round = [[ours / floor for ours, floor in zip(o, f, strict=True)] for o, f in rounds]
        return [median(point) for point in zip(*by_round, strict=True)]

    @property
    def verdict(self) -> str:
        """Return the bar and whether no point is further above the first, or the limit, than it allows."""
        return verdict(self.curve.bar, max(self.ratios) / (1.0 if self.curve.is_limit else self.ratios[0]))

    def cells(self) -> tuple[str, ...]:
        """Return the curve as the table shows it."""
        curve = self.curve
        ours = [_with_unit(median(point), curve.unit) for point in zip(*self.ours, strict=True)]
        ratios = "  ".join(f"{point:,}: {ratio:.2f}" for point, ratio in zip(curve.points, self.ratios, strict=True))
        ends = (f"{curve.points[0]:,}", f"{curve.points[-1]:,}")
        return (curve.name, *ends, f"{ours[0]} to {ours[-1]}", ratios, curve.floor or "the first", self.verdict)


def _with_unit(figure: float, unit: str) -> str:
    if unit == COST:
        return f"{figure * 1e6:,.1f} {unit}"
    if unit == TIME:
        return f"{figure * 1e3:,.1f} {unit}"
    return f"{figure:,.0f} {unit}" if figure >= 100 else f"{figure:.3g} {unit}".rstrip()


class Table:
    """The rows that were measured in this run."""

    def __init__(self) -> None:
        self._rows: dict[str, Row | Curve] = {}
        self._measured: dict[str, Measured | MeasuredCurve] = {}

    def add(self, rows: Iterable[Row | Curve]) -> None:
        """Name the rows of one module. Twice is once; raises `ValueError` where two rows have one name."""
        for row in rows:
            if self._rows.setdefault(row.name, row) != row:
                raise ValueError(f"two rows are called {row.name!r}")

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
            row = self._rows[name]
            assert isinstance(row, Row)
            measured = Measured(row, [f[name] for f in floors[warm:]], [s[name] for s in subjects[warm:]])
            self._measured[name] = measured
            benchmark.extra_info[name] = {
                "ratio": measured.ratio,
                "ours": median(measured.ours),
                "floor": median(measured.floor),
                "bar": measured.verdict,
            }

    def measure_curves(self, benchmark: Any, curves: Sequence[Curve], floor: Point | None, ours: Point, *, rounds: int) -> None:
        """Run floor and ours in turn at every point, which `curves` share; without a floor ours at the first point is it.

        With --benchmark-disable, where no figure counts, the first two points will do.
        """
        if not benchmark.enabled:
            curves = [curve._replace(points=curve.points[:_POINTS_OF_A_TRY]) for curve in curves]
        points = curves[0].points
        floors: list[list[dict[str, float]]] = []
        subjects: list[list[dict[str, float]]] = []

        def run() -> None:
            pairs = [({} if floor is None else floor(point), ours(point)) for point in points]
            subjects.append([mine for _, mine in pairs])
            floors.append([pairs[0][1] if floor is None else least for least, _ in pairs])

        benchmark.pedantic(run, rounds=rounds, warmup_rounds=1 if rounds > 1 else 0)
        warm = 1 if len(subjects) > 1 else 0
        for curve in curves:
            least, mine = ([[point[curve.name] for point in r] for r in figures[warm:]] for figures in (floors, subjects))
            measured = MeasuredCurve(curve, least, mine)
            self._measured[curve.name] = measured
            benchmark.extra_info[curve.name] = dict(zip(map(str, points), measured.ratios, strict=True))

    def lines(self) -> list[str]:
        """Return one line a row, those with a bar before the others, then one a curve; none if nothing was measured."""
        measured = [self._measured[name] for name in self._rows if name in self._measured]
        rows = sorted((m for m in measured if isinstance(m, Measured)), key=lambda m: not m.row.bar)
        curves = [m for m in measured if isinstance(m, MeasuredCurve)]
        lines = _aligned([_HEAD, *(m.cells() for m in rows)]) if rows else []
        return lines + (["", *_aligned([_CURVE_HEAD, *(m.cells() for m in curves)])] if curves else [])


def _aligned(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return the rows with their columns under one another, figures to the right."""
    columns = list(zip(*rows, strict=True))
    padded = []
    for column in columns:
        width = max(map(len, column))
        pad = str.rjust if column[0] in _TO_THE_RIGHT else str.ljust
        padded.append([pad(cell, width) for cell in column])
    return ["  ".join(cells).rstrip() for cells in zip(*padded, strict=True)]
