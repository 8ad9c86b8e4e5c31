"""What can be wrong with a line: the settings that `FaultProxy` takes for one direction, and which frame they mean. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Final, Literal, get_args

from haip_sync.config import check_choice, check_count, check_seconds, told
from haip_sync.errors import ConfigError
from haip_sync.testing.fault_frames import Frame

Direction = Literal["to_server", "to_client"]
FrameAction = Literal[
    "drop", "duplicate", "swap", "garble", "garble_encoding", "garble_header", "shorten", "truncate", "cut", "reset"
]

DIRECTIONS: Final[tuple[Direction, ...]] = get_args(Direction)
NOT_A_SHARE: Final = "must be a number from 0 to 1"


@dataclass(frozen=True, kw_only=True)
class FrameFault:
    """What happens to some of the WebSocket frames of one direction. Immutable.

    Which frames: those for which all of `number`, `when`, `probability` and `times` say so. Every WebSocket frame counts, pings,
    closes and binary ones included; the HTTP upgrade is none. Of several faults that mean a frame, the first happens to it.
    Raises `ConfigError` for a wrong argument.
    """

    action: FrameAction
    """What happens to the frame:

    * `"drop"`: it does not arrive.
    * `"duplicate"`: it arrives twice.
    * `"swap"`: it arrives behind the next frame, for which it waits.
    * `"garble"`: bits of its payload are flipped, of one byte in ten; a text stays UTF-8, and is hardly ever JSON after that.
    * `"garble_encoding"`: a byte of its payload becomes 0xFF: a text is not UTF-8 any more.
    * `"garble_header"`: its reserved bits are flipped, against RFC 6455.
    * `"shorten"`: a well-formed frame with the first half of the payload arrives.
    * `"truncate"`: its header is as it was, of its payload the first half arrives, and what follows is read as the rest.
    * `"cut"`, `"reset"`: the connection is cut in its place, with FIN or with RST; what came before it arrives.
    """
    number: int | None = None
    """The nth frame of each connection, from 1; None: any."""
    when: Callable[[str], bool] | None = None
    """A test of the frame's text, masked or not on the wire; None: any frame. What is no whole uncompressed text frame never
    passes it. It runs on the proxy's thread: it must be quick and may not command the proxy. If it raises, the frame passes, and
    `FaultProxy.stop` raises `RuntimeError`."""
    probability: float = 1.0
    """For each frame that the others mean, from 0 to 1. The proxy's `seed` makes it the same every time."""
    times: int | None = None
    """How often at most, over all connections, from when the fault is set; None: every time."""

    def __post_init__(self) -> None:
        check_choice("action", self.action, get_args(FrameAction))
        for name in ("number", "times"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name), minimum=1)
        if self.when is not None and not callable(self.when):
            raise ConfigError(f"when must be a function of a frame's text, or None, not {told(self.when)}")
        share = self.probability
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise ConfigError(f"probability {NOT_A_SHARE}, not {told(share)}")


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What is wrong with one direction of the line; by default nothing. Immutable. Raises `ConfigError` for a wrong argument."""

    delay_s: float = 0.0
    """How long each byte is under way, in seconds. At most 1 MiB is, then the sender is held up."""
    jitter_s: float = 0.0
    """Up to how much longer, at random. Bytes never overtake each other."""
    bytes_per_s: float | None = None
    """How many bytes pass in a second, 50 ms' worth of which may come at once; None: as many as come."""
    frames: tuple[FrameFault, ...] = ()
    """What happens to single frames. While there are any, a frame passes when it is whole (above 64 MiB: untouched)."""

    def __post_init__(self) -> None:
        check_seconds("delay_s", self.delay_s)
        check_seconds("jitter_s", self.jitter_s)
        rate = self.bytes_per_s
        if rate is not None and (isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate < float("inf")):
            raise ConfigError(
                f"bytes_per_s must be a finite number above 0, or None for no limit, not {told(rate)}; see FaultProxy.stall"
            )
        object.__setattr__(self, "frames", _check_frames(self.frames))


def _check_frames(frames: object) -> tuple[FrameFault, ...]:
    listed = tuple(frames) if isinstance(frames, Iterable) else (frames,)
    for fault in listed:
        if not isinstance(fault, FrameFault):
            raise ConfigError(f"frames must list FrameFaults, not {told(fault)}")
    return listed


class FrameRules:
    """The frame faults of one direction, which all connections share, with how often each is still to happen.

    Belongs to the proxy's thread.
    """

    def __init__(self, faults: tuple[FrameFault, ...], report: Callable[[Exception], None]) -> None:
        self._faults = faults
        self._times: list[float] = [float("inf") if fault.times is None else fault.times for fault in faults]
        self._report = report

    def __bool__(self) -> bool:
        return bool(self._faults)

    def action(self, number: int, frame: Frame, random: Random) -> FrameAction | None:
        """Return what happens to a frame, the nth of its connection; None: nothing."""
        for place, fault in enumerate(self._faults):
            if self._times[place] and self._means(fault, number, frame, random):
                self._times[place] -= 1
                return fault.action
        return None

    def _means(self, fault: FrameFault, number: int, frame: Frame, random: Random) -> bool:
        if fault.number not in (None, number):
            return False
        if fault.when is not None and not self._passes(fault.when, frame.text):
            return False
        return fault.probability >= 1 or random.random() < fault.probability

    def _passes(self, test: Callable[[str], bool], text: str | None) -> bool:
        try:
            return text is not None and bool(test(text))
        except Exception as failure:  # noqa: BLE001 - the user's own; it must not end the proxy's thread
            self._report(failure)
            return False
