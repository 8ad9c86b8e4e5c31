"""A conversation of everything, cut after every byte in turn, in memory: each message comes over once or is reported.

By default every byte of both directions is cut after where the session goes on, and every 13th where it does not, or where the
second line is cut too. `HAIP_SYNC_EVERY_BYTE=1` takes every byte of all of them: about five minutes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from support.cut_talk import converse
from support.memory_line import Cut

from haip_sync.testing.fault_rules import DIRECTIONS, Direction

_STRIDE = 1 if os.environ.get("HAIP_SYNC_EVERY_BYTE") else 13
_PARTS = 4
"""Every byte is a long test: its parts run beside each other."""
_BOTH = pytest.mark.parametrize("direction", DIRECTIONS)


@pytest.fixture(scope="module", autouse=True)
def _without_log() -> Iterator[None]:
    """Have nothing logged: thousands of lines break here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("haip_sync.runtime.dispatch.Dispatcher.log", lambda *_: None)
        yield


def _cut_everywhere(direction: Direction, *earlier: Cut, first: int, resumes: bool, stride: int) -> int:
    """Hold the conversation once for each place of the cut; return how often. It ends with the first that was not cut."""
    n_bytes = first
    while True:
        # An end and a reset in turn: within a frame, both.
        cut = Cut(n_bytes, direction, resets=n_bytes // stride % 2 == 1)
        try:
            world, _ = converse(*earlier, cut, resumes=resumes)
        except BaseException as exc:
            exc.add_note(f"the line was cut: {(*earlier, cut)}, resumes={resumes}")
            raise
        if not world.streams[len(earlier)].is_cut or len(world.streams) < len(earlier) + 2:
            return (n_bytes - first) // stride
        n_bytes += stride


def _greeting(direction: Direction) -> int:
    """Return how many bytes the first handshake takes, and one more: cut there, `connect` itself may fail."""
    world, _ = converse(resumes=True)
    return world.greeting[direction] + 1


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(_PARTS))
@_BOTH
def test_a_line_that_is_cut_after_any_byte_loses_nothing(direction: Direction, part: int) -> None:
    """The server goes on with the session: all that was said has come, once, whatever the byte; books agree, nobody waits."""
    cuts = _cut_everywhere(direction, first=_greeting(direction) + part, resumes=True, stride=_PARTS)
    assert cuts > 1_500 // _PARTS


@pytest.mark.timeout(300)
@_BOTH
def test_where_the_session_does_not_go_on_each_message_is_reported(direction: Direction) -> None:
    """The server begins anew: what it has not got is reported message by message, as not sent or as unknown; the books agree."""
    assert _cut_everywhere(direction, first=_greeting(direction), resumes=False, stride=_STRIDE) > 1_500 // _STRIDE


@pytest.mark.timeout(600)
@pytest.mark.parametrize("resumes", [True, False])
@_BOTH
def test_the_next_line_is_cut_too(direction: Direction, resumes: bool) -> None:
    """The second line is cut after any byte as well: in its handshake, in what is sent again, in what is new."""
    middle = _greeting(direction) + 1_000
    assert _cut_everywhere(direction, Cut(middle, direction), first=0, resumes=resumes, stride=_STRIDE) > 1_500 // _STRIDE
