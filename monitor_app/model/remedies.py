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
    ATTACH = "attach"
    ATTACH_AGAIN = "attach again"


@dataclass(frozen=True)
class Offer:
    """The useful button: what it does, what it says, and the credit that it asks for."""

    remedy: Remedy
    text: str = ""
    messages: int = 0
    byte_credits: int = 0


NO_OFFER: Final = Offer(Remedy.NONE)
TRY_NOW: Final = Offer(Remedy.RECONNECT, "Try again now (F5)")
ATTACH: Final = Offer(Remedy.ATTACH, "Attach to a script… (Ctrl+O)")
ATTACH_AGAIN: Final = Offer(Remedy.ATTACH_AGAIN, "Attach again (Ctrl+Shift+O)")


def offer_for(view: ChannelView) -> Offer:
    """Return the one thing that would help `view`; nothing where we cannot help, or nothing is wrong.

    What helps a connection is no channel's: it is offered once, where the connection is spoken of.
    """
    match view.status:
        case Status.STARVED:
            return _request_offer(*useful_request(view))
        case Status.LOW:
            return _request_offer(*request_to_cap(view))
        case Status.PAUSED_BY_US:
            return Offer(Remedy.RESUME, "Resume now")
        case _:
            return NO_OFFER


def _request_offer(messages: int, byte_credits: int) -> Offer:
    parts = [format_messages(messages)] if messages else []
    if byte_credits:
        parts.append(format_bytes(byte_credits))
    return Offer(Remedy.REQUEST, f"Request {' and '.join(parts)}", messages, byte_credits) if parts else NO_OFFER
