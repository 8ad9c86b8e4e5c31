"""When to ask whether the peer is still there, and when to give it up. Pure: fed with a clock, it only answers."""

from __future__ import annotations

from haip_sync.config import HeartbeatPolicy


class Heartbeat:
    """The state of one line's heartbeat. Guarded by the connection's lock. Times are on the monotonic clock.

    Attributes:
        asked_s: When the PING was sent that is open, or last got on in the write order; None: none is open.
        round_trip_s: From the last PING that was answered to its PONG; None: none was yet.
    """

    def __init__(self, policy: HeartbeatPolicy, now_s: float) -> None:
        self._policy = policy
        self._next_ping_s = now_s + policy.interval
        self._heard_s = now_s
        self.asked_s: float | None = None
        self._left = False
        self._nonce = ""
        self.round_trip_s: float | None = None

    def heard(self, now_s: float) -> None:
        """Count any frame of the peer's as a sign of life: a PONG may stand behind a flood."""
        self._heard_s = now_s

    def written(self, now_s: float, *, ping_has_left: bool) -> None:
        """Note that bytes of ours were taken: a PING that stands behind them in the line is not overdue yet."""
        if self.asked_s is not None and not self._left:
            self.asked_s = now_s
            self._left = ping_has_left

    def ponged(self, nonce: str | int | None, now_s: float) -> float | None:
        """Take a PONG in; return the round trip in seconds if it answers our last PING."""
        if self.asked_s is None or nonce != self._nonce:
            return None
        self.round_trip_s = now_s - self.asked_s
        self.asked_s = None
        return self.round_trip_s

    def is_lost(self, now_s: float) -> bool:
        """Return whether a PING is open and the peer has given no sign of life for the policy's timeout."""
        return self.asked_s is not None and now_s >= self._give_up_s(self.asked_s)

    def _give_up_s(self, asked_s: float) -> float:
        return max(asked_s, self._heard_s) + self._policy.timeout

    def is_due(self, now_s: float) -> bool:
        """Return whether a PING should leave now; never while one is open."""
        return self.asked_s is None and now_s >= self._next_ping_s

    def asked(self, nonce: str, now_s: float) -> None:
        """Note that a PING leaves."""
        self._nonce = nonce
        self.asked_s = now_s
        self._left = False
        self._next_ping_s = now_s + self._policy.interval

    def skip(self, now_s: float) -> None:
        """Note that a PING was due and could not be sent: the next is due an interval later."""
        self._next_ping_s = now_s + self._policy.interval

    def next_s(self) -> float:
        """Return when to look again."""
        return self._next_ping_s if self.asked_s is None else self._give_up_s(self.asked_s)
