"""Why a channel stands or flows, in a sentence or two that a person understands, from the snapshot alone."""

from __future__ import annotations

from typing import Final

from monitor_app.model.channel_view import ChannelView
from monitor_app.model.status import LOW_SHARE, Status
from monitor_app.model.units import format_apart, format_bytes, format_credit, format_duration, format_messages, format_share

NO_CONNECTION: Final = "No connection."


def explain(view: ChannelView) -> str:
    """Return why `view` is in its state, and what it lacks."""
    return _EXPLAIN[view.status](view)


def headline(view: ChannelView) -> str:
    """Return state and duration, the title of the answer: `STARVED of bytes for 6.2 s`."""
    of_what = f" of {view.state.waiting_for}" if view.status is Status.STARVED else ""
    return f"{view.status.value}{of_what} {how_long(view)}"


def how_long(view: ChannelView) -> str:
    """Return for how long the state lasts; of a channel that starves again and again for how much of the time: `for 6.2 s`."""
    if not view.starves_again:
        return f"for {format_duration(view.status_s)}"
    return f"{format_share(view.starved_share)} of the last {max(1, round(view.starved_span_s))} s"


def lacks(view: ChannelView) -> str:
    """Return what the first in the channel's queue waits for; empty when nobody waits."""
    state = view.state
    if state.backlog == 0 or state.waiting_for is None:
        return ""
    if state.waiting_for == "messages":
        return f"needs {format_messages(view.needed_messages)}, has {state.credits}"
    if state.waiting_for == "bytes":
        needed, has = format_apart(view.needed_bytes, state.byte_credits)
        return f"needs {needed}, has {has}"
    return _OTHER_WAITS.get(state.waiting_for, f"waits: {state.waiting_for}")


_OTHER_WAITS = {
    "paused_by_us": "waits for our resume",
    "paused_by_peer": "waits for the peer's resume",
    "offline": "waits for a connection",
    "socket": "waits for the socket",
    "behind_others": "waits behind others",
}


def _starved(view: ChannelView) -> str:
    sentence = lacks(view)
    return f"{sentence[0].upper()}{sentence[1:]}. {_grant_silence(view)}"


def _grant_silence(view: ChannelView) -> str:
    if view.grant_age_s is None:
        return "Peer has granted nothing yet."
    age = format_duration(view.grant_age_s)
    if view.grant_age_s < view.state.oldest_wait:  # a grant came while the first waited: the sentence on top says so too
        return f"Peer grants too little, last {age} ago."
    return f"Peer has granted nothing for {age}."


def _low(view: ChannelView) -> str:
    state = view.state
    few_messages = state.credits < min(state.max_credits, state.peak_credits) * LOW_SHARE
    left = format_messages(state.credits) if few_messages else format_bytes(state.byte_credits)
    return f"{left} left. {_last_grant(view)}"


def _flowing(view: ChannelView) -> str:
    return _last_grant(view)


def _last_grant(view: ChannelView) -> str:
    if view.grant_age_s is None:
        return "No grant seen yet."
    return f"Last grant {grant_of(view)}."


def grant_of(view: ChannelView) -> str:
    """Return what the last grant brought, if that was seen, and when it came."""
    what = f"{format_credit(*view.last_grant)}, " if any(view.last_grant) else ""
    return f"{what}{format_duration(view.grant_age_s or 0.0)} ago"


def _idle(view: ChannelView) -> str:
    if view.idle_s is None:
        return (
            "Nothing to send; what it sent was before the monitor came."
            if view.state.sent_messages
            else "Nothing to send so far."
        )
    return f"Nothing to send. Last frame {format_duration(view.idle_s)} ago."


def _paused_by_us(view: ChannelView) -> str:
    reason = f"“{view.pause_reason}”. " if view.pause_reason else ""
    also = "The peer holds it too. " if view.state.paused_by_peer else ""
    return f"{reason}{also}{_who_waits(view)}"


def _paused_by_peer(view: ChannelView) -> str:
    reason = f"“{view.pause_reason}”. " if view.pause_reason else ""
    return f"{reason}Only the peer can resume it. {_who_waits(view)}"


def _offline(view: ChannelView) -> str:
    waits = "" if not view.state.backlog else _waiters(view, "waited") if view.is_over else _who_waits(view)
    known = "The last known values." if view.state.peak_credits or view.state.sent_messages else ""
    return f"{NO_CONNECTION} {waits or known}".rstrip()


def _silent(view: ChannelView) -> str:
    """Say who waited when it was last heard of, in the past: nobody knows whether they still do."""
    waited = _waiters(view, "waited") if view.state.backlog else "The last known values."
    return f"The script is silent. {waited}"


def _detached(_view: ChannelView) -> str:
    return "We have detached. The last known values."


def _who_waits(view: ChannelView) -> str:
    if view.state.backlog == 0:
        return "Nobody waits."
    return _waiters(view, "waits" if view.state.backlog == 1 else "wait")


def _waiters(view: ChannelView, verb: str) -> str:
    return f"{format_messages(view.state.backlog)} {verb}, the first for {format_duration(view.state.oldest_wait)}."


_EXPLAIN = {
    Status.STARVED: _starved,
    Status.LOW: _low,
    Status.FLOWING: _flowing,
    Status.IDLE: _idle,
    Status.PAUSED_BY_US: _paused_by_us,
    Status.PAUSED_BY_PEER: _paused_by_peer,
    Status.OFFLINE: _offline,
    Status.SILENT: _silent,
    Status.DETACHED: _detached,
}


def senders_beside(view: ChannelView) -> str:
    """Return what is to be said of the threads that wait beside what is queued."""
    waiting = view.state.waiting
    if view.is_past:
        return "1 sender waited" if waiting == 1 else f"{waiting} senders waited"
    return "1 sender waits; clearing leaves it" if waiting == 1 else f"{waiting} senders wait; clearing leaves them"
