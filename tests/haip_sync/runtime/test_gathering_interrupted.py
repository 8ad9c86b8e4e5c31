"""Interrupts while frames gather: everything that has its place leaves, and nobody waits for a pen that was put down."""

from __future__ import annotations

import pytest
from support.gathered import let_gather
from support.interrupts import every_interrupt, interrupted_at
from support.turnstiles import PATIENCE_S, until
from support.writing import Busy


def test_an_interrupt_while_what_gathers_is_let_out_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who found the pen taken meanwhile is woken, or the service thread is called to write for it."""
    let_gather(monkeypatch)
    late = b"late" * 20_000

    def run(place: int) -> bool:
        line = Busy(late)
        desk = line.desk
        desk.writer.hand_over(desk.commit(b"gathers"))
        desk.writer.look()  # the last one: nobody watches from here on
        pokes = desk.pokes
        fired, _ = interrupted_at(place, desk.writer.let_out)
        until(lambda: desk.pokes > pokes or line.sender is None or line.sender.done())
        line.is_full = False
        desk.writer.write_pending(float("inf"))
        if line.sender is not None:
            line.sender.result(PATIENCE_S)
        assert bytes(line.taken) == b"gathers" + (b"" if line.sender is None else late)
        return fired

    assert len(list(every_interrupt(run))) > 20
