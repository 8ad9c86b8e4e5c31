"""Sixty-four threads against a real server that grants and pauses at random: afterwards everything adds up.

`HAIP_SOAK_S` makes it longer than 20 seconds, `HAIP_SOAK_SEED` repeats the dice of an earlier run (not its interleaving).
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence

import pytest
from support.arrivals import by_key, check_arrivals, check_pauses, check_program_order, check_wire_order
from support.books import check_books
from support.recording import Recorder, record_gates
from support.soak import CHANNELS, Attempt, Chaos, Sender

from haip_sync import FlowControlConfig, HAIPClient
from haip_sync.events import ErrorReported
from haip_sync.testing import DevServer, Never

THREADS = 64
SOAK_S = float(os.environ.get("HAIP_SOAK_S", "20"))
SEED = int(os.environ.get("HAIP_SOAK_SEED", random.SystemRandom().randrange(10**9)))
_JOIN_S = 60.0
_MOST_FRAMES_A_SECOND = 20_000
# Small caps, so that grants are set aside, texts stream in parts, and the outbox holds its callers.
_CONFIG = FlowControlConfig(max_credits=12, max_credit_bytes=4_000, queue_max_messages=10)


@pytest.mark.timeout(160 + SOAK_S)
def test_sixty_four_threads_at_random(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Books, arrivals, order and wake-ups are what the senders' receipts and errors say, whatever was granted and paused when."""
    sys.stdout.write(f"HAIP_SOAK_SEED={SEED}\n")
    recorder = record_gates(monkeypatch)
    over = threading.Event()
    errors: list[ErrorReported] = []
    server = DevServer(
        policy=Never(),
        initial_credits=5,
        initial_credit_bytes=2_000,
        agent=False,
        keep_received=int(SOAK_S * _MOST_FRAMES_A_SECOND),
    )
    with server, HAIPClient(server.url, flow_control=_CONFIG) as client:
        client.on("error", errors.append)
        session = server.wait_for_session()
        chaos = Chaos(server, client, SEED, over)
        senders = [Sender(client, number, SEED, over) for number in range(THREADS)]
        began_s = time.monotonic()
        for thread in (*senders, chaos):
            thread.start()
        over.wait(SOAK_S)
        over.set()
        let_all_finish(senders, chaos, client)
        took_s = time.monotonic() - began_s
        assert errors == []
        for channel in CHANNELS:
            check_books(client, session, channel)
            assert session.books(channel).breaches == 0
        assert (session.breaches, session.out_of_order, session.received_dropped, errors) == ((), 0, 0, [])
        frames = session.received
    assert recorder.overtaken == []
    attempts = [attempt for sender in senders for attempt in sender.attempts]
    check_arrivals(attempts, frames)
    check_wire_order(frames, recorder.admitted)
    check_pauses(frames)
    arrived = by_key(frames)
    for sender in senders:
        check_program_order(sender.attempts, arrived)
    check_wakeups(recorder)
    with capsys.disabled():
        sys.stdout.write(f"\n{figures(attempts, recorder, len(frames), took_s)}\n")


def let_all_finish(senders: Sequence[Sender], chaos: Chaos, client: HAIPClient) -> None:
    """Join every thread, granting all the while; say where it hangs if it does."""
    deadline_s = time.monotonic() + _JOIN_S
    chaos.join(_JOIN_S)
    while (waiting := [sender for sender in senders if sender.is_alive()]) and time.monotonic() < deadline_s:
        chaos.relent()
        waiting[0].join(0.02)
    assert not waiting, f"{waiting} still wait: {[str(client.explain(channel)) for channel in CHANNELS]}"
    for thread in (*senders, chaos):
        if thread.raised is not None:
            raise thread.raised


def check_wakeups(recorder: Recorder) -> None:
    """Check that a waiter was woken once at most, however many parts its text had: when it was through or its time was up."""
    waits = recorder.waits
    admitted, expired = sum(wait.admitted for wait in waits), sum(not wait.admitted for wait in waits)
    assert sum(wait.wakeups for wait in waits) <= admitted + expired
    assert max(wait.wakeups for wait in waits) == 1
    # What the two lines above are about did happen.
    assert admitted > 0
    assert expired > 0
    assert any(wait.admitted and wait.steps > 3 for wait in waits)


def figures(attempts: Sequence[Attempt], recorder: Recorder, frames: int, took_s: float) -> str:
    """Return what happened, in one paragraph."""
    fates, errors = Counter(attempt.fate for attempt in attempts), Counter(attempt.error for attempt in attempts)
    waits = recorder.waits
    assert min(fates[fate] for fate in ("sent", "nothing", "partial", "waited")) > 0, fates
    return (
        f"soak: {len(attempts)} calls of {THREADS} threads in {took_s:.1f} s, {frames} frames ({frames / took_s:.0f} a second): "
        f"{fates['sent']} sent, {fates['waited']} waits for credit granted, {fates['partial']} stopped in mid-stream, "
        f"{fates['nothing']} not sent ({errors['FlowControlTimeout']} timed out, {errors['FlowControlError']} refused at once, "
        f"{errors['NotSentError']} taken back); {len(waits)} waits in line, {sum(wait.wakeups for wait in waits)} wake-ups, "
        f"{sum(not wait.admitted for wait in waits)} of the waits expired, "
        f"{sum(wait.admitted and wait.steps > 3 for wait in waits)} waiting texts streamed in more than three steps "
        f"(the longest in {max(wait.steps for wait in waits)})"
    )
