"""What a sender is told when its parcel did not go through, or not all of it: who refused what, why, and what was sent."""

from __future__ import annotations

from typing import Any

from haip_sync.errors import (
    ConnectionClosedError,
    FlowControlError,
    FlowControlTimeout,
    HAIPError,
    MessageTooLargeError,
    PartialSendError,
    WaitCause,
)
from haip_sync.flow.gates import Parcel, Ticket


def refused(channel: str, parcel: Parcel[Any], cause: WaitCause, reason: str) -> FlowControlError:
    """Return what a sender gets that did not want to wait."""
    text = f"{parcel.event_type} was not sent: {reason}. Nothing was sent; send with a timeout to wait in line"
    return FlowControlError(text, cause=cause, channel=channel)


def timed_out(channel: str, parcel: Parcel[Any], cause: WaitCause, reason: str, waited_s: float) -> HAIPError:
    """Return what a sender gets whose deadline passed."""
    what = f"{parcel.event_type} waited {waited_s:.1f} s: {reason}"
    if parcel.progress.frames:
        return _stopped(parcel, what)
    return FlowControlTimeout(f"{what}. Nothing was sent", cause=cause, channel=channel)


def failed(channel: str, parcel: Parcel[Any], failure: HAIPError) -> HAIPError:
    """Return what a sender gets whose parcel can never go through; `failure` becomes its cause."""
    if isinstance(failure, MessageTooLargeError):
        return failure
    what = f"{parcel.event_type} on {channel}: {failure}"
    error = _stopped(parcel, what) if parcel.progress.frames else ConnectionClosedError(f"{what}. Nothing was sent")
    error.__cause__ = failure
    return error


def interrupted_note(channel: str, ticket: Ticket[Any]) -> str:
    """Return what to add to an exception that came from outside, KeyboardInterrupt for instance."""
    what = f"haip_sync: {ticket.parcel.event_type} on {channel}"
    if ticket.settled:
        return f"{what} was admitted before the interrupt: it is sent."
    progress = ticket.parcel.progress
    if progress.frames:
        return f"{what} was interrupted: its START and {progress.parts} part(s) were sent, no END follows."
    return f"{what} was interrupted: nothing was sent."


def _stopped(parcel: Parcel[Any], what: str) -> PartialSendError:
    parts = parcel.progress.parts
    text = f"{what}. Its START and {parts} part(s) were sent, no END follows"
    return PartialSendError(text, message_id=parcel.message_id or "", parts_sent=parts)
