"""Single moments on the time axis."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from haip_sync import (
    ChannelPaused,
    Connected,
    CreditRequested,
    Disconnected,
    ErrorReported,
    RequestExpired,
)
from monitor_app.model.ingest import Ingest
from monitor_app.model.marks import MarkKind, Marks
from monitor_app.model.source import Notice

ALL = (0.0, float("inf"))


def test_marks_are_kept_by_kind_and_channel() -> None:
    """Marks of another kind, of another channel and of long ago are not mixed in."""
    marks = Marks()
    for time_s in (1.0, 2.0, 3.0):
        marks.add(MarkKind.GRANT, "USER", time_s)
    marks.add(MarkKind.GRANT, "AGENT", 2.5)
    assert [mark.time_s for mark in marks.between(MarkKind.GRANT, "USER", 2.0, 9.0)] == [2.0, 3.0]
    assert [mark.time_s for mark in marks.between(MarkKind.GRANT, "USER", 0.0, 2.0)] == [1.0, 2.0]
    assert marks.between(MarkKind.REQUEST, "USER", *ALL) == []


def test_several_channels_and_the_connection_come_in_one_order() -> None:
    """What concerns the whole connection stands among the marks of every channel."""
    marks = Marks()
    marks.add(MarkKind.ERROR, "AGENT", 3.0)
    marks.add(MarkKind.ERROR, None, 2.0)
    marks.add(MarkKind.ERROR, "USER", 1.0)
    marks.add(MarkKind.ERROR, "SYSTEM", 1.5)
    assert [mark.channel for mark in marks.of_channels(MarkKind.ERROR, ("USER", "AGENT"), *ALL)] == ["USER", None, "AGENT"]


def test_an_hour_of_grants_is_seen_though_not_each_of_them() -> None:
    """The newest thousand are kept, and of older ones one in five seconds; memory is bounded."""
    marks = Marks()
    for number in range(36_000):
        marks.add(MarkKind.GRANT, "USER", number * 0.1)
    found = marks.between(MarkKind.GRANT, "USER", *ALL)
    assert found[0].time_s == 0.0
    assert 1_600 < len(found) < 2_600
    assert [mark.time_s for mark in found] == sorted({mark.time_s for mark in found})
    assert max(after.time_s - before.time_s for before, after in itertools.pairwise(found)) <= 5.1


def test_a_mark_says_what_it_is() -> None:
    """Its text has the channel, the kind and the words, which are made only when somebody asks."""
    asked: list[str] = []

    def words() -> str:
        asked.append("asked")
        return "+30 messages"

    marks = Marks()
    marks.add(MarkKind.GRANT, "USER", 1.0, words)
    marks.add(MarkKind.PAUSE_BY_US, "USER", 1.0)
    assert not asked
    assert marks.between(MarkKind.GRANT, "USER", *ALL)[0].text == "USER grant: +30 messages"
    assert marks.between(MarkKind.PAUSE_BY_US, "USER", *ALL)[0].text == "USER pause by us"


@pytest.mark.parametrize(
    ("event", "kind", "channel", "text"),
    [
        (
            ChannelPaused(time_s=5.0, channel="USER", by="peer", peer_told=True, reason="tea"),
            MarkKind.PAUSE_BY_PEER,
            "USER",
            "USER pause by peer: tea",
        ),
        (
            CreditRequested(time_s=5.0, channel="USER", add_messages=3, add_bytes=0, gives_back=False),
            MarkKind.REQUEST,
            "USER",
            "USER request: +3 messages",
        ),
        (Connected(time_s=5.0, address="ws://a:1"), MarkKind.RECONNECT, None, "connection: connected to ws://a:1"),
        (Disconnected(time_s=5.0, reason="cut", in_good_order=False), MarkKind.RECONNECT, None, "connection: lost: cut"),
        (
            ErrorReported(time_s=5.0, code="PROTOCOL_VIOLATION", message="bad", reported_by="peer", channel="USER"),
            MarkKind.ERROR,
            "USER",
            "USER error: PROTOCOL_VIOLATION: bad",
        ),
        (
            RequestExpired(time_s=5.0, channel="USER", add_messages=3, add_bytes=0, age_s=5.0),
            MarkKind.ERROR,
            "USER",
            "USER error: request of +3 messages unanswered for 5.0 s",
        ),
    ],
)
def test_events_are_marked(source: Any, clock: Any, event: Any, kind: MarkKind, channel: str | None, text: str) -> None:
    """Pauses, requests, connections, errors and expiries are on the axis, each with its words."""
    ingest = Ingest(source, clock)
    ingest.tick()
    source.events.append(event)
    ingest.tick()
    assert [(mark.time_s, mark.text) for mark in ingest.marks.between(kind, channel, *ALL)] == [(5.0, text)]


def test_what_the_operator_did_is_marked_on_its_channel(source: Any, clock: Any) -> None:
    """The result of a command is a mark of ours, whatever came of it; connecting is told by the connection itself."""
    ingest = Ingest(source, clock)
    source.notices.append(Notice(time_s=5.0, channel="USER", action="pause", result="asked for, “tea”", ok=True))
    source.notices.append(Notice(time_s=6.0, channel="USER", action="request", result="must be positive", ok=False))
    source.notices.append(Notice(time_s=7.0, channel=None, action="connect", result="c", ok=True))
    ingest.tick()
    texts = [mark.text for mark in ingest.marks.of_channels(MarkKind.ACTION, ("USER",), *ALL)]
    assert texts == ["USER our action: pause: asked for, “tea”", "USER our action: request: must be positive"]
