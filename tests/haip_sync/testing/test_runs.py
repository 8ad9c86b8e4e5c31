"""Runs over real sockets: the client's and the server's, their limit and their ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from haip_sync.errors import ConfigError
from haip_sync.testing import DevServer, Session, ToolInvocation

PATIENCE_S = 20.0
Dial = Callable[[str], Any]
ACCEPT = [
    *("HAI", "PING", "PONG", "ERROR", "FLOW_UPDATE", "RUN_STARTED", "RUN_FINISHED", "RUN_CANCEL", "RUN_ERROR"),
    *("TOOL_UPDATE", "TOOL_DONE", "MESSAGE_START", "MESSAGE_PART", "MESSAGE_END"),
]


def meet(running: DevServer, dial: Dial) -> tuple[Any, Session]:
    """Connect a client that accepts runs; return it with its session."""
    client = dial(running.url)
    client.greet(accept_events=ACCEPT)
    return client, running.wait_for_session(timeout=PATIENCE_S)


def settled(client: Any, session: Session) -> dict[str, str]:
    """Return each run's status, once the server has read everything that the client sent."""
    client.send("PING", {})
    client.expect("PONG")
    return {run.run_id: run.status for run in session.runs}


def test_runs_of_the_client_are_kept(dial: Dial) -> None:
    """Begun with an id in the payload, in the envelope or none; ended in each way; each costs credit as any data frame."""
    with DevServer(max_concurrent_runs=9, agent=False, policy="never") as running:
        client, session = meet(running, dial)
        client.send("RUN_STARTED", {"run_id": "a", "thread_id": "t", "metadata": {"k": 1}}, run_id="x")
        client.send("RUN_STARTED", {}, run_id="b", thread_id="u")
        client.send("RUN_STARTED", {})
        client.send("RUN_STARTED", {"run_id": "d"})
        *_, nameless, _ = settled(client, session)
        assert settled(client, session) == {"a": "ACTIVE", "b": "ACTIVE", nameless: "ACTIVE", "d": "ACTIVE"}
        client.send("RUN_FINISHED", {"run_id": "a", "status": "OK", "summary": "well done"})
        client.send("RUN_ERROR", {"code": "BROKEN", "message": "badly"}, run_id="b")
        client.send("RUN_CANCEL", {"run_id": "d"})
        assert settled(client, session) == {"a": "OK", "b": "ERROR", nameless: "ACTIVE", "d": "CANCELLED"}
        first, second, *_ = session.runs
        assert (first.by, first.thread_id, first.metadata, first.summary) == ("client", "t", {"k": 1}, "well done")
        assert (second.thread_id, second.code, second.summary) == ("u", "BROKEN", "badly")
        assert session.books("SYSTEM").from_client.spent == 7
        assert client.seen[0]["payload"]["capabilities"]["max_concurrent_runs"] == 9


def test_a_run_too_many_is_refused(dial: Dial) -> None:
    """RUN_LIMIT_EXCEEDED names the frame; once one is over there is room again."""
    with DevServer(policy="never", agent=False) as running:
        client, session = meet(running, dial)
        client.send("RUN_STARTED", {"run_id": "a"})
        late, _ = client.send("RUN_STARTED", {"run_id": "b"})
        payload = client.expect("ERROR")["payload"]
        assert (payload["code"], payload["related_id"]) == ("RUN_LIMIT_EXCEEDED", late)
        client.send("RUN_FINISHED", {"run_id": "a"})
        client.send("RUN_STARTED", {"run_id": "c"})
        assert settled(client, session) == {"a": "OK", "c": "ACTIVE"}


def test_a_run_that_there_is_not(dial: Dial) -> None:
    """RUN_NOT_FOUND, also without any id; an id twice is a violation; an end that crossed another one is none."""
    with DevServer(policy="never", agent=False) as running:
        client, session = meet(running, dial)
        for payload in ({"run_id": "x"}, {}):
            frame_id, _ = client.send("RUN_CANCEL", payload)
            error = client.expect("ERROR")["payload"]
            assert (error["code"], error["related_id"]) == ("RUN_NOT_FOUND", frame_id)
        client.send("RUN_STARTED", {"run_id": "a"})
        client.send("RUN_STARTED", {"run_id": "a"})
        assert client.expect("ERROR")["payload"]["code"] == "PROTOCOL_VIOLATION"
        client.send("RUN_FINISHED", {"run_id": "a"})
        client.send("RUN_CANCEL", {"run_id": "a"})
        assert settled(client, session) == {"a": "OK"}
        assert [frame["type"] for frame in client.seen].count("ERROR") == 3


def test_a_cancelled_run_takes_its_calls_along(dial: Dial) -> None:
    """Those of other runs go on."""
    go = threading.Event()

    def wait(params: Any, call: ToolInvocation) -> str:
        call.update()
        while not go.wait(0.005):
            if call.cancelled.is_set():
                return str(call.reason)
        return "done"

    with DevServer(policy="never", tools={"wait": wait}, max_concurrent_runs=2) as running:
        client, _ = meet(running, dial)
        for run_id in ("a", "b"):
            client.send("RUN_STARTED", {"run_id": run_id})
            client.send("TOOL_CALL", {"call_id": run_id, "tool": "wait"}, "USER", run_id=run_id)
            client.expect("TOOL_UPDATE")
        client.send("RUN_CANCEL", {"run_id": "a"})
        done = client.expect("TOOL_DONE")["payload"]
        assert done == {"call_id": "a", "status": "CANCELLED", "result": "its run was cancelled"}
        go.set()
        assert client.expect("TOOL_DONE")["payload"] == {"call_id": "b", "status": "OK", "result": "done"}


def test_runs_of_the_server_are_announced(dial: Dial) -> None:
    """Each end has a frame of its own; a run that is over is ended by nothing."""
    with DevServer(policy="never", agent=False) as running:
        client, session = meet(running, dial)
        running.start_run("a", thread_id="t", metadata={"k": 1}, session=session)
        started = client.expect("RUN_STARTED")
        assert started["payload"] == {"run_id": "a", "thread_id": "t", "metadata": {"k": 1}}
        assert (started["run_id"], started["thread_id"], started["channel"]) == ("a", "t", "SYSTEM")
        running.finish_run("a", "OK", "well done")
        assert client.expect("RUN_FINISHED")["payload"] == {"run_id": "a", "status": "OK", "summary": "well done"}
        running.cancel_run("a")
        for name in ("b", "c"):
            running.start_run(name)
            client.expect("RUN_STARTED")
        running.cancel_run("b")
        assert client.next()["payload"] == {"run_id": "b"}
        running.fail_run("c", "BROKEN", "badly")
        assert client.expect("RUN_ERROR")["payload"] == {"run_id": "c", "code": "BROKEN", "message": "badly"}
        running.finish_run("nobody")
        running.start_run()
        assert len(client.expect("RUN_STARTED")["payload"]["run_id"]) == 36
        assert [(run.by, run.status) for run in session.runs] == [
            ("server", "OK"),
            ("server", "CANCELLED"),
            ("server", "ERROR"),
            ("server", "ACTIVE"),
        ]


def test_a_run_of_the_servers_that_the_client_cancels_is_finished(dial: Dial) -> None:
    """Who drives a run says that it is over; a run of the client's is not answered."""
    with DevServer(policy="never", agent=False, max_concurrent_runs=2) as running:
        client, _ = meet(running, dial)
        running.start_run("a")
        client.expect("RUN_STARTED")
        client.send("RUN_STARTED", {"run_id": "b"})
        client.send("RUN_CANCEL", {"run_id": "b"})
        client.send("RUN_CANCEL", {"run_id": "a"})
        assert client.expect("RUN_FINISHED")["payload"] == {"run_id": "a", "status": "CANCELLED"}


def test_the_server_may_end_a_run_of_the_clients(dial: Dial) -> None:
    """With its calls."""

    def wait(params: Any, call: ToolInvocation) -> None:
        call.update()
        assert call.cancelled.wait(PATIENCE_S)

    with DevServer(policy="never", tools={"wait": wait}) as running:
        client, session = meet(running, dial)
        client.send("RUN_STARTED", {"run_id": "a"})
        client.send("TOOL_CALL", {"call_id": "1", "tool": "wait"}, "USER", run_id="a")
        client.expect("TOOL_UPDATE")
        running.cancel_run("a")
        client.expect("RUN_CANCEL")
        client.expect("TOOL_DONE")
        assert session.runs[0].status == "CANCELLED"


def test_ended_runs_are_forgotten_first(dial: Dial) -> None:
    """Of more than are kept; the client's own stays as long as it is active."""
    with DevServer(agent=False, keep_received=2, max_concurrent_runs=9, policy="generous") as running:
        client, session = meet(running, dial)
        for run_id in ("a", "b"):
            client.send("RUN_STARTED", {"run_id": run_id})
        client.send("RUN_FINISHED", {"run_id": "b"})
        client.send("RUN_STARTED", {"run_id": "c"})
        assert settled(client, session) == {"a": "ACTIVE", "c": "ACTIVE"}
        client.send("RUN_STARTED", {"run_id": "d"})
        assert settled(client, session) == {"c": "ACTIVE", "d": "ACTIVE"}


def test_an_answer_belongs_to_the_run_of_its_question(dial: Dial) -> None:
    """The agent's answer carries run and thread of the text's START, and the record has them too."""
    with DevServer() as running:
        client, session = meet(running, dial)
        for event_type in ("MESSAGE_START", "MESSAGE_END"):
            client.send(event_type, {"message_id": "m"}, "USER", run_id="r", thread_id="t")
        for event_type in ("MESSAGE_START", "MESSAGE_PART", "MESSAGE_END"):
            frame = client.expect(event_type)
            assert (frame["run_id"], frame["thread_id"]) == ("r", "t")
        assert (session.texts()[0].run_id, session.texts()[0].thread_id) == ("r", "t")


def test_a_wrong_status_is_refused() -> None:
    """`ConfigError`, and nothing is sent."""
    with DevServer() as running, pytest.raises(ConfigError):
        running.finish_run("a", "FINE")  # type: ignore[arg-type]
