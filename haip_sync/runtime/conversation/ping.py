"""A PING of the caller's own, and the PONG that it waits for."""

from __future__ import annotations

from haip_sync.errors import ConnectionClosedError, HAIPError, ProtocolError
from haip_sync.events import Message
from haip_sync.protocol.payloads import PeerError
from haip_sync.runtime.conversation.waiting import Bench


class Ping:
    """Waits for the PONG with its nonce."""

    takes_at_once = True
    is_abandoned = False

    def __init__(self, bench: Bench, nonce: str, frame_id: str, began_s: float) -> None:
        self.nonce = nonce
        self.frame_id = frame_id
        self._bench = bench
        self._began_s = began_s
        # Guarded by the connection's lock.
        self._round_trip_s: float | None = None
        self._failure: HAIPError | None = None
        # Waits for the answer, or for the end.
        self._told = bench.new_condition()

    def wait(self, timeout_s: float | None) -> float | None:
        """Return the round trip in seconds; None: no answer came in time. Raises `ConnectionClosedError`, `ProtocolError`."""
        with self._bench.lock:
            self._bench.mend()
            self._bench.wait_until(lambda: self._is_over, self._told, timeout_s, "a PONG")
            if self._failure is not None:
                raise self._failure
            return self._round_trip_s

    @property
    def _is_over(self) -> bool:
        return self._round_trip_s is not None or self._failure is not None

    # ---- For the connection: all require the lock ------------------------------------------------------------------------------

    @property
    def key(self) -> str:
        """What the PONG names it by."""
        return f"ping {self.nonce}"

    def arrive(self, message: Message) -> None:
        """Do nothing: a PONG is a control frame, and comes by `answered`."""

    def answered(self, now_s: float) -> float:
        """Note the PONG, which came at `now_s` on the monotonic clock; the first counts."""
        if self._round_trip_s is None:
            self._round_trip_s = now_s - self._began_s
        self._told.notify_all()
        return self._round_trip_s

    def refused(self, error: PeerError, *, for_credit: bool) -> None:
        """Take in the peer's ERROR about the PING."""
        del for_credit
        self._fail(ProtocolError(f"the peer refused the PING: {error.code}: {error.message}", code=error.code, blame="remote"))

    def lost(self, failure: HAIPError) -> None:
        """Note that the connection is over."""
        lost = ConnectionClosedError(f"the PING was sent, and no PONG came: {failure}")
        lost.__cause__ = failure
        self._fail(lost)

    def _fail(self, failure: HAIPError) -> None:
        if not self._is_over:
            self._failure = failure
        self._told.notify_all()
