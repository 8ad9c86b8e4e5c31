"""Room for what is drawn side by side: moments closer together than their marks are wide, curves that end at one height."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from monitor_app.model.activity import Activity
from monitor_app.model.history import Floats


def thinned(times_s: Sequence[float], least_s: float) -> Floats:
    """Return where marks of these moments are drawn, in order, no two closer together than `least_s`.

    Who has nobody beside him stands at his own moment. In a crowd each `least_s` of time has one mark, in its middle: so the
    marks of a crowd move with the time, and do not jump when the oldest of them leaves the picture.
    """
    times = np.asarray(times_s, dtype=np.float64)
    if not len(times) or least_s <= 0.0:
        return times
    bins, first = np.unique(np.floor(times / least_s), return_index=True)
    kept: Floats = times[first]
    near = np.diff(bins) == 1.0
    nobody = [False]
    crowded = np.concatenate((near, nobody)) | np.concatenate((nobody, near))
    crowded |= np.diff(np.concatenate((first, [len(times)]))) > 1
    kept[crowded] = (bins[crowded] + 0.5) * least_s
    return kept


def spread(wanted: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Return places as near to the wanted ones as can be, in their order, at least `least` apart and from `low` to `high`.

    Of those for which there is no room the rest is pushed together evenly.
    """
    count = len(wanted)
    if count > 1:
        least = min(least, (high - low) / (count - 1))
    order = sorted(range(count), key=lambda at: wanted[at])
    groups: list[tuple[float, int]] = []  # mean and size of those that have been pushed together
    for rank, at in enumerate(order):
        mean, size = wanted[at] - rank * least, 1
        while groups and groups[-1][0] >= mean:
            before, count_before = groups.pop()
            mean = (mean * size + before * count_before) / (size + count_before)
            size += count_before
        groups.append((mean, size))
    means = [mean for mean, size in groups for _ in range(size)]
    places = [0.0] * count
    for rank, at in enumerate(order):
        places[at] = min(max(means[rank], low), high - (count - 1) * least) + rank * least
    return places


def with_room(centres: Sequence[float], least: float) -> list[int]:
    """Return the numbers of those of ascending `centres` that are drawn: each at least `least` after the one before."""
    kept: list[int] = []
    for number, centre in enumerate(centres):
        if not kept or centre - centres[kept[-1]] >= least:
            kept.append(number)
    return kept


def away_from(places: Sequence[float], taken: Sequence[float], least: float) -> list[float]:
    """Return those of `places` that are at least `least` away from everything that is `taken`."""
    if not places or not taken:
        return list(places)
    distances = np.abs(np.subtract.outer(np.asarray(places), np.asarray(taken)))
    return [place for place, nearest in zip(places, distances.min(axis=1).tolist(), strict=True) if nearest >= least]


def whole_parts(room: int, count: int, least: int, most: int | None = None) -> tuple[int, int]:
    """Return the size of the parts of which as many as fit share `room`, and what of it is left over.

    A part is never smaller than `least` nor larger than `most`; with a `most`, what all `count` do not need is not left over.
    """
    shown = max(1, min(count, room // least))
    size = max(least, room // shown)
    if most is not None and shown == count:
        return min(size, most), 0
    return size, max(0, room - shown * size)


def legend_that_fits(
    legends: Sequence[list[Activity]], widths: Mapping[Activity, int], captions: Mapping[str, int], room: int
) -> tuple[str, list[Activity]]:
    """Return the first caption and the first legend that fit `room` together: rather a shorter caption than a shorter legend."""
    choice = [(caption, named) for named in legends for caption in captions]
    fits = ((caption, named) for caption, named in choice if captions[caption] + sum(widths[one] for one in named) <= room)
    return next(fits, choice[-1])
