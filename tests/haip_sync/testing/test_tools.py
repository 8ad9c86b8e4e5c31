"""Tools over real sockets: calls, progress, cancelling, failures, and who may run at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from haip_sync.errors import ConfigError
from haip_sync.testing import DevServer, Quirks, Session, Tool, ToolInvocation

PATIENCE_S = 20.0
Dial = Callable[[str], Any]
ACCEPT = ("HAI", "PING", "PONG", "ERROR", "FLOW_UPDATE", "TOOL_UPDATE", "TOOL_DONE", "TOOL_LIST", "TOOL_SCHEMA")


def meet(running: DevServer, dial: Dial, number: int = 1, **hai: Any) -> tuple[Any, Session]:
    """Connect a client that accepts what tools say; return it with its session."""
    client = dial(running.url)
    client.greet(**({"accept_events": list(ACCEPT)} | hai))
    return client, running.wait_for_session(number, timeout=PATIENCE_S)


def call(client: Any, tool: str, params: object = None, call_id: str = "c", **members: Any) -> str:
    """Call a tool; return the frame's id."""
    payload = {"call_id": call_id, "tool": tool} | ({} if params is None else {"params": params})
    frame_id, _ = client.send("TOOL_CALL", payload, "USER", **members)
    return str(frame_id)


def add(params: dict[str, int], call: ToolInvocation) -> int:
    """Add two numbers.

    And nothing else.
    """
    del call
    return params["a"] + params["b"]


class Gate:
    """A tool that says that it has begun and then waits until it is let go, or cancelled."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()
        self.calls: list[ToolInvocation] = []

    def __call__(self, params: Any, call: ToolInvocation) -> str:
        """Wait for `go`, then return; cancelled, return something else."""
        self.calls.append(call)
        self.begun.release()
        while not self.go.wait(0.005):
            if call.cancelled.is_set():
                return "too late"
        return "done"

    def wait_begun(self) -> None:
        """Return once one more call has begun."""
        assert self.begun.acquire(timeout=PATIENCE_S)


# What there is


def test_tools_are_announced_to_who_comes(dial: Dial) -> None:
    """TOOL_LIST names each with the first line of its documentation; it is data on AGENT, within the client's credit."""
    tools = {"add": add, "spare": Tool(add, "Does the same", {"type": "object", "required": ["a", "b"]})}
    with DevServer(policy="never", tools=tools) as running:
        client, session = meet(running, dial)
        frame = client.expect("TOOL_LIST")
        assert frame["channel"] == "AGENT"
        assert frame["payload"] == {
            "tools": [
                {"name": "add", "description": "Add two numbers."},
                {"name": "spare", "description": "Does the same"},
            ]
        }
        assert session.books("AGENT").to_client.spent == 1


def test_tools_and_their_schemas_may_be_asked_for(dial: Dial) -> None:
    """The answer comes on the channel of the question; a client's own announcement is no question."""
    schema = {"type": "object", "required": ["a", "b"]}
    with DevServer(policy="never", tools={"add": Tool(add, "Adds", schema)}) as running:
        client, _ = meet(running, dial)
        client.expect("TOOL_LIST")
        client.send("TOOL_LIST", {"tools": []}, "USER")
        client.send("TOOL_SCHEMA", {"tool": "x", "schema": {}}, "USER")
        client.send("TOOL_LIST", {}, "USER")
        assert client.next()["channel"] == "USER"
        client.send("TOOL_SCHEMA", {"tool": "add"}, "USER")
        assert client.next()["payload"] == {"tool": "add", "schema": schema}
        asked, _ = client.send("TOOL_SCHEMA", {"tool": "subtract"}, "USER")
        payload = client.next()["payload"]
        assert (payload["code"], payload["related_id"]) == ("TOOL_NOT_FOUND", asked)


def test_without_tools_nobody_answers(dial: Dial) -> None:
    """A test may then answer by hand."""
    with DevServer(policy="never", agent=False) as running:
        client, session = meet(running, dial)
        call(client, "add")
        client.send("TOOL_LIST", {}, "USER")
        session.wait_for(lambda s: s.received_count == 3, timeout=PATIENCE_S)
        running.send_frame("TOOL_DONE", {"call_id": "c", "status": "OK"}, "USER")
        client.expect("TOOL_DONE")
        assert [frame["type"] for frame in client.seen if frame["type"] != "FLOW_UPDATE"] == ["HAI", "TOOL_DONE"]
        assert session.calls == ()


# A call


def test_a_call_runs_and_comes_to_a_result(dial: Dial) -> None:
    """TOOL_DONE carries it, on the call's channel, with the call's run and thread; the session keeps a record."""
    with DevServer(policy="never", tools={"add": add}) as running:
        client, session = meet(running, dial)
        call(client, "add", {"a": 2, "b": 3}, run_id="r", thread_id="t")
        done = client.expect("TOOL_DONE")
        assert done["payload"] == {"call_id": "c", "status": "OK", "result": 5}
        assert (done["channel"], done["run_id"], done["thread_id"]) == ("USER", "r", "t")
        (record,) = session.calls
        assert (record.call_id, record.tool, record.params, record.channel) == ("c", "add", {"a": 2, "b": 3}, "USER")
        assert (record.run_id, record.status, record.result) == ("r", "OK", 5)


def test_progress_comes_before_the_result(dial: Dial) -> None:
    """In the order in which the tool said it; what it changes afterwards is not sent."""

    def count(params: Any, call: ToolInvocation) -> None:
        partial = ["one"]
        assert call.update(progress=50, partial=partial)
        partial.append("two")
        assert call.update(status="QUEUED")
        assert (call.call_id, call.tool, call.channel, call.run_id, call.reason) == ("c", "count", "USER", None, None)
        assert "count" in repr(call)

    with DevServer(policy="never", tools={"count": count}) as running:
        client, _ = meet(running, dial)
        call(client, "count")
        first, second, done = client.expect("TOOL_UPDATE"), client.next(), client.next()
        assert first["payload"] == {"call_id": "c", "status": "RUNNING", "progress": 50, "partial": ["one"]}
        assert second["payload"] == {"call_id": "c", "status": "QUEUED"}
        assert done["payload"] == {"call_id": "c", "status": "OK"}


def test_what_a_tool_raises_is_its_error(dial: Dial) -> None:
    """TOOL_DONE says ERROR and what it was, and the server goes on."""

    def fail(params: Any, call: ToolInvocation) -> None:
        raise SystemExit("no more")

    with DevServer(policy="never", tools={"add": add, "fail": fail}) as running:
        client, session = meet(running, dial)
        call(client, "add", {"a": 1})
        payload = client.expect("TOOL_DONE")["payload"]
        assert (payload["status"], payload["result"]) == ("ERROR", {"error": "KeyError: 'b'"})
        call(client, "fail", call_id="d")
        assert client.expect("TOOL_DONE")["payload"]["result"] == {"error": "SystemExit: no more"}
        assert [record.status for record in session.calls] == ["ERROR", "ERROR"]


def test_what_json_cannot_carry_is_an_error(dial: Dial) -> None:
    """A result of that kind makes the call an ERROR; a partial one raises inside of the tool."""
    raised: list[str] = []

    def odd(params: Any, call: ToolInvocation) -> object:
        for wrong in ({"partial": object()}, {"progress": 101}, {"progress": "half"}, {"status": "OK"}):
            with pytest.raises(ConfigError) as error:
                call.update(**wrong)
            raised.append(str(error.value))
        return object()

    with DevServer(policy="never", tools={"odd": odd}) as running:
        client, _ = meet(running, dial)
        call(client, "odd")
        payload = client.expect("TOOL_DONE")["payload"]
        assert payload["status"] == "ERROR"
        assert "JSON" in payload["result"]["error"]
        assert [text.partition(" ")[0] for text in raised] == ["partial", "progress", "progress", "status"]
        assert "TOOL_UPDATE" not in {frame["type"] for frame in client.seen}


def test_a_tool_that_there_is_not(dial: Dial) -> None:
    """TOOL_DONE says ERROR, so that the caller need not wait; as a quirk, ERROR{TOOL_NOT_FOUND} as published servers."""
    with DevServer(policy="never", tools={"add": add}) as running:
        client, session = meet(running, dial)
        call(client, "subtract")
        payload = client.expect("TOOL_DONE")["payload"]
        assert (payload["call_id"], payload["status"]) == ("c", "ERROR")
        assert "subtract" in payload["result"]["error"]
        assert session.calls == ()
    with DevServer(policy="never", tools={"add": add}, quirks=Quirks(unknown_tool="ERROR")) as running:
        client, _ = meet(running, dial)
        frame_id = call(client, "subtract")
        payload = client.expect("ERROR")["payload"]
        assert (payload["code"], payload["related_id"]) == ("TOOL_NOT_FOUND", frame_id)


def test_a_bad_call_is_a_violation(dial: Dial) -> None:
    """No id, or that of a call under way."""
    gate = Gate()
    with DevServer(policy="never", tools={"gate": gate}) as running:
        client, session = meet(running, dial)
        client.send("TOOL_CALL", {"tool": "gate"}, "USER")
        assert client.expect("ERROR")["payload"]["code"] == "PROTOCOL_VIOLATION"
        call(client, "gate")
        gate.wait_begun()
        again = call(client, "gate")
        assert client.expect("ERROR")["payload"]["related_id"] == again
        assert len(session.calls) == 1
        gate.go.set()
        client.expect("TOOL_DONE")


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


def test_a_client_that_accepts_no_update_is_sent_none(dial: Dial) -> None:
    """What cannot be said is dropped and counted."""

    def talk(params: Any, call: ToolInvocation) -> None:
        call.update(progress=1)

    with DevServer(policy="never", tools={"talk": talk}) as running:
        client, session = meet(running, dial, accept_events=["HAI", "TOOL_DONE"])
        call(client, "talk")
        assert client.next()["type"] == "TOOL_DONE"
        assert session.texts_dropped == 1


def test_a_tool_may_use_its_session(dial: Dial) -> None:
    """The view that a test has, too."""
    seen: list[str] = []

    def look(params: Any, call: ToolInvocation) -> None:
        seen.append(call.session.id)

    with DevServer(policy="never", tools={"look": look}) as running:
        client, session = meet(running, dial)
        call(client, "look")
        client.expect("TOOL_DONE")
        assert seen == [session.id]


@pytest.mark.parametrize(
    "options",
    [
        {"tools": [add]},
        {"tools": {"add": "add"}},
        {"tools": {"": add}},
        {"tools": {1: add}},
        {"tools": {"add": Tool(add, schema={"type": object})}},
        {"tool_threads": 0},
        {"max_concurrent_runs": -1},
        {"binary_frames": "yes"},
    ],
)
def test_wrong_tools_are_refused(options: dict[str, Any]) -> None:
    """`ConfigError`, before anything listens."""
    with pytest.raises(ConfigError):
        DevServer(**options)
