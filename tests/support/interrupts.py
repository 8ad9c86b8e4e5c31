"""Interrupts at every place where CPython can deliver one.

CPython runs signal handlers between bytecodes: after a call has returned, on entering a function and on jumping backwards.
`interrupted_at` raises KeyboardInterrupt in the calling thread at the n-th such place inside haip_sync.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

_DELIVERS = ("CALL", "RESUME", "JUMP_BACKWARD")


class _Injector:
    def __init__(self, place: int) -> None:
        self._left = place
        self._previous: dict[FrameType, str] = {}
        self.fired = False

    def trace(self, frame: FrameType, event: str, _arg: Any) -> Any:
        if "/haip_sync/" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "call":
            self._previous[frame] = "RESUME"  # itself not told of; a generator's frame comes back here
        elif event == "opcode":
            self._at_opcode(frame)
        elif event == "exception":
            self._previous[frame] = ""  # a call that raised goes to its handler without a look at signals
        return self.trace

    def _at_opcode(self, frame: FrameType) -> None:
        previous = self._previous.get(frame, "")
        self._previous[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
        if previous.startswith(_DELIVERS):
            self._left -= 1
            if self._left < 0 and not self.fired:
                self.fired = True
                raise KeyboardInterrupt


def interrupted_at(place: int, action: Callable[[], object]) -> tuple[bool, BaseException | None]:
    """Run `action` with an interrupt at the `place`-th point; return whether it was reached, and what came out."""
    injector = _Injector(place)
    before = sys.gettrace()
    raised: BaseException | None = None
    sys.settrace(injector.trace)
    try:
        action()
    except BaseException as exc:
        raised = exc
    finally:
        sys.settrace(before)
    return injector.fired, raised


def every_interrupt(run: Callable[[int], bool], *, most: int = 5_000) -> Iterator[int]:
    """Yield 0, 1, 2... for as long as `run(place)` says that the place was reached; fail when that never ends."""
    for place in range(most):
        if not run(place):
            return
        yield place
    raise AssertionError(f"more than {most} places")
