"""Whoever watches the gates is told when the first in line comes to lack credit, also where it lacks the same as before."""

from __future__ import annotations

from typing import Any

import pytest
from support.turnstiles import Bench, Sender

from haip_sync.errors import WaitCause
from haip_sync.flow.gates import Gate
from haip_sync.flow.ledger import NOTHING


class Told(Bench):
    """A bench whose watcher notes how often it was told that somebody is held up; nobody stands there twice for itself."""

    def __init__(self, messages: int) -> None:
        super().__init__(messages)
        self.told = 0
        self.watched.blocked = self._blocked  # type: ignore[method-assign]

    def _blocked(self, gate: Gate[Any]) -> None:
        del gate
        self.told += 1

    def look(self) -> int:
        """Return how often it was told since the last look."""
        told, self.told = self.told, 0
        return told

    def serve_all(self) -> None:
        with self.parking.lock:
            self.turnstile.mend()
            self.turnstile.serve_all()


def test_a_text_in_mid_stream_that_lacks_the_same_again() -> None:
    """What a grant lets go of one piece, the next lacks what the first did: that is news."""
    bench = Told(messages=0)
    sender = Sender(bench, "text", steps=3).begin(waits_as=1)
    assert bench.look() >= 1
    bench.grant(1)
    assert bench.look() == 1
    bench.serve_all()
    assert bench.look() == 0, "nothing has changed"
    bench.grant(2)
    assert sender.finish() is None


@pytest.mark.parametrize("by_us", [True, False])
def test_a_pause_that_nobody_looked_at(by_us: bool) -> None:
    """Who looked during a pause saw nobody who lacks credit: when it is over, the lack of before is news."""
    bench = Told(messages=0)
    sender = Sender(bench, "s").begin(waits_as=1)
    assert bench.look() >= 1
    with bench.parking.lock:
        gate = bench.turnstile.gate("USER")
        bench.turnstile.pause("USER", by_us=by_us, peer_told=True)
        shortage = bench.turnstile.shortage(gate)
        assert shortage is not None
        assert shortage.needed == NOTHING
        bench.turnstile.resume("USER", by_us=by_us)
        shortage = bench.turnstile.shortage(gate)
        assert shortage is not None
        assert shortage.cause is WaitCause.MESSAGES
    assert bench.look() == 1
    bench.grant(1)
    assert sender.finish() is None


def test_what_credit_does_not_help_is_no_news() -> None:
    """That the first in line waits for the socket, or for the end of a pause, is nothing to ask credit for."""
    bench = Told(messages=1)
    bench.outlet.room = 5
    sender = Sender(bench, "s").begin(waits_as=1)
    bench.look()
    with bench.parking.lock:
        bench.turnstile.pause("USER", by_us=True, peer_told=True)
    bench.serve_all()
    with bench.parking.lock:
        bench.turnstile.resume("USER", by_us=True)
    assert bench.look() == 0
    bench.outlet.room = None
    bench.serve_all()
    assert sender.finish() is None
