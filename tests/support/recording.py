"""What happens at a real client's gates, written down under its lock: who stood in line, who went through, who was woken."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from typing import Any, NamedTuple

import pytest

from haip_sync.flow.gates import Gate, Step, Ticket
from haip_sync.flow.parking import Bell, Parking
from haip_sync.flow.turnstile import Turnstile


class Wait(NamedTuple):
    """One thread's wait in line, once it is over."""

    wakeups: int
    """How often the thread came back from a wait."""
    steps: int
    """In how many steps its parcel went through, the last one included where it came to that."""
    admitted: bool
    """False: its deadline passed, or somebody took it out of the queue."""


class Recorder:
    """Keeps its own account of each channel's line. Guarded by the connection's lock, under which all of it is called.

    Attributes:
        admitted: By channel, the message ids of what was sent, in the order of their first steps.
        overtaken: What went through while somebody else was the first in line. Empty, or a rule is broken.
        waits: Every wait in line that is over.
    """

    def __init__(self) -> None:
        self.admitted: defaultdict[str, list[str]] = defaultdict(list)
        self.overtaken: list[str] = []
        self.waits: list[Wait] = []
        self._lines: defaultdict[str, deque[Ticket[Any]]] = defaultdict(deque)
        self._steps: dict[Ticket[Any], int] = {}

    def stands(self, channel: str, ticket: Ticket[Any]) -> None:
        """Note who takes a place at the end of the line."""
        self._lines[channel].append(ticket)

    def goes(self, channel: str, ticket: Ticket[Any], step: Step[Any]) -> None:
        """Note a step that is about to be done, and whether it is its ticket's turn."""
        line, parcel = self._lines[channel], ticket.parcel
        while line and line[0].is_over:
            line.popleft()
        first = line[0] if line else ticket  # who does not wait stands in no line: it must be empty then
        if first is not ticket:
            self.overtaken.append(f"{parcel.event_type} {parcel.message_id} overtook {first.parcel.event_type} on {channel}")
        if step.cargo is not None and not parcel.progress.frames:
            self.admitted[channel].append(str(parcel.message_id))
        if not step.last:
            self._steps[ticket] = self._steps.get(ticket, 0) + 1

    def waited(self, ticket: Ticket[Any]) -> None:
        """Note a wait that is over."""
        steps = self._steps.pop(ticket, 0) + ticket.settled
        if isinstance(ticket.condition, _CountingCondition):
            self.waits.append(Wait(ticket.condition.returns, steps, ticket.settled))


class _CountingCondition(threading.Condition):
    """Counts how often somebody came back from a wait on it."""

    returns = 0

    def wait(self, timeout: float | None = None) -> bool:
        woken = super().wait(timeout)
        self.returns += 1
        return woken


class _CountingParking(Parking):
    def new_bell(self) -> Bell:
        return _CountingCondition(self.lock)


def record_gates(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Return a recorder of the client that is made next."""
    recorder = Recorder()
    add, commit, wait_in_turn = Gate.add, Turnstile._commit, Turnstile._wait_in_turn

    def recorded_add(gate: Gate[Any], ticket: Ticket[Any]) -> None:
        recorder.stands(gate.channel, ticket)
        add(gate, ticket)

    def recorded_commit(turnstile: Turnstile[Any], gate: Gate[Any], ticket: Ticket[Any], step: Step[Any]) -> None:
        recorder.goes(gate.channel, ticket, step)
        commit(turnstile, gate, ticket, step)

    def recorded_wait(turnstile: Turnstile[Any], gate: Gate[Any], ticket: Ticket[Any], timeout_s: float | None) -> None:
        try:
            wait_in_turn(turnstile, gate, ticket, timeout_s)
        finally:
            recorder.waited(ticket)

    monkeypatch.setattr(Gate, "add", recorded_add)
    monkeypatch.setattr(Turnstile, "_commit", recorded_commit)
    monkeypatch.setattr(Turnstile, "_wait_in_turn", recorded_wait)
    monkeypatch.setattr("haip_sync.runtime.connection.Parking", _CountingParking)
    return recorder
