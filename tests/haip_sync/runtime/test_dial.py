"""From a name to a connected socket: what holds it up, and what ends it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from support.turnstiles import PATIENCE_S

from haip_sync.runtime.dial import Attempt, dial
from haip_sync.runtime.stream import Deadline


@pytest.fixture
def busy_port() -> Iterator[int]:
    """Yield a port whose listener takes nobody in any more: whoever connects to it waits."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.0)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_an_attempt_can_be_ended_from_the_moment_that_it_is_named(busy_port: int) -> None:
    """Who is told what is about to be waited for, and ends it at once, has ended it: the deadline is not waited for."""
    named: list[Attempt] = []

    def end(attempt: Attempt) -> None:
        named.append(attempt)
        with contextlib.suppress(OSError):
            attempt.shutdown(socket.SHUT_RDWR)

    with pytest.raises(ConnectionError):
        dial("127.0.0.1", busy_port, Deadline(PATIENCE_S), end)
    assert len(named) == 1


def test_the_deadline_holds_for_connecting(busy_port: int) -> None:
    """A server that takes nobody in costs no more than the deadline."""
    with pytest.raises(TimeoutError):
        dial("127.0.0.1", busy_port, Deadline(0.1), lambda _: None)
