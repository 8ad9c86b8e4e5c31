"""How a channel spends its time: one activity at a time, each with the moment at which it began.

A flag that is looked at thirty times a second lies about everything shorter. The times here are therefore those of the events
that change the state; a snapshot only confirms them, and decides where an event was lost or does not exist.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from haip_sync import ChannelState
from monitor_app.model.runs import Runs
from monitor_app.model.status import FLOWING_S


class Activity(Enum):
    """What a channel does; the value is the word that people read. Later members hide earlier ones where room is scarce."""

    IDLE = "idle"
    SENDING = "sending"
    PAUSED_BY_US = "paused by us"
    PAUSED_BY_PEER = "paused by peer"
    NO_MESSAGES = "no messages"
    NO_BYTES = "no bytes"
    OFFLINE = "offline"
    SILENT = "silent"
    DETACHED = "detached"

    __hash__ = object.__hash__  # members are single things; Enum's own hash runs Python code

    @property
    def stands(self) -> bool:
        """Whether nothing can leave the channel in this time, or nobody knows whether something does."""
        return self not in {Activity.IDLE, Activity.SENDING}


ACTIVITIES: Final = tuple(Activity)
_LACKS: Final = {"messages": Activity.NO_MESSAGES, "bytes": Activity.NO_BYTES}
_LEAST_BREAK_S: Final = 0.001
"""How long who was served between two looks is said to have been sending: when that ended nobody tells."""


class ActivityRecorder:
    """Follows one channel by its events and snapshots. Times are monotonic seconds.

    Attributes:
        runs: What it did and when.
        breaks: How many lacks ended and began again between two looks: somebody was served, and the next stands already.
    """

    def __init__(self, now_s: float) -> None:
        self.runs: Runs[Activity] = Runs(Activity.IDLE, now_s)
        self._connected = True
        self._away: Activity | None = None  # SILENT or DETACHED, while nothing is heard
        self._by_us = False
        self._by_peer = False
        self._lack: Activity | None = None
        self._relief_s: float | None = None
        self._looked_s = now_s
        self.breaks = 0
        self._sent: int | None = None
        self._sent_s = float("-inf")

    def pause(self, time_s: float, *, by_us: bool) -> None:
        """Take a pause."""
        self._hold(time_s, by_us=by_us, held=True)

    def resume(self, time_s: float, *, by_us: bool) -> None:
        """Take a resume."""
        self._hold(time_s, by_us=by_us, held=False)

    def _hold(self, time_s: float, *, by_us: bool, held: bool) -> None:
        if by_us:
            self._by_us = held
        else:
            self._by_peer = held
        self._enter(time_s)

    def block(self, cause: str, time_s: float) -> None:
        """Take the beginning of a wait. The first in line is told what it lacks, so whoever stood before has left."""
        if cause in _LACKS:
            self._end_of_lack()
            self._lack = _LACKS[cause]
            self._enter(time_s)

    def grant(self, time_s: float) -> None:
        """Take a grant: it may have ended the lack, which the next snapshot or the next wait tells."""
        if self._lack is not None:
            self._relief_s = time_s

    def connection(self, time_s: float, *, connected: bool) -> None:
        """Take the loss or the beginning of a connection."""
        self._connected = connected
        self._enter(time_s)

    def silence(self, since_s: float, now_s: float, away: Activity = Activity.SILENT) -> None:
        """Take that nothing has been heard since `since_s`, or that we have left (`away`): what is known is no news any more."""
        self._away = away
        self._enter(max(self.runs.last.start_s, since_s), now_s)
        self.runs.extend(now_s)

    def snapshot(self, state: ChannelState, now_s: float, *, connected: bool) -> None:
        """Take what holds now."""
        self._away = None
        has_sent = self._note_sent(state, now_s)
        lack = _LACKS.get(state.waiting_for or "") if state.backlog else None
        since_s = now_s
        if lack is None:
            self._end_of_lack()
        elif lack is self._lack:
            self._break_lack(now_s, has_sent=has_sent)
        elif self._lack is None:
            since_s = max(self.runs.last.start_s, now_s - state.oldest_wait)
        elif self._relief_s is not None:  # what is lacking now the first in line lacks since then, however long he has stood
            since_s = max(self.runs.last.start_s, self._relief_s)
        self._forget_old_relief(now_s)
        self._lack, self._connected = lack, connected
        self._by_us, self._by_peer = state.paused_by_us, state.paused_by_peer
        self._enter(since_s, now_s)
        self.runs.extend(now_s)

    def _note_sent(self, state: ChannelState, now_s: float) -> bool:
        """Return whether something was sent since the last look."""
        has_sent = self._sent is not None and state.sent_messages > self._sent
        if has_sent:
            self._sent_s = now_s
        self._sent = state.sent_messages
        return has_sent

    def _break_lack(self, now_s: float, *, has_sent: bool) -> None:
        """Break the lack where somebody was served since the last look: the grant was used up before this one.

        Whoever stood behind him is told of no event when he comes first, so that only what was sent tells it.
        """
        if has_sent and self._lack is not None and self.runs.last.state is self._lack:
            served_s = now_s - _LEAST_BREAK_S if self._relief_s is None else self._relief_s
            self.runs.enter(Activity.SENDING, served_s)
            self.runs.enter(self._lack, max(served_s, self.runs.last.start_s) + _LEAST_BREAK_S)
            self._relief_s = None
            self.breaks += 1

    def _forget_old_relief(self, now_s: float) -> None:
        """Forget a grant that was there at the last look already. One look later what was sent on it is seen."""
        if self._lack is None or (self._relief_s is not None and self._relief_s < self._looked_s):
            self._relief_s = None
        self._looked_s = now_s

    def _end_of_lack(self) -> None:
        """Let the lack be over since the grant that ended it; without one the next state tells when."""
        if self._lack is not None and self._relief_s is not None:
            self._lack = None
            self._sent_s = max(self._sent_s, self._relief_s)
            self._enter(self._relief_s)
        self._relief_s = None

    def _enter(self, time_s: float, now_s: float | None = None) -> None:
        self.runs.enter(self._activity(time_s if now_s is None else now_s), time_s)

    def _activity(self, now_s: float) -> Activity:
        if self._away is not None:
            return self._away
        if not self._connected:
            return Activity.OFFLINE
        if self._by_us:
            return Activity.PAUSED_BY_US
        if self._by_peer:
            return Activity.PAUSED_BY_PEER
        if self._lack is not None:
            return self._lack
        return Activity.SENDING if now_s - self._sent_s <= FLOWING_S else Activity.IDLE
