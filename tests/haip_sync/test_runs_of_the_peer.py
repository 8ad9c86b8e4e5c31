"""What the peer says of a run of ours, and what who waits for it hears."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.lines import ONE_LINE
from support.run_peers import RUN_TYPES, Listening
from support.scripted_peer import Peer, peer
from support.turnstiles import PATIENCE_S, until

from haip_sync import ConnectionClosedError, DeadlockError, FlowControlError, HAIPClient, HAIPTimeout, ProtocolError, Run


def test_the_peer_may_finish_the_run() -> None:
    """RUN_FINISHED of the peer's ends wait(); nothing is sent at the end of the block, and the inbox stays empty."""

    def finish(speaker: Peer, frame: Any) -> None:
        run_id = frame["payload"]["run_id"]
        speaker.says("RUN_FINISHED", {"run_id": "of somebody else", "status": "ERROR"})
        speaker.says("RUN_FINISHED", {"status": "OK", "summary": "fine"}, run_id=run_id)  # named by the envelope

    script = Listening(finish)
    with peer(script) as url, HAIPClient(url) as client:
        with client.run() as run:
            assert run.wait(PATIENCE_S) == "OK"
        assert client.receive(PATIENCE_S).payload["run_id"] == "of somebody else"
        with pytest.raises(HAIPTimeout):
            client.receive(0)
        client.send("USER", "RUN_CANCEL", {"run_id": "the end"})
        until(lambda: script.of("RUN_CANCEL"))
    assert script.of("RUN_FINISHED") == []


def test_the_peer_may_ask_to_cancel() -> None:
    """RUN_CANCEL of the peer's sets `cancelled`, and the end of the block confirms it with status CANCELLED."""
    script = Listening(lambda speaker, frame: speaker.says("RUN_CANCEL", {"run_id": frame["payload"]["run_id"]}))
    with peer(script) as url, HAIPClient(url) as client:
        with client.run() as run:
            assert run.cancelled.wait(PATIENCE_S)
            assert run.wait(0) == "CANCELLED"
        until(lambda: script.of("RUN_FINISHED"))
    assert script.of("RUN_FINISHED") == [{"run_id": run.run_id, "status": "CANCELLED"}]


def test_we_may_ask_to_cancel() -> None:
    """cancel() sends RUN_CANCEL once and sets `cancelled`; the end of the block says CANCELLED."""
    script = Listening()
    with peer(script) as url, HAIPClient(url) as client:
        with client.run() as run:
            assert run.cancelled.wait(0) is False
            assert run.cancel() is True
            assert run.cancel() is False
            assert run.cancelled.is_set()
            assert run.status == "open"
        assert run.status == "CANCELLED"
        until(lambda: script.of("RUN_FINISHED"))
    assert script.of("RUN_CANCEL") == [{"run_id": run.run_id}]
    assert script.of("RUN_FINISHED") == [{"run_id": run.run_id, "status": "CANCELLED"}]


def test_an_echo_says_nothing_of_a_run() -> None:
    """A peer that sends our own RUN_CANCEL back has not ended the run: the echo goes to receive()."""

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=RUN_TYPES)
        speaker.connection.send(json.dumps(speaker.hears_frame("RUN_CANCEL")))
        speaker.stays()

    with peer(script) as url, HAIPClient(url) as client, client.run() as run:
        run.cancel()
        assert client.receive(PATIENCE_S).type == "RUN_CANCEL"
        assert run.status == "open"


@pytest.mark.parametrize(("frame_type", "flaw"), [("RUN_FINISHED", {"status": "WHAT"}), ("RUN_ERROR", {"code": 5})])
def test_an_end_that_cannot_be_read_is_an_end(frame_type: str, flaw: dict[str, Any]) -> None:
    """Nobody waits for ever for what will not come again: wait() raises ProtocolError, and no second end is said."""
    script = Listening(lambda speaker, frame: speaker.says(frame_type, {"run_id": frame["payload"]["run_id"]} | flaw))
    with peer(script) as url, HAIPClient(url) as client:
        with client.run() as run, pytest.raises(ProtocolError, match=rf"how cannot be read: {frame_type} has a bad payload"):
            run.wait(PATIENCE_S)
        assert run.status == "ERROR"
    assert script.of("RUN_FINISHED") == []


@pytest.mark.parametrize("is_run_error", [True, False])
def test_a_run_that_the_peer_fails_raises(is_run_error: bool) -> None:
    """RUN_ERROR, or an ERROR about RUN_STARTED, is raised by wait(), or by a clean exit where nobody waited."""

    def fail(speaker: Peer, frame: Any) -> None:
        if is_run_error:
            speaker.says("RUN_ERROR", {"run_id": frame["payload"]["run_id"], "code": "BOOM", "message": "no"})
        else:
            speaker.says("ERROR", {"code": "BOOM", "message": "no", "related_id": frame["id"]})

    with peer(Listening(fail)) as url, HAIPClient(url) as client:
        with client.run() as run, pytest.raises(ProtocolError, match="BOOM: no") as caught:
            run.wait(PATIENCE_S)
        assert (caught.value.code, caught.value.blame, run.status) == ("BOOM", "remote", "ERROR")
        with pytest.raises(ProtocolError, match="BOOM: no"), client.run() as second:
            until(lambda: second.status == "ERROR")


def test_a_refusal_for_want_of_credit_ends_the_run() -> None:
    """INSUFFICIENT_CREDITS about RUN_STARTED is a FlowControlError; for the peer there is no such run, and it is told nothing."""
    script = Listening(lambda s, f: s.says("ERROR", {"code": "INSUFFICIENT_CREDITS", "message": "none", "related_id": f["id"]}))
    with peer(script) as url, HAIPClient(url) as client, client.run() as run:
        with pytest.raises(FlowControlError, match="refused the run"):
            run.wait(PATIENCE_S)
        assert run.status == "ERROR"
    assert script.of("RUN_FINISHED") == []


def test_the_end_of_the_connection_ends_the_run() -> None:
    """A lost line wakes wait() and `cancelled`; a clean exit raises that the peer was not told."""
    has_begun = threading.Event()

    def leave(speaker: Peer, _: Any) -> None:
        has_begun.wait(PATIENCE_S)
        speaker.connection.socket.close()

    def cancelled_before_the_end(run: Run) -> bool:
        has_begun.set()
        return run.cancelled.wait(PATIENCE_S)

    with peer(Listening(leave)) as url:
        client = HAIPClient(url, reconnect=ONE_LINE)
        client.connect(PATIENCE_S)
        with pytest.raises(ConnectionClosedError, match="was not told that the run"), client.run() as run:
            assert cancelled_before_the_end(run) is False
        with pytest.raises(ConnectionClosedError):
            run.wait(0)
        assert run.status == "ERROR"
        client.close()


def test_who_waits_for_a_run_that_never_began_hears_of_the_end() -> None:
    """wait() and `cancelled` on a run that nobody has entered end with the connection, and return at once after it."""
    with peer(Listening()) as url, ThreadPoolExecutor(2) as pool:
        client = HAIPClient(url)
        client.connect(PATIENCE_S)
        run = client.run()
        waits = [pool.submit(run.wait), pool.submit(run.cancelled.wait)]
        until(lambda: len(client._connection.rooms.routes._awaited) == 2)
        client.close()
        with pytest.raises(ConnectionClosedError, match="was not begun"):
            waits[0].result(PATIENCE_S)
        assert waits[1].result(PATIENCE_S) is False
        with pytest.raises(ConnectionClosedError, match="was not begun"):
            client.run().wait()
        assert not client._connection.rooms.routes._awaited


def test_waiting_in_a_listener_is_a_deadlock() -> None:
    """wait() on the dispatch thread raises DeadlockError unless its timeout is 0."""
    raised: list[type[Exception]] = []
    done = threading.Event()

    def listener(_: Any) -> None:
        for timeout in (None, 0):
            try:
                run.wait(timeout)
            except (DeadlockError, HAIPTimeout) as exc:
                raised.append(type(exc))
        done.set()

    with peer(Listening()) as url, HAIPClient(url) as client, client.run() as run:
        client.on("queue", listener)
        client.enqueue_text_message("USER", "x")
        assert done.wait(PATIENCE_S)
    assert raised[:2] == [DeadlockError, HAIPTimeout]


def _waiting(*waits: Callable[[], object]) -> list[threading.Thread]:
    """Return threads that wait."""
    threads = [threading.Thread(target=wait, name=f"waits-{number}", daemon=True) for number, wait in enumerate(waits)]
    for thread in threads:
        thread.start()
    return threads


def _is_waited_for(run: Run, number: int) -> bool:
    return len(run._changed._waiters) == number  # type: ignore[attr-defined]


def test_who_waits_for_a_run_hears_that_it_could_not_begin() -> None:
    """A run whose RUN_STARTED finds no credit is over for who waits for it in another thread, too."""
    with peer(Listening(messages=0)) as url, HAIPClient(url) as client:
        run = client.run(timeout=0)
        waiting = _waiting(run.wait, run.cancelled.wait)
        until(lambda: _is_waited_for(run, 2))
        with pytest.raises(FlowControlError):
            run.__enter__()
        for thread in waiting:
            thread.join(PATIENCE_S)
        assert not any(thread.is_alive() for thread in waiting)


def test_who_waits_for_a_run_hears_that_it_ended_untold() -> None:
    """A run that an exception ends is over for who waits for it, though the peer could not be told."""
    with peer(Listening(messages=1)) as url, HAIPClient(url) as client:
        run = client.run(timeout=0)
        waiting = _waiting(run.wait, run.cancelled.wait)
        until(lambda: _is_waited_for(run, 2))
        with pytest.raises(ValueError, match="mine"), run:
            raise ValueError("mine")
        for thread in waiting:
            thread.join(PATIENCE_S)
        assert not any(thread.is_alive() for thread in waiting)
