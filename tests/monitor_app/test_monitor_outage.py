"""A broken line that is being mended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from PySide6.QtWidgets import QLabel

from haip_sync import ChannelState, ConnectionState, Reconnecting
from monitor_app.main_window import MainWindow
from monitor_app.model.marks import MarkKind
from monitor_app.model.outage import outage_of
from monitor_app.views.flow_bar import FlowBar
from monitor_app.views.status_line import StatusLine

MakeConnection = Callable[..., ConnectionState]
MakeChannel = Callable[..., ChannelState]


def texts(part: Any) -> str:
    """Return everything that the labels of a part say."""
    return " ".join(made.text() for made in part.findChildren(QLabel))


def broken(connection_state: MakeConnection, channel_state: MakeChannel, **changes: object) -> ConnectionState:
    """Return a connection that was lost four seconds ago, at 1000 s, with two senders waiting."""
    return connection_state(
        connected=False,
        phase="offline",
        offline_since_s=996.0,
        last_loss="The line dropped.",
        channels={"USER": channel_state(backlog=2, waiting=2, waiting_for="offline")},
        **changes,
    )


def test_an_outage_says_which_attempt_comes_when(connection_state: MakeConnection, channel_state: MakeChannel) -> None:
    """Attempt, time, reason, and what becomes of those who wait."""
    outage = outage_of(broken(connection_state, channel_state, attempt=3, next_try_s=1002.4), 1000.0)
    assert outage is not None
    assert outage.title == "Reconnecting: attempt 3 in 2.4 s"
    assert outage.text == (
        "The line broke 4.0 s ago: The line dropped. 2 messages wait and keep their places; credit starts afresh."
    )
    assert outage.short == "Reconnecting, attempt 3 in 2.4 s"


@pytest.mark.parametrize("next_try_s", [999.0, 1000.04])
def test_an_attempt_that_is_due_comes_now(
    connection_state: MakeConnection, channel_state: MakeChannel, next_try_s: float
) -> None:
    """Nobody is told that something happens in 0.0 s."""
    outage = outage_of(broken(connection_state, channel_state, attempt=2, next_try_s=next_try_s), 1000.0)
    assert outage is not None
    assert (outage.title, outage.short) == ("Reconnecting: attempt 2 now", "Reconnecting, attempt 2 now")


def test_an_attempt_under_way_is_called_so(connection_state: MakeConnection, channel_state: MakeChannel) -> None:
    """Without a time of the next try it is being made now."""
    outage = outage_of(broken(connection_state, channel_state, attempt=2), 1000.0)
    assert outage is not None
    assert outage.title == "Reconnecting: attempt 2 is under way"


def test_a_line_that_stands_or_is_over_is_no_outage(connection_state: MakeConnection) -> None:
    """Only who tries to come back is reconnecting."""
    assert outage_of(None, 1000.0) is None
    assert outage_of(connection_state(phase="open"), 1000.0) is None
    assert outage_of(connection_state(connected=False, phase="closed", last_error="gone"), 1000.0) is None


def test_the_window_says_everywhere_that_it_reconnects(
    window: MainWindow, source: Any, clock: Any, connection_state: MakeConnection, channel_state: MakeChannel
) -> None:
    """Sentence on top, table, plots, status bar and axis tell attempt and next try; what was measured before stays."""
    clock.time_s = 1000.0
    window.refresh()
    source.state = broken(connection_state, channel_state, attempt=3, next_try_s=1002.4)
    source.events.append(Reconnecting(time_s=1000.0, attempt=3, delay_s=2.4, next_try_s=1002.4, reason="refused"))
    window.refresh()
    assert window.answer.title.text() == "Reconnecting: attempt 3 in 2.4 s"
    assert "2 messages wait and keep their places" in window.answer.evidence.text()
    assert window.answer.action.text() == "Try again now (F5)"
    assert not window.banner.isVisible(), "it would say the same again"
    assert window.table.model().index(0, 0).data() == "USER OFFLINE"
    assert "Reconnecting, attempt 3 in 2.4 s" in texts(window.findChild(StatusLine))
    assert "OFFLINE. Reconnecting, attempt 3 in 2.4 s" in texts(window.findChild(FlowBar))
    assert "attempt 3 in 2.4 s: refused" in window.ingest.marks.between(MarkKind.RECONNECT, None, 0.0, 2000.0)[-1].text
    clock.time_s = 1001.0
    window.refresh()
    assert window.answer.title.text() == "Reconnecting: attempt 3 in 1.4 s"
    assert window.ingest.history.value_at(0, "USER", 1000.0) is None, "in the gap nothing was measured"
    assert window.ingest.history.latest(0, "USER") == 100.0
