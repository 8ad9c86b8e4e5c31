"""The answer to the first question."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from haip_sync import ChannelState, ConnectionState
from monitor_app.model.answer import answer_of, evidence_age_s, evidence_of, likely_cause, title_of
from monitor_app.model.channel_view import ChannelView
from monitor_app.model.forecast import Forecast, Outlook
from monitor_app.model.remedies import Remedy
from monitor_app.model.source import Failure
from monitor_app.model.status import Status

MakeView = Callable[..., ChannelView]
_OF_VIEW = {"forecast", "request_age_s", "starved_share", "starved_span_s", "rate_messages", "grant_age_s"}


@pytest.fixture
def view(channel_state: Callable[..., ChannelState]) -> MakeView:
    """Return a maker of views, changed as asked."""

    def make(name: str, status: Status, **changes: object) -> ChannelView:
        of_view = {"grant_age_s": 15.3, "rate_messages": 0.0} | {key: changes.pop(key) for key in _OF_VIEW & set(changes)}
        return ChannelView(
            name=name,
            state=channel_state(**changes),
            status=status,
            status_s=6.2,
            idle_s=1.0,
            last_grant=(9, 0),
            pause_reason="tea",
            rate_bytes=0.0,
            **of_view,
        )

    return make


@pytest.fixture
def answer(connection_state: Callable[..., ConnectionState]) -> Callable[..., Any]:
    """Return a maker of answers about views, on a line with a round trip of 120 ms."""

    def make(*views: ChannelView, failure: Failure | None = None, connecting_to: str = "", **changes: object) -> Any:
        connection = connection_state(round_trip=0.12, **changes)
        return answer_of(views, connection, can_reconnect=True, now_s=1000.0, failure=failure, connecting_to=connecting_to)

    return make


def test_a_starvation_says_who_what_since_when_and_how_that_is_known(view: MakeView, answer: Callable[..., Any]) -> None:
    """Channel, credit, duration, need, the peer's silence, our unanswered request, and the button that asks for it."""
    starved = view(
        "AUDIO_IN",
        Status.STARVED,
        byte_credits=512,
        backlog=31,
        waiting=31,
        waiting_for="bytes",
        missing=7168,
        oldest_wait=6.2,
        request_age_s=5.0,
        grant_age_s=15.3,
    )
    said = answer(view("USER", Status.FLOWING), starved)
    assert said.title == "AUDIO_IN is starved of bytes for 6.2 s"
    assert said.evidence == (
        "The next frame needs 7.5 KiB and 512 B is left. The peer has granted nothing for 15.3 s; "
        "our request of 5.0 s ago is unanswered. 31 wait."
    )
    assert (said.channel, said.offer.remedy, said.offer.text) == ("AUDIO_IN", Remedy.REQUEST, "Request 232 KiB")


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.98, "is starved of bytes 98 % of the last 30 s"), (0.7, "is starved of bytes for 6.2 s")],
)
def test_who_starves_again_and_again_is_said_to_do_so_for_so_much_of_the_time(view: MakeView, share: float, words: str) -> None:
    """Where the stops before took longer than the present one the share of all of them is told, and evidence is of that time."""
    starved = view("AUDIO_IN", Status.STARVED, waiting_for="bytes", backlog=1, starved_share=share, starved_span_s=30.0)
    assert title_of(starved) == f"AUDIO_IN {words}"
    assert evidence_age_s(starved) == pytest.approx(30.05 if share > 0.9 else 15.35)


@pytest.mark.parametrize(
    ("changes", "cause", "words"),
    [
        ({"credits": 60}, "peer_renews_at_half", "may renew only what is half spent"),
        ({"credits": 0, "forfeited": 5}, "peer_refused", "refused a message"),
        ({"credits": 0, "grant_age_s": None}, "peer_grants_nothing", "granted nothing since the handshake"),
        ({"credits": 0, "grant_age_s": 9.0}, "peer_stopped_granting", "granted nothing for 9.0 s"),
        ({"credits": 1, "grant_age_s": 0.5}, "peer_grants_too_little", "grants too little: +9 messages, 0.5 s ago"),
    ],
)
def test_what_stands_behind_a_starvation_is_named_as_explain_does(
    view: MakeView, answer: Callable[..., Any], changes: dict[str, object], cause: str, words: str
) -> None:
    """Each likely cause of the library has its words here, by the same rules."""
    starved = view("USER", Status.STARVED, backlog=1, waiting_for="messages", missing=2, oldest_wait=3.0, **changes)
    assert likely_cause(starved) == cause
    assert words in answer(starved).evidence


@pytest.mark.parametrize(("left", "words"), [(0, "0 are left."), (1, "1 is left."), (2, "2 are left.")])
def test_what_is_left_is_said_in_the_right_number(view: MakeView, left: int, words: str) -> None:
    """One message of credit is left, two are."""
    starved = view("USER", Status.STARVED, credits=left, backlog=1, oldest_wait=6.2, waiting_for="messages", missing=3 - left)
    assert f"The next needs 3 messages of credit and {words}" in evidence_of(starved)


def test_a_window_smaller_than_rate_times_round_trip_is_said(view: MakeView, answer: Callable[..., Any]) -> None:
    """Where the window is what holds the channel the sentence says so, with the most that it allows."""
    starved = view(
        "USER",
        Status.STARVED,
        credits=0,
        peak_credits=10,
        backlog=1,
        waiting_for="messages",
        missing=1,
        starved_share=0.6,
        rate_messages=80.0,
    )
    assert answer(starved).evidence.endswith("The window of 10 messages allows at most 83/s at 120 ms round trip.")


def test_a_pause_that_holds_somebody_is_worse_than_one_that_holds_nobody(view: MakeView, answer: Callable[..., Any]) -> None:
    """Our pause with a backlog comes before little credit, and one without comes after it."""
    held = view("USER", Status.PAUSED_BY_US, paused_by_us=True, backlog=2, oldest_wait=4.0)
    low = view("AGENT", Status.LOW, credits=3)
    said = answer(held, low)
    assert (said.title, said.offer.remedy) == ("USER is paused by us for 6.2 s", Remedy.RESUME)
    assert answer(view("USER", Status.PAUSED_BY_US, paused_by_us=True), low).channel == "AGENT"


def test_nobody_can_resume_for_the_peer(view: MakeView, answer: Callable[..., Any]) -> None:
    """A pause of the peer's has no button, and says who can end it."""
    said = answer(view("USER", Status.PAUSED_BY_PEER, paused_by_peer=True, backlog=1))
    assert said.offer.remedy is Remedy.NONE
    assert "Only the peer can resume it" in said.evidence


def test_little_credit_comes_with_its_outlook(view: MakeView, answer: Callable[..., Any]) -> None:
    """A low channel says when it starves, of which credit, or that it is stable or recovering."""
    low = view("AGENT", Status.LOW, credits=3, forecast=Forecast(Outlook.STARVES, "messages", 4.0, 6.0))
    said = answer(low)
    assert said.title == "AGENT is low for 6.2 s"
    assert said.evidence.endswith("It starves of messages in 4\N{EN DASH}6 s.")
    stable = view("AGENT", Status.LOW, credits=3, forecast=Forecast(Outlook.STABLE, "messages"))
    assert answer(stable).evidence.endswith("It is stable.")
    recovering = view("AGENT", Status.LOW, credits=3, forecast=Forecast(Outlook.RECOVERING, "messages"))
    assert answer(recovering).evidence.endswith("It is recovering message credit.")


def test_a_peer_that_does_not_read_is_named(view: MakeView, answer: Callable[..., Any]) -> None:
    """A wait for the socket is no starvation, and stands above all that flows."""
    said = answer(view("USER", Status.FLOWING, backlog=2, waiting_for="socket", oldest_wait=3.0), view("AGENT", Status.LOW))
    assert said.title == "USER stands for 3.0 s: waits for the socket"


def test_where_nobody_waits_it_says_so_and_who_is_next(view: MakeView, answer: Callable[..., Any]) -> None:
    """Calm is said in words, with the channel that will starve first."""
    starving = view("AGENT", Status.FLOWING, forecast=Forecast(Outlook.STARVES, "bytes", 14.0, 20.0))
    said = answer(view("USER", Status.FLOWING), starving, view("SYSTEM", Status.IDLE))
    assert said.title == "Nobody waits"
    assert said.evidence == (
        "2 of 3 channels flow, the others have nothing to send. AGENT starves of bytes in 14\N{EN DASH}20 s."
    )
    assert answer(view("SYSTEM", Status.IDLE)).text == "Nobody waits. Nothing is being sent."


def test_without_a_connection_the_connection_is_what_is_wrong(view: MakeView, answer: Callable[..., Any]) -> None:
    """A line that is over says why, and the centre offers to try again; before any channel there is a word to wait for."""
    said = answer(view("USER", Status.OFFLINE), connected=False, phase="closed", last_error="The peer is gone.")
    assert said.title == "Not connected for 6.2 s"
    assert said.evidence.startswith("The peer is gone.")
    assert said.offer.remedy is Remedy.NONE
    assert answer().title == "No channels yet"
    failure = Failure(title="The server cannot be reached", text="Nobody listens there.")
    told = answer(view("USER", Status.OFFLINE), connected=False, phase="closed", failure=failure)
    assert told.evidence.startswith("Nobody listens there. ")
    tried = answer(view("USER", Status.OFFLINE), connected=False, phase="closed", connecting_to="ws://there:1")
    assert tried.text == "Connecting to ws://there:1. Waiting for the server's answer."
