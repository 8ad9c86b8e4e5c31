"""The columns of the channel table for each side, and their cells as text."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, IntEnum
from typing import Final

from monitor_app.model.channel_view import ChannelView
from monitor_app.model.explanations import explain
from monitor_app.model.forecast import Outlook, format_range
from monitor_app.model.receiving import explain_receiving, receive_sides
from monitor_app.model.status import STALE, Status
from monitor_app.model.units import NONE, brief_duration, brief_size, format_count, format_flow, format_kib, format_rate


class Side(Enum):
    """Which way credit goes: what the peer grants us, or what we grant the peer."""

    SEND = "Send"
    RECEIVE = "Receive"


class Column(IntEnum):
    """The columns of the channel table."""

    CHANNEL = 0
    MESSAGES = 1
    BYTES = 2
    BACKLOG = 3
    RATE = 4
    OUTLOOK = 5


HEADINGS: Final = {
    Side.SEND: ("Channel", "Messages", "Bytes", "Backlog", "Rate", "Starves in"),
    Side.RECEIVE: ("Channel", "May send", "Bytes", "Used", "Received", "Given back"),
}


def why(view: ChannelView, side: Side) -> str:
    """Return the line under a channel."""
    return explain(view) if side is Side.SEND else explain_receiving(view)


def status_on(view: ChannelView, side: Side) -> Status | None:
    """Return the state that a row shows; a state of sending says nothing of what the peer sends, so Receive shows none then."""
    return view.status if side is Side.SEND or view.status in STALE else None


def outlook(view: ChannelView) -> tuple[str, str]:
    """Return what is to be expected, and of which credit."""
    if view.status is Status.STARVED:
        return "now", view.state.waiting_for or ""
    if view.forecast is None:
        return NONE, ""
    starves = view.forecast.outlook is Outlook.STARVES
    named = starves or view.forecast.outlook is Outlook.RECOVERING
    return format_range(view.forecast), view.forecast.credit if named else ""


def two_lines(view: ChannelView, column: Column, side: Side) -> tuple[str, str]:
    """Return the two lines of a column of numbers."""
    state = view.state
    messages, byte_credits = receive_sides(view)
    match side, column:
        case Side.SEND, Column.BACKLOG:
            return str(state.backlog), brief_duration(state.oldest_wait) if state.backlog else NONE
        case Side.SEND, Column.RATE:
            return f"{format_rate(view.rate_messages)} /s", format_flow(view.rate_bytes)
        case Side.SEND, _:
            return outlook(view)
        case Side.RECEIVE, Column.BACKLOG:
            return format_count(messages.used), brief_size(byte_credits.used)
        case Side.RECEIVE, Column.RATE:
            return format_count(messages.received), brief_size(byte_credits.received)
        case _:
            return format_count(messages.given_back), brief_size(byte_credits.given_back)


def balance(view: ChannelView, column: Column, side: Side) -> tuple[int, int, int]:
    """Return (balance, cap, peak) of the column of messages or of bytes."""
    state = view.state
    if side is Side.RECEIVE:
        received = receive_sides(view)[column - Column.MESSAGES]
        return received.remaining, received.window, received.window
    if column is Column.MESSAGES:
        return state.credits, state.max_credits, state.peak_credits
    return state.byte_credits, state.max_credit_bytes, state.peak_byte_credits


def cap_beside(cap: str, room: int, width_of: Callable[[str], int]) -> str:
    """Return how a cap is told beside a balance: closer to it for want of room, or not at all before the balance were cut."""
    return next((text for text in (f" / {cap}", f"/{cap}") if width_of(text) <= room), "")


def cell_text(view: ChannelView, column: Column, side: Side) -> str:
    """Return a cell as text, for everybody who does not see its picture."""
    if column is Column.CHANNEL:
        status = status_on(view, side)
        return view.name if status is None else f"{view.name} {status.value}"
    if column in {Column.MESSAGES, Column.BYTES}:
        number = format_count if column is Column.MESSAGES else format_kib
        now, cap, _ = balance(view, column, side)
        return f"{number(now)} / {number(cap)}"
    return ", ".join(line for line in two_lines(view, column, side) if line)
