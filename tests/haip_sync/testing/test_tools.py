"""Tools over real sockets: what is announced, what a call comes to, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from support.tool_dial import PATIENCE_S, Dial, Gate, add, call, meet

from haip_sync.errors import ConfigError
from haip_sync.testing import DevServer, Quirks, Tool, ToolInvocation

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
