"""What a sender is told when its parcel did not go through, or not all of it: who refused what, why, and what was sent."""

from __future__ import annotations

from typing import Any, Literal

from haip_sync.errors import (
    ConnectionClosedError,
    FlowControlError,
    FlowControlTimeout,
    HAIPError,
    MessageTooLargeError,
    NotSentError,
    PartialSendError,
    TransactionEndedError,
    UnsupportedByPeerError,
)
from haip_sync.flow.explain import Standing, advice_text, lack_text, place_text
from haip_sync.flow.gates import Parcel, Ticket
from haip_sync.flow.pending import PendingSend

Reason = Literal["cleared", "cancelled", "dropped", "closed", "lost", "refused"]
"""Why a queued message left the queue unsent."""


def refused(parcel: Parcel[Any], standing: Standing) -> FlowControlError:
    """Return what a sender gets that did not want to wait."""
    why = f"{lack_text(standing)}.{advice_text(standing)}"
    if parcel.only_waits:
        text = f"{parcel.event_type} would have to wait: {why} Give it a timeout to wait in line"
    else:
        text = f"{parcel.event_type} was not sent: {why} Nothing was sent; send with a timeout to wait in line"
    return FlowControlError(text, cause=standing.shortage.cause, channel=standing.channel)


def timed_out(parcel: Parcel[Any], standing: Standing) -> HAIPError:
    """Return what a sender gets whose deadline passed."""
    what = f"{parcel.event_type} waited {standing.wait_s:.1f} s, {place_text(standing)}: {lack_text(standing)}"
    if parcel.progress.frames:
        return stopped(parcel, what)
    text = f"{what}.{advice_text(standing)}{_unsent(parcel)}".rstrip(".")
    return FlowControlTimeout(text, cause=standing.shortage.cause, channel=standing.channel)


def cut_short(parcel: Parcel[Any], standing: Standing, waited_s: float, *, is_sent: bool) -> HAIPError:
    """Return what the writer of an open text gets whose deadline passed; the text stays open."""
    what = f"a piece of {parcel.event_type} waited {waited_s:.1f} s: {lack_text(standing)}"
    if is_sent:
        text = f"{what}. A part of the piece was sent, the rest will not be; the text is still open"
        return PartialSendError(text, message_id=parcel.message_id or "", parts_sent=parcel.progress.parts)
    text = f"{what}.{advice_text(standing)} Nothing of the piece was sent; the text is still open"
    return FlowControlTimeout(text, cause=standing.first.cause, channel=standing.channel)


def failed(channel: str, parcel: Parcel[Any], failure: HAIPError) -> HAIPError:
    """Return what a sender gets whose parcel can never go through; `failure` becomes its cause."""
    if isinstance(failure, (MessageTooLargeError, TransactionEndedError, UnsupportedByPeerError)) and not parcel.progress.frames:
        return failure
    what = f"{parcel.event_type} on {channel}: {failure}"
    error = stopped(parcel, what) if parcel.progress.frames else ConnectionClosedError(f"{what}.{_unsent(parcel)}".rstrip("."))
    error.__cause__ = failure
    return error


def kept_out(channel: str, parcel: Parcel[Any], why: object) -> HAIPError:
    """Return what a sender gets for whom there is no line to stand in."""
    return ConnectionClosedError(f"{parcel.event_type} on {channel}{'' if parcel.only_waits else ' was not sent'}: {why}")


def _unsent(parcel: Parcel[Any]) -> str:
    """Return that nothing was sent, with a space before it; empty where nothing was to be."""
    return "" if parcel.only_waits else " Nothing was sent"


def interrupted_note(channel: str, ticket: Ticket[Any]) -> str:
    """Return what to add to an exception that came from outside, KeyboardInterrupt for instance."""
    what = f"haip_sync: {ticket.parcel.event_type} on {channel}"
    if ticket.parcel.only_waits:
        return f"{what} was interrupted{' once the credit was there' if ticket.settled else ''}; it takes nothing."
    if ticket.settled:
        return f"{what} was admitted before the interrupt: it is sent."
    progress = ticket.parcel.progress
    if progress.frames:
        return f"{what} was interrupted: its START and {progress.parts} part(s) were sent, no END follows."
    return f"{what} was interrupted: nothing was sent."


def not_sent(pending: PendingSend, reason: Reason) -> NotSentError:
    """Return what the holder of a queued message is told of which nothing was sent."""
    why = "left over when the client closed" if reason == "closed" else reason
    return NotSentError(f"the message {pending.message_id} on {pending.channel} was {why}. Nothing of it was sent", reason=reason)


def left_unsent(pending: PendingSend) -> NotSentError:
    """Return what the holder of a queued message is told of which nothing had left when the client closed."""
    return not_sent(pending, "closed")


def refused_later(parcel: Parcel[Any], pending: PendingSend, refusal: HAIPError, reason: Reason) -> HAIPError:
    """Return what the holder of a queued message is told that may not be sent any more, or no further."""
    error: HAIPError
    if parcel.progress.frames:
        error = stopped(parcel, f"{parcel.event_type} on {pending.channel}: {refusal}")
    else:
        error = NotSentError(f"the message {pending.message_id} on {pending.channel} was not sent: {refusal}", reason=reason)
    error.__cause__ = refusal
    return error


def taken_out(ticket: Ticket[Any], pending: PendingSend, reason: Reason) -> HAIPError:
    """Return what the holder of a queued message is told that leaves the queue for this reason."""
    if ticket.parcel.progress.frames:
        return stopped(ticket.parcel, f"{ticket.parcel.event_type} was {reason} in mid-stream")
    return not_sent(pending, reason)


def stopped(parcel: Parcel[Any], what: str) -> PartialSendError:
    """Return what the sender of a text is told that stopped in mid-stream."""
    parts = parcel.progress.parts
    text = f"{what}. Its START and {parts} part(s) were sent, no END follows"
    return PartialSendError(text, message_id=parcel.message_id or "", parts_sent=parts)
