"""Calls from a signal handler that interrupted another call of the same thread's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from support.interrupts import every_interrupt, interrupted_at
from support.turnstiles import PATIENCE_S

from haip_sync import DeadlockError, HAIPClient, Limits, PendingSend
from haip_sync.testing import DevServer, Generous

CALLS: dict[str, Callable[[HAIPClient], object]] = {
    "pause": lambda client: client.pause_channel("USER"),
    "resume": lambda client: client.resume_channel("USER"),
    "request": lambda client: client.request_credits("USER", messages=1),
    "ping": lambda client: client.ping(0),
    "send": lambda client: client.send_text_message("USER", "hi", timeout=0),
    "tool": lambda client: client.call_tool("USER", "echo", timeout=0),
    "run": lambda client: client.run(timeout=0).__enter__(),
    "texts": lambda client: client.texts().__enter__(),
    "transaction": lambda client: client.transaction("echo", timeout=1),
    "flush": lambda client: client.flush(0),
    "clear": lambda client: client.clear_queue("USER"),
    "wait": lambda client: PendingSend(
        client._connection, client._connection.rooms.parking, channel="USER", message_id="m", queued_bytes=1
    ).result(0),
}


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_call_in_the_middle_of_another_does_nothing(name: str) -> None:
    """With the connection's state half changed in its own thread's hands a call raises DeadlockError and takes no seq."""
    with DevServer() as server, HAIPClient(server.url) as client:
        rooms = client._connection.rooms
        with rooms.parking.lock:  # as held by the call that the signal has interrupted
            seq = rooms.session.last_seq
            with pytest.raises(DeadlockError):
                CALLS[name](client)
            assert rooms.session.last_seq == seq


QUESTIONS: dict[str, Callable[[HAIPClient], object]] = {
    "queue_length": lambda client: client.queue_length("USER"),
    "queue_length elsewhere": lambda client: client.queue_length("NEVER_USED"),
    "connection_state": HAIPClient.connection_state,
    "account": HAIPClient.account,
    "metrics": HAIPClient.metrics,
    "reset_metrics": HAIPClient.reset_metrics,
}


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_a_question_in_the_middle_of_a_call_changes_nothing(name: str) -> None:
    """Wherever a signal handler asks what may be asked at any time, the call that it interrupts does what it would have done."""
    with DevServer(agent=False, policy=Generous(), initial_credits=100) as server, HAIPClient(server.url) as client:
        sent = 0

        def call() -> None:
            client.enqueue_text_message("USER", "x")
            client.metrics()
            client.connection_state()

        def run(place: int) -> bool:
            nonlocal sent
            was_reached, raised = interrupted_at(place, call, lambda: QUESTIONS[name](client))
            assert raised is None, f"at place {place}"
            sent += 1
            return was_reached

        assert sum(1 for _ in every_interrupt(run)) > 100
        client.flush(PATIENCE_S)
        state = client.connection_state()
        user = state.channels["USER"]
        assert user.is_conserved
        assert (user.sent_messages, user.queued, user.queued_bytes, user.backlog) == (3 * sent, 0, 0, 0)
        assert set(state.channels) == {"USER", "AGENT", "SYSTEM", "AUDIO_IN", "AUDIO_OUT"}


def test_a_question_makes_no_channel() -> None:
    """However many names a program asks after, or clears, there are as many channels as before."""
    with DevServer(agent=False) as server, HAIPClient(server.url, limits=Limits(max_channels=5)) as client:
        assert {client.queue_length(f"C{number}") for number in range(10)} == {0}
        assert {client.clear_queue(f"C{number}") for number in range(10)} == {0}
        assert len(client.connection_state().channels) == 5


def test_a_send_in_a_transaction_in_the_middle_of_a_call_changes_nothing() -> None:
    """A signal handler that sends there either has its frame sent or gets DeadlockError; the call that it interrupts goes on."""
    with (
        DevServer(agent=False, policy=Generous(), initial_credits=100, dialect="all") as server,
        HAIPClient(server.url) as client,
    ):
        transaction = client.transaction("echo")
        sent = {"outside": 0, "inside": 0}

        def call() -> None:
            client.enqueue_text_message("USER", "x")

        def handler() -> None:
            with suppress(DeadlockError):
                transaction.enqueue_text_message("USER", "y")
                sent["inside"] += 1

        def run(place: int) -> bool:
            was_reached, raised = interrupted_at(place, call, handler)
            assert raised is None, f"at place {place}"
            sent["outside"] += 1
            return was_reached

        assert sum(1 for _ in every_interrupt(run)) > 100
        client.flush(PATIENCE_S)
        user = client.connection_state().channels["USER"]
        assert (user.sent_messages, user.queued, user.is_conserved) == (3 * sent["outside"] + sent["inside"], 0, True)
        assert sent["inside"] > 0
