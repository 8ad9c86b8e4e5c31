"""The answer to the first question: which channel is worst off, what holds it, since when, how that is known, and what helps.

What is said of a channel agrees with `HAIPClient.explain`, and is worked out from the snapshot by the same rules, so that it can
be said of a program elsewhere as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from haip_sync import ConnectionState
from monitor_app.model.channel_view import ChannelView
from monitor_app.model.explanations import NO_CONNECTION, explain, grant_of, how_long, lacks
from monitor_app.model.forecast import Outlook, format_range
from monitor_app.model.grants import window_hint, window_of
from monitor_app.model.outage import outage_of
from monitor_app.model.remedies import NO_OFFER, TRY_NOW, Offer, offer_for
from monitor_app.model.source import Failure
from monitor_app.model.status import STALE, Status
from monitor_app.model.units import format_apart, format_count, format_duration, format_messages

_MARGIN_S: Final = 0.05
"""What an event may lie before the moment that is told of it."""
_BY_ITSELF: Final = "The client tries again by itself."
_WAITS_ON_PEER: Final = ("socket", "writer")
_IS: Final = {
    Status.PAUSED_BY_US: "is paused by us",
    Status.PAUSED_BY_PEER: "is paused by the peer",
    Status.OFFLINE: "is offline",
    Status.SILENT: "is silent",
    Status.DETACHED: "is detached from",
    Status.LOW: "is low",
    Status.FLOWING: "flows",
    Status.IDLE: "has nothing to send",
}


@dataclass(frozen=True)
class Answer:
    """What to read first."""

    title: str
    """What holds which channel, and since when."""
    evidence: str
    """How that is known, in a sentence or two."""
    channel: str | None = None
    """The channel it is about; None when it is about none."""
    status: Status | None = None
    offer: Offer = NO_OFFER
    all_is_well: bool = False
    """Nobody waits, and nothing is wrong: more than that there is nothing to tell."""
    is_ours: bool = False
    """It is so because the operator wanted it."""

    @property
    def text(self) -> str:
        """All of it."""
        return f"{self.title}. {self.evidence}".strip()


def answer_of(
    channels: Sequence[ChannelView],
    connection: ConnectionState | None,
    *,
    can_reconnect: bool,
    now_s: float,
    failure: Failure | None = None,
    connecting_to: str = "",
) -> Answer:
    """Return what to say of the channel that is worst off, or that none is; without a connection of the connection.

    `failure`: why nothing new is seen; where only the source itself can mend it there is nothing else to say.
    `connecting_to`: the address that is being tried; empty for none.
    """
    worst = max(channels, key=_badness, default=None)
    if worst is None or connection is None:
        return Answer("No channels yet", "They show as soon as there is a connection.")
    if failure is not None and not can_reconnect:
        status = worst.status if worst.status in STALE else Status.OFFLINE
        return Answer(failure.title, failure.text, status=status, offer=failure.offer)
    outage = outage_of(connection, now_s)
    if outage is not None:
        text, offer = (outage.text, TRY_NOW) if can_reconnect else (f"{outage.text} {_BY_ITSELF}", NO_OFFER)
        return Answer(outage.title, text, status=Status.OFFLINE, offer=offer)
    if worst.status is Status.OFFLINE:
        return _over(worst, connection.last_error, failure, connecting_to)
    if _badness(worst)[0] <= Status.FLOWING.severity:
        return _calm(channels)
    hint = window_hint(window_of(worst, connection.round_trip or 0.0))
    evidence = evidence_of(worst)
    return Answer(
        title=title_of(worst),
        evidence=f"{evidence} {hint}" if hint else evidence,
        channel=worst.name,
        status=worst.status,
        offer=offer_for(worst),
    )


def _over(worst: ChannelView, last_error: str | None, failure: Failure | None, connecting_to: str) -> Answer:
    """Return what to say when the client does not come back by itself. What to do stands in the centre, with its buttons."""
    if connecting_to:
        return Answer(f"Connecting to {connecting_to}", "Waiting for the server's answer.", status=Status.OFFLINE)
    if failure is not None and failure.is_ours:
        return Answer(failure.title, failure.text, status=Status.OFFLINE, is_ours=True)
    why = last_error or (failure.text if failure else "")
    evidence = f"{why.rstrip('.')}. {explain(worst).removeprefix(NO_CONNECTION).lstrip()}".strip() if why else explain(worst)
    return Answer(f"Not connected for {format_duration(worst.status_s)}", evidence, status=Status.OFFLINE)


def _badness(view: ChannelView) -> tuple[float, float]:
    """Return the rank: a pause harms nobody while nobody waits, a peer that does not read harms as one that grants nothing."""
    severity = float(view.status.severity)
    if view.status in {Status.PAUSED_BY_US, Status.PAUSED_BY_PEER} and not view.state.backlog:
        severity = Status.FLOWING.severity + 0.5
    if not view.status.waits and view.state.backlog and view.state.waiting_for in _WAITS_ON_PEER:
        severity = Status.STARVED.severity - 0.5
    return severity, view.state.oldest_wait


def _calm(channels: Sequence[ChannelView]) -> Answer:
    flowing = sum(view.status is Status.FLOWING for view in channels)
    count = f"{flowing} of {len(channels)} channels flow, the others have nothing to send."
    starving = [view for view in channels if view.forecast is not None and view.forecast.outlook is Outlook.STARVES]
    if not starving:
        return Answer("Nobody waits", count if flowing else "Nothing is being sent.", all_is_well=True)
    first = min(starving, key=lambda view: view.forecast.from_s if view.forecast else 0.0)
    return Answer("Nobody waits", f"{count} {first.name} {outlook_of(first)}.", channel=first.name, status=first.status)


def title_of(view: ChannelView) -> str:
    """Return what holds a channel and since when: `AUDIO_IN is starved of bytes for 6.2 s`."""
    if not view.status.waits and view.state.backlog and view.state.waiting_for in _WAITS_ON_PEER:
        return f"{view.name} stands for {format_duration(view.state.oldest_wait)}: {lacks(view)}"
    if view.status is Status.STARVED:
        return f"{view.name} is starved of {view.state.waiting_for} {how_long(view)}"
    return f"{view.name} {_IS[view.status]} {how_long(view)}"


def evidence_of(view: ChannelView) -> str:
    """Return how it is known what holds a channel."""
    match view.status:
        case Status.STARVED:
            return f"{_need(view)} {_peer(view)}{_request(view)} {_waiters(view)}"
        case Status.LOW:
            outlook = outlook_of(view)
            return f"{explain(view)} It {outlook}." if outlook else explain(view)
        case _:
            return explain(view)


def evidence_age_s(view: ChannelView) -> float:
    """Return how far back the events lie that the evidence speaks of: the state, the last grant, our request, the oldest wait."""
    lasts_s = view.starved_span_s if view.starves_again else view.status_s
    ages_s = (lasts_s, view.grant_age_s, view.request_age_s, view.state.oldest_wait)
    return max(age_s for age_s in ages_s if age_s is not None) + _MARGIN_S


def outlook_of(view: ChannelView) -> str:
    """Return the forecast as the end of a sentence; empty where there is none."""
    forecast = view.forecast
    if forecast is None:
        return ""
    match forecast.outlook:
        case Outlook.STARVES:
            return f"starves of {forecast.credit} in {format_range(forecast)}"
        case Outlook.RECOVERING:
            return f"is recovering {forecast.credit.removesuffix('s')} credit"
        case Outlook.STABLE:
            return "is stable"


def likely_cause(view: ChannelView) -> str:
    """Return what probably stands behind a starvation, by the names and the rules of `Explanation.likely_cause`."""
    state = view.state
    messages = state.waiting_for == "messages"
    spendable, peak = (state.credits, state.peak_credits) if messages else (state.byte_credits, state.peak_byte_credits)
    forfeited = state.forfeited if messages else state.forfeited_bytes
    if spendable and 2 * spendable >= peak:
        return "peer_renews_at_half"
    if forfeited and not spendable:
        return "peer_refused"
    if view.grant_age_s is None:
        return "peer_grants_nothing"
    return "peer_stopped_granting" if view.grant_age_s >= state.oldest_wait else "peer_grants_too_little"


def _need(view: ChannelView) -> str:
    state = view.state
    if state.waiting_for == "messages":
        left = "1 is" if state.credits == 1 else f"{state.credits} are"
        return f"The next needs {format_messages(view.needed_messages)} of credit and {left} left."
    needed, left = format_apart(view.needed_bytes, state.byte_credits)
    return f"The next frame needs {needed} and {left} is left."


def _peer(view: ChannelView) -> str:
    age = format_duration(view.grant_age_s or 0.0)
    return {
        "peer_renews_at_half": "More than half of the window is there: the peer may renew only what is half spent",
        "peer_refused": "The peer refused a message, so that what was left is forfeited",
        "peer_grants_nothing": "The peer has granted nothing since the handshake",
        "peer_stopped_granting": f"The peer has granted nothing for {age}",
        "peer_grants_too_little": f"The peer grants too little: {grant_of(view)}",
    }[likely_cause(view)]


def _request(view: ChannelView) -> str:
    if view.request_age_s is None:
        return "."
    return f"; our request of {format_duration(view.request_age_s)} ago is unanswered."


def _waiters(view: ChannelView) -> str:
    return "1 waits." if view.state.backlog == 1 else f"{format_count(view.state.backlog)} wait."
