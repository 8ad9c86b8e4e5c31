"""One direction of one connection: what has come, and what of it may go on when. Pure: the time is always told."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Final

from haip_sync.testing.fault_editor import FrameEditor
from haip_sync.testing.fault_rules import Faults, FrameRules

_ROOM_BYTES: Final = 64 << 10
_ROOM_DELAYED_BYTES: Final = 1 << 20
_PIECE_BYTES: Final = 256 << 10
_BURST_S: Final = 0.05
_STEP_S: Final = 0.005
_NOTHING: Final = memoryview(b"")


class Throttle:
    """A token bucket, a token a byte; it holds 50 ms' worth and is empty at first."""

    def __init__(self, bytes_per_s: float, now: float) -> None:
        self._rate = bytes_per_s
        self._burst = max(1.0, bytes_per_s * _BURST_S)
        self._step = max(1.0, bytes_per_s * _STEP_S)
        self._tokens = 0.0
        self._at = now

    def allows(self, wanted: int, now: float) -> int:
        """Return how many of the `wanted` bytes may pass: none until they are worth a write."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        return min(wanted, int(self._tokens)) if self._tokens >= min(wanted, self._step) else 0

    def spend(self, count: int) -> None:
        """Note that so many have passed."""
        self._tokens -= count

    def next_at(self, wanted: int) -> float:
        """Return when `allows` will say more than none. Call it after that."""
        # A little later than computed: rounding must not make it a moment too early, over and over.
        return self._at + (min(wanted, self._step) - self._tokens) / self._rate + 1e-6


class Pipe:
    """What one end of a connection sends, on its way to the other. Bytes stay in order. Not thread-safe.

    `cut_after`: how many bytes pass before the connection is cut; None: any number. `editor` is None where frames cannot be seen.
    """

    def __init__(
        self,
        faults: Faults,
        random: Random,
        editor: FrameEditor | None,
        *,
        cut_after: int | None = None,
        reset: bool = False,
        stalled: bool = False,
    ) -> None:
        self._faults = faults
        self._random = random
        self._editor = editor
        self._cut_after = cut_after
        self._cut_with_reset = reset
        self.stalled = stalled
        """Whether nothing goes in or out."""
        # What is under way, each piece with when it is due, none empty. In the order in which it came, whatever jitter says:
        # a piece that is due waits for those before it.
        self._under_way: deque[tuple[float, bytes]] = deque()
        self._under_way_bytes = 0
        self._due: memoryview = _NOTHING  # The beginning of it that is due.
        self._throttle: Throttle | None = None
        self._is_deaf = False
        self._ended_at: float | None = None
        self.ends_in_reset = False
        """Whether what the sender did at its end was to reset the connection."""
        self.source_ended = False
        """Whether the sender will send nothing more."""
        self.passed = 0
        """How many bytes have gone on."""

    def configure(self, faults: Faults, rules: FrameRules, now: float) -> None:
        """Go by other faults from now on, with what is under way as well."""
        latest = now + faults.delay_s + faults.jitter_s
        self._under_way = deque((min(due, latest), piece) for due, piece in self._under_way)
        if self._ended_at is not None:
            self._ended_at = min(self._ended_at, latest)
        if faults.bytes_per_s != self._faults.bytes_per_s:
            self._throttle = None
        self._faults = faults
        if self._editor is not None:
            self._add(self._editor.use(rules), now)

    @property
    def frames(self) -> int:
        """How many whole frames have come in."""
        return 0 if self._editor is None else self._editor.frames

    # In

    @property
    def wants(self) -> bool:
        """Whether the sender is to be read from."""
        if self.stalled or self.source_ended:
            return False
        room = _ROOM_DELAYED_BYTES if self._faults.delay_s or self._faults.jitter_s else _ROOM_BYTES
        return self._under_way_bytes + len(self._due) < room

    def take(self, data: bytes, now: float) -> None:
        """Take what the sender has sent."""
        if self._is_deaf:
            return
        self._add(data if self._editor is None else self._editor.feed(data), now)
        if self._editor is not None and self._editor.cut:
            place = self.passed + len(self._due) + self._under_way_bytes
            if self._cut_after is None or place < self._cut_after:
                self._cut_after, self._cut_with_reset = place, self._editor.cut == "reset"

    def end(self, now: float, *, reset: bool = False) -> None:
        """Note that the sender has ended. The end travels behind what is under way."""
        self.source_ended = True
        if self._ended_at is None:
            self.ends_in_reset = reset
            self.half_close(now)

    def half_close(self, now: float) -> None:
        """End this direction behind what is under way. What the sender sends from now on is read and forgotten."""
        if self._ended_at is not None:
            return
        if self._editor is not None:
            self._add(self._editor.finish(), now)
        self._ended_at = self._due_time(now)
        self._is_deaf = True

    def abandon(self, now: float) -> None:
        """Forget what is under way and all that comes: the receiver takes nothing any more."""
        self._under_way.clear()
        self._under_way_bytes = 0
        self._due = _NOTHING
        self._is_deaf = True
        self._ended_at = now

    def _add(self, data: bytes, now: float) -> None:
        if data:
            self._under_way.append((self._due_time(now), data))
            self._under_way_bytes += len(data)

    def _due_time(self, now: float) -> float:
        jitter_s = self._random.uniform(0.0, self._faults.jitter_s) if self._faults.jitter_s else 0.0
        return now + self._faults.delay_s + jitter_s

    # Out

    def ready(self, now: float) -> memoryview:
        """Return what may be written now; empty: nothing."""
        if self.stalled or self.is_cut:
            return _NOTHING
        if not self._due:
            self._due = memoryview(self._take_due(now))
        count = len(self._due)
        if self._cut_after is not None:
            count = min(count, self._cut_after - self.passed)
        if count and self._faults.bytes_per_s is not None:
            if self._throttle is None:
                self._throttle = Throttle(self._faults.bytes_per_s, now)
            count = self._throttle.allows(count, now)
        return self._due[:count]

    def _take_due(self, now: float) -> bytes:
        pieces: list[bytes] = []
        count = 0
        while self._under_way and self._under_way[0][0] <= now and count < _PIECE_BYTES:
            piece = self._under_way.popleft()[1]
            pieces.append(piece)
            count += len(piece)
        self._under_way_bytes -= count
        return b"".join(pieces)

    def wrote(self, count: int) -> None:
        """Note that so many bytes of what `ready` returned have been written."""
        self._due = self._due[count:]
        self.passed += count
        if self._throttle is not None:
            self._throttle.spend(count)

    def next_at(self) -> float | None:
        """Return when there may be something to do that time alone brings. Call it when `ready` has returned nothing."""
        if self.stalled or self.is_cut:
            return None
        if self._due:
            return None if self._throttle is None else self._throttle.next_at(len(self._due))
        if self._under_way:
            return self._under_way[0][0]
        return self._ended_at

    @property
    def is_cut(self) -> bool:
        """Whether the place is reached at which the connection is to be cut."""
        return self._cut_after is not None and self.passed >= self._cut_after

    @property
    def cuts_with_reset(self) -> bool:
        """Whether it is to be cut with RST."""
        return self._cut_with_reset

    def is_finished(self, now: float) -> bool:
        """Whether the end has come, and everything before it has gone on."""
        if self.stalled or self._ended_at is None or self._due or self._under_way:
            return False
        return self._ended_at <= now
