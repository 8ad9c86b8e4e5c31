"""The one thing that would help a channel, for the button beside the sentence that says what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from monitor_app.model.channel_view import ChannelView, request_to_cap, useful_request
from monitor_app.model.status import Status
from monitor_app.model.units import format_bytes, format_messages


class Remedy(Enum):
    """What the useful button does."""

    NONE = "none"
    REQUEST = "request"
    RESUME = "resume"
    RECONNECT = "reconnect"


@dataclass(frozen=True)
class Offer:
    """The useful button: what it does, what it says, and the credit that it asks for."""

    remedy: Remedy
    text: str = ""
    messages: int = 0
    byte_credits: int = 0


NO_OFFER: Final = Offer(Remedy.NONE)


def offer_for(view: ChannelView, *, can_reconnect: bool) -> Offer:
    """Return the one thing that would help `view`; nothing where we cannot help, or nothing is wrong."""
    match view.status:
        case Status.STARVED:
            return _request_offer(*useful_request(view))
        case Status.LOW:
            return _request_offer(*request_to_cap(view))
        case Status.PAUSED_BY_US:
            return Offer(Remedy.RESUME, "Resume now")
        case Status.OFFLINE if can_reconnect:
            return Offer(Remedy.RECONNECT, "Try again (F5)")
        case _:
            return NO_OFFER


def _request_offer(messages: int, byte_credits: int) -> Offer:
    parts = [format_messages(messages)] if messages else []
    if byte_credits:
        parts.append(format_bytes(byte_credits))
    return Offer(Remedy.REQUEST, f"Request {' and '.join(parts)}", messages, byte_credits) if parts else NO_OFFER
