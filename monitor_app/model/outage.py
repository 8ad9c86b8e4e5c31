"""A line that is broken while the client tries to come back: which attempt, when, why, and what waits meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from haip_sync import ConnectionState
from monitor_app.model.units import format_duration, format_messages

_AT_ONCE_S: Final = 0.05
"""What is nearer would read as 0.0 s."""


@dataclass(frozen=True)
class Outage:
    """What to say while a client is offline and means to return."""

    title: str
    """Which attempt, and when: `Reconnecting: attempt 3 in 2.4 s`."""
    text: str
    """Since when, why, and what becomes of those who wait."""
    short: str
    """The same in the fewest words."""


def outage_of(state: ConnectionState | None, now_s: float) -> Outage | None:
    """Return what to say of a broken line that is being mended; None where it stands, or nobody tries."""
    if state is None or state.phase != "offline":
        return None
    when = _when(state, now_s)
    return Outage(title=f"Reconnecting: {when}", text=f"{_since(state, now_s)} {_waiting(state)}", short=f"Reconnecting, {when}")


def _when(state: ConnectionState, now_s: float) -> str:
    if state.next_try_s is None:
        return f"attempt {max(1, state.attempt)} is under way"
    left_s = state.next_try_s - now_s
    when = f"in {format_duration(left_s)}" if left_s >= _AT_ONCE_S else "now"
    return f"attempt {max(1, state.attempt)} {when}"


def _since(state: ConnectionState, now_s: float) -> str:
    ago = "" if state.offline_since_s is None else f" {format_duration(max(0.0, now_s - state.offline_since_s))} ago"
    reason = f": {state.last_loss.rstrip('.')}" if state.last_loss else ""
    return f"The line broke{ago}{reason}."


def _waiting(state: ConnectionState) -> str:
    backlog = sum(channel.backlog for channel in state.channels.values())
    if not backlog:
        return "Nobody waits. What is shown are the last known values."
    verb = "waits and keeps its place" if backlog == 1 else "wait and keep their places"
    return f"{format_messages(backlog)} {verb}; credit starts afresh."
