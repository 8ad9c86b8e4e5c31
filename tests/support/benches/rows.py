"""The rows of the benchmarks' table, in its order, each with the bar that it is held to.

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


_FIFO: Final = "FIFO of conditions"
_CLIENT: Final = "minimal client"
_UNWATCHED: Final = "client that is not offered"

ROWS: Final = (
    Row("wake-up of one waiter", COST, "one condition"),
    Row("acquire without waiting", COST, "counter under one lock"),
    Row("1 waiting, credit by ones: CPU", COST, _FIFO),
    Row("1 waiting, credit by ones: wall", COST, _FIFO),
    Row("8 waiting, credit by ones: CPU", COST, _FIFO),
    Row("8 waiting, credit by ones: wall", COST, _FIFO),
    Row("64 waiting, credit by ones: CPU", COST, _FIFO),
    Row("64 waiting, credit by ones: wall", COST, _FIFO),
    Row("1 waiting, credit by 64: CPU", COST, _FIFO),
    Row("1 waiting, credit by 64: wall", COST, _FIFO),
    Row("8 waiting, credit by 64: CPU", COST, _FIFO),
    Row("8 waiting, credit by 64: wall", COST, _FIFO),
    Row("64 waiting, credit by 64: CPU", COST, _FIFO),
    Row("64 waiting, credit by 64: wall", COST, _FIFO),
    Row("socket, window 10: rate", RATE, _CLIENT),
    Row("socket, window 10: CPU", COST, _CLIENT),
    Row("socket, window 100: rate", RATE, _CLIENT),
    Row("socket, window 100: CPU", COST, _CLIENT),
    Row("socket, window 1000: rate", RATE, _CLIENT),
    Row("socket, window 1000: CPU", COST, _CLIENT),
    Row("watched by 0 monitors: rate", RATE, _UNWATCHED, ">= 0.98"),
    Row("watched by 0 monitors: CPU", COST, _UNWATCHED),
    Row("watched by 1 monitors: rate", RATE, _UNWATCHED, ">= 0.98"),
    Row("watched by 1 monitors: CPU", COST, _UNWATCHED),
    Row("watched by 8 monitors: rate", RATE, _UNWATCHED, ">= 0.98"),
    Row("watched by 8 monitors: CPU", COST, _UNWATCHED),
    Row("scrape of 50 clients x 5 channels", COST, "20 ms", "<= 1"),
)


def is_met(bar: str, ratio: float) -> bool:
    """Return whether `ratio` keeps to `bar`. Raises `ValueError` for a bar that cannot be read."""
    sign, _, number = bar.partition(" ")
    if sign == ">=":
        return ratio >= float(number)
    if sign == "<=":
        return ratio <= float(number)
    raise ValueError(f"a bar is '>= 0.75' or '<= 1.5', not {bar!r}")
