"""Runs: what the peer is told at the beginning and at the end, whatever happens between."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from support.interrupts import every_interrupt, interrupted_at
from support.run_peers import Listening
from support.scripted_peer import peer
from support.turnstiles import PATIENCE_S, until

from haip_sync import ConfigError, FlowControlError, HAIPClient, ProtocolError, Run
from haip_sync.runtime.writer import Writer


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
