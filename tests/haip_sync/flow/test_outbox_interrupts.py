"""An interrupt of who queues, takes back or resumes: whoever takes the lock next finishes it, and nobody is left who could go."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.interrupts import every_interrupt, interrupted_at
from support.outbox_host import OutboxHost
from support.turnstiles import Bench, ScriptedParking

from haip_sync import FlowControlConfig, FlowControlTimeout
from haip_sync.flow.gates import Shortage
from haip_sync.flow.outbox import Outbox
from haip_sync.flow.pending import PendingSend


class QueueBench(OutboxHost, Bench):
    """A bench with an outbox."""

    def __init__(self, messages: int, *, queue_max_messages: int = 10) -> None:
        config = FlowControlConfig(queue_max_messages=queue_max_messages)
        self.script = ScriptedParking()
        super().__init__(messages, parking=self.script, config=config)
        self.outbox = Outbox(
            self.parking, self.turnstile, config, clock=self.clock, poke=self._poke, is_dispatching=self.is_dispatching
        )

    def enqueue(self, label: str, messages: int = 1) -> PendingSend:
        pending = PendingSend(self, self.parking, channel="USER", message_id=label, queued_bytes=10)
        self.outbox.enqueue(self.parcel(label, messages), pending)
        return pending

    def pause(self) -> None:
        with self.parking.lock:
            self.turnstile.pause("USER", by_us=True, peer_told=True)

    def resume(self) -> None:
        with self.parking.lock:
            self.turnstile.mend()
            self.turnstile.resume("USER", by_us=True)

    def check_nobody_is_left(self) -> None:
        """Check, after what the service thread does when it is poked, that the head of the queue is one that has to wait."""
        with self.parking.lock:
            self.turnstile.mend()
            self.turnstile.serve_all()
            gate = self.turnstile.gate("USER")
            head = gate.head()
            if head is not None:
                assert not head.is_over, f"{head.parcel.event_type} is over and stands at the head"
                step = self.turnstile._next_step(gate, head)
                assert isinstance(step, Shortage), f"{head.parcel.event_type} is left waiting though it could go"
            assert gate.queued == sum(ticket.pending is not None for ticket in gate.queue)
            assert not gate.room, "who is gone still stands in the line for room"


def _enqueue_with_credit() -> tuple[QueueBench, Callable[[], object]]:
    bench = QueueBench(2)
    return bench, lambda: bench.enqueue("a")


def _cancel_head() -> tuple[QueueBench, Callable[[], object]]:
    bench = QueueBench(1)
    head = bench.enqueue("head", 3)
    bench.enqueue("next")
    return bench, head.cancel


def _clear() -> tuple[QueueBench, Callable[[], object]]:
    bench = QueueBench(1)
    bench.enqueue("head", 3)
    bench.enqueue("next")
    return bench, lambda: bench.outbox.clear("USER")


def _resume() -> tuple[QueueBench, Callable[[], object]]:
    bench = QueueBench(1)
    bench.pause()
    bench.enqueue("a")
    return bench, bench.resume


def _wait_for_room() -> tuple[QueueBench, Callable[[], object]]:
    bench = QueueBench(0, queue_max_messages=1)
    full = bench.enqueue("full")
    bench.script.script.append(full.cancel)
    return bench, lambda: bench.enqueue("late")


def _time_out() -> tuple[QueueBench, Callable[[], object]]:
    bench = QueueBench(1)

    def pass_time() -> None:
        bench.enqueue("next")
        bench.clock.now_s += 5.0

    bench.script.script.append(pass_time)

    def send() -> None:
        with pytest.raises(FlowControlTimeout):
            bench.send("head", 3, timeout_s=5.0)

    return bench, send


@pytest.mark.parametrize(
    "build",
    [_enqueue_with_credit, _cancel_head, _clear, _resume, _wait_for_room, _time_out],
    ids=lambda build: build.__name__.strip("_").replace("_", " "),
)
def test_an_interrupt_anywhere_leaves_nobody_who_could_go(build: Callable[[], tuple[QueueBench, Callable[[], object]]]) -> None:
    """Wherever an interrupt strikes, the service thread's next look serves whoever can go, and no place is held by nobody."""

    def run(place: int) -> bool:
        bench, action = build()
        fired, raised = interrupted_at(place, action)
        assert raised is None or isinstance(raised, KeyboardInterrupt)
        try:
            bench.check_nobody_is_left()
        except AssertionError as exc:
            raise AssertionError(f"interrupted at place {place}: {exc}") from exc
        return fired

    assert len(list(every_interrupt(run))) > 30
