"""Runs: what the peer is told at the beginning and at the end, whatever happens between, and what it says itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from support.interrupts import every_interrupt, interrupted_at
from support.lines import ONE_LINE
from support.scripted_peer import TYPES, Peer, peer
from support.turnstiles import PATIENCE_S, until

from haip_sync import (
    ConfigError,
    ConnectionClosedError,
    DeadlockError,
    FlowControlError,
    HAIPClient,
    HAIPTimeout,
    ProtocolError,
    Run,
)
from haip_sync.runtime.writer import Writer

RUN_TYPES = [*TYPES, "RUN_STARTED", "RUN_FINISHED", "RUN_CANCEL", "TOOL_CALL", "AUDIO_CHUNK"]


def say_nothing(speaker: Peer, started: Any) -> None:
    """Leave a run alone."""


class Listening:
    """A peer that notes every frame, and says what `then` has it say once RUN_STARTED came."""

    def __init__(self, then: Callable[[Peer, Any], object] = say_nothing, **hello: Any) -> None:
        self.frames: list[Any] = []
        self._then = then
        self._hello = {"accept_events": RUN_TYPES} | hello

    def __call__(self, speaker: Peer) -> None:
        speaker.greets(**self._hello)
        while True:
            frame = speaker.hears_any()
            self.frames.append(frame)
            if frame["type"] == "RUN_STARTED":
                self._then(speaker, frame)

    def of(self, frame_type: str) -> list[Any]:
        return [frame["payload"] for frame in self.frames if frame["type"] == frame_type]


def test_a_clean_run_is_begun_and_finished() -> None:
    """RUN_STARTED on the way in, RUN_FINISHED with OK on the way out; what is sent in it carries its ids."""
    script = Listening()
    with peer(script) as url, HAIPClient(url) as client:
        with client.run(thread_id="t", metadata={"why": "test"}) as run:
            assert run.status == "open"
            run.send_text_message("USER", "hi", "me")
            run.send("USER", "RUN_CANCEL", {"run_id": "another"})
            run.call_tool("USER", "x", {})
            run.send_audio_chunk("USER", "m", "audio/pcm", b"1")
            run.enqueue_text_message("USER", "later").result(PATIENCE_S)
        assert (run.status, run.cancelled.is_set(), run.error) == ("OK", False, None)
        until(lambda: script.of("RUN_FINISHED"))
    assert script.of("RUN_STARTED") == [{"run_id": run.run_id, "thread_id": "t", "metadata": {"why": "test"}}]
    assert script.of("RUN_FINISHED") == [{"run_id": run.run_id, "status": "OK"}]
    data = [frame for frame in script.frames if frame["type"] not in ("HAI", "FLOW_UPDATE", "PONG")]
    assert {(frame["run_id"], frame["thread_id"]) for frame in data} == {(run.run_id, "t")}
    assert len(data) == 11
    assert {frame["channel"] for frame in data if frame["type"].startswith("RUN_") and frame["channel"] != "USER"} == {"SYSTEM"}


def test_finish_is_told_once_with_its_summary() -> None:
    """finish(summary) sends RUN_FINISHED; a second call, and the end of the block, send nothing more."""
    script = Listening()
    with peer(script) as url, HAIPClient(url) as client:
        with client.run() as run:
            run.finish("all done")
            run.finish("again")
            assert run.wait(0) == "OK"
        client.send("USER", "RUN_CANCEL", {"run_id": "the end"})
        until(lambda: script.of("RUN_CANCEL"))
    assert script.of("RUN_FINISHED") == [{"run_id": run.run_id, "status": "OK", "summary": "all done"}]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_goes_on_and_the_peer_is_told(kind: type[BaseException]) -> None:
    """Whatever ends the block propagates as it is; RUN_FINISHED has status ERROR, and a note says that the peer was told."""
    script = Listening()
    with peer(script) as url, HAIPClient(url) as client:
        with pytest.raises(kind, match="mine") as caught, client.run() as run:
            raise kind("mine")
        until(lambda: script.of("RUN_FINISHED"))
    assert script.of("RUN_FINISHED") == [{"run_id": run.run_id, "status": "ERROR"}]
    assert caught.value.__notes__ == [f"haip_sync: the peer was told that the run {run.run_id} has ended as ERROR"]


def test_a_peer_that_cannot_be_told_hides_no_exception() -> None:
    """Without credit for RUN_FINISHED the exception goes on, within a second or so, with a note that says why."""
    with peer(Listening(messages=1)) as url, HAIPClient(url) as client:
        with pytest.raises(ValueError, match="mine") as caught, client.run() as run:
            raise ValueError("mine")
        assert "was not told that the run" in caught.value.__notes__[0]
        assert "RUN_FINISHED waited" in caught.value.__notes__[0]
        assert run.status == "ERROR"


def test_a_clean_run_that_cannot_be_finished_says_so() -> None:
    """After a clean exit a RUN_FINISHED that finds no credit raises; nothing of it was sent, and finish() may be called again."""
    script = Listening(messages=1)
    with peer(script) as url, HAIPClient(url) as client:
        with pytest.raises(FlowControlError, match="RUN_FINISHED was not sent"), client.run(timeout=0) as run:
            pass
        assert run.status == "open"
        with pytest.raises(FlowControlError):
            run.finish()


def test_a_run_that_cannot_begin_leaves_nothing_behind() -> None:
    """Without credit for RUN_STARTED the block is not entered and no run is open."""
    with peer(Listening(messages=0)) as url, HAIPClient(url) as client:
        run = client.run(timeout=0)
        with pytest.raises(FlowControlError, match="RUN_STARTED was not sent"):
            run.__enter__()
        assert run.status == "ERROR"
        assert client._connection.rooms.routes.count(Run) == 0


def test_an_interrupt_on_the_way_in_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted once RUN_STARTED is admitted, the block is not entered, and the peer is told that the run has ended."""
    script = Listening()
    with peer(script) as url, HAIPClient(url) as client:
        write_through = Writer.write_through

        def interrupted(_writer: Writer, *_: object) -> None:
            monkeypatch.setattr(Writer, "write_through", write_through)
            raise KeyboardInterrupt

        monkeypatch.setattr(Writer, "write_through", interrupted)
        with pytest.raises(KeyboardInterrupt) as caught, client.run():
            pytest.fail("entered")
        until(lambda: script.of("RUN_FINISHED"))
        assert client._connection.rooms.routes.count(Run) == 0
    assert script.of("RUN_FINISHED")[0]["status"] == "ERROR"
    assert "the peer was told that the run" in caught.value.__notes__[-1]


def test_the_peers_limit_is_kept() -> None:
    """More open runs than max_concurrent_runs raise RUN_LIMIT_EXCEEDED before anything is sent; one that ends makes room."""
    credit = {"flow_control": {"initial_credit_messages": 100, "initial_credit_bytes": 1 << 20}, "max_concurrent_runs": 1}
    script = Listening(capabilities=credit)
    with peer(script) as url, HAIPClient(url) as client:
        with client.run():
            with pytest.raises(ProtocolError, match=r"allows 1 runs together.*Nothing was sent") as caught, client.run():
                pass
            assert (caught.value.code, caught.value.blame) == ("RUN_LIMIT_EXCEEDED", "local")
        with client.run():
            pass
        until(lambda: len(script.of("RUN_FINISHED")) == 2)
    assert len(script.of("RUN_STARTED")) == 2


@pytest.mark.parametrize(
    "send",
    [
        lambda run: run.send_text_message("USER", "hello", timeout=PATIENCE_S),
        lambda run: run.enqueue_text_message("USER", "hello"),
        lambda run: run.send("USER", "MESSAGE", {}, timeout=PATIENCE_S),
        lambda run: run.send_audio_chunk("USER", "m", "audio/pcm", b"", timeout=PATIENCE_S),
        lambda run: run.call_tool("USER", "search", timeout=PATIENCE_S),
    ],
    ids=["text", "queued", "frame", "audio", "call"],
)
def test_nothing_is_sent_in_a_run_that_is_not_begun(send: Callable[[Run], object]) -> None:
    """Whoever leaves out the with block is told so; the peer hears of no run that it does not know."""
    script = Listening()
    with peer(script) as url, HAIPClient(url) as client:
        with pytest.raises(ConfigError, match=r"is not begun: use it in a with block\. Nothing was sent"):
            send(client.run())
        client.flush(PATIENCE_S)
    assert not [frame for frame in script.frames if frame.get("run_id")]


def test_a_run_is_entered_once() -> None:
    """A second with on the same run is a ConfigError."""
    with peer(Listening()) as url, HAIPClient(url) as client:
        with client.run() as run:
            pass
        with pytest.raises(ConfigError, match="begun before"):
            run.__enter__()
        assert run.status == "OK"


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


def is_finished_once(client: HAIPClient, script: Listening, run: Run) -> None:
    """Check that the peer has heard RUN_FINISHED once, by a frame that comes behind it, and that no run is left."""
    client.send("USER", "TOOL_CALL", {"call_id": run.run_id, "tool": "t", "params": {}})
    until(lambda: run.run_id in [payload["call_id"] for payload in script.of("TOOL_CALL")])
    assert [payload["run_id"] for payload in script.of("RUN_FINISHED")].count(run.run_id) == 1
    assert client._connection.rooms.routes.count(Run) == 0


@pytest.mark.parametrize("error", [None, ZeroDivisionError()])
def test_an_interrupt_of_the_way_out_leaves_no_run_open(error: Exception | None) -> None:
    """Wherever it strikes once the way out has begun, RUN_FINISHED is said, and once."""
    script = Listening(messages=10_000)
    with peer(script) as url, HAIPClient(url) as client:

        def leave_interrupted(at: int) -> bool:
            run = client.run().__enter__()
            leave = partial(run.__exit__, None if error is None else type(error), error, None)
            fired, raised = interrupted_at(1 + at * 3, leave)  # before the first line nothing can be done
            assert isinstance(raised, KeyboardInterrupt) if fired else raised is None
            is_finished_once(client, script, run)
            return fired

        assert len(list(every_interrupt(leave_interrupted))) > 30


def test_an_interrupt_on_the_way_out_says_it_once() -> None:
    """Wherever an interrupt strikes finish(), RUN_FINISHED is said once, by the block's end at the latest; no run is left."""
    script = Listening(messages=10_000)
    with peer(script) as url, HAIPClient(url) as client:

        def finish_interrupted(at: int) -> bool:
            run = client.run().__enter__()
            fired, raised = interrupted_at(at * 5, run.finish)
            run.__exit__(type(raised) if raised else None, raised, None)
            is_finished_once(client, script, run)
            return fired

        assert len(list(every_interrupt(finish_interrupted))) > 30
