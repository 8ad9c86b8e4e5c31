"""Which stretch of time is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor_app.model.viewport import LEAST_SPAN_S, MOST_SPAN_S, Mode, Viewport

NOW_S = 1000.0


def test_a_live_view_ends_now() -> None:
    """While it follows the right edge is always now."""
    view = Viewport(30.0)
    assert view.edges(NOW_S) == (970.0, 1000.0)
    assert view.edges(NOW_S + 5) == (975.0, 1005.0)


def test_what_is_under_the_pointer_stays_there() -> None:
    """Zooming keeps the time under the pointer in its place; the right edge leaves now, so that following stops."""
    view = Viewport(100.0)
    view.zoom(0.5, 0.5, NOW_S)
    assert view.edges(NOW_S) == (925.0, 975.0)
    assert view.mode is Mode.BACK
    assert view.edges(NOW_S + 60) == (925.0, 975.0)


def test_zooming_at_the_right_edge_goes_on_following() -> None:
    """By keys, or with the pointer at the right edge, the view zooms while live."""
    view = Viewport(100.0)
    view.zoom_in_place(0.5, NOW_S)
    assert (view.mode, view.span_s) == (Mode.LIVE, 50.0)
    view.zoom(2.0, 1.0, NOW_S)
    assert (view.mode, view.span_s) == (Mode.LIVE, 100.0)


def test_moving_back_stops_following_and_moving_to_now_follows_again() -> None:
    """A pan into the past stands; one that reaches now is live again, and nothing goes beyond now."""
    view = Viewport(100.0)
    view.pan(-40.0, NOW_S)
    assert view.mode is Mode.BACK
    assert view.edges(NOW_S + 10) == (860.0, 960.0)
    view.pan(80.0, NOW_S + 10)
    assert view.mode is Mode.LIVE


def test_freezing_is_not_looking_back() -> None:
    """A frozen view stays frozen whatever is moved in it, until it follows again."""
    view = Viewport(100.0)
    view.freeze(NOW_S)
    assert view.edges(NOW_S + 30) == (900.0, 1000.0)
    view.pan(-10.0, NOW_S + 30)
    assert view.mode is Mode.FROZEN
    view.follow()
    assert view.edges(NOW_S + 30) == (930.0, 1030.0)


def test_a_named_span_is_live() -> None:
    """Choosing a span by its name shows the newest of it."""
    view = Viewport(30.0)
    view.pan(-100.0, NOW_S)
    view.show_last(600.0)
    assert view.edges(NOW_S) == (400.0, 1000.0)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("zoom"), st.floats(0.01, 100.0), st.floats(0.0, 1.0)),
            st.tuples(st.just("pan"), st.floats(-1e4, 1e4), st.just(0.0)),
            st.tuples(st.just("show"), st.floats(0.0, 900.0), st.floats(0.0, 100.0)),
            st.tuples(st.just("freeze"), st.just(0.0), st.just(0.0)),
            st.tuples(st.just("follow"), st.just(0.0), st.just(0.0)),
        ),
        max_size=30,
    )
)
def test_no_hand_brings_it_out_of_bounds(moves: list[tuple[str, float, float]]) -> None:
    """Whatever is done, the span stays within its bounds and the right edge never lies in the future."""
    view = Viewport()
    now_s = NOW_S
    for name, first, second in moves:
        now_s += 0.1
        match name:
            case "zoom":
                view.zoom(first, second, now_s)
            case "pan":
                view.pan(first, now_s)
            case "show":
                view.show(first, first + second, now_s)
            case "freeze":
                view.freeze(now_s)
            case _:
                view.follow()
        left_s, right_s = view.edges(now_s)
        assert LEAST_SPAN_S <= view.span_s <= MOST_SPAN_S
        assert right_s - left_s == pytest.approx(view.span_s)
        assert right_s <= now_s
