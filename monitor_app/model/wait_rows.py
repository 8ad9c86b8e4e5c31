"""Waits that a program tells in sums, put together once more: to no more rows than can be read, and none of them lost."""

from __future__ import annotations

from typing import Final

import msgspec

from haip_sync.observe import WaitsBegan, WaitsEnded

PACE_S: Final = 0.25
"""Between two rows of one channel, cause and kind. A script that is short of credit has sums to tell with every snapshot."""

WaitsTold = WaitsBegan | WaitsEnded
_Key = tuple[type[WaitsTold], str, str]


class WaitRows:
    """The first sum after a pause is told at once; what follows within `PACE_S` is held, and told together once that is over."""

    def __init__(self) -> None:
        self._held: dict[_Key, WaitsTold] = {}
        self._free_s: dict[_Key, float] = {}

    def take(self, event: WaitsTold, now_s: float) -> WaitsTold | None:
        """Return what to tell now; None: it is held."""
        key = _key_of(event)
        held = self._held.get(key)
        if held is None and now_s >= self._free_s.get(key, now_s):
            self._free_s[key] = now_s + PACE_S
            return event
        self._held[key] = event if held is None else _together(held, event)
        return None

    def due(self, now_s: float) -> list[WaitsTold]:
        """Return what was held for long enough."""
        over = [key for key, free_s in self._free_s.items() if now_s >= free_s]
        told = [event for key in over if (event := self._held.pop(key, None)) is not None]
        for key in over:
            del self._free_s[key]
        for event in told:
            self._free_s[_key_of(event)] = now_s + PACE_S
        return told


def _key_of(event: WaitsTold) -> _Key:
    return type(event), event.channel, event.cause


def _together(first: WaitsTold, then: WaitsTold) -> WaitsTold:
    """Return two sums as one: who stands, and what is lacking, is the later's to say, when it began the earlier's."""
    times = first.times + then.times
    if isinstance(first, WaitsEnded) and isinstance(then, WaitsEnded):
        return msgspec.structs.replace(then, times=times, total_s=first.total_s + then.total_s)
    return msgspec.structs.replace(then, times=times, time_s=first.time_s)
