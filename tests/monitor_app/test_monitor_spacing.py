"""Room for what is drawn side by side: ticks that can be told apart, shapes beside each other, parts that are whole."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor_app.model.activity import Activity
from monitor_app.model.figures import span_captions, span_words
from monitor_app.model.spacing import away_from, legend_that_fits, spread, thinned, whole_parts, with_room
from monitor_app.model.visibility import words_of_hidden
from monitor_app.views.time_strip import legends_of

TIMES = st.lists(st.floats(0, 100), max_size=60).map(sorted)


@given(TIMES, st.sampled_from([0.25, 0.5, 4.0]))
def test_marks_in_a_crowd_can_be_told_apart(times: list[float], least: float) -> None:
    """No two are closer than asked for, none is further from its moment than that, and no moment is without a mark near it."""
    drawn = thinned(times, least).tolist()
    assert all(later - earlier >= least - 1e-9 for earlier, later in pairwise(drawn))
    assert all(min(abs(mark - time) for time in times) <= least for mark in drawn)
    assert all(min(abs(mark - time) for mark in drawn) <= least for time in times)


def test_a_mark_that_stands_alone_stands_at_its_own_moment() -> None:
    """Only a crowd is thinned, and that the same way whatever of it is in the picture."""
    crowd = [10.0, 10.1, 10.2, 10.3, 11.7]
    assert thinned([3.3, *crowd], 1.0).tolist() == [3.3, 10.5, 11.5]
    assert thinned(crowd[1:], 1.0).tolist() == [10.5, 11.5]
    assert thinned(crowd, 0.0).tolist() == crowd


@given(st.lists(st.floats(0, 50), min_size=1, max_size=12), st.sampled_from([1.0, 10.0]))
def test_places_are_spread_within_their_limits(wanted: list[float], least: float) -> None:
    """Their order stays, they lie within the limits, and as far apart as was asked for or as there is room."""
    places = spread(wanted, least, 0.0, 50.0)
    apart = min(least, 50.0 / max(1, len(wanted) - 1))
    ranked = [places[at] for at in sorted(range(len(wanted)), key=lambda at: wanted[at])]
    assert all(-1e-6 <= place <= 50.0 + 1e-6 for place in places)
    assert all(later - earlier >= apart - 1e-6 for earlier, later in pairwise(ranked))


def test_places_with_room_stay_and_others_part_evenly() -> None:
    """Who is alone stays; two at one place make room for each other on both sides."""
    assert spread([5.0, 20.0, 40.0], 10.0, 0.0, 50.0) == [5.0, 20.0, 40.0]
    assert spread([20.0, 40.0, 20.0], 10.0, 0.0, 50.0) == [15.0, 40.0, 25.0]
    assert spread([50.0, 50.0], 10.0, 0.0, 50.0) == [40.0, 50.0]


def test_signs_leave_room_for_each_other() -> None:
    """One is left out that comes too soon after the one before, and whatever lies under one."""
    assert with_room([0.0, 5.0, 14.0, 27.0, 28.0], 14.0) == [0, 2, 4]
    assert away_from([0.0, 8.0, 10.0, 30.0], [20.0], 10.0) == [0.0, 8.0, 10.0, 30.0]
    assert away_from([0.0, 11.0, 29.0, 30.0], [20.0], 10.0) == [0.0, 30.0]
    assert (away_from([], [20.0], 10.0), away_from([1.0], [], 10.0)) == ([], [1.0])


@pytest.mark.parametrize(
    ("room", "count", "limits", "size", "over"),
    [
        (429, 5, (64, None), 85, 4),
        (429, 20, (64, None), 71, 3),
        (83, 24, (18, 21), 20, 3),
        (500, 24, (18, 21), 20, 0),
        (600, 24, (18, 21), 21, 0),
        (10, 3, (18, 21), 18, 0),
        (10, 0, (18, None), 18, 0),
    ],
)
def test_as_many_parts_as_fit_share_the_room(room: int, count: int, limits: tuple[int, int | None], size: int, over: int) -> None:
    """None is cut, none is smaller or larger than it may be, and what cannot be shared is told."""
    assert whole_parts(room, count, *limits) == (size, over)


def test_a_legend_gives_up_words_of_its_caption_before_it_gives_up_names() -> None:
    """The whole of both, then a shorter caption, then only what is seen; and that even where it does not fit."""
    named, seen = [Activity.SENDING, Activity.IDLE], [Activity.IDLE]
    widths, captions = {Activity.SENDING: 50, Activity.IDLE: 30}, {"visible span, 30.0 s": 60, "visible span": 40}
    for room, expected in (
        (140, ("visible span, 30.0 s", named)),
        (139, ("visible span", named)),
        (119, ("visible span, 30.0 s", seen)),
        (70, ("visible span", seen)),
        (10, ("visible span", seen)),
    ):
        assert legend_that_fits((named, seen), widths, captions, room) == expected


def test_a_span_is_named_with_its_length() -> None:
    """Figures and bars say by the same words which span they are of."""
    assert span_words(30.0) == "visible span, 30.0 s"
    assert span_words(12.0, selected=True) == "selected span, 12.0 s"
    assert span_words(120.0, 119.9) == "visible span, 2 min 0 s"


def test_of_a_span_that_was_not_seen_whole_it_is_said_how_much_was() -> None:
    """What percentages are of stands in the words of the span, and is the last of them to go where there is no room."""
    assert span_words(120.0, 20.0) == "visible span, 20.0 s of 2 min 0 s seen"
    assert span_words(12.0, 9.0, selected=True) == "selected span, 9.0 s of 12.0 s seen"
    assert span_captions(120.0, 20.0) == ("visible span, 20.0 s of 2 min 0 s seen", "20.0 s seen")
    assert span_captions(30.0, 29.9) == ("visible span, 30.0 s", "visible span")


def test_channels_without_a_lane_are_told_as_fully_as_there_is_room_for() -> None:
    """Names where they fit, else how many there are."""
    assert words_of_hidden(0, []) == ("", "")
    assert words_of_hidden(2, [])[0] == "2 more in the table; choose one to see it here"
    said = words_of_hidden(2, ["USER", "AGENT"])
    assert said[0] == "2 more in the table; choose one to see it here; idle, folded away: USER, AGENT"
    assert said[-1] == "2 more in the table; 2 idle, folded away"
    assert words_of_hidden(0, ["USER"])[0] == "idle, folded away: USER"


def test_the_legend_names_what_is_rare_where_it_was_seen() -> None:
    """An absence of the connection, silence and our own leaving are named where they were; without room only what was seen."""
    usual = [activity for activity in Activity if activity not in {Activity.OFFLINE, Activity.SILENT, Activity.DETACHED}]
    named, seen = legends_of({"USER": {Activity.SENDING: 1.0}})
    assert (set(named), seen) == (set(usual), [Activity.SENDING])
    named, seen = legends_of({"USER": {Activity.SILENT: 0.5, Activity.IDLE: 0.5}, "AGENT": {Activity.OFFLINE: 0.5}})
    assert set(named) == {*usual, Activity.SILENT, Activity.OFFLINE}
    assert set(seen) == {Activity.SILENT, Activity.OFFLINE, Activity.IDLE}
