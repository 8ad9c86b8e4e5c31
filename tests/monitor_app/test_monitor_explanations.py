"""Sentences about channels, and the requests that would help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from haip_sync import ChannelState
from monitor_app.model.answer import evidence_of
from monitor_app.model.channel_view import ChannelView, in_order, request_to_cap, useful_request, worst_off
from monitor_app.model.explanations import explain, headline, lacks
from monitor_app.model.status import Status

Make = Callable[..., ChannelState]


@pytest.fixture
def view(channel_state: Make) -> Callable[..., ChannelView]:
    """Return a maker of views: `status`, ages, and changes of the state."""

    def make(status: Status, *, grant_age_s: float | None = None, reason: str | None = None, **changes: object) -> ChannelView:
        return ChannelView(
            name="USER",
            state=channel_state(**changes),
            status=status,
            status_s=6.2,
            idle_s=18.0,
            grant_age_s=grant_age_s,
            last_grant=(50, 0),
            pause_reason=reason,
            rate_messages=0.0,
            rate_bytes=0.0,
        )

    return make


def test_starvation_of_messages_says_what_is_needed(view: Callable[..., ChannelView]) -> None:
    """The sentence has need, balance and the peer's silence."""
    starved = view(Status.STARVED, grant_age_s=15.3, credits=1, backlog=2, waiting_for="messages", missing=2, oldest_wait=6.2)
    assert explain(starved) == "Needs 3 messages, has 1. Peer has granted nothing for 15.3 s."
    assert headline(starved) == "STARVED of messages for 6.2 s"


def test_the_row_of_a_channel_agrees_with_the_sentence_on_top(view: Callable[..., ChannelView]) -> None:
    """A peer that grants while somebody waits is not said to have granted nothing, neither there nor here."""
    starved = view(Status.STARVED, grant_age_s=0.0, credits=1, backlog=2, waiting_for="messages", missing=2, oldest_wait=6.2)
    assert "The peer grants too little" in evidence_of(starved)
    assert explain(starved) == "Needs 3 messages, has 1. Peer grants too little, last 0.0 s ago."


def test_of_a_connection_that_is_over_nobody_waits_any_more(view: Callable[..., ChannelView]) -> None:
    """What waits while a client comes back only waited when its program has ended."""
    lost = view(Status.OFFLINE, backlog=2, oldest_wait=1.0)
    assert explain(lost) == "No connection. 2 messages wait, the first for 1.0 s."
    assert explain(replace(lost, is_over=True)) == "No connection. 2 messages waited, the first for 1.0 s."


def test_starvation_of_bytes_says_it_in_kib(view: Callable[..., ChannelView]) -> None:
    """The sentence has need and balance in KiB, and says when no grant was ever seen."""
    starved = view(Status.STARVED, byte_credits=512, backlog=1, waiting_for="bytes", missing=7168)
    assert explain(starved) == "Needs 7.5 KiB, has 512 B. Peer has granted nothing yet."


def test_a_lack_of_a_few_bytes_is_one(view: Callable[..., ChannelView]) -> None:
    """What is needed and what is left never read the same while something is missing."""
    starved = view(Status.STARVED, byte_credits=6012, backlog=1, waiting_for="bytes", missing=22)
    assert lacks(starved) == "needs 6 034 B, has 6 012 B"
    assert evidence_of(starved).startswith("The next frame needs 6 034 B and 6 012 B is left.")


@pytest.mark.parametrize(
    ("status", "changes", "sentence"),
    [
        (Status.LOW, {"credits": 2}, "2 messages left. Last grant +50 messages, 3.0 s ago."),
        (Status.LOW, {"byte_credits": 2048}, "2 KiB left. Last grant +50 messages, 3.0 s ago."),
        (Status.FLOWING, {}, "Last grant +50 messages, 3.0 s ago."),
        (Status.IDLE, {}, "Nothing to send. Last frame 18.0 s ago."),
        (Status.PAUSED_BY_US, {"backlog": 2, "oldest_wait": 4.0}, "“why”. 2 messages wait, the first for 4.0 s."),
        (Status.PAUSED_BY_US, {"paused_by_peer": True}, "“why”. The peer holds it too. Nobody waits."),
        (Status.PAUSED_BY_PEER, {}, "“why”. Only the peer can resume it. Nobody waits."),
        (Status.OFFLINE, {}, "No connection. The last known values."),
        (Status.OFFLINE, {"backlog": 1, "oldest_wait": 1.0}, "No connection. 1 message waits, the first for 1.0 s."),
        (Status.SILENT, {}, "The script is silent. The last known values."),
        (Status.SILENT, {"backlog": 2, "oldest_wait": 1.0}, "The script is silent. 2 messages waited, the first for 1.0 s."),
    ],
)
def test_every_state_has_a_sentence(
    view: Callable[..., ChannelView], status: Status, changes: dict[str, object], sentence: str
) -> None:
    """Each state is explained from the snapshot and the last grant."""
    assert explain(view(status, grant_age_s=3.0, reason="why", **changes)) == sentence


def test_a_channel_that_was_never_used_says_so(view: Callable[..., ChannelView]) -> None:
    """Without any frame there is no last one."""
    unused = view(Status.IDLE)
    assert explain(ChannelView(**{**_fields(unused), "idle_s": None})) == "Nothing to send so far."
    assert explain(view(Status.FLOWING)) == "No grant seen yet."


def _fields(view: ChannelView) -> dict[str, object]:
    return {name: getattr(view, name) for name in view.__dataclass_fields__}


@pytest.mark.parametrize(
    ("waiting_for", "words"),
    [
        ("paused_by_us", "waits for our resume"),
        ("offline", "waits for a connection"),
        ("socket", "waits for the socket"),
    ],
)
def test_what_is_lacked_is_said_for_every_cause(view: Callable[..., ChannelView], waiting_for: str, words: str) -> None:
    """Causes other than credit are named in words; nobody waiting lacks nothing."""
    assert lacks(view(Status.IDLE, backlog=1, waiting_for=waiting_for)) == words
    assert lacks(view(Status.IDLE)) == ""


def test_the_useful_request_serves_everybody_who_waits(view: Callable[..., ChannelView]) -> None:
    """Each waiter needs a message at least, and as many bytes as the head; the cap bounds it, but never what the head needs."""
    messages = view(Status.STARVED, credits=1, backlog=9, waiting_for="messages", missing=2)
    assert useful_request(messages) == (8, 0)
    for backlog, missing, wanted in ((185, 2, 99), (185, 120, 120)):  # the cap is 100, and 1 is there
        many = view(Status.STARVED, credits=1, waiting_for="messages", missing=missing, backlog=backlog)
        assert useful_request(many) == (wanted, 0)
    for cap, wanted in ((100_000, 700 + 8 * 800), (3_000, 2_900), (500, 700)):
        starved = view(Status.STARVED, byte_credits=100, max_credit_bytes=cap, backlog=9, waiting_for="bytes", missing=700)
        assert useful_request(starved) == (0, wanted)
    assert useful_request(view(Status.FLOWING)) == (0, 0)


def test_a_request_to_the_cap_counts_what_is_set_aside(view: Callable[..., ChannelView]) -> None:
    """What is set aside enters by itself and is not asked for again."""
    state = {"credits": 60, "set_aside": 10, "byte_credits": 512 * 1024}
    assert request_to_cap(view(Status.LOW, **state)) == (30, 0)


def test_the_worst_off_channel_has_the_worst_state_and_the_longest_wait(view: Callable[..., ChannelView]) -> None:
    """Between equals the longer wait decides; among none there is none."""
    short = view(Status.STARVED, oldest_wait=1.0)
    long = view(Status.STARVED, oldest_wait=2.0)
    assert worst_off([view(Status.LOW), short, long]) is long
    assert worst_off([]) is None


def test_channels_are_shown_in_a_fixed_order() -> None:
    """The channels that HAIP names come first, the others follow as they came."""
    assert in_order(["ZEBRA", "AUDIO_IN", "ALPHA", "USER"]) == ["USER", "AUDIO_IN", "ZEBRA", "ALPHA"]


def test_states_are_frozen(channel_state: Make) -> None:
    """A view may keep a snapshot for as long as it likes."""
    with pytest.raises(AttributeError):
        channel_state().credits = 1  # type: ignore[misc]
    assert msgspec.structs.replace(channel_state(), credits=1).credits == 1
