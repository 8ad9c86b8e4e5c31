"""Tool calls that fail, are cancelled, refused or abandoned: every end is told to who waits, and nothing is left behind."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import Any

import pytest
from support.lines import ONE_LINE
from support.scripted_peer import TYPES, Peer, peer
from support.tool_peers import TOOL_TYPES, answers
from support.turnstiles import PATIENCE_S

from haip_sync import (
    ConnectionClosedError,
    FlowControlConfig,
    FlowControlError,
    HAIPClient,
    HAIPTimeout,
    ProtocolError,
    ToolCall,
    ToolCancelled,
    ToolError,
    UnsupportedByPeerError,
)
from haip_sync.runtime.conversation import routes


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
