"""Waits that were not told one by one, worked out from the snapshots: coalesced, never lost. For one client; not thread-safe.

To tell a monitor of each wait would cost the sender that stands, so nobody listens for them. The client counts its waits anyway;
each snapshot has those counts, and what has come since the last one is told in sums.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from haip_sync.events import ChannelEvent, SendBlocked
from haip_sync.state import ChannelState, ConnectionState, Waited

_NONE = Waited(0, 0.0)


class WaitsBegan(SendBlocked, frozen=True, kw_only=True):
    """So many senders had to wait since the snapshot before; the first of them, or of those who stand now, at `time_s`.

    `cause` is what the first in line lacks, or what most of them waited for where nobody stands any more; what is needed is that
    of the first in line, 0 where it is not known.
    """

    times: int


class WaitsEnded(ChannelEvent, frozen=True, kw_only=True):
    """So many senders went on since the snapshot before, or gave up: after a timeout, an interrupt, the end of the connection."""

    cause: str
    """What held them up first, as in `SendBlocked`."""
    times: int
    total_s: float
    """How long they have waited, all together."""


class WaitBook:
    """Compares each snapshot's counts with those of the one before."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        self._last_s: float | None = None

    def catch_up(self, state: ConnectionState, now_s: float) -> list[ChannelEvent]:
        """Return what has come since the last call. The first has what stands, and nothing that was over by then."""
        found: list[ChannelEvent] = []
        since_s, self._last_s = self._last_s, now_s
        for name, channel in state.channels.items():
            line = self._lines.get(name)
            if line is None:
                line = self._lines[name] = _Line(name, channel.waits if since_s is None else {})
            found += line.catch_up(channel, since_s, now_s)
        return sorted(found, key=lambda event: event.time_s)


class _Line:
    """One channel's."""

    def __init__(self, name: str, over: Mapping[str, Waited]) -> None:
        self._name = name
        self._over = over
        self._told = _count(over)

    def catch_up(self, state: ChannelState, since_s: float | None, now_s: float) -> Iterator[ChannelEvent]:
        over = state.waits
        if any(over.get(cause, _NONE).count < waited.count for cause, waited in self._over.items()):
            self._begin_anew(state)
        ended = {cause: waited.minus(self._over.get(cause, _NONE)) for cause, waited in over.items()}
        ended = {cause: waited for cause, waited in ended.items() if waited.count}
        self._over = over
        # Counted once awake: who was let go on and still sleeps is missing for once, and is nobody new the next time.
        began, self._told = max(0, _count(over) + state.waiting - self._told), max(self._told, _count(over) + state.waiting)
        # Who has gone on stood before those who stand now, as far as anybody can tell.
        ago_s = (state.oldest_wait if state.waiting else 0.0) + sum(waited.total_s for waited in ended.values())
        ago_s = ago_s if math.isfinite(ago_s) else 0.0  # a program may claim anything
        start_s = now_s - ago_s if since_s is None else max(since_s, now_s - ago_s)
        if began:
            yield self._began(state, ended, began, start_s)
        for cause, waited in ended.items():
            end_s = min(now_s, start_s + waited.total_s)
            yield WaitsEnded(time_s=end_s, channel=self._name, cause=cause, times=waited.count, total_s=waited.total_s)

    def _begin_anew(self, state: ChannelState) -> None:
        """Count from zero, as the client does after `reset_metrics`; who stands was told of."""
        self._over, self._told = {}, state.waiting

    def _began(self, state: ChannelState, ended: Mapping[str, Waited], times: int, start_s: float) -> WaitsBegan:
        lacks = state.waiting_for
        needed = {lacks: state.missing + (state.credits if lacks == "messages" else state.byte_credits)}
        return WaitsBegan(
            time_s=start_s,
            channel=self._name,
            cause=lacks or max(ended, key=lambda cause: ended[cause].count, default="behind_others"),
            messages_needed=needed.get("messages", 0),
            bytes_needed=needed.get("bytes", 0),
            credits=state.credits,
            byte_credits=state.byte_credits,
            waiting=state.waiting,
            times=times,
        )


def _count(over: Mapping[str, Waited]) -> int:
    return sum(waited.count for waited in over.values())
