"""The event log: rows and their sentences."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.states import make_grant

from haip_sync import (
    ChannelPaused,
    ChannelResumed,
    ChannelStalled,
    Connected,
    CreditRequested,
    Disconnected,
    ErrorReported,
    Event,
    HandshakeCompleted,
    PongReceived,
    WarningRaised,
)
from haip_sync.observe import WaitsEnded
from monitor_app.model.attached_source import AttachedSource
from monitor_app.model.event_log import EventLog, LogRow, Tone, row_of_event, row_of_notice
from monitor_app.model.source import Notice

GRANT = make_grant(1.0, 50, 2048, set_aside_messages=5, credits=100, byte_credits=4096)


@pytest.mark.parametrize(
    ("event", "kind", "text", "tone"),
    [
        (
            GRANT,
            "FLOW_UPDATE",
            "grant +50 messages, +2 KiB; balance 100 messages, 4 KiB; +5 messages set aside above the cap",
            Tone.RECEIVED,
        ),
        (
            CreditRequested(time_s=1.0, channel="USER", add_messages=3, add_bytes=0, gives_back=False),
            "FLOW_UPDATE",
            "our request: +3 messages",
            Tone.OURS,
        ),
        (
            ChannelPaused(time_s=1.0, channel="USER", by="us", peer_told=False, reason="why"),
            "PAUSE_CHANNEL",
            "paused by us: “why”; the peer does not accept PAUSE_CHANNEL and was not told",
            Tone.PAUSE_BY_US,
        ),
        (
            ChannelPaused(time_s=1.0, channel="USER", by="peer", peer_told=True),
            "PAUSE_CHANNEL",
            "paused by the peer",
            Tone.PAUSE_BY_PEER,
        ),
        (
            ChannelResumed(time_s=1.0, channel="USER", by="us", still_paused=True),
            "RESUME_CHANNEL",
            "resumed by us; the peer still holds it",
            Tone.OURS,
        ),
        (Connected(time_s=1.0, address="ws://a:1"), "CONNECT", "connected to ws://a:1", Tone.PLAIN),
        (
            Disconnected(time_s=1.0, reason="it is gone", in_good_order=False, code=1006),
            "DISCONNECT",
            "it is gone (code 1006)",
            Tone.TROUBLE,
        ),
        (
            ErrorReported(time_s=1.0, code="FLOW", message="too much", reported_by="peer", channel="USER"),
            "FLOW",
            "from the peer: too much",
            Tone.TROUBLE,
        ),
        (WarningRaised(time_s=1.0, text="a warning", channel="USER"), "WARNING", "a warning", Tone.TROUBLE),
        (
            ChannelStalled(time_s=1.0, text="a stall", channel="USER", cause="bytes", waiting=2, stalled_s=5.0),
            "STALLED",
            "a stall",
            Tone.TROUBLE,
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Event) else "",
)
def test_events_have_a_sentence(event: Event, kind: str, text: str, tone: Tone) -> None:
    """Every event that a person should read is a kind, a sentence and a tone."""
    row = row_of_event(event)
    assert row is not None
    assert (row.kind, row.text, row.tone) == (kind, text, tone)


def test_a_handshake_says_what_was_agreed() -> None:
    """The row of a handshake has version, dialect, session and first credit."""
    event = HandshakeCompleted(
        time_s=1.0,
        session_id="6f1c0000-0000-4000-8000-00000000e2a9",
        peer_session_id="p",
        haip_version="1.1.2",
        dialect="text",
        epoch=2,
        initial_credits=10,
        initial_byte_credits=1024,
    )
    row = row_of_event(event)
    assert row is not None
    assert row.text == "HAIP 1.1.2, dialect text, session 6f1c…e2a9 epoch 2; first credit 10 messages, 1 KiB"


@pytest.mark.parametrize(
    "event",
    [
        PongReceived(time_s=1.0, round_trip_s=0.1),
        CreditRequested(time_s=1.0, channel="USER", add_messages=3, add_bytes=0, gives_back=True),
    ],
)
def test_what_happens_all_the_time_is_left_out(event: Event) -> None:
    """Pongs and credit that is given back are no news."""
    assert row_of_event(event) is None


def test_a_refused_command_looks_like_trouble() -> None:
    """The row of a notice tells success from failure."""
    good = Notice(time_s=1.0, channel="USER", action="pause", result="done", ok=True)
    bad = Notice(time_s=1.0, channel="USER", action="pause", result="no", ok=False)
    assert [row_of_notice(notice).tone for notice in (good, bad)] == [Tone.OURS, Tone.TROUBLE]


def test_the_log_is_bounded_and_numbers_its_rows() -> None:
    """The oldest rows go, and a view can tell how many went."""
    log = EventLog(max_rows=3)
    for number in range(5):
        log.add(LogRow(float(number), None, "X", str(number), Tone.PLAIN))
    assert [row.text for row in log.rows] == ["2", "3", "4"]
    assert (log.first, log.end) == (2, 5)


def test_the_column_of_times_does_not_go_back_and_no_row_has_another_time() -> None:
    """What is told a little late stands at the time of the row before it; row and event keep their own."""
    log = EventLog()
    waits = WaitsEnded(time_s=4.5, channel="USER", cause="messages", times=3, total_s=0.2)
    for event in (make_grant(5.0, 1), make_grant(4.999, 1), waits, make_grant(6.0, 1)):
        row = row_of_event(event)
        assert row is not None
        log.add(row)
    assert [row.told_s for row in log.rows] == [5.0, 5.0, 5.0, 6.0]
    assert [row.time_s for row in log.rows] == [row.detail.time_s for row in log.rows] == [5.0, 4.999, 4.5, 6.0]


@given(st.lists(st.floats(0.0, 100.0), max_size=50))
def test_a_time_that_cannot_be_holds_up_none_after_it(times_s: list[float]) -> None:
    """The column goes back only by a second and more: what a script says of the future is no time for what comes then."""
    log = EventLog()
    for time_s in times_s:
        log.add(LogRow(time_s, None, "X", "", Tone.PLAIN))
    told = [row.told_s for row in log.rows]
    assert all(0.0 <= row.told_s - row.time_s < 1.0 for row in log.rows)
    assert all(after >= before or before - after >= 1.0 for before, after in pairwise(told))


def test_a_scripts_events_come_in_the_order_of_their_times() -> None:
    """Its threads hand them over in turn, so that some are a millisecond out of order: the source puts them right."""
    events = [make_grant(5.001, 1), make_grant(5.0, 2), make_grant(5.002, 3)]
    taken = SimpleNamespace(events=events, dropped=0)
    link: Any = SimpleNamespace(attach=lambda _: None, start=lambda: None, drain=lambda *_: taken)
    drained = AttachedSource(Path("nowhere"), "sender", factory=lambda _: link).drain(10)
    assert [event.time_s for event in drained.events] == [5.0, 5.001, 5.002]
    assert drained.oldest_s == 5.0
