"""What is remembered of one channel between two snapshots: its state's beginning, its rate, its last grant."""

from __future__ import annotations

from collections import deque
from typing import Final

from haip_sync import ChannelState, CreditGranted
from monitor_app.model.channel_view import ChannelView
from monitor_app.model.status import Status, classify

RATE_SPAN_S: Final = 3.0
_RATE_STEP_S: Final = 0.25


class ChannelTracker:
    """Follows one channel from snapshot to snapshot. Times are monotonic seconds.

    Attributes:
        name: The channel.
        status: Its state at the last snapshot.
        since_s: When that state began.
        status_before: The state before, and `ended_after_s` how long it lasted.
        pause_reason: As the pause event gave it; None once no pause stands.
    """

    def __init__(self, name: str, state: ChannelState, now_s: float) -> None:
        self.name = name
        self.status = Status.IDLE
        self.since_s = now_s
        self.status_before = Status.IDLE
        self.ended_after_s = 0.0
        self.pause_reason: str | None = None
        self._state = state
        self._used_s: float | None = None
        self._granted_s: float | None = None
        self._last_grant = (0, 0)
        self._spent: deque[tuple[float, int, int]] = deque()

    def update(self, state: ChannelState, now_s: float, *, connected: bool) -> bool:
        """Take the next snapshot; return whether the state changed."""
        if state.sent_messages > self._state.sent_messages:
            self._used_s = now_s
        if state.sent_messages < self._state.sent_messages:  # a new epoch counts from zero
            self._spent.clear()
        self._state = state
        self._sample_rate(now_s)
        if not state.paused:
            self.pause_reason = None
        idle_s = None if self._used_s is None else now_s - self._used_s
        return self._enter(classify(state, connected=connected, idle_s=idle_s), now_s)

    def grant(self, event: CreditGranted) -> None:
        """Take a grant of the peer's."""
        self._granted_s = event.time_s
        self._last_grant = (event.add_messages, event.add_bytes)

    def view(self, now_s: float) -> ChannelView:
        """Return the channel as it is to be shown at `now_s`."""
        rate_messages, rate_bytes = self._rates()
        return ChannelView(
            name=self.name,
            state=self._state,
            status=self.status,
            status_s=max(0.0, now_s - self.since_s),
            idle_s=None if self._used_s is None else max(0.0, now_s - self._used_s),
            grant_age_s=None if self._granted_s is None else max(0.0, now_s - self._granted_s),
            last_grant=self._last_grant,
            pause_reason=self.pause_reason,
            rate_messages=rate_messages,
            rate_bytes=rate_bytes,
        )

    def _enter(self, status: Status, now_s: float) -> bool:
        if status is self.status:
            return False
        self.status_before, self.ended_after_s = self.status, now_s - self.since_s
        self.status, self.since_s = status, now_s
        return True

    def _sample_rate(self, now_s: float) -> None:
        if self._spent and now_s - self._spent[-1][0] < _RATE_STEP_S:
            return
        self._spent.append((now_s, self._state.sent_messages, self._state.sent_bytes))
        while now_s - self._spent[0][0] > RATE_SPAN_S:
            self._spent.popleft()

    def _rates(self) -> tuple[float, float]:
        if not self._spent:
            return 0.0, 0.0
        first, last = self._spent[0], self._spent[-1]
        span_s = last[0] - first[0]
        if not span_s:  # a rate lies between two samples
            return 0.0, 0.0
        return (last[1] - first[1]) / span_s, (last[2] - first[2]) / span_s
