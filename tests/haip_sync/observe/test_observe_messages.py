"""What travels between a program and a monitor: whole, validated, and without what messages hold."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.observed import CONNECTED
from support.states import make_grant

from haip_sync import Explanation
from haip_sync.events import ALL_EVENTS, ChannelPaused, ErrorReported, Event, Message, WarningRaised
from haip_sync.observe.carried import LONGEST_TEXT, carried, encoded_answer, encoded_events, encoded_snapshot
from haip_sync.observe.command_messages import (
    RequestCredits,
)
from haip_sync.observe.framing import Frames, framed
from haip_sync.observe.messages import (
    MARKS,
    Answer,
    AnyEvent,
    Ask,
    Greeting,
    Happened,
    MalformedError,
    Snapshot,
    encoded,
    from_monitor,
    from_program,
)
from haip_sync.state import Waited

SECRET = "what only the script may know"
FILLINGS: dict[Any, Any] = {str: "x", int: 3, float: 1.5, bool: True}


def made(kind: type[Event]) -> Event:
    """Return an event of this kind, with something in every field that has to have something."""
    fields = {
        field.name: "us" if field.name in {"by", "reported_by"} else FILLINGS.get(field.type, "x")
        for field in msgspec.structs.fields(kind)
        if field.required
    }
    return kind(**fields)


def happened(*events: Event, dropped: int = 0) -> Happened:
    """Return what a monitor reads of these events."""
    said = from_program(encoded_events("c", events, dropped))
    assert isinstance(said, Happened)
    return said


def test_every_event_can_travel() -> None:
    """Whatever a client tells its listeners, a monitor can be told."""
    assert set(get_args(AnyEvent)) == set(ALL_EVENTS)
    assert set(ALL_EVENTS) > MARKS


@pytest.mark.parametrize("kind", [kind for kind in ALL_EVENTS if kind is not Message])
def test_an_event_arrives_as_it_was(kind: type[Event]) -> None:
    """It is of the same class, and equal."""
    event = made(kind)
    (arrived,) = happened(event).events
    assert type(arrived) is kind
    assert arrived == event


def test_what_messages_hold_stays_in_the_script() -> None:
    """Of a message its type, names and sizes travel, neither its payload nor its binary."""
    message = Message(
        time_s=1.0,
        channel="USER",
        type="MESSAGE_PART",
        payload={"text": SECRET},
        id="i",
        session="s",
        seq="7",
        binary=SECRET.encode(),
        frame_bytes=99,
    )
    body = encoded_events("c", [message], 0)
    assert SECRET.encode() not in body
    (arrived,) = happened(message).events
    assert isinstance(arrived, Message)
    assert (arrived.type, arrived.seq, arrived.frame_bytes, arrived.payload, arrived.binary) == (
        "MESSAGE_PART",
        "7",
        99,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("event", "field"),
    [
        (ErrorReported(time_s=0.0, code="X", message="m" * 9_999, reported_by="peer"), "message"),
        (WarningRaised(time_s=0.0, text="t" * 9_999), "text"),
        (ChannelPaused(time_s=0.0, channel="USER", by="us", peer_told=True, reason="r" * 9_999), "reason"),
    ],
)
def test_long_texts_are_cut(event: Event, field: str) -> None:
    """A reason or an error as long as a book does not fill a message, and shows that it was cut."""
    text = getattr(carried(event), field)
    assert len(text) == LONGEST_TEXT + 1
    assert text.endswith("…")


def test_what_cannot_be_written_down_is_counted() -> None:
    """A name that UTF-8 cannot hold, or a number beyond 64 bits, costs that event only."""
    good = make_grant(0.0, 1)
    bad = WarningRaised(time_s=0.0, text="\udc80", missed=7)
    huge = msgspec.structs.replace(good, credits=10**30)
    said = happened(bad, good, huge, dropped=4)
    assert said.events == (good,)
    assert said.dropped == 4 + (1 + 7) + 1


def test_a_snapshot_with_numbers_too_large_arrives_with_the_largest_there_are() -> None:
    """A cap of 10**30 is a legal setting, and must not cost a monitor the snapshot."""
    waits = {"messages": Waited(3, 0.5)}
    channel = msgspec.structs.replace(CONNECTED.channels["USER"], max_credits=10**30, waits=waits)
    state = msgspec.structs.replace(CONNECTED, channels={"USER": channel}, last_error="\udc80")
    said = from_program(encoded_snapshot("c", 1.0, state))
    assert isinstance(said, Snapshot)
    assert said.state.channels["USER"].max_credits == (1 << 63) - 1
    assert (said.state.last_error, said.state.channels["USER"].waits) == ("?", waits)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_message_are_named_so(body: bytes) -> None:
    """Whatever comes, it is a message or a `MalformedError`, on both sides."""
    for read in (from_monitor, from_program):
        complaint: Exception | None = None
        try:
            read(body)
        except MalformedError as exc:
            complaint = exc
        assert complaint is None or f"{len(body)} bytes" in str(complaint)


@pytest.mark.parametrize(
    "body",
    [
        msgspec.msgpack.encode({"say": "Greeting", "version": "one", "monitor": "m"}),
        msgspec.msgpack.encode({"say": "Greeting", "version": 1, "monitor": "m" * 300}),
        msgspec.msgpack.encode({"say": "Sing"}),
        msgspec.msgpack.encode({"say": "Ask", "number": 1, "client": "c", "command": {"say": "RunShell", "text": "rm"}}),
        encoded(Ask(number=1, client="c", command=RequestCredits(channel="USER", messages=-5))),
        encoded(Greeting(version=1, monitor="m"))[:-1],
        b"\x91" * 5_000,
    ],
    ids=["wrong type", "too long", "unknown", "unknown command", "negative", "truncated", "nested"],
)
def test_what_a_monitor_says_is_validated(body: bytes) -> None:
    """Types, lengths and ranges are checked as a message is read."""
    with pytest.raises(MalformedError):
        from_monitor(body)


@given(st.lists(st.binary(max_size=50), max_size=8), st.lists(st.integers(1, 20), min_size=1))
def test_frames_come_out_as_they_went_in(bodies: list[bytes], cuts: list[int]) -> None:
    """However the stream is cut up on its way."""
    stream = b"".join(map(framed, bodies))
    frames, found = Frames(50), []
    while stream:
        size = cuts[len(stream) % len(cuts)]
        frames.add(stream[:size])
        stream = stream[size:]
        while (body := frames.take()) is not None:
            found.append(body)
    assert found == bodies


def test_a_huge_length_is_refused_before_anything_is_kept() -> None:
    """Four bytes that announce two gigabytes are an error at once."""
    frames = Frames(1_000)
    frames.add(b"\x7f\xff\xff\xff")
    with pytest.raises(MalformedError, match="2,147,483,647"):
        frames.take()


def test_an_answer_that_cannot_be_written_down_says_so() -> None:
    """Whoever asked is not left waiting."""
    explanation = Explanation(
        channel="USER", text="", cause=None, likely_cause=None, missing=10**30, waiting=0, oldest_wait=0.0, last_grant_age=None
    )
    said = from_program(encoded_answer(Answer(number=7, ok=True, text="", explanation=explanation)))
    assert isinstance(said, Answer)
    assert (said.number, said.ok, "cannot be written down" in said.text) == (7, False, True)
