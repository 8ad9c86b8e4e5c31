"""What happened in a span, and what we grant the peer, in figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from PySide6.QtCore import Qt
from support.states import make_grant

from haip_sync import CreditGranted, CreditRequested
from monitor_app.main_window import MainWindow
from monitor_app.model.activity import Activity
from monitor_app.model.figures import SpanFigures, figures_of, grants_against_spend, rows_of
from monitor_app.model.ingest import Ingest
from monitor_app.model.receiving import explain_receiving, receive_sides
from monitor_app.views.channel_cells import Side


@pytest.fixture
def lived(source: Any, clock: Any) -> Ingest:
    """Return an ingest that has seen a minute, from 1000 s: ten messages a second, a grant of 100 every ten seconds, a pause."""
    ingest = Ingest(source, clock)
    ingest.tick()
    for step in range(1, 601):
        clock.time_s = 1000.0 + step / 10
        granted = 100 * (step // 100)
        if step % 100 == 0:
            source.events.append(request(clock.time_s - 0.25))
            source.events.append(grant(clock.time_s))
        source.change(
            "USER",
            credits=100 + granted - step,
            sent_messages=step,
            sent_bytes=step * 512,
            granted=100 + granted,
            paused_by_us=300 <= step < 450,
        )
        ingest.tick()
    return ingest


def request(time_s: float) -> CreditRequested:
    """Return a request of ours."""
    return CreditRequested(time_s=time_s, channel="USER", add_messages=100, add_bytes=0, gives_back=False)


def grant(time_s: float) -> CreditGranted:
    """Return a grant of a hundred messages."""
    return make_grant(time_s, 100)


def figures(ingest: Ingest, from_s: float, to_s: float) -> SpanFigures:
    """Return the figures of USER."""
    tracker = ingest.tracker("USER")
    assert tracker is not None
    return figures_of(tracker, ingest.history, from_s, to_s)


def test_a_span_has_its_credit_spend_grants_and_delays(lived: Ingest) -> None:
    """Of thirty seconds: what was sent and granted, how fast, how long a grant took, and how low credit fell."""
    found = figures(lived, 1010.05, 1040.05)
    assert found.count("sent") == pytest.approx(300, abs=1)
    assert found.count("sent_kib") == pytest.approx(150, abs=1)
    assert found.count("granted") == pytest.approx(300, abs=100)
    assert found.grants == 3
    assert found.delays is not None
    assert (found.delays.median_s, found.delays.p95_s) == (pytest.approx(0.25), pytest.approx(0.25))
    credit = found.gauges[0]
    assert credit is not None
    assert (credit.least, credit.most) == (1.0, 100.0)
    assert credit.mean == pytest.approx(50, abs=3)


def test_the_shares_are_those_of_the_span_and_of_no_other(lived: Ingest) -> None:
    """A pause of fifteen seconds is half of a span of thirty, and all of one that lies within it."""
    found = figures(lived, 1020.0, 1050.0)
    assert found.shares[Activity.PAUSED_BY_US] == pytest.approx(0.5, abs=0.01)
    assert found.longest_stop_s == pytest.approx(15.0, abs=0.2)
    assert figures(lived, 1031.0, 1041.0).shares[Activity.PAUSED_BY_US] == pytest.approx(1.0)
    assert figures(lived, 1000.0, 1020.0).longest_stop_s == 0.0


def test_every_figure_is_a_row_with_a_cell_a_channel(lived: Ingest) -> None:
    """Rows read as in the table: numbers with few digits, delays in ms, shares in percent, nothing where nothing is known."""
    cells = dict(rows_of([figures(lived, 1010.05, 1040.05)]))
    assert cells["Msg credit, min"] == ["1"]
    assert cells["Rate, msg/s"] == ["10"]
    assert cells["Grant delay, p95"] == ["250 ms"]
    assert cells["Grants"] == ["3"]
    empty = lived.tracker("SYSTEM")
    assert empty is not None
    nothing = dict(rows_of([figures_of(empty, lived.history, 1010.0, 1040.0)]))
    assert (nothing["Grant delay, p50"], nothing["Granted ÷ sent"], nothing["Longest stop"]) == (
        ["\N{EN DASH}"],
        ["\N{EN DASH}"],
        ["\N{EN DASH}"],
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "a grant of 10 msg lasts 1.0 s, one comes every 2.0 s"),
        ({"counted": (100.0, 100.0, 100.0, 50.0)}, "a grant of 5 KiB lasts 500 ms, one comes every 2.0 s"),
        (
            {"shares": {Activity.SENDING: 0.5, Activity.NO_BYTES: 0.5}},
            "a grant of 20 KiB lasts 2.0 s, one comes every 2.0 s",
        ),
        ({"grants": 0}, ""),
        ({"counted": (0.0, 0.0, 100.0, 200.0)}, ""),
    ],
)
def test_a_grants_size_is_told_against_what_is_spent(lived: Ingest, changes: dict[str, Any], words: str) -> None:
    """Of the credit that the channel starved of, or else the one that is spent first; nothing where there is nothing to tell."""
    shares = dict.fromkeys(Activity, 0.0) | {Activity.SENDING: 0.5, Activity.IDLE: 0.5}
    calm = replace(figures(lived, 1010.0, 1030.0), known_s=20.0, grants=10, counted=(100.0, 100.0, 100.0, 200.0), shares=shares)
    if "shares" in changes:
        changes = {**changes, "shares": dict.fromkeys(Activity, 0.0) | changes["shares"]}
    assert grants_against_spend(replace(calm, **changes)) == words


def test_a_rate_is_of_the_time_that_is_known(lived: Ingest) -> None:
    """A span that begins before the monitor did does not dilute what was measured."""
    found = figures(lived, 900.0, 1020.0)
    assert found.known_s == pytest.approx(20.0, abs=1.0)
    assert dict(rows_of([found]))["Rate, msg/s"] in (["9.9"], ["10"])


def test_what_we_grant_the_peer_is_told_as_well(source: Any, clock: Any) -> None:
    """Window, used and given back of what the peer may send us, in messages and bytes."""
    ingest = Ingest(source, clock)
    ingest.tick()
    source.events.append(CreditRequested(time_s=clock.time_s, channel="USER", add_messages=40, add_bytes=4096, gives_back=True))
    source.change("USER", receive_window=49, receive_window_bytes=10_240, received_messages=51, received_bytes=6_144)
    ingest.tick()
    view = ingest.channel("USER")
    assert view is not None
    messages, byte_credits = receive_sides(view)
    assert (messages.remaining, messages.used, messages.given_back, messages.window) == (49, 11, 40, 60)
    assert (byte_credits.used, byte_credits.window) == (2_048, 12_288)
    assert explain_receiving(view) == "The peer may send 49 messages, 10 KiB; 11 messages, 2 KiB used and not given back."


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"receive_window": 0, "received_messages": 5}, "The peer has used all its messages"),
        ({"receive_window_bytes": -3, "received_messages": 5}, "The peer has used all its bytes"),
        ({"receive_breaches": 2}, "The peer sent 2 frames without credit of ours."),
        ({}, "Nothing came. The peer may send 10 messages, 1 024 KiB."),
    ],
)
def test_the_receiving_side_says_what_is_wrong(source: Any, clock: Any, changes: dict[str, int], words: str) -> None:
    """A window that is used up, and a breach, are said in words."""
    ingest = Ingest(source, clock)
    source.change("USER", **changes)
    ingest.tick()
    view = ingest.channel("USER")
    assert view is not None
    assert explain_receiving(view).startswith(words)


def test_the_table_has_a_receiving_side(qtbot: Any, window: MainWindow, source: Any) -> None:
    """Receive shows what the peer may send, used, received and given back, and no state of sending; Send returns."""
    source.change("USER", receive_window=49, received_messages=51, receive_window_bytes=10_240, received_bytes=2_048)
    window.refresh()
    qtbot.mouseClick(window.table.switch.buttons[Side.RECEIVE], Qt.MouseButton.LeftButton)
    model = window.table.model()
    shown = Qt.ItemDataRole.DisplayRole
    assert [model.headerData(column, Qt.Orientation.Horizontal, shown) for column in range(6)] == [
        "Channel",
        "May send",
        "Bytes",
        "Used",
        "Received",
        "Given back",
    ]
    assert [model.index(0, column).data() for column in range(6)] == [
        "USER",
        "49 / 100",
        "10 / 12",
        "51, 2 KiB",
        "51, 2 KiB",
        "0, 0 KiB",
    ]
    assert model.index(0, 0, model.index(0, 0)).data().startswith("The peer may send 49 messages")
    source.lose()
    window.refresh()
    assert model.index(0, 0).data() == "USER OFFLINE"
    qtbot.keyClick(window.table, Qt.Key.Key_Left)
    assert model.headerData(1, Qt.Orientation.Horizontal, shown) == "Messages"
