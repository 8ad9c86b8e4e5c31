"""Calls of tools that take their time: cancelled, queued, ended with their session, held up by credit."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from support.tool_dial import PATIENCE_S, Dial, Gate, add, call, meet

from haip_sync.testing import DevServer, ToolInvocation

# Cancelling


def test_a_running_call_is_cancelled(dial: Dial) -> None:
    """The tool sees the flag and the reason; CANCELLING comes at once, CANCELLED with what the tool came to."""
    gate = Gate()
    with DevServer(policy="never", tools={"gate": gate}) as running:
        client, session = meet(running, dial)
        call(client, "gate")
        gate.wait_begun()
        for _ in range(2):
            client.send("TOOL_CANCEL", {"call_id": "c", "reason": "enough"}, "USER")
        assert client.expect("TOOL_UPDATE")["payload"] == {"call_id": "c", "status": "CANCELLING"}
        done = client.next()
        assert done["payload"] == {"call_id": "c", "status": "CANCELLED", "result": "too late"}
        assert gate.calls[0].reason == "enough"
        assert session.calls[0].status == "CANCELLED"
        assert not gate.calls[0].update(progress=99)
        client.send("PING", {})
        client.expect("PONG")
        assert "TOOL_UPDATE" not in [frame["type"] for frame in client.seen[client.seen.index(done) :]]


def test_a_call_that_fails_once_it_was_cancelled_is_cancelled(dial: Dial) -> None:
    """What it raised then is nobody's business; until it ends it is CANCELLING."""
    seen = threading.Event()

    def stop(params: Any, call: ToolInvocation) -> None:
        call.update()
        assert call.cancelled.wait(PATIENCE_S)
        assert seen.wait(PATIENCE_S)
        raise RuntimeError("stopped")

    with DevServer(policy="never", tools={"stop": stop}) as running:
        client, session = meet(running, dial)
        call(client, "stop")
        client.expect("TOOL_UPDATE")
        assert session.calls[0].status == "RUNNING"
        client.send("TOOL_CANCEL", {"call_id": "c"}, "USER")
        client.expect("TOOL_UPDATE")
        assert session.calls[0].status == "CANCELLING"
        seen.set()
        assert client.expect("TOOL_DONE")["payload"] == {"call_id": "c", "status": "CANCELLED"}


def test_cancelling_what_is_over_changes_nothing(dial: Dial) -> None:
    """The two frames may have crossed."""
    with DevServer(policy="never", tools={"add": add}) as running:
        client, _ = meet(running, dial)
        call(client, "add", {"a": 1, "b": 1})
        client.expect("TOOL_DONE")
        client.send("TOOL_CANCEL", {"call_id": "c"}, "USER")
        client.send("TOOL_CANCEL", {"call_id": "never"}, "USER")
        client.send("PING", {})
        while (frame := client.next())["type"] == "FLOW_UPDATE":
            pass
        assert frame["type"] == "PONG"


def test_calls_beyond_the_threads_are_queued(dial: Dial) -> None:
    """They are told so, begin in order when a thread is free, and one that is cancelled meanwhile never begins."""
    gate = Gate()
    with DevServer(policy="never", tools={"gate": gate}, tool_threads=1) as running:
        client, session = meet(running, dial)
        call(client, "gate", call_id="1")
        gate.wait_begun()
        for call_id in ("2", "3"):
            call(client, "gate", call_id=call_id)
            assert client.expect("TOOL_UPDATE")["payload"] == {"call_id": call_id, "status": "QUEUED"}
        client.send("TOOL_CANCEL", {"call_id": "2"}, "USER")
        assert client.expect("TOOL_DONE")["payload"] == {"call_id": "2", "status": "CANCELLED"}
        gate.go.set()
        done = [client.expect("TOOL_DONE")["payload"]["call_id"] for _ in range(2)]
        assert done == ["1", "3"]
        assert [invocation.call_id for invocation in gate.calls] == ["1", "3"]
        assert [record.status for record in session.calls] == ["OK", "CANCELLED", "OK"]


@pytest.mark.parametrize("how", ["drop", "stop"])
def test_calls_end_with_their_session(dial: Dial, how: str) -> None:
    """A tool that looks at its flag ends, and what it says then is said to nobody."""
    gate = Gate()
    with DevServer(policy="never", tools={"gate": gate}) as running:
        client, session = meet(running, dial)
        call(client, "gate")
        gate.wait_begun()
        running.drop() if how == "drop" else running.stop()
        assert gate.calls[0].cancelled.wait(PATIENCE_S)
        assert gate.calls[0].reason == "the session is over"
        assert not gate.calls[0].update(progress=1)
        assert session.calls[0].status == "CANCELLED"


def test_a_tool_that_never_ends_does_not_hold_up_the_end(dial: Dial, caplog: pytest.LogCaptureFixture) -> None:
    """The server stops without it, and says so in the log."""
    release = threading.Event()
    begun = threading.Event()

    def deaf(params: Any, call: ToolInvocation) -> None:
        begun.set()
        release.wait(PATIENCE_S)

    with DevServer(policy="never", tools={"deaf": deaf}) as running:
        client, _ = meet(running, dial)
        call(client, "deaf")
        assert begun.wait(PATIENCE_S)
    assert "1 tools still run" in caplog.text
    release.set()


def test_a_thread_is_free_again_after_its_call(dial: Dial) -> None:
    """One thread serves any number of calls, one after another."""
    with DevServer(policy="never", tools={"add": add}, tool_threads=1) as running:
        client, _ = meet(running, dial)
        for number in range(5):
            call(client, "add", {"a": number, "b": 0}, call_id=str(number))
            assert client.expect("TOOL_DONE")["payload"]["result"] == number


def test_many_calls_side_by_side(dial: Dial) -> None:
    """Sixty calls by three clients on four threads: each is answered once, with its own result, to who made it."""
    with DevServer(policy="generous", tools={"add": add}, tool_threads=4, initial_credits=30) as running:
        clients = [meet(running, dial, number)[0] for number in (1, 2, 3)]
        for number in range(20):
            for index, client in enumerate(clients):
                call(client, "add", {"a": number, "b": 100 * index}, call_id=str(number))
        for index, client in enumerate(clients):
            results = {}
            while len(results) < 20:
                payload = client.expect("TOOL_DONE")["payload"]
                assert payload["call_id"] not in results
                results[payload["call_id"]] = payload["result"]
            assert results == {str(number): number + 100 * index for number in range(20)}
        for session in running.sessions:
            assert {record.status for record in session.calls} == {"OK"}


# Credit


def test_what_a_tool_says_waits_for_credit_and_pauses(dial: Dial) -> None:
    """With credit for two frames on USER the third waits for a grant; what becomes of the result meanwhile is not sent."""
    result = ["said"]

    def talk(params: Any, call: ToolInvocation) -> list[str]:
        call.update(progress=1)
        call.update(progress=2)
        return result

    flow = {"flow_control": {"initial_credit_messages": 2, "initial_credit_bytes": 50_000}}
    with DevServer(policy="never", tools={"talk": talk}) as running:
        client, session = meet(running, dial, capabilities=flow)
        call(client, "talk")
        session.wait_for(lambda s: s.calls[-1:] and s.calls[-1].status == "OK", timeout=PATIENCE_S)
        assert (session.pending_texts("USER"), session.books("USER").to_client.balance) == (1, 0)
        result.append("thought better of")
        client.send("FLOW_UPDATE", {"channel": "USER", "add_messages": 1})
        assert client.expect("TOOL_DONE")["payload"]["result"] == ["said"]
