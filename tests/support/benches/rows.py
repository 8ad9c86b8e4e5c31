"""The rows of the benchmarks' table. A module of benchmarks names its own in `ROWS`: adding a module adds its rows.

Every figure is a ratio, ours to a floor that was measured in turn with it. Of what costs (µs) a low ratio is good, of what is
done (messages/s) a high one. A bar is text, `">= 0.75"` or `"<= 1.5"`; a row without one is only shown. Nothing fails on either.
"""

from __future__ import annotations

from typing import Final, NamedTuple

COST: Final = "µs"
RATE: Final = "msg/s"
TIME: Final = "ms"
PLAIN: Final = ""


class Row(NamedTuple):
    """One figure."""

    name: str
    unit: str
    floor: str
    """What the floor is."""
    bar: str = ""
    """What the ratio should be; empty: not settled."""
    aim: str = ""
    """What it could be."""


class Curve(NamedTuple):
    """How one figure goes as the work grows: the ratio to a floor at each of these points."""

    name: str
    unit: str
    points: tuple[int, ...]
    floor: str
    """What the floor is; empty: ours at the first point."""
    bar: str = "<= 1.5"
    """How much higher than at the first point any ratio may be: what noise makes of a flat line on a busy machine."""
    is_limit: bool = False
    """The floor is a limit, and the bar is for the ratio to it."""


def is_met(bar: str, ratio: float) -> bool:
    """Return whether `ratio` keeps to `bar`. Raises `ValueError` for a bar that cannot be read."""
    sign, _, number = bar.partition(" ")
    if sign == ">=":
        return ratio >= float(number)
    if sign == "<=":
        return ratio <= float(number)
    raise ValueError(f"a bar is '>= 0.75' or '<= 1.5', not {bar!r}")


def verdict(bar: str, ratio: float) -> str:
    """Return the bar and whether it is met."""
    return f"{bar} {'ok' if is_met(bar, ratio) else 'short'}" if bar else ""
