"""What of a client's events and snapshots may leave the process, in a form that always fits a message. Pure.

What messages hold is private to the script: payloads and binaries are left out. Reasons and errors travel (an error in the peer's
own words), cut to `LONGEST_TEXT` characters. A number that msgpack cannot hold is the nearest that it can.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from haip_sync.events import (
    ALL_EVENTS,
    ChannelPaused,
    ChannelResumed,
    Connected,
    Disconnected,
    Event,
    HandshakeCompleted,
    Message,
    Reconnecting,
    WarningRaised,
)
from haip_sync.observe.messages import Answer, Happened, Snapshot, encoded
from haip_sync.state import ConnectionState

LONGEST_TEXT: Final = 2_000
"""Characters of a reason or an error that travel."""
_LARGEST: Final = (1 << 63) - 1
_CUT: Final = {
    kind: tuple(name for name in ("message", "text", "reason") if name in kind.__struct_fields__) for kind in ALL_EVENTS
}
_STATES: Final[dict[type[Event], str]] = {
    ChannelPaused: "pause",
    ChannelResumed: "pause",
    Connected: "connection",
    Disconnected: "connection",
    Reconnecting: "connection",
    HandshakeCompleted: "handshake",
}
_CANNOT: Final = (UnicodeEncodeError, OverflowError, TypeError, ValueError)

StateKey = tuple[str, str, str]


def state_key(event: Event) -> StateKey | None:
    """Return what an event is the latest state of; None for one that is no state, and may be dropped."""
    state = _STATES.get(type(event))
    return None if state is None else (state, getattr(event, "channel", ""), getattr(event, "by", ""))


def stands_for(event: Event) -> int:
    """Return how many events are lost where this one is: a warning that tells of missed ones is lost with all of them."""
    return 1 + event.missed if isinstance(event, WarningRaised) else 1


def carried(event: Event) -> Any:
    """Return `event` as it may be seen outside of the script."""
    if isinstance(event, Message):
        event = msgspec.structs.replace(event, payload=None, binary=None)
    for name in _CUT.get(type(event), ()):
        text = getattr(event, name)
        if text is not None and len(text) > LONGEST_TEXT:
            event = msgspec.structs.replace(event, **{name: text[:LONGEST_TEXT] + "…"})
    return event


def encoded_events(client: str, events: Iterable[Event], dropped: int) -> bytes:
    """Return a `Happened` as bytes; an event that cannot be written down is counted as dropped."""
    taken = tuple(map(carried, events))
    try:
        return encoded(Happened(client=client, events=taken, dropped=dropped))
    except _CANNOT:
        fits = [_can_be_written(event) for event in taken]
        lost = sum(stands_for(event) for event, fit in zip(taken, fits, strict=True) if not fit)
        fitting = tuple(event for event, fit in zip(taken, fits, strict=True) if fit)
        return encoded(Happened(client=client, events=fitting, dropped=dropped + lost))


def encoded_snapshot(client: str, now_s: float, state: ConnectionState) -> bytes:
    """Return a `Snapshot` as bytes."""
    try:
        return encoded(Snapshot(client=client, now_s=now_s, state=state))
    except _CANNOT:
        channels = {name: _fitting(channel) for name, channel in state.channels.items()}
        fitting = _fitting(msgspec.structs.replace(state, channels=channels))
        return encoded(Snapshot(client=client, now_s=now_s, state=fitting))


def encoded_answer(answer: Answer) -> bytes:
    """Return an `Answer` as bytes; where its figures cannot be written down, it says so."""
    try:
        return encoded(answer)
    except _CANNOT as exc:
        return encoded(Answer(number=answer.number, ok=False, text=f"what there is to say cannot be written down: {exc}"))


def printable(text: str) -> str:
    """Return `text` without what UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _can_be_written(event: Event) -> bool:
    try:
        encoded(Happened(client="", events=(carried(event),), dropped=0))
    except _CANNOT:
        return False
    return True


def _fitting(struct: Any) -> Any:
    changes: dict[str, Any] = {}
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        if isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
            changes[name] = _LARGEST if value > 0 else -_LARGEST
        elif isinstance(value, str):
            changes[name] = printable(value)
    return msgspec.structs.replace(struct, **changes)
