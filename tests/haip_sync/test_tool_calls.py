"""Tool calls: the handle hears what the peer tells, and nobody need call receive()."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from support.scripted_peer import Peer, peer
from support.tool_peers import TOOL_TYPES, answers
from support.turnstiles import PATIENCE_S, until

from haip_sync import (
    ConfigError,
    DeadlockError,
    Event,
    FlowControlConfig,
    FramesLost,
    HAIPClient,
    HAIPTimeout,
    Message,
    ToolCall,
    ToolUpdate,
)


def test_a_call_returns_what_the_tool_says() -> None:
    """TOOL_CALL carries id, tool and params; TOOL_DONE with OK is the result, and its figures are the latest updates'."""
    heard: list[Any] = []

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=TOOL_TYPES)
        heard.append(speaker.hears_frame("TOOL_CALL"))
        call = {"call_id": heard[0]["payload"]["call_id"]}
        speaker.says("TOOL_UPDATE", call | {"status": "QUEUED"}, channel="AGENT")
        speaker.says("TOOL_UPDATE", call | {"status": "RUNNING", "progress": 40, "partial": [1]}, channel="AGENT")
        speaker.says("TOOL_DONE", call | {"status": "OK", "result": {"sum": 3}}, channel="AGENT")
        speaker.stays()

    with peer(script) as url, HAIPClient(url) as client:
        call = client.call_tool("AGENT", "add", {"a": 1, "b": 2}, run_id="r", thread_id="t")
        assert call.result(PATIENCE_S) == {"sum": 3}
        assert (call.status, call.progress, call.partial, call.done()) == ("OK", 40.0, [1], True)
        assert (call.tool, call.channel) == ("add", "AGENT")
        assert call.receipt.outcome in ("sent", "acknowledged")
        assert call.cancel() is False
        with pytest.raises(HAIPTimeout):
            client.receive(0)
    assert heard[0]["payload"] == {"call_id": call.call_id, "tool": "add", "params": {"a": 1, "b": 2}}
    assert (heard[0]["channel"], heard[0]["run_id"], heard[0]["thread_id"]) == ("AGENT", "r", "t")


def test_a_call_checks_its_callback() -> None:
    """What cannot be called is refused as a callback at once, not when the call has ended."""
    callback: Any = "print"
    with peer(answers(("TOOL_DONE", {"status": "OK"}))) as url, HAIPClient(url) as client:
        call = client.call_tool("AGENT", "add")
        with pytest.raises(ConfigError, match="callback must be a function, not 'print'"):
            call.add_done_callback(callback)
        call.result(PATIENCE_S)


def test_who_waits_in_vain_is_told_that_the_end_may_be_lost() -> None:
    """Once frames of the peer's were lost, timeouts of a silent call say so; one that tells more, or began later, is sure."""
    go_on = threading.Event()

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=TOOL_TYPES)
        ids = [speaker.hears("TOOL_CALL")["call_id"] for _ in range(2)]
        speaker.skips()  # the TOOL_DONE of the first
        speaker.says("TOOL_UPDATE", {"call_id": ids[1], "status": "RUNNING"}, channel="AGENT")
        assert go_on.wait(PATIENCE_S)
        speaker.says("TOOL_UPDATE", {"call_id": ids[1], "status": "RUNNING", "progress": 50}, channel="AGENT")
        speaker.stays()

    lost = threading.Event()
    with peer(script) as url, HAIPClient(url) as client:
        client.subscribe(lambda _: lost.set(), FramesLost)
        silent, other = (client.call_tool("AGENT", "add") for _ in range(2))
        assert lost.wait(PATIENCE_S)
        later = client.call_tool("AGENT", "add")
        vanished = r"and its TOOL_DONE may be among what was lost meanwhile: 1 frame of the peer's, seq \d+ to \d+; status SENT"
        with pytest.raises(HAIPTimeout, match=vanished):
            silent.result(0)
        with pytest.raises(HAIPTimeout, match=vanished):
            list(silent.updates(0))
        go_on.set()
        until(lambda: other.progress == 50.0)
        for call in (other, later):
            with pytest.raises(HAIPTimeout, match="was sent, and goes on; status"):
                call.result(0)


def test_many_updates_need_no_receive() -> None:
    """Updates far beyond the window reach the handle though nobody calls receive(): their credit goes back at once."""
    count = 200

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=TOOL_TYPES)
        call = {"call_id": speaker.hears("TOOL_CALL")["call_id"]}
        credit = 4
        for number in range(count):
            while not credit:  # keeps to what it was granted, as a good peer does
                credit += speaker.hears("FLOW_UPDATE").get("add_messages", 0)
            speaker.says("TOOL_UPDATE", call | {"status": "RUNNING", "progress": number / 2}, channel="AGENT")
            credit -= 1
        while not credit:
            credit += speaker.hears("FLOW_UPDATE").get("add_messages", 0)
        speaker.says("TOOL_DONE", call | {"status": "OK", "result": "done"}, channel="AGENT")
        speaker.stays()

    with peer(script) as url, HAIPClient(url, flow_control=FlowControlConfig(initial_credits=4)) as client:
        call = client.call_tool("AGENT", "slow")
        assert call.result(PATIENCE_S) == "done"
        assert call.progress == (count - 1) / 2
        state = client.connection_state().channels["AGENT"]
        assert (state.received_messages, state.receive_breaches) == (count + 1, 0)


def test_listeners_see_what_goes_to_a_handle_and_credit_goes_back_once() -> None:
    """With inbox="listeners" the handle hears its frames, listeners see them marked as routed, and the books balance."""
    seen: list[Message] = []
    script = answers(("TOOL_UPDATE", {"status": "RUNNING"}), ("TOOL_DONE", {"status": "OK", "result": 1}), ("INFO", {}))
    config = FlowControlConfig(initial_credits=2)
    with peer(script) as url, HAIPClient(url, inbox="listeners", flow_control=config) as client:
        client.on("message", seen.append)
        assert client.call_tool("AGENT", "x").result(PATIENCE_S) == 1
        until(lambda: [m.type for m in seen if m.channel == "AGENT"] == ["TOOL_UPDATE", "TOOL_DONE", "INFO"])
        assert [m.is_routed for m in seen if m.channel == "AGENT"] == [True, True, False]
        until(lambda: client.connection_state().channels["AGENT"].receive_window == 2)


def test_updates_come_in_order_and_the_latest_wins() -> None:
    """A reader that is slower than the peer gets the latest update, and the number of those that it replaced."""
    gate = threading.Event()

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=TOOL_TYPES)
        call = {"call_id": speaker.hears("TOOL_CALL")["call_id"]}
        speaker.says("TOOL_UPDATE", call | {"status": "QUEUED"}, channel="AGENT")
        assert gate.wait(PATIENCE_S)
        for number in range(3):
            speaker.says("TOOL_UPDATE", call | {"status": "RUNNING", "progress": number}, channel="AGENT")
        speaker.says("TOOL_DONE", call | {"status": "OK"}, channel="AGENT")
        speaker.stays()

    with peer(script) as url, HAIPClient(url) as client:
        call = client.call_tool("AGENT", "x")
        updates = call.updates(PATIENCE_S)
        assert next(updates) == ToolUpdate(status="QUEUED", progress=None, partial=None, skipped=0)
        hasty = call.updates(0)
        next(hasty)
        with pytest.raises(HAIPTimeout, match="told nothing new"):
            next(hasty)
        gate.set()
        assert call.result(PATIENCE_S) is None
        assert list(updates) == [ToolUpdate(status="OK", progress=2.0, partial=None, skipped=2)]


def test_callbacks_and_deadlocks_on_the_dispatch_thread() -> None:
    """Done callbacks run on the dispatch thread; waiting there raises DeadlockError, result(0) does not wait."""
    results: list[Any] = []
    finished = threading.Event()

    def done(call: ToolCall) -> None:
        results.append((threading.current_thread().name, call.result()))
        finished.set()

    def listener(_: Event) -> None:
        for ask in (lambda: call.result(1), lambda: next(call.updates())):
            try:
                ask()
            except DeadlockError as exc:
                results.append(type(exc))
        try:
            call.result(0)
        except HAIPTimeout as exc:
            results.append(type(exc))

    gate = threading.Event()

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=TOOL_TYPES)
        call_id = speaker.hears("TOOL_CALL")["call_id"]
        assert gate.wait(PATIENCE_S)
        speaker.says("INFO", {}, channel="USER")
        speaker.says("PING", {})
        speaker.hears("PONG")
        assert second.wait(PATIENCE_S)
        speaker.says("TOOL_DONE", {"call_id": call_id, "status": "OK", "result": 5}, channel="AGENT")
        speaker.stays()

    second = threading.Event()
    with peer(script) as url, HAIPClient(url, name="calls") as client:
        call = client.call_tool("AGENT", "x")
        client.on("message", lambda m: listener(m) if m.type == "INFO" else None)
        call.add_done_callback(done)
        gate.set()
        until(lambda: len(results) == 3)
        second.set()
        assert finished.wait(PATIENCE_S)
        call.add_done_callback(done)  # after the end: soon
        until(lambda: len(results) == 5)
    call.add_done_callback(done)  # after close: here
    assert results.pop() == (threading.current_thread().name, 5)
    assert results == [DeadlockError, DeadlockError, HAIPTimeout, ("calls-dispatch", 5), ("calls-dispatch", 5)]


def test_frames_of_a_finished_call_go_to_the_inbox() -> None:
    """A finished call is forgotten: what the peer says of it afterwards is a frame like any other."""
    script = answers(("TOOL_DONE", {"status": "OK"}), ("TOOL_UPDATE", {"status": "RUNNING"}))
    with peer(script) as url, HAIPClient(url) as client:
        call = client.call_tool("AGENT", "x")
        call.result(PATIENCE_S)
        assert client.receive(PATIENCE_S).type == "TOOL_UPDATE"
        assert call.status == "OK"


def test_wrong_arguments_are_told_before_anything_leaves() -> None:
    """Names, params and timeouts are checked first."""
    with peer(answers()) as url, HAIPClient(url) as client:
        for wrong in ({"tool": ""}, {"tool": 3}, {"channel": "no spaces"}, {"params": [1]}, {"timeout": -1}):
            with pytest.raises(ConfigError):
                client.call_tool(**({"channel": "AGENT", "tool": "x"} | wrong))
        assert client.connection_state().channels["AGENT"].sent_messages == 0


def test_ping_measures_a_round_trip() -> None:
    """ping() returns the seconds to the PONG with its nonce; a PONG of another counts for nobody."""

    def script(speaker: Peer) -> None:
        speaker.greets()
        nonce = speaker.hears("PING")["nonce"]
        speaker.says("PONG", {"nonce": "other"})
        speaker.says("PONG", {"nonce": nonce})
        speaker.hears("PING")
        speaker.stays()

    pongs: list[Event] = []
    with peer(script) as url, HAIPClient(url) as client:
        client.on("pong", pongs.append)
        assert client.connection_state().round_trip is None
        took_s = client.ping(PATIENCE_S)
        assert 0 < took_s < PATIENCE_S
        assert client.connection_state().round_trip == took_s, "whoever asked for it"
        with pytest.raises(HAIPTimeout, match="no PONG came"):
            client.ping(0.05)
        until(lambda: len(pongs) == 1)
