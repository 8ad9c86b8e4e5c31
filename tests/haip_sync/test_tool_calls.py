"""Tool calls: the handle hears what the peer tells, nobody need call receive(), and every end is told to who waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import pytest
from support.lines import ONE_LINE
from support.scripted_peer import TYPES, Peer, peer
from support.turnstiles import PATIENCE_S, until

from haip_sync import (
    ConfigError,
    ConnectionClosedError,
    DeadlockError,
    Event,
    FlowControlConfig,
    FlowControlError,
    FramesLost,
    HAIPClient,
    HAIPTimeout,
    Message,
    ProtocolError,
    ToolCall,
    ToolCancelled,
    ToolError,
    ToolUpdate,
    UnsupportedByPeerError,
)
from haip_sync.runtime.conversation import routes

TOOL_TYPES = [*TYPES, "TOOL_CALL", "TOOL_CANCEL"]


def answers(*frames: tuple[str, dict[str, Any]]) -> Callable[[Peer], None]:
    """Return a script that answers the first tool call with these frames."""

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=TOOL_TYPES)
        call_id = speaker.hears("TOOL_CALL")["call_id"]
        for frame_type, payload in frames:
            speaker.says(frame_type, {"call_id": call_id} | payload, channel="AGENT")
        speaker.stays()

    return script


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


@pytest.mark.parametrize(
    ("done", "kind", "status"),
    [
        ({"status": "ERROR", "result": {"why": "no"}}, ToolError, "ERROR"),
        ({"status": "CANCELLED", "result": None}, ToolCancelled, "CANCELLED"),
    ],
)
def test_a_tool_that_does_not_succeed_raises(done: dict[str, Any], kind: type[ToolError], status: str) -> None:
    """ERROR is a ToolError and CANCELLED a ToolCancelled; both carry the status and what the tool said."""
    with peer(answers(("TOOL_DONE", done))) as url, HAIPClient(url) as client:
        call = client.call_tool("AGENT", "x")
        with pytest.raises(ToolError, match="of x on AGENT") as caught:
            call.result(PATIENCE_S)
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.result, caught.value.tool) == (status, done["result"], "x")
    assert (caught.value.call_id, call.status) == (call.call_id, status)


def test_the_end_of_the_connection_is_told_to_who_waits() -> None:
    """A call whose connection ends raises ConnectionClosedError that says: sent, outcome not known."""

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=TOOL_TYPES)
        speaker.hears("TOOL_CALL")
        speaker.connection.socket.close()

    with peer(script) as url, HAIPClient(url, reconnect=ONE_LINE) as client:
        call = client.call_tool("AGENT", "x")
        with pytest.raises(ConnectionClosedError, match="was sent, and its outcome is not known"):
            call.result(PATIENCE_S)
        assert call.status == "ERROR"


def test_close_wakes_who_waits_for_a_result() -> None:
    """close() ends the wait for a result at once."""
    errors: list[Exception] = []

    def wait() -> None:
        try:
            call.result()
        except ConnectionClosedError as exc:
            errors.append(exc)

    with peer(answers()) as url:
        client = HAIPClient(url)
        client.connect(PATIENCE_S)
        call = client.call_tool("AGENT", "x")
        waiter = threading.Thread(target=wait)
        waiter.start()
        client.close()
        waiter.join(PATIENCE_S)
    assert len(errors) == 1


@pytest.mark.parametrize(
    ("code", "kind", "match"),
    [
        ("TOOL_NOT_FOUND", ProtocolError, "TOOL_NOT_FOUND: no such tool"),
        ("INSUFFICIENT_CREDITS", FlowControlError, "was refused, and the tool did not run"),
    ],
)
def test_an_error_about_the_call_is_its_result(code: str, kind: type[Exception], match: str) -> None:
    """The peer's ERROR that names our TOOL_CALL frame is raised by result(); one about another frame is not."""

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=TOOL_TYPES)
        call = speaker.hears_frame("TOOL_CALL")
        speaker.says("ERROR", {"code": "TOOL_NOT_FOUND", "message": "another", "related_id": "someone-else"})
        speaker.says("ERROR", {"code": code, "message": "no such tool", "related_id": call["id"]})
        speaker.stays()

    with peer(script) as url, HAIPClient(url) as client:
        call = client.call_tool("AGENT", "x")
        with pytest.raises(kind, match=match) as caught:
            call.result(PATIENCE_S)
        if isinstance(caught.value, ProtocolError):
            assert (caught.value.code, caught.value.blame) == (code, "remote")
        assert call.status == "ERROR"


def test_cancel_asks_and_the_peer_decides() -> None:
    """cancel() sends TOOL_CANCEL with the reason and returns True; the call is over when the peer says so."""
    heard: list[Any] = []

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=TOOL_TYPES)
        call_id = speaker.hears("TOOL_CALL")["call_id"]
        heard.append(speaker.hears("TOOL_CANCEL"))
        speaker.says("TOOL_UPDATE", {"call_id": call_id, "status": "CANCELLING"}, channel="AGENT")
        speaker.says("TOOL_DONE", {"call_id": call_id, "status": "CANCELLED"}, channel="AGENT")
        speaker.stays()

    with peer(script) as url, HAIPClient(url) as client:
        call = client.call_tool("AGENT", "x")
        assert call.cancel("enough", timeout=PATIENCE_S) is True
        with pytest.raises(ToolCancelled):
            call.result(PATIENCE_S)
    assert heard == [{"call_id": call.call_id, "reason": "enough"}]


def test_cancel_needs_credit_and_says_so() -> None:
    """TOOL_CANCEL waits for credit as any data frame; refused, nothing was sent and the call goes on."""

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=TOOL_TYPES, messages=1)
        speaker.stays()

    with peer(script) as url, HAIPClient(url) as client:
        call = client.call_tool("AGENT", "x")
        with pytest.raises(FlowControlError, match="TOOL_CANCEL was not sent"):
            call.cancel(timeout=0)
        assert not call.done()


def test_a_peer_that_takes_no_tool_calls_is_sent_none() -> None:
    """TOOL_CALL and TOOL_CANCEL are only sent where the peer accepts them."""

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=[*TYPES, "TOOL_CALL"])
        speaker.stays()

    with peer(script) as url, HAIPClient(url) as client:
        call = client.call_tool("AGENT", "x")
        with pytest.raises(UnsupportedByPeerError, match="does not accept TOOL_CANCEL"):
            call.cancel()

    def deaf(speaker: Peer) -> None:
        speaker.greets()
        speaker.stays()

    with peer(deaf) as url, HAIPClient(url) as client, pytest.raises(UnsupportedByPeerError, match="does not accept TOOL_CALL"):
        client.call_tool("AGENT", "x")


def test_a_call_that_is_not_sent_leaves_nothing_behind() -> None:
    """Without credit call_tool raises as a send does, and no handle stays open."""

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=TOOL_TYPES, messages=0)
        speaker.stays()

    with peer(script) as url, HAIPClient(url) as client:
        with pytest.raises(FlowControlError, match="TOOL_CALL was not sent"):
            client.call_tool("AGENT", "x", timeout=0)
        assert client._connection.rooms.routes.count(ToolCall) == 0


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


@pytest.mark.parametrize("done", [{"status": "MAYBE"}, {"status": None}, {}])
def test_an_answer_that_makes_no_sense_is_the_peers_fault(done: dict[str, Any]) -> None:
    """TOOL_DONE that cannot be read ends its call as ProtocolError: nobody waits for ever for what will not come again."""
    with peer(answers(("TOOL_DONE", done), ("TOOL_DONE", {"status": "OK"}))) as url, HAIPClient(url) as client:
        call = client.call_tool("AGENT", "x")
        with pytest.raises(ProtocolError, match=r"of x on AGENT ended, and how cannot be read: .*status") as caught:
            call.result(PATIENCE_S)
        assert (caught.value.blame, call.status) == ("remote", "ERROR")
        assert client.receive(PATIENCE_S).type == "TOOL_DONE"  # the second one finds no call


def test_open_calls_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One open call too many is refused before anything is sent; one that ends makes room."""
    monkeypatch.setattr(routes, "MOST_OPEN", 2)
    with peer(answers(("TOOL_DONE", {"status": "OK"}))) as url, HAIPClient(url) as client:
        first = client.call_tool("AGENT", "x")
        first.result(PATIENCE_S)
        _held = [client.call_tool("AGENT", "x") for _ in range(2)]
        sent = client.connection_state().channels["AGENT"].sent_messages
        with pytest.raises(ProtocolError, match=r"2 tool calls, runs and pings are open.*Nothing was sent"):
            client.call_tool("AGENT", "x")
        assert client.connection_state().channels["AGENT"].sent_messages == sent


def test_a_call_that_nobody_holds_any_more_gives_up_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls whose handles are gone make room for others, the oldest first; those with a callback stay, and call it."""
    monkeypatch.setattr(routes, "MOST_OPEN", 2)
    called: SimpleQueue[str] = SimpleQueue()

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=TOOL_TYPES)
        ids = [speaker.hears("TOOL_CALL")["call_id"] for _ in range(5)]
        for call_id in (ids[0], ids[3], ids[4], ids[1]):
            speaker.says("TOOL_DONE", {"call_id": call_id, "status": "OK", "result": call_id}, channel="AGENT")
        speaker.stays()

    with peer(script) as url, HAIPClient(url) as client:
        with pytest.raises(HAIPTimeout):
            client.call_tool("AGENT", "never waited for again").result(0)
        client.call_tool("AGENT", "with a callback").add_done_callback(lambda call: called.put(call.result(0)))
        for _ in range(2):  # the first takes the place of the one that timed out, the second that of the first
            client.call_tool("AGENT", "forgotten at once")
        held = client.call_tool("AGENT", "held")
        assert held.result(PATIENCE_S) == held.call_id
        assert called.get(timeout=PATIENCE_S) != held.call_id
        # Those whose place was needed are nobody's.
        assert [client.receive(PATIENCE_S).type for _ in range(2)] == ["TOOL_DONE"] * 2
        assert not client._connection.rooms.routes._handles


def test_what_comes_for_an_abandoned_call_fills_no_window() -> None:
    """As long as its place is not needed, what the peer tells of a call that nobody holds is taken, and goes to nobody."""

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=TOOL_TYPES)
        call_id = speaker.hears("TOOL_CALL")["call_id"]
        for number in range(30):
            speaker.says("TOOL_UPDATE", {"call_id": call_id, "status": "RUNNING", "progress": number}, channel="AGENT")
        speaker.says("TOOL_DONE", {"call_id": call_id, "status": "OK"}, channel="AGENT")
        speaker.says("INFO", {}, channel="AGENT")
        speaker.stays()

    with peer(script) as url, HAIPClient(url, flow_control=FlowControlConfig(initial_credits=4)) as client:
        client.call_tool("AGENT", "forgotten at once")
        assert client.receive(PATIENCE_S).type == "INFO"
        assert client.connection_state().channels["AGENT"].receive_breaches == 0
        assert not client._connection.rooms.routes._handles


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
        assert 0 < client.ping(PATIENCE_S) < PATIENCE_S
        with pytest.raises(HAIPTimeout, match="no PONG came"):
            client.ping(0.05)
        until(lambda: len(pongs) == 1)
