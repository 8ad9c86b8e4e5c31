"""Queued sends: one line with the blocked ones, bounded, and never lost without a word."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from support.lines import ONE_LINE
from support.turnstiles import PATIENCE_S, until

from haip_sync import (
    BacklogChanged,
    ConnectionClosedError,
    CreditGranted,
    DeadlockError,
    Event,
    FlowControlConfig,
    FlowControlError,
    HAIPClient,
    HAIPTimeout,
    MessageDropped,
    MessageQueued,
    NotSentError,
    PartialSendError,
    PendingSend,
    QueueFullError,
    SendAdmitted,
)
from haip_sync.testing import DevServer, Generous, Never

Start = Callable[..., tuple[DevServer, HAIPClient]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a server that grants nothing by itself, and a client with these settings of its queue."""
    with ExitStack() as stack:

        def start_both(
            *, first: int = 0, policy: Any = None, reconnect: Any = None, **queue: Any
        ) -> tuple[DevServer, HAIPClient]:
            server = stack.enter_context(DevServer(policy=policy or Never(), initial_credits=first, agent=False))
            client = HAIPClient(server.url, flow_control=FlowControlConfig(**queue), reconnect=reconnect)
            stack.callback(client.close)
            client.connect(PATIENCE_S)
            server.wait_for_session()
            return server, client

        yield start_both


def texts(server: DevServer, count: int) -> list[str]:
    """Return the first `count` texts that the server received on USER."""
    session = server.wait_for_session()
    session.wait_for(lambda s: len(s.texts("USER")) >= count, timeout=PATIENCE_S)
    return [text.text for text in session.texts("USER")]


def test_a_queued_message_leaves_when_credit_comes(start: Start) -> None:
    """Queueing returns at once; the handle's result is the receipt once the text was handed over."""
    server, client = start()
    pending = client.enqueue_text_message("USER", "later", author="me")
    assert not pending.done()
    assert client.queue_length("USER") == 1
    state = client.connection_state().channels["USER"]
    assert (state.queued, state.waiting, state.backlog, state.waiting_for) == (1, 0, 1, "messages")
    assert state.queued_bytes == pending.queued_bytes > 500
    with pytest.raises(HAIPTimeout, match="still waits"):
        pending.result(0.01)
    server.grant("USER", 3)
    receipt = pending.result(PATIENCE_S)
    assert receipt.message_id == pending.message_id
    assert receipt.outcome in ("sent", "acknowledged")
    assert pending.done()
    assert client.queue_length("USER") == 0
    assert texts(server, 1) == ["later"]


def test_queued_and_blocked_sends_share_one_line(start: Start) -> None:
    """Whoever came first goes first, thread or not."""
    server, client = start()
    client.enqueue_text_message("USER", "one")
    with ThreadPoolExecutor(1) as pool:
        two = pool.submit(client.send_text_message, "USER", "two")
        until(lambda: client.connection_state().channels["USER"].waiting == 1)
        client.enqueue_text_message("USER", "three")
        assert client.connection_state().channels["USER"].backlog == 3
        with pytest.raises(FlowControlError, match="3 senders of USER came first"):
            client.send_text_message("USER", "now", timeout=0)
        server.grant("USER", 9)
        two.result(PATIENCE_S)
    assert texts(server, 3) == ["one", "two", "three"]


def test_a_thousand_queued_messages_keep_their_order(start: Start) -> None:
    """Queue and forget: everything arrives once, in order."""
    server, client = start(first=10, policy=Generous())
    for number in range(1_000):
        client.enqueue_text_message("USER", str(number))
    client.flush(PATIENCE_S)
    assert client.queue_length("USER") == 0
    assert texts(server, 1_000) == [str(number) for number in range(1_000)]


def test_a_clean_exit_sends_what_is_queued() -> None:
    """The end of a with block flushes the queue before it closes."""
    with DevServer(policy=Generous(), initial_credits=3, agent=False) as server:
        with HAIPClient(server.url) as client:
            pending = [client.enqueue_text_message("USER", str(number)) for number in range(50)]
        assert all(handle.result(0).outcome in ("sent", "acknowledged") for handle in pending)
        assert texts(server, 50) == [str(number) for number in range(50)]


def test_what_is_left_at_close_is_handed_back(start: Start) -> None:
    """close() settles what is still queued as not sent, for the reason closed."""
    server, client = start()
    pending = [client.enqueue_text_message("USER", str(number)) for number in range(3)]
    client.close()
    for handle in pending:
        with pytest.raises(NotSentError, match=r"left over when the client closed\. Nothing of it was sent") as caught:
            handle.result(0)
        assert caught.value.reason == "closed"
    with pytest.raises(ConnectionClosedError):
        client.enqueue_text_message("USER", "too late")
    assert server.wait_for_session().text_count == 0


def test_a_loss_hands_back_too(start: Start) -> None:
    """When the last line breaks, what is queued is told so, in words of its own."""
    server, client = start(reconnect=ONE_LINE)
    pending = client.enqueue_text_message("USER", "x")
    server.drop()
    with pytest.raises(NotSentError) as caught:
        pending.result(PATIENCE_S)
    assert caught.value.reason == "closed"


def test_a_message_can_be_taken_back(start: Start) -> None:
    """cancel() takes a queued message out, once, and lets the next go."""
    server, client = start()
    first, second = client.enqueue_text_message("USER", "a" * 50), client.enqueue_text_message("USER", "b")
    assert first.cancel()
    assert not first.cancel()
    with pytest.raises(NotSentError, match="cancelled") as caught:
        first.result(0)
    assert caught.value.reason == "cancelled"
    server.grant("USER", 3)
    second.result(PATIENCE_S)
    assert not second.cancel()
    assert texts(server, 1) == ["b"]


def test_a_queue_can_be_cleared(start: Start) -> None:
    """clear_queue takes everything back that is not admitted, the first in line included, and leaves waiting threads alone."""
    server, client = start()
    pending = [client.enqueue_text_message("USER", str(number)) for number in range(3)]
    with ThreadPoolExecutor(1) as pool:
        blocked = pool.submit(client.send_text_message, "USER", "blocked")
        until(lambda: client.connection_state().channels["USER"].waiting == 1)
        pending.append(client.enqueue_text_message("USER", "last"))
        assert client.clear_queue("USER") == 4
        assert client.clear_queue("USER") == 0
        assert client.queue_length("USER") == 0
        for handle in pending:
            with pytest.raises(NotSentError) as caught:
                handle.result(0)
            assert caught.value.reason == "cleared"
        server.grant("USER", 3)
        blocked.result(PATIENCE_S)
    assert texts(server, 1) == ["blocked"]


def test_clearing_lets_flush_end(start: Start) -> None:
    """flush() ends when what it waited for is gone, and times out while it is not."""
    _, client = start()
    client.enqueue_text_message("USER", "x")
    with pytest.raises(HAIPTimeout, match="not everything was written"):
        client.flush(0.02)
    with ThreadPoolExecutor(1) as pool:
        flushing = pool.submit(client.flush, PATIENCE_S)
        client.clear_queue("USER")
        flushing.result(PATIENCE_S)


@pytest.mark.parametrize("ends", ["close", "loss"])
def test_flush_does_not_return_as_if_what_the_end_hands_back_had_left(start: Start, ends: str) -> None:
    """Closed or lost with something queued: who waits in flush(), and who calls it afterwards, hears that not all of it left."""
    server, client = start(reconnect=ONE_LINE)
    pending = client.enqueue_text_message("USER", "left over")
    with ThreadPoolExecutor(1) as pool:
        flushing = pool.submit(client.flush, PATIENCE_S)
        until(lambda: client._connection._waiting == 1)
        client.close() if ends == "close" else server.drop()
        with pytest.raises(ConnectionClosedError, match="Not everything had left by then"):
            flushing.result(PATIENCE_S)
    with pytest.raises(NotSentError):
        pending.result(PATIENCE_S)
    with pytest.raises(ConnectionClosedError, match="Not everything had left by then"):
        client.flush(PATIENCE_S)


def test_flush_of_a_closed_client_returns_where_everything_had_left(start: Start) -> None:
    """Nothing was queued at the end: nothing is missing."""
    _, client = start(first=3)
    client.enqueue_text_message("USER", "leaves")
    client.flush(PATIENCE_S)
    client.close()
    client.flush(PATIENCE_S)


def test_a_stream_that_is_cleared_says_how_far_it_came(start: Start) -> None:
    """A text whose START has left is not "not sent": its holder gets PartialSendError."""
    server, client = start(first=1)
    pending = client.enqueue_text_message("USER", "x")
    until(lambda: client.connection_state().channels["USER"].sent_messages == 1)
    assert not pending.cancel()
    assert client.clear_queue("USER") == 1
    with pytest.raises(PartialSendError, match="cleared in mid-stream"):
        pending.result(0)
    server.grant("USER", 3)
    client.send_text_message("USER", "next", timeout=PATIENCE_S)
    assert texts(server, 1) == ["next"]


# ---- The bound --------------------------------------------------------------------------------------------------------------


def test_overflow_raise(start: Start) -> None:
    """A full queue refuses, in messages, and says what it holds."""
    _, client = start(queue_max_messages=2, overflow="raise")
    for number in range(2):
        client.enqueue_text_message("USER", str(number))
    with pytest.raises(QueueFullError, match=r"outbox of USER is full: it holds 2 messages of \d+ bytes\. Nothing was queued"):
        client.enqueue_text_message("USER", "2")
    client.enqueue_text_message("AGENT", "each channel has its own")
    assert client.queue_length("USER") == 2


def test_the_bound_is_in_bytes_too(start: Start) -> None:
    """Bytes fill a queue as messages do, and a message larger than the whole queue is refused whatever the policy."""
    _, client = start(queue_max_bytes=3_000, overflow="drop_oldest")
    handles = [client.enqueue_text_message("USER", "x" * 1_000) for _ in range(3)]
    assert client.queue_length("USER") == 1
    assert [handle.done() for handle in handles] == [True, True, False]
    with pytest.raises(QueueFullError, match="larger than queue_max_bytes, 3000"):
        client.enqueue_text_message("USER", "x" * 3_000)


def test_nothing_is_dropped_for_a_message_that_finds_no_room_all_the_same(start: Start) -> None:
    """Beside a text in mid-stream, which stays, a large message has no place: it is dropped alone, and not all others with it."""
    server, client = start(first=1, queue_max_bytes=3_000, overflow="drop_oldest")
    begun = client.enqueue_text_message("USER", "a" * 1_500)
    until(lambda: not client.connection_state().credits["USER"])
    small = client.enqueue_text_message("USER", "b")
    with pytest.raises(NotSentError) as dropped:
        client.enqueue_text_message("USER", "c" * 1_800).result(PATIENCE_S)
    assert dropped.value.reason == "dropped"
    assert (begun.done(), small.done()) == (False, False)
    server.grant("USER", 5)
    assert texts(server, 2) == ["a" * 1_500, "b"]


@pytest.mark.parametrize(("overflow", "kept"), [("drop_oldest", ["1", "2"]), ("drop_newest", ["0", "1"])])
def test_what_is_dropped_is_told_to_its_holder(start: Start, overflow: str, kept: list[str]) -> None:
    """A dropped message settles its handle with the reason dropped, is an event, and the rest arrives."""
    server, client = start(queue_max_messages=2, overflow=overflow)
    events: list[MessageDropped] = []
    client.subscribe(events.append, MessageDropped)
    handles = [client.enqueue_text_message("USER", str(number)) for number in range(3)]
    [dropped] = [handle for handle in handles if handle.done()]
    with pytest.raises(NotSentError, match="dropped") as caught:
        dropped.result(0)
    assert caught.value.reason == "dropped"
    until(lambda: len(events) == 1)
    assert (events[0].message_id, events[0].reason) == (dropped.message_id, "dropped")
    server.grant("USER", 6)
    assert texts(server, 2) == kept


def test_overflow_block_holds_callers_in_order(start: Start) -> None:
    """A full queue holds callers until there is room, first come first served."""
    server, client = start(queue_max_messages=1)
    client.enqueue_text_message("USER", "0")
    with ThreadPoolExecutor(3) as pool:
        held = []
        room = client._connection.rooms.turnstile.gate("USER").room
        for number in (1, 2, 3):
            held.append(pool.submit(client.enqueue_text_message, "USER", str(number)))
            until(lambda expected=number: len(room) == expected)
        server.grant("USER", 12)
        handles = [future.result(PATIENCE_S) for future in held]
    assert all(handle.result(PATIENCE_S).outcome in ("sent", "acknowledged") for handle in handles)
    assert texts(server, 4) == ["0", "1", "2", "3"]


def test_close_frees_callers_that_a_full_queue_holds(start: Start) -> None:
    """Whoever is held by a full queue at close is told that nothing was queued."""
    _, client = start(queue_max_messages=1)
    client.enqueue_text_message("USER", "0")
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(client.enqueue_text_message, "USER", "1")
        until(lambda: len(client._connection.rooms.turnstile.gate("USER").room) == 1)
        client.close()
        with pytest.raises(ConnectionClosedError, match="was not queued"):
            held.result(PATIENCE_S)


# ---- Handles ----------------------------------------------------------------------------------------------------------------


def test_callbacks_run_on_the_dispatch_thread(start: Start) -> None:
    """A callback runs once with its handle, also when it comes late, and one that raises harms nobody."""
    server, client = start()
    seen: list[tuple[PendingSend, bool]] = []
    done = threading.Event()
    pending = client.enqueue_text_message("USER", "x")

    def broken(_handle: PendingSend) -> None:
        raise RuntimeError("mine")

    def callback(handle: PendingSend) -> None:
        seen.append((handle, client._connection.is_dispatching()))

    pending.add_done_callback(broken)
    pending.add_done_callback(callback)
    server.grant("USER", 3)
    pending.result(PATIENCE_S)
    pending.add_done_callback(lambda _: done.set())
    assert done.wait(PATIENCE_S)
    assert seen == [(pending, True)]


def test_a_callback_that_comes_after_close_runs_with_its_caller(start: Start) -> None:
    """The dispatch thread is gone by then: the callback runs before the call is back, and under no lock."""
    _, client = start()
    pending = client.enqueue_text_message("USER", "left over")
    client.close()
    seen: list[tuple[PendingSend, bool, bool]] = []

    def callback(handle: PendingSend) -> None:
        seen.append((handle, handle.done(), client._connection.is_reentered()))

    pending.add_done_callback(callback)
    assert seen == [(pending, True, False)]
    with client._connection.rooms.parking.lock, pytest.raises(DeadlockError):
        pending.add_done_callback(callback)
    assert len(seen) == 1


def test_a_listener_must_not_wait_for_a_handle(start: Start) -> None:
    """result() from a listener before it is settled is a DeadlockError; enqueueing from a listener is fine."""
    server, client = start()
    outcomes: list[Any] = []

    def listener(_event: Event) -> None:
        handle = client.enqueue_text_message("USER", "from a listener")
        try:
            handle.result()
        except DeadlockError as exc:
            outcomes.append(exc)

    client.subscribe(listener, CreditGranted)
    server.grant("USER", 1)
    until(lambda: len(outcomes) == 1)


def test_the_outbox_tells_its_story(start: Start) -> None:
    """Queued, backlog and admission are events with counts and bytes."""
    server, client = start()
    events: list[Any] = []
    client.subscribe(events.append, MessageQueued, BacklogChanged, SendAdmitted)
    client.enqueue_text_message("USER", "x").add_done_callback(lambda _: events.append("done"))
    until(lambda: any(isinstance(event, MessageQueued) for event in events))
    server.grant("USER", 3)
    until(lambda: "done" in events)
    queued = next(event for event in events if isinstance(event, MessageQueued))
    assert (queued.queued, queued.queued_bytes) == (1, queued.message_bytes)
    admitted = next(event for event in events if isinstance(event, SendAdmitted))
    assert admitted.wait_s > 0
    assert [event.queued for event in events if isinstance(event, BacklogChanged)][-1] == 0


def test_a_loss_while_written_is_not_called_unsent(start: Start) -> None:
    """What the writer had in hand when the line broke is reported as not known, never as not sent."""
    _, client = start(first=3)
    rooms = client._connection.rooms
    taken, put_down = threading.Event(), threading.Event()

    def hold_the_pen() -> None:
        with client._connection.writer._pen:  # nobody can write
            taken.set()
            put_down.wait(PATIENCE_S)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold_the_pen)
        assert taken.wait(PATIENCE_S)
        pending = client.enqueue_text_message("USER", "x")
        assert client.queue_length("USER") == 0
        with rooms.parking.lock:
            for entry in rooms.outgoing.first(1):
                entry.is_taken = True  # as who writes says before the first byte
            rooms.outgoing.abandon(ConnectionClosedError("the line broke"))
        with pytest.raises(
            ConnectionClosedError, match="was admitted, then the connection ended: whether the peer has it is not known"
        ):
            pending.result(0)
        put_down.set()
        holding.result(PATIENCE_S)
    client.close(0)  # nobody writes what the writer seems to have in hand: there is nothing to wait for
