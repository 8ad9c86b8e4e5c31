"""What is remembered of one channel between two snapshots: its activity, its rate, its grants, its outlook."""

from __future__ import annotations

from typing import Final

from haip_sync import ChannelState, CreditGranted, CreditRequested
from monitor_app.model.activity import Activity, ActivityRecorder
from monitor_app.model.channel_view import ChannelView
from monitor_app.model.forecast import Books, Forecast, Forecaster
from monitor_app.model.grants import GrantBook
from monitor_app.model.rate import RateMeter
from monitor_app.model.status import Status, classify, scarce_credit

STARVED_SPAN_S: Final = 30.0
"""Over which time it is told how much of it senders stood for want of credit."""
_RECENT_LACK_S: Final = 10.0
_RESTS: Final = frozenset({Activity.IDLE, Activity.OFFLINE, Activity.SILENT, Activity.DETACHED})
_AWAY: Final = {Status.SILENT: Activity.SILENT, Status.DETACHED: Activity.DETACHED}
_UNSURE: Final = frozenset(Status) - {Status.FLOWING, Status.LOW}
"""States without an outlook: nothing is spent, or it stands already."""


class ChannelTracker:
    """Follows one channel from snapshot to snapshot. Times are monotonic seconds.

    Attributes:
        name: The channel.
        activity: How it spends its time.
        grants: Requests and grants.
        status: Its state at the last snapshot.
        since_s: When that state began; where it is a lack that was broken by a grant, when it began again.
        ended_after_s: How long the state before lasted.
        pause_reason: As the pause event gave it; None once no pause stands.
        active_s: When something last happened on it: sent, received, waiting or paused; None when nothing ever did.
    """

    def __init__(self, name: str, state: ChannelState, now_s: float) -> None:
        self.name = name
        self.activity = ActivityRecorder(now_s)
        self.grants = GrantBook()
        self.status = Status.IDLE
        self.since_s = now_s
        # When it was first seen, and since when it stands for want of credit if it stood then.
        self._seen_s, self._stood_s = now_s, now_s - _stands_for_s(state)
        self.ended_after_s = 0.0
        self.pause_reason: str | None = None
        self.active_s: float | None = None
        self._state = state
        self._epoch: int | None = None
        self._forecaster = Forecaster()
        self._used_s: float | None = None
        self._granted_s: float | None = None
        self._last_grant = (0, 0)
        self._given_back = (0, 0)
        self._lacked: tuple[str, float] | None = None
        self._spent = RateMeter()

    def update(self, state: ChannelState, now_s: float, *, connected: bool, epoch: int = 1) -> bool:
        """Take the next snapshot; return whether the state changed."""
        if epoch != self._epoch:
            self._begin_epoch(epoch)
        before = self._take(state, now_s)
        if self._granted_s is None and state.last_grant_age is not None:  # it came before this source was looked at
            self._granted_s = now_s - state.last_grant_age
        if not state.paused:
            self.pause_reason = None
        breaks = self.activity.breaks
        self.activity.snapshot(state, now_s, connected=connected)
        if self._is_active(before):
            self.active_s = now_s
        lacks = state.waiting_for if state.backlog and state.waiting_for in {"messages", "bytes"} else None
        if connected:
            self._forecaster.update(now_s, *_books(state), lacks)
        if lacks is not None:
            self._lacked = (lacks, now_s)
        idle_s = None if self._used_s is None else now_s - self._used_s
        is_broken = self.activity.breaks > breaks
        return self._enter(classify(state, connected=connected, idle_s=idle_s), now_s, is_broken=is_broken)

    def hear_nothing(self, state: ChannelState, silent_s: float, now_s: float, away: Status = Status.SILENT) -> bool:
        """Take that nothing was heard for so long, and what was heard last; return whether the state changed.

        `away`: SILENT where the source does not answer, DETACHED where we have left it.
        """
        self._take(state, now_s)
        self.activity.silence(now_s - silent_s, now_s, _AWAY[away])
        return self._enter(away, now_s)

    def _take(self, state: ChannelState, now_s: float) -> ChannelState:
        """Keep what a snapshot says; return what the one before said."""
        if state.sent_messages > self._state.sent_messages:
            self._used_s = now_s
        self._spent.sample(now_s, state.sent_messages, state.sent_bytes)
        before, self._state = self._state, state
        return before

    def grant(self, event: CreditGranted) -> None:
        """Take a grant of the peer's."""
        self._granted_s = event.time_s
        self._last_grant = (event.add_messages, event.add_bytes)
        self.grants.grant(event.time_s, event.add_messages, event.add_bytes)
        self.activity.grant(event.time_s)

    def request(self, event: CreditRequested) -> None:
        """Take a FLOW_UPDATE of ours: a request, or what we give the peer back."""
        if event.gives_back:
            messages, byte_count = self._given_back
            self._given_back = (messages + event.add_messages, byte_count + event.add_bytes)
        else:
            self.grants.request(event.time_s)

    def view(self, now_s: float) -> ChannelView:
        """Return the channel as it is to be shown at `now_s`."""
        rate_messages, rate_bytes = self._spent.rates
        asked_s = self.grants.asked_s
        starved_share, starved_span_s = self._starved(now_s)
        return ChannelView(
            name=self.name,
            state=self._state,
            status=self.status,
            status_s=max(0.0, now_s - self._since_s()),
            idle_s=_age(self._used_s, now_s),
            grant_age_s=_age(self._granted_s, now_s),
            last_grant=self._last_grant,
            pause_reason=self.pause_reason,
            rate_messages=rate_messages,
            rate_bytes=rate_bytes,
            forecast=self._forecast(now_s),
            request_age_s=_age(asked_s, now_s),
            given_back=self._given_back,
            starved_share=starved_share,
            starved_span_s=starved_span_s,
        )

    def _is_active(self, before: ChannelState) -> bool:
        state = self._state
        if self.active_s is None and (state.sent_messages or state.received_messages):  # it was used before it was looked at
            return True
        receives = state.received_messages != before.received_messages
        return receives or state.backlog > 0 or self.activity.runs.last.state not in _RESTS

    def _begin_epoch(self, epoch: int) -> None:
        """Forget what was said in the last epoch: credit never outlives it, and nobody answers its requests any more."""
        self._epoch = epoch
        self._granted_s, self._given_back = None, (0, 0)
        self._spent.clear()
        self.grants.forget_request()

    def _since_s(self) -> float:
        """When the state began; where the channel stands still, as exactly as the events tell."""
        return self._begin_of(self.status, self.since_s)

    def _begin_of(self, status: Status, seen_s: float) -> float:
        run = self.activity.runs.last
        if status is Status.STARVED and run.start_s <= self._seen_s:
            return self._stood_s
        return run.start_s if status.waits and run.state.stands else seen_s

    def _forecast(self, now_s: float) -> Forecast | None:
        if self.status in _UNSURE:
            return None
        lacked = self._lacked[0] if self._lacked is not None and now_s - self._lacked[1] <= _RECENT_LACK_S else None
        return self._forecaster.forecast(lacked or scarce_credit(self._state))

    def _starved(self, now_s: float) -> tuple[float, float]:
        """Return how much of the last half minute it starved, and of how many seconds of that anything is known."""
        seconds = self.activity.runs.seconds(now_s - STARVED_SPAN_S, now_s)
        known_s = sum(seconds.values())
        return ((seconds[Activity.NO_MESSAGES] + seconds[Activity.NO_BYTES]) / known_s if known_s else 0.0), known_s

    def _enter(self, status: Status, now_s: float, *, is_broken: bool = False) -> bool:
        if status is self.status and not is_broken:
            return False
        begins_s = self._begin_of(status, now_s)
        self.status, self.ended_after_s, self.since_s = status, begins_s - self.since_s, begins_s
        return True


def _stands_for_s(state: ChannelState) -> float:
    """Return for how long the first in line has lacked credit, if he does: a grant while he waited was too small for him."""
    return state.oldest_wait if state.last_grant_age is None else min(state.oldest_wait, state.last_grant_age)


def _age(time_s: float | None, now_s: float) -> float | None:
    return None if time_s is None else max(0.0, now_s - time_s)


def _books(state: ChannelState) -> tuple[Books, Books]:
    return (
        Books(state.sent_messages, state.granted, state.credits + state.set_aside),
        Books(state.sent_bytes, state.granted_bytes, state.byte_credits + state.set_aside_bytes),
    )
