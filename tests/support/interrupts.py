"""Interrupts at every place where CPython can deliver one.

CPython runs signal handlers between bytecodes: after a call has returned, on entering a function and on jumping backwards.
`interrupted_at` raises KeyboardInterrupt in the calling thread at the n-th such place inside haip_sync, or calls a handler there.
"""

from __future__ import annotations

import dis
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import CodeType, FrameType
from typing import Any

# The instructions that look for signals, in CPython 3.11 to 3.13; test_interrupt_places.py holds this list against real signals.
DELIVERS = frozenset({
    "RESUME",
    "CALL",
    "CALL_KW",  # from 3.13 on; before, CALL took keywords too
    "CALL_FUNCTION_EX",
    "JUMP_BACKWARD",
    "POP_JUMP_BACKWARD_IF_TRUE",  # 3.11 only, as the next three: later ones jump forwards over a JUMP_BACKWARD
    "POP_JUMP_BACKWARD_IF_FALSE",
    "POP_JUMP_BACKWARD_IF_NONE",
    "POP_JUMP_BACKWARD_IF_NOT_NONE",
    "FORMAT_VALUE",  # a repr() in an f-string looks for signals before it begins
    "CONVERT_VALUE",  # the same, from 3.13 on
})  # fmt: skip


def is_library(code: CodeType) -> bool:
    """Tell whether this is code of haip_sync; the lines of its own tests count too."""
    return "/haip_sync/" in code.co_filename


def opcode_name(frame: FrameType) -> str:
    """Return the name of the instruction that the frame stands at."""
    return dis.opname[frame.f_code.co_code[frame.f_lasti]]


def _interrupt() -> None:
    raise KeyboardInterrupt


class _Injector:
    """Counts the places that one thread comes to, and has the signal strike at one of them."""

    def __init__(self, place: int, handler: Callable[[], object] = _interrupt) -> None:
        self._handler = handler
        self._left = place
        self._previous: dict[FrameType, str] = {}
        self.fired = False

    def enter(self, frame: FrameType) -> None:
        self._previous[frame] = "RESUME"  # 3.11 does not tell of it itself; a generator's frame comes back here

    def fail(self, frame: FrameType) -> None:
        self._previous[frame] = ""  # a call that raised goes to its handler without a look at signals

    def step(self, frame: FrameType) -> None:
        """Take note that the frame is about to execute an instruction; raise when the place has come."""
        previous = self._previous.get(frame, "")
        self._previous[frame] = current = opcode_name(frame)
        if previous in DELIVERS and current != "RESUME":
            self._left -= 1
            if self._left < 0 and not self.fired:
                self.fired = True
                self._handler()


@contextmanager
def _traced(injector: _Injector) -> Iterator[None]:
    """Show the injector what this thread executes, by sys.settrace."""

    def trace(frame: FrameType, event: str, _arg: Any) -> Any:
        if not is_library(frame.f_code):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "call":
            injector.enter(frame)
        elif event == "opcode":
            injector.step(frame)
        elif event == "exception":
            injector.fail(frame)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


_TOOL = 4  # none of those that sys.monitoring keeps for debuggers, coverage and profilers


@contextmanager
def _monitored(injector: _Injector) -> Iterator[None]:
    """Show the injector what this thread executes, by sys.monitoring.

    From 3.12 on sys.settrace leaves instructions out. In 3.12 all of them, until f_trace_opcodes was set before it was called;
    in 3.13 those of a function's first call, and of a function that another, untraced thread executes meanwhile.
    """
    monitoring = sys.monitoring
    events = monitoring.events
    thread = threading.get_ident()

    def shown(tell: Callable[[FrameType], None]) -> Callable[..., object]:
        def callback(code: CodeType, *_details: object) -> object:
            if not is_library(code):
                return None if tell == injector.fail else monitoring.DISABLE  # of raising all must be told
            if threading.get_ident() == thread:
                tell(sys._getframe(1))
            return None

        return callback

    callbacks = {
        events.PY_START: shown(injector.enter),
        events.PY_RESUME: shown(injector.enter),
        events.INSTRUCTION: shown(injector.step),
        events.RAISE: shown(injector.fail),
    }
    monitoring.use_tool_id(_TOOL, "interrupts")
    try:
        for event, callback in callbacks.items():
            monitoring.register_callback(_TOOL, event, callback)
        monitoring.set_events(_TOOL, sum(callbacks))
        yield
    finally:
        monitoring.set_events(_TOOL, 0)
        for event in callbacks:
            monitoring.register_callback(_TOOL, event, None)
        monitoring.free_tool_id(_TOOL)


def _shown(injector: _Injector) -> AbstractContextManager[None]:
    return _monitored(injector) if sys.version_info >= (3, 12) else _traced(injector)


def interrupted_at(
    place: int, action: Callable[[], object], handler: Callable[[], object] = _interrupt
) -> tuple[bool, BaseException | None]:
    """Run `action` with an interrupt at the `place`-th point; return whether it was reached, and what came out.

    `handler`: what the signal's handler does, in place of raising KeyboardInterrupt.
    """
    injector = _Injector(place, handler)
    raised: BaseException | None = None
    with _shown(injector):
        try:
            action()
        except BaseException as exc:
            raised = exc
    return injector.fired, raised


def every_interrupt(run: Callable[[int], bool], *, most: int = 5_000) -> Iterator[int]:
    """Yield 0, 1, 2... for as long as `run(place)` says that the place was reached; fail when that never ends."""
    for place in range(most):
        if not run(place):
            return
        yield place
    raise AssertionError(f"more than {most} places")
